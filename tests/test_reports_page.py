"""The page: self-contained, the same bytes twice, readable in both themes, with charts that fit in."""

import dataclasses
import re
from collections import Counter
from html import unescape
from importlib.resources import files
from xml.etree import ElementTree

import matplotlib as mpl
import pytest
from assessment_examples import (
    CLEAR,
    ESCALATE_INCIDENT,
    EXAMPLES,
    HOLD_NEEDS_DATA,
    INCIDENT_IN_DETAIL,
    META,
    assessment,
    cell,
    page_of,
)

from analysis.findings import TimelinePoint
from reports import detail_figures, drawing, figures, html

CSS = (files("reports") / "templates" / "report.css").read_text(encoding="utf-8")

#: Text on ground, as the style sheet uses them.
TEXT_PAIRS = [
    *(
        ("ink", ground)
        for ground in (
            "bg",
            "card",
            "much-bg",
            "slow-bg",
            "near-bg",
            "unclear-bg",
            "faster-bg",
            "nodata-bg",
            "hit-bg",
        )
    ),
    *(("muted", ground) for ground in ("bg", "card")),
    *(("link", ground) for ground in ("bg", "card")),
    *((tone, "card") for tone in ("bad", "good", "open", "before", "after")),
    ("bad", "hit-bg"),
    *(("on-banner", ground) for ground in ("clear-bg", "hold-bg", "escalate-bg")),
]


def themes() -> dict[str, dict[str, str]]:
    blocks = re.findall(r"\{([^{}]*--bg:[^{}]*)\}", CSS)
    found = [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", block)) for block in blocks]
    return dict(zip(("light", "dark", "dark by choice"), found, strict=True))


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_of_black_on_white_is_21():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@pytest.mark.parametrize("theme", themes())
@pytest.mark.parametrize(("text", "ground"), TEXT_PAIRS)
def test_text_has_enough_contrast(theme, text, ground):
    colours = themes()[theme]
    assert contrast(colours[text], colours[ground]) >= 4.5


def test_the_dark_theme_by_choice_is_the_dark_theme():
    assert themes()["dark"] == themes()["dark by choice"]


def test_every_colour_that_is_used_is_defined_in_both_themes():
    used = set(re.findall(r"var\(--([\w-]+)\)", CSS + "".join(map(page_of, EXAMPLES))))
    assert used <= set(themes()["light"])
    assert set(themes()["light"]) == set(themes()["dark"])


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_page_loads_nothing_and_runs_nothing(name):
    page = page_of(name)
    assert "default-src 'none'; style-src 'unsafe-inline'" in page
    assert not re.search(r"<(script|link|img|iframe|object|embed|base|form)\b", page)
    assert not re.search(r"@import|url\((?!#)", page)
    assert not re.search(r"\b(src|srcset)=", page)
    assert {address for address in re.findall(r'href="([^"]*)"', page) if not address.startswith("#")} == set()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_page_is_well_under_two_megabytes(name):
    assert len(page_of(name).encode()) < 2_000_000


def test_the_same_model_gives_the_same_page_and_drawing_leaves_the_settings_of_matplotlib_alone():
    first, before = page_of("escalate-incident"), dict(mpl.rcParams)
    assert html.render(ESCALATE_INCIDENT, META) == first
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_id_is_used_twice(name):
    ids = re.findall(r'\bid="([^"]*)"', page_of(name))
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_reference_within_the_page_has_its_target(name):
    ids = set(re.findall(r'\bid="([^"]*)"', page_of(name)))
    assert set(re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page_of(name))) <= {(name, "") for name in ids} | {
        ("", name) for name in ids
    }


def test_the_matrix_is_a_table_that_a_screen_reader_can_walk():
    section = page_of("escalate-incident").split('id="matrix"')[1].split("</section>")[0]
    assert section.count('scope="col"') == 6
    assert section.count('scope="row"') == 6
    assert section.count("<caption>") == 1


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_main_part_has_no_p_value(name):
    main = page_of(name).split('<section id="appendix">')[0].split("</style>")[1]
    assert not re.search(r"p-value|significan", main)


def test_zero_counts_are_shown_as_zero():
    row = re.search(r"Reported as saved, value missing.*?</tr>", page_of("clear"), re.DOTALL)
    assert row
    assert re.findall(r'<td class="num">([^<]*)</td>', row[0])[:2] == ["0", "0"]


def test_a_failed_check_is_said_above_the_matrix():
    section = page_of("hold-invalid-load").split('id="matrix"')[1].split("</section>")[0]
    assert "No verdict on speed." in section
    assert "No verdict on speed." not in page_of("clear")


def test_commands_can_be_copied_as_they_were_typed():
    small = assessment(cells=(), timeline=())
    page = html.render(small, dataclasses.replace(META, commands=("savepath run --every 5 s",)))
    assert "savepath run --every 5 s\n" in page


def test_without_a_timeline_the_page_says_that_it_is_not_known():
    assert "Not known: the runs hold no course over time." in page_of("hold-needs-data")
    assert figures.timeline_figure(HOLD_NEEDS_DATA) is None


def test_growth_is_drawn_for_the_saves_on_one_scale():
    drawn = figures.growth_figures(ESCALATE_INCIDENT)
    assert [figure.axes[0].get_title(loc="left") for figure in drawn] == [
        "standard save",
        "custom-field save",
        "on-save script",
    ]
    assert len({figure.axes[0].get_ylim() for figure in drawn}) == 1
    assert drawn[0].axes[0].get_ylim()[0] == 0


def test_the_curves_hold_the_numbers_of_the_model():
    custom = figures.growth_figures(ESCALATE_INCIDENT)[1].axes[0]
    before, after = custom.lines
    assert list(before.get_xdata()) == [10, 50, 200, 500]
    assert list(before.get_ydata()) == [0.444, 0.532, 0.882, 1.58]
    assert list(after.get_ydata()) == pytest.approx([0.444 * 1.01, 0.532 * 1.11, 0.882 * 1.43, 1.58 * 2.2])


def test_a_single_cohort_has_no_growth_curve():
    assert figures.growth_figures(assessment(cells=(cell("save_custom", 500),))) == ()


def test_a_chart_is_an_svg_that_can_be_embedded():
    figure = figures.growth_figures(CLEAR)[0]
    text = drawing.svg(figure, prefix="one", label='a "label" <b>')
    root = ElementTree.fromstring(text)
    assert root.get("aria-label") == 'a "label" <b>'
    assert all(element.get("id", "one-").startswith("one-") for element in root.iter())
    assert not re.search(r"<style|<metadata|<\?xml|<!DOCTYPE|#[0-9a-f]{6}\b|DejaVu", text)
    assert "custom fields on the case" in text


def test_two_charts_of_the_same_figure_do_not_share_ids():
    texts = [drawing.svg(figures.growth_figures(CLEAR)[0], prefix=prefix, label="x") for prefix in ("a", "b")]
    ids = [set(re.findall(r'\bid="([^"]*)"', text)) for text in texts]
    assert ids[0].isdisjoint(ids[1])


def test_the_timeline_draws_the_cell_that_the_report_is_about():
    figure = figures.timeline_figure(ESCALATE_INCIDENT)
    assert figure is not None
    assert figure.axes[0].get_title(loc="left") == "95 of 100 finish within: custom-field save, 500 fields"


def test_a_slice_without_requests_is_no_failure_of_the_chart():
    empty = tuple(
        TimelinePoint(side, "read_case", 0, t_s, 0, 0, float("nan"))
        for side in ("before", "after")
        for t_s in (0.0, 10.0)
    )
    assert html.render(assessment(cells=(), timeline=empty), META)


#: What a reader must find: may the change be closed, who is hit, by how much, how sure is that, what next.
ANSWERS = {
    "clear": (
        "Yes. The window may close.",
        "Nobody, as far as was measured.",
        "882 ms before; now 900 ms",
        "between −2 % and +6 %",
        "Another setting, another load",
    ),
    "hold-needs-data": (
        "Not yet. Keep the window open. There is not enough data yet",
        "Not known yet for custom-field saves with 500 fields and on-save script runs with 200 and 500 fields.",
        "1.6 s before; now 1.7 s. Whether that is more than chance is not known yet.",
        "between −7 % and +19 %",
        "About 12 more pairs of runs (17 in all)",
    ),
    "hold-near-limit": (
        "Not yet. Keep the window open.",
        "Not known yet for custom-field saves with 200 fields.",
        "882 ms before; now 961 ms",
        "between +4 % and +14 %, limit +10 %",
        "About 14 more pairs of runs",
    ),
    "hold-invalid-load": (
        "Not yet. Keep the window open. Generator healthy: 4 of 10 pairs were dropped",
        "Not known: a failed check leaves no answer on speed.",
        "1.6 s before; now 3.5 s. These times were measured, but a failed check leaves them without a verdict.",
        "Of speed: not at all, while a check fails.",
        "Putting the failed checks right, then repeating the runs.",
    ),
    "hold-settling": (
        "Not yet. Keep the window open. The system has not settled since the change.",
        "Not known yet.",
        "882 ms before; now 900 ms",
        "between −2 % and +6 %",
        "More time: the same plan again",
    ),
    "hold-confounded-with-time": (
        "Not yet. Keep the window open. Before and after lie apart in time",
        "Not known yet for custom-field saves with 10, 50, 200 and 500 fields",
        "1.6 s before; now 1.9 s",
        "between +15 % and +25 %",
        "Runs of both sides in turns or at the same time.",
    ),
    "escalate-incident": (
        "No. Hand over to the owners of the system",
        "Users of cases with 200 or more custom fields: 31 % of all saves.",
        "1.6 s before; now 3.5 s",
        "between +109 % and +132 %",
        "Undoing the 2 unplanned differences",
    ),
    "escalate-growth": (
        "No. Hand over to the owners of the system",
        "The more custom fields a case has, the more its users notice.",
        "1.6 s before; now 1.7 s",
        "Extra growth of custom-field saves: between +4 % and +14 %.",
        "A fix, then the same plan again on both sides.",
    ),
    "escalate-failures": (
        "No. Hand over to the owners of the system",
        "Users whose requests fail: custom-field save",
        "failed 3 of 10,700 before, 267 of 10,665 after",
        "The integrity counts are exact",
        "A fix, then the same plan again on both sides.",
    ),
    "escalate-integrity": (
        "No. Hand over to the owners of the system",
        "Everyone behind the 274 of 186,445 checked effects that went wrong.",
        "Some on-save scripts did not run, ran twice or more or ran late",
        "The integrity counts are exact, not estimates",
        "A fix, then the same plan again on both sides.",
    ),
    "escalate-objective": (
        "No. Hand over to the owners of the system",
        "Those to whom it was promised.",
        "save_custom@500 p95 <= 2 s stands at 3.5 s",
        "3.3 s to 3.7 s (95 % range)",
        "A fix, then the same plan again on both sides.",
    ),
    "escalate-stands-out": (
        "No. Hand over",
        "Users of cases with 50 custom fields.",
        "532 ms before; now 660 ms",
        "Against the rest of its runs: custom-field save, 50 fields +23 % in the mean (between +15 % and +31 %)",
        "A fix, then the same plan again on both sides.",
    ),
    "candidates": (
        "Yes. It may be taken.",
        "Nobody, as far as was measured.",
        "nvme comes first of 3 candidates, but cannot be told apart from raid.",
        "between −2 % and +6 %",
        "Another setting, another load",
    ),
    "imported": (
        "Not yet. Keep the window open.",
        "Not known yet for custom-field saves with 500 fields.",
        "1.6 s before; now 1.7 s",
        "The results are k6's: times count from sending",
        "About 7 more pairs of runs (11 in all)",
    ),
}


def words_of(page: str) -> list[str]:
    """What a reader sees from the top of the page, word by word."""
    body = page.split("<main>")[1]
    text = re.sub(r"<[^>]*>", " ", re.sub(r"<svg.*?</svg>", " ", body, flags=re.DOTALL))
    return unescape(text).split()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_first_250_words_answer_the_five_questions_of_a_change_board(name):
    seen = " ".join(words_of(page_of(name))[:250])
    assert [answer for answer in ANSWERS[name] if answer not in seen] == []


@pytest.fixture(scope="module")
def in_detail():
    """The page of the incident with all its details."""
    return html.render(INCIDENT_IN_DETAIL, META)


def test_the_appendix_draws_what_the_details_hold_and_tells_each_trace_id(in_detail):
    appendix = in_detail.split('<section id="appendix">')[1]
    kinds = re.findall(r'aria-label="(Change of each tenth|The slowest requests|Durations)', appendix)
    assert Counter(kinds) == {"Change of each tenth": 2, "The slowest requests": 3, "Durations": 2}
    told = re.findall(r"<code>(\w{32})</code>", appendix)
    assert told == [one.trace_id for one in INCIDENT_IN_DETAIL.details.notable]
    assert "After against before (mean): custom-field save, 500 fields" in in_detail


def test_a_heat_map_of_a_few_requests_is_not_drawn():
    few = [dataclasses.replace(one, counts=((1,),) * 20) for one in INCIDENT_IN_DETAIL.details.heat]
    details = dataclasses.replace(INCIDENT_IN_DETAIL.details, heat=tuple(few))
    assert detail_figures.heat_figures(dataclasses.replace(INCIDENT_IN_DETAIL, details=details)) == ()
    assert len(detail_figures.heat_figures(INCIDENT_IN_DETAIL)) == 2


def test_a_page_without_heat_maps_is_under_four_hundred_kilobytes(in_detail):
    maps = re.findall(r'<svg[^>]*aria-label="Durations.*?</svg>', in_detail, re.DOTALL)
    assert len(maps) == 2
    assert len(in_detail.encode()) - sum(len(one.encode()) for one in maps) < 400_000
