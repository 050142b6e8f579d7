"""The page as its readers get it: in a real Chromium, on a screen, a phone and paper, by keyboard, read aloud."""

import dataclasses
import importlib.util
import json
import re
import shutil
import subprocess
from html import unescape
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from assessment_examples import CANDIDATES, CLEAR, DIFFERENCES, HOLD_NEEDS_DATA, INCIDENT_IN_DETAIL, META
from browser import CHROMIUM, browsing
from PIL import Image, ImageChops

from reports import html

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="needs Chromium, which .ci/run installs"),
    pytest.mark.xdist_group("chromium"),
]
paper = pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext, which .ci/run installs")

LONG = "a-name-of-two-hundred-characters-" * 6 + "xy"
NASTY = f"<script>document.title='run'</script> | \n# =cmd() <img src=x onerror=document.title='run'> {LONG}"
PAGES = {
    "incident": INCIDENT_IN_DETAIL,
    "needs-data": HOLD_NEEDS_DATA,
    "candidates": CANDIDATES,
    "nasty": dataclasses.replace(
        CLEAR,
        scenario=NASTY,
        differences=(dataclasses.replace(DIFFERENCES[0], setting=NASTY, before=LONG, after=NASTY),),
        checks=(dataclasses.replace(CLEAR.checks[0], name=LONG, meaning=NASTY),),
        failure_kinds=(dataclasses.replace(CLEAR.failure_kinds[0], detail=NASTY, where=(LONG,)),),
        timeline=(),
    ),
}
COHORTS = ("0 fields", "10 fields", "50 fields", "200 fields", "500 fields")

#: Text in charts is no text to axe: contrast of every label with the card behind it.
CONTRAST_OF_CHARTS = """
(() => {
  const light = text => {
    const parts = text.match(/[\\d.]+/g).slice(0, 3).map(part => part / 255)
      .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const ground = light(getComputedStyle(document.querySelector('section')).backgroundColor);
  return [...document.querySelectorAll('svg text')].map(text => {
    const ink = light(getComputedStyle(text).fill);
    return [(Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05), text.textContent];
  });
})()
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    with browsing(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    room = tmp_path_factory.mktemp("pages")
    for name, found in PAGES.items():
        (room / f"{name}.html").write_text(html.render(found, META), encoding="utf-8")
    return {name: room / f"{name}.html" for name in PAGES}


@pytest.fixture(scope="module")
def axe():
    """axe-core's script, as the package ships it."""
    spec = importlib.util.find_spec("axe_core_python")
    assert spec
    assert spec.origin
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_runs_nothing(browser, pages, name):
    browser.open(pages[name])
    assert browser.asked_for == [pages[name].as_uri()]
    assert browser.complaints == []
    assert browser.run("document.scripts.length") == 0
    assert browser.run("document.images.length") == 0


@pytest.mark.parametrize(("name", "dark"), [("incident", False), ("incident", True), ("candidates", False)])
def test_axe_finds_nothing_to_complain_about(browser, pages, axe, name, dark):
    browser.open(pages[name], dark=dark)
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.run("document.querySelectorAll('#appendix tbody tr:nth-child(n + 9)').forEach(row => row.remove())")
    browser.run(axe + "; 0")
    only = ", runOnly: ['color-contrast']" if dark else ""  # the rest does not depend on the theme
    found = json.loads(
        browser.run(
            f"axe.run({{exclude: [['svg']]}}, {{resultTypes: ['violations']{only}}})"
            ".then(found => JSON.stringify(found.violations))"
        )
    )
    assert [(rule["id"], [node["html"][:200] for node in rule["nodes"]][:3]) for rule in found] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_labels_of_charts_have_enough_contrast(browser, pages, dark):
    browser.open(pages["incident"], dark=dark)
    found = browser.run(CONTRAST_OF_CHARTS)
    assert len(found) > 100
    assert [text for contrast, text in found if contrast < 4.5] == []


@pytest.mark.parametrize("width", [1280, 500])
@pytest.mark.parametrize("name", ["incident", "nasty"])
def test_all_five_cohorts_are_on_the_screen_and_nothing_hangs_over(browser, pages, name, width):
    browser.open(pages[name], width=width)
    columns = browser.run(
        "[...document.querySelectorAll('#matrix thead th')]"
        ".map(th => [th.textContent, th.getBoundingClientRect().right])"
    )
    assert [text.replace("\xa0", " ") for text, _ in columns] == ["Operation", *COHORTS]
    assert max(right for _, right in columns) <= width
    assert browser.run("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("name", ["incident", "nasty"])
def test_no_word_of_the_matrix_is_cut_off_on_a_phone(browser, pages, name):
    browser.open(pages[name], width=500)
    cut = browser.run(
        "[...document.querySelectorAll('#matrix td')].filter(td => td.scrollWidth > td.clientWidth + 1)"
        ".map(td => td.textContent)"
    )
    assert cut == []


def test_no_column_of_a_list_is_squeezed_on_a_phone(browser, pages):
    browser.open(pages["incident"], width=500)
    lists = "document.querySelectorAll('main > section:not(#appendix) .list :is(th, td)')"
    widths = browser.run(f"[...{lists}].map(one => [one.getBoundingClientRect().width, one.textContent])")
    assert len(widths) > 100
    assert [text for width, text in widths if width < 50 and len(text.strip()) > 3] == []
    assert browser.run("document.documentElement.scrollWidth") <= 500


@paper
@pytest.mark.parametrize("name", ["incident", "needs-data"])
def test_the_first_printed_page_holds_the_verdict_and_the_whole_matrix(browser, pages, tmp_path, name):
    browser.open(pages[name])
    first = printed_text(browser, tmp_path, "-f", "1", "-l", "1")
    assert PAGES[name].verdict.value in first
    assert "What would change" in first
    assert [cohort for cohort in COHORTS if cohort not in first] == []
    operations = ("read", "e-mail", "standard save", "custom-field", "on-save script")
    assert [name for name in operations if not re.search(rf"^\s*{name}", first, re.MULTILINE)] == []
    assert "near the limit: slower" in first  # the legend, the last of the section


@paper
def test_the_appendix_is_open_on_paper_and_no_page_ends_in_a_heading(browser, pages, tmp_path):
    browser.open(pages["incident"])
    every = printed_text(browser, tmp_path)
    (emails,) = [page for page in every.split("\f") if re.search("^ *E-mails *$", page, re.MULTILINE)]
    assert "Delivered exactly once" in emails
    assert "All cells and quantiles" in every
    assert "savepath compare runs/before-*" in every


#: Of every cell of the matrix: its place on the page, and what it says beside its colour.
CELLS = """
[...document.querySelectorAll('#matrix td')].map(td => {
  const box = td.getBoundingClientRect(), word = td.querySelector('.word');
  return [[box.left + scrollX, box.top + scrollY, box.right + scrollX, box.bottom + scrollY],
          td.className, word ? word.textContent : td.textContent];
})
"""

#: How the two curves of each chart of growth are dashed.
DASHES = """
[...document.querySelectorAll('#growth svg')].map(svg =>
  [...svg.querySelectorAll('path')].filter(path => /var\\(--(before|after)\\)/.test(path.getAttribute('style')))
    .map(path => path.style.strokeDasharray))
"""


def test_a_reader_without_colours_tells_verdict_cells_and_curves_apart(browser, pages):
    browser.open(pages["incident"])
    with browser.grey():
        seen = Image.open(BytesIO(browser.picture())).convert("RGB")
    red, green, blue = seen.split()
    assert [ImageChops.difference(red, other).getextrema() for other in (green, blue)] == [(0, 0), (0, 0)]
    assert browser.run("document.querySelector('.stamp').textContent").split() == ["■", "ESCALATE"]
    places, grounds, told = zip(*browser.run(CELLS), strict=True)
    # A word of its own for each ground, and ink on it that can be read.
    assert {"▲▲ much slower", "△ near the limit", "= no harm", "▼ faster"} <= set(told)
    assert len(set(zip(grounds, told, strict=True))) == len(set(grounds)) == len(set(told))
    for place, text in zip(places, told, strict=True):
        darkest, lightest = red.crop([round(at) for at in place]).getextrema()
        assert (light(lightest / 255) + 0.05) / (light(darkest / 255) + 0.05) >= 4.5, text
    # Before is dashed, after is not.
    assert [len(set(of_chart)) for of_chart in browser.run(DASHES)] == [2, 2, 2]


def light(grey):
    """Relative luminance of a grey from 0 to 1."""
    return grey / 12.92 if grey <= 0.04045 else ((grey + 0.055) / 1.055) ** 2.4


def test_headings_follow_one_another_without_a_gap(browser, pages):
    browser.open(pages["incident"])
    levels = browser.run("[...document.querySelectorAll('h1, h2, h3')].map(one => +one.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(later - earlier for earlier, later in pairwise(levels)) <= 1


def test_sections_the_appendix_and_wide_tables_are_reached_by_keyboard(browser, pages):
    browser.open(pages["incident"])
    reached = set()
    for _ in range(40):
        browser.press("Tab")
        reached.add(
            browser.run(
                "(one => one.getAttribute('href') || one.getAttribute('aria-label') || one.textContent)"
                "(document.activeElement)"
            )
        )
    assert {f"#{name}" for name in ("matrix", "growth", "integrity", "settled", "checks", "appendix")} <= reached
    assert "For performance engineers" in reached
    assert "Change by operation and number of custom fields" in reached


def test_foreign_text_is_text(browser, pages):
    browser.open(pages["nasty"])
    assert browser.run("document.title") == f"CLEAR · {META.change} · {META.title}"
    shown = unescape(browser.run("document.querySelector('#differences').textContent"))
    assert "<script>document.title='run'</script> | # =cmd() <img src=x" in shown


def printed_text(browser, room, *pages):
    """The text of the printed page, as far as ``pdftotext`` is asked for it."""
    (room / "page.pdf").write_bytes(browser.printed())
    command = ["pdftotext", "-layout", *pages, str(room / "page.pdf"), "-"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.replace("\xa0", " ")
