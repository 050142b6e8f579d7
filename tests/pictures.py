"""``make pictures``: small PNGs of each kind of report for docs/, from the examples, by a real Chromium."""

from __future__ import annotations

import sys
import tempfile
from io import BytesIO
from pathlib import Path
from typing import Final

from assessment_examples import EXAMPLES, INCIDENT_IN_DETAIL, META
from browser import Browser, browsing
from PIL import Image
from window_examples import CLOSINGS

from reports import closing_formats, html

OUT: Final = Path(__file__).parent.parent / "docs" / "pictures"
#: The widest that a page of documentation shows without scaling, and what is tried where that is too much.
WIDTHS: Final = (760, 680, 600, 520, 440, 400, 340, 300, 260)
COLOURS: Final = 48
BYTES_MOST: Final = 58_000


def shrunk(png: bytes) -> bytes:
    """The picture in few colours, as wide as ``BYTES_MOST`` allows; flat grounds and text need no more."""
    image = Image.open(BytesIO(png)).convert("RGB")
    for width in WIDTHS:
        if width > image.width:
            continue
        scaled = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
        small = BytesIO()
        scaled.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            small, "PNG", optimize=True
        )
        if len(small.getvalue()) <= BYTES_MOST:
            break
    return small.getvalue()


def take(browser: Browser, room: Path) -> dict[str, bytes]:
    """Every picture by its name."""
    found = {}
    for name, example in EXAMPLES.items():
        page = room / f"{name}.html"
        page.write_text(html.render(example, META), encoding="utf-8")
        browser.open(page, width=1000)
        found[name] = browser.picture(height=_end_of(browser, ".verdict"))
    page = room / "incident.html"
    page.write_text(html.render(INCIDENT_IN_DETAIL, META), encoding="utf-8")
    for name, dark in (("report-light", False), ("report-dark", True)):
        browser.open(page, width=1000, dark=dark)
        found[name] = browser.picture(height=_end_of(browser, ".figures"))
    browser.open(page, width=500)
    browser.run(
        "document.querySelectorAll('body > *:not(main), main > *:not(#matrix)').forEach(one => one.remove())"
    )
    found["report-phone"] = browser.picture(height=_end_of(browser, "#matrix"))
    browser.open(page, width=1000)
    browser.run(
        "document.querySelectorAll('body > *:not(main), main > *:not(#settled)').forEach(one => one.remove())"
    )
    found["did-it-settle"] = browser.picture()
    browser.open(page, width=1000)
    browser.run(
        "document.querySelectorAll('body > *:not(main), main > *:not(#outages)').forEach(one => one.remove())"
    )
    found["was-it-away"] = browser.picture(height=_end_of(browser, "#outages"))
    browser.open(page, width=1000)
    browser.run(
        "document.querySelectorAll('body > *:not(main), main > *:not(#appendix)').forEach(one => one.remove())"
    )
    browser.run("document.querySelector('details').open = true")
    found["appendix"] = browser.picture(height=_start_of(browser, "#appendix .list"))
    for name, closing in CLOSINGS.items():
        page = room / f"window-{name}.html"
        page.write_text(closing_formats.page(closing), encoding="utf-8")
        browser.open(page, width=1000)
        found[page.stem] = browser.picture(height=_end_of(browser, "#window .chart"))
    return found


def _end_of(browser: Browser, selector: str) -> int:
    return int(browser.run(f"document.querySelector('{selector}').getBoundingClientRect().bottom")) + 8


def _start_of(browser: Browser, selector: str) -> int:
    return int(browser.run(f"document.querySelector('{selector}').getBoundingClientRect().top")) - 40


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, browsing(Path(place) / "chromium") as tab:
        for title, png in take(tab, Path(place)).items():
            picture = shrunk(png)
            (OUT / f"{title}.png").write_bytes(picture)
            sys.stdout.write(f"{len(picture):>7,} bytes  docs/pictures/{title}.png\n")
