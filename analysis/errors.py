"""What the analysis refuses to do."""

from __future__ import annotations


class IncomparableRuns(ValueError):
    """The runs answered different questions, so that no comparison of them means anything.

    The message names the runs and what they differ in.
    """
