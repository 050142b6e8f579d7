"""savepath: load testing of the custom-field save path, before, during and after a change."""

__version__ = "0.1.0"
