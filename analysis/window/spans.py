"""Spans of time in words, as reasons and alarms tell them."""

from __future__ import annotations


def span(seconds: float) -> str:
    """How long."""
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.0f} h"


def ago(seconds: float) -> str:
    """How long ago."""
    return "now" if seconds <= 0 else f"{span(seconds)} ago"
