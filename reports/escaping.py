"""Text that others wrote, made harmless for the place where it is shown.

Names of settings, runs and kinds of failure come from targets and scenario files. HTML is
escaped by Jinja; the rest is here.
"""

from __future__ import annotations

import re
from typing import Final

#: Control characters (a terminal would obey them) and marks that reorder the text around them.
_UNSHOWABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]"
)
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]|~#])")


def one_line(text: str) -> str:
    """The text on one line: runs of white space become a blank, control and bidi marks go."""
    return " ".join(_UNSHOWABLE.sub("", text.encode("utf-8", "replace").decode()).split())


def markdown_text(text: str) -> str:
    """The text as it stands, in a cell of a GitHub table: no markup, no tag, and nobody is mentioned."""
    safe = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", safe).replace("@", "@&#8203;")


def xml_text(text: str) -> str:
    """The text without the characters that XML 1.0 cannot hold even when escaped."""
    return _NOT_XML.sub("", text)
