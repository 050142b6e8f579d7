"""The status page of a watch: the verdict now and the window part, read again by the browser without script."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from jinja2 import Template

from analysis.findings import Verdict
from reports import pages, window, words
from reports.escaping import one_line
from reports.watched import Watched

#: What a verdict asks of its readers.
ASKED: Final = {
    Verdict.CLEAR: "The window may close, and other releases may go out.",
    Verdict.HOLD: "The window stays open: hold back other releases.",
    Verdict.ESCALATE: "Somebody must act now. It stays so until it is acknowledged (savepath watch --ack).",
}


def render(watched: Watched, *, version: str, refresh_s: float) -> str:
    """The page. Equal watches give equal text."""
    return _template().render(
        w=watched,
        version=version,
        refresh_s=max(round(refresh_s), 1),
        css=pages.style(),
        told=window.stamp(watched.told_s),
        glyph=words.VERDICT_GLYPHS[watched.verdict],
        source=one_line(watched.source),
        sentence=words.capital(one_line(watched.sentence)),
        asked=ASKED[watched.verdict],
        part=window.part(watched),
    )


@lru_cache(maxsize=1)
def _template() -> Template:
    return pages.environment().get_template("status.html.j2")
