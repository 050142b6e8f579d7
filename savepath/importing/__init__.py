"""Importing: the result files of other load testing tools become run folders."""
