"""Four formats, one set of numbers: each is read back and compared, and foreign text harms none of them."""

import dataclasses
import math
import re
from functools import cache
from html import unescape
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from assessment_examples import (
    CHECKS,
    CLEAR,
    COHORTS,
    ESCALATE_FAILURES,
    ESCALATE_INCIDENT,
    ESCALATE_INTEGRITY,
    EXAMPLES,
    HOLD_INVALID_LOAD,
    META,
    NAN,
    assessment,
    cell,
    page_of,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from analysis.findings import (
    Assessment,
    CellFinding,
    Check,
    CheckOutcome,
    Difference,
    FailureKind,
    IntegrityFinding,
    Reason,
    Verdict,
    Word,
)
from analysis.samples import OPERATIONS
from reports import html, junit, markdown, terminal, units, words
from reports.model import from_json, to_json

FORMATS = {
    "html": html.render,
    "markdown": markdown.render,
    "terminal": terminal.render,
    "junit": lambda found, meta: junit.render(found, meta).decode(),
}
Place = tuple[str, int]


@cache
def made(form: str, name: str) -> str:
    """An example in a format; made once, since drawing takes its time."""
    return page_of(name) if form == "html" else FORMATS[form](EXAMPLES[name], META)


@cache
def shown_in(width: int, name: str) -> str:
    """An example on a terminal of so many columns; made once as well."""
    return terminal.render(EXAMPLES[name], META, width=width)


#: So wide that no line of an example is broken.
WIDE = 140

#: Change and interval of a cell as shown: "+120 %", "+109..+132".
CHANGE = re.compile(r"([+−]?[\d,]+) %")
BETWEEN = re.compile(r"([+−]?[\d.,]+)(?:\.\.| % and )([+−]?[\d.,]+)")
TIMES = re.compile(r"([\d.,]+ m?s) → ([\d.,]+ m?s)")


class Page(HTMLParser):
    """The text of a page by table (id of the section), row and cell."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.section = ""
        self.tables: dict[str, list[list[str]]] = {}
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.inside = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "section":
            self.section = dict(attrs)["id"] or ""
        if tag == "tr":
            self.tables.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.tables[self.section][-1].append("")
            self.inside = True
        if tag == "span" and self.inside:
            self.handle_data(" ")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.tables[self.section][-1][-1] += data.replace("\xa0", " ")


@cache
def read(text: str) -> Page:
    """The page, read once."""
    return Page(text)


def matrix_of_html(page: str) -> dict[Place, str]:
    rows = read(page).tables["matrix"]
    cohorts = [int(text.split()[0].replace(",", "")) for text in rows[0][1:]]
    return {
        (row[0].replace("not required", "").strip(), number): text
        for row in rows[1:]
        for number, text in zip(cohorts, row[1:], strict=True)
    }


def matrix_of_markdown(text: str) -> dict[Place, str]:
    lines = text.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| Operation |"))
    cohorts = [int(text.split()[0].replace(",", "")) for text in lines[start].strip("| ").split(" | ")[1:]]
    matrix = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        name, *shown = line.strip("| ").split(" | ")
        matrix |= {(name.strip("*"), number): text for number, text in zip(cohorts, shown, strict=True)}
    return matrix


def matrix_of_terminal(shown: str) -> dict[Place, str]:
    lines = shown.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("operation "))
    ends = [match.end() for match in re.finditer(r"[\d,]+ fields?", lines[start])]
    begins = [17, *ends]
    matrix = {}
    for line in lines[start + 1 : start + 1 + len(OPERATIONS)]:
        for begin, end, number in zip(begins, ends, COHORTS, strict=False):
            matrix[line[:17].strip(), number] = line[begin:end].strip()
    return matrix


def matrix_of_junit(text: str) -> dict[Place, str]:
    matrix = {}
    for case in ElementTree.fromstring(text).iter("testcase"):
        match = re.fullmatch(r"(.+), ([\d,]+) fields?, p95", case.get("name") or "")
        if match and case.get("classname") == "savepath.cells":
            text = case[0].get("message") or case[0].text or ""
            matrix[match[1], int(match[2].replace(",", ""))] = re.sub(r", limit [^)]*", "", text)
    return matrix


def numbers(text: str) -> tuple[str, ...]:
    """Change and both ends of the interval, as far as they are shown."""
    change, between = CHANGE.search(text), BETWEEN.search(text)
    return (*(change.groups() if change else ()), *(between.groups() if between else ()))


@cache
def expected(name: str) -> dict[Place, tuple[str, ...]]:
    """The same of an example by the model alone."""
    shown = {}
    for item in from_json(to_json(EXAMPLES[name], meta=META))[0].cells:
        if item.quantile == 0.95:
            change = "" if math.isnan(item.ratio) else units.change(item.ratio).removesuffix(" %")
            between = units.short_interval(item.low, item.high, item.limit)
            parts = [change, *(between.split("..") if between else [])]
            shown[words.operation(item.operation), item.custom_fields] = tuple(part for part in parts if part)
    return shown


@pytest.mark.parametrize("name", EXAMPLES)
def test_html_markdown_and_terminal_tell_the_same_change_and_interval(name):
    truth = expected(name)
    by_markdown, by_terminal = matrix_of_markdown(made("markdown", name)), matrix_of_terminal(shown_in(WIDE, name))
    assert {place: numbers(text) for place, text in by_markdown.items()} == truth
    assert {place: numbers(text) for place, text in by_terminal.items()} == truth
    # The interval of a cell of the page is drawn; in figures it stands in the appendix.
    assert {place: numbers(text) for place, text in matrix_of_html(made("html", name)).items()} == {
        place: shown[:1] for place, shown in truth.items()
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_appendix_of_the_page_tells_the_same_change_and_interval(name):
    rows = read(made("html", name)).tables["appendix"]
    shown = {
        (row[0], int(row[1])): tuple(
            part
            for part in (
                row[5].removesuffix(" %").replace("not known", ""),
                *row[6].replace("not known", "").split(".."),
            )
            if part
        )
        for row in rows
        if len(row) == 15 and row[2] == "p95"
    }
    assert shown == expected(name)


@pytest.mark.parametrize("name", EXAMPLES)
def test_junit_tells_the_same_change_and_interval_for_required_cells(name):
    required = {
        (words.operation(item.operation), item.custom_fields)
        for item in EXAMPLES[name].cells
        if item.required and item.quantile == 0.95
    }
    assert {place: numbers(text) for place, text in matrix_of_junit(made("junit", name)).items()} == {
        place: shown for place, shown in expected(name).items() if place in required
    }


@pytest.mark.parametrize("name", EXAMPLES)
def test_html_markdown_and_junit_tell_the_same_times(name):
    truth = {
        (words.operation(item.operation), item.custom_fields): (
            units.seconds(item.before_s),
            units.seconds(item.after_s),
        )
        for item in EXAMPLES[name].cells
        if item.quantile == 0.95 and not math.isnan(item.ratio)
    }
    for matrix in (matrix_of_html(made("html", name)), matrix_of_markdown(made("markdown", name))):
        assert {place: match.groups() for place, text in matrix.items() if (match := TIMES.search(text))} == truth
    junit_cells = matrix_of_junit(made("junit", name))
    by_junit = {place: match.groups() for place, text in junit_cells.items() if (match := TIMES.search(text))}
    assert by_junit.items() <= truth.items()


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_format_tells_the_same_integrity_counts(name):
    found = EXAMPLES[name]
    truth = sorted(
        (words.effect(item.kind, item.outcome), units.count(item.before), units.count(item.after))
        for item in found.integrity
    )
    page = read(made("html", name)).tables.get("integrity", [])  # none where nobody looked
    rules = re.compile(r"(expected|not judged|must be 0|limit [\d,]+)$")
    by_html = sorted((rules.sub("", row[0]), row[1], row[2]) for row in page if row[0] != "Outcome")
    rows = [line.strip("| ").split(" | ") for line in made("markdown", name).splitlines()]
    by_markdown = sorted((row[1], row[2], row[3]) for row in rows if len(row) == 6 and row[5][:1] in "✓✗")
    by_junit = sorted(
        (
            str(case.get("name")).split(": ", 1)[1],
            *re.findall(r"([\d,]+) (?:before|after)", case[0].get("message") or case[0].text or ""),
        )
        for case in ElementTree.fromstring(made("junit", name)).iter("testcase")
        if case.get("classname") == "savepath.integrity"
    )
    assert by_html == truth
    assert by_markdown == truth
    assert by_junit == truth
    shown = [
        (match[1], match[2], match[3])
        for match in re.finditer(r"(?m)^[a-z-]+: (.+?) {2,}([\d,]+) +(?:✗ )?([\d,]+) ", shown_in(WIDE, name))
    ]
    assert sorted(shown) == [
        row
        for row in truth
        if not (row[0] in ("Nobody looked", "Covered by another save") and row[1:] == ("0", "0"))
    ]


@pytest.mark.parametrize("name", EXAMPLES)
def test_page_summary_and_terminal_tell_the_same_failures_by_kind(name):
    found = EXAMPLES[name]
    truth = [
        (words.failure(kind.outcome, kind.detail), units.count(kind.before), units.count(kind.after))
        for kind in found.failure_kinds
    ]
    kinds = {label for label, _, _ in truth}
    by_html = [tuple(row[:3]) for row in read(made("html", name)).tables["failures"] if row[0] in kinds]
    rows = [line.strip("| ").split(" | ") for line in made("markdown", name).splitlines()]
    by_markdown = [tuple(row[:3]) for row in rows if row[0] in kinds]
    shown = re.findall(r"(?m)^(.+?) {2,}([\d,]+) +([\d,]+)$", shown_in(WIDE, name))
    assert by_html == truth
    assert by_markdown == truth
    assert [row for row in shown if row[0] in kinds] == truth


@pytest.mark.parametrize("name", EXAMPLES)
def test_page_and_junit_tell_the_same_growth(name):
    found = EXAMPLES[name]
    growths = {
        (words.operation(one.operation), one.measure.value): units.growth(one.growth) for one in found.slopes
    }
    rows = [row for row in read(made("html", name)).tables["appendix"] if len(row) == 6]
    by_html = {(row[0], row[1]): row[2] for row in rows if (row[0], row[1]) in growths}
    cases = [
        case
        for case in ElementTree.fromstring(made("junit", name)).iter("testcase")
        if case.get("classname") == "savepath.growth"
    ]
    by_junit = {
        tuple(str(case.get("name")).split(": ")[1].split(", ")): (
            case[0].get("message") or case[0].text or ""
        ).split(" more growth")[0]
        for case in cases
    }
    assert by_html == growths
    assert by_junit == growths


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_tells_the_verdict_and_its_sentence(form, name):
    from reports import sentences

    shown = unescape(made(form, name)).replace("\u200b", "")
    shown = re.sub(r"\\(?=\W|_)", "", shown) if form == "markdown" else shown
    text = " ".join(shown.replace("\xa0", " ").split())
    assert EXAMPLES[name].verdict.value in text
    assert sentences.tell(EXAMPLES[name], META).headline in text


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["hold-needs-data", "escalate-incident"])
def test_a_report_made_from_the_file_equals_one_made_from_the_computation(form, name):
    again, meta = from_json(to_json(EXAMPLES[name], meta=META))
    assert FORMATS[form](again, meta) == made(form, name)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_a_number_that_is_not_known_is_never_shown_as_nan(form, name):
    assert not re.search(
        r"(?i)\b(nan|inf|none|null)\b",
        re.sub(r"<style>.*?</style>|style=\"[^\"]*\"|'none'", "", made(form, name), flags=re.DOTALL)
        .replace("Failed requests: none", "")
        .replace("none allowed", ""),
    )


# Order


def test_rows_are_in_the_order_of_the_operations_and_cohorts_ascend():
    shuffled = dataclasses.replace(CLEAR, cells=tuple(reversed(CLEAR.cells)), timeline=())
    wanted = [(words.operation(name), number) for name in OPERATIONS for number in COHORTS]
    for matrix in (
        matrix_of_html(html.render(shuffled, META)),
        matrix_of_markdown(markdown.render(shuffled, META)),
        matrix_of_terminal(terminal.render(shuffled, META, width=WIDE)),
    ):
        assert list(matrix) == wanted


def test_a_combination_that_was_not_measured_is_shown_as_such():
    found = assessment(cells=(cell("read_case", 0), cell("save_custom", 500)), timeline=())
    assert "not measured" in matrix_of_html(html.render(found, META))["read", 500]
    assert "not measured" in matrix_of_markdown(markdown.render(found, META))["read", 500]


def test_harm_at_another_quantile_is_shown_beside_a_harmless_one():
    worse = dataclasses.replace(cell("save_custom", 500, 1.4), quantile=0.5)
    found = assessment(cells=(worse, cell("save_custom", 500, 1.0)), timeline=())
    assert "p50 ▲▲ +40 %" in matrix_of_html(html.render(found, META))["custom-field save", 500]
    assert "p50 ▲▲ +40 %" in matrix_of_markdown(markdown.render(found, META))["custom-field save", 500]
    assert "p50 ▲▲ +40 %" in terminal.render(found, META)


# Terminal


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width", [60, 80, WIDE])
def test_no_line_of_the_terminal_is_wider_than_asked(name, width):
    assert max(cell_len(line) for line in shown_in(width, name).splitlines()) <= width


@pytest.mark.parametrize("name", EXAMPLES)
def test_five_cohorts_stand_side_by_side_in_80_columns(name):
    head = next(line for line in made("terminal", name).splitlines() if line.startswith("operation "))
    assert re.findall(r"[\d,]+ fields", head) == [f"{number} fields" for number in COHORTS]


def test_cohorts_that_do_not_fit_go_below():
    many = tuple(cell("save_custom", number, 1.0, before_s=0.5) for number in range(0, 1000, 100))
    text = terminal.render(assessment(cells=many), META)
    assert len(re.findall(r"(?m)^operation ", text)) == 2
    assert (
        len(
            re.findall(
                r"\d fields", "\n".join(line for line in text.splitlines() if line.startswith("operation "))
            )
        )
        == 10
    )


def test_the_terminal_has_no_escapes_without_colour_and_some_with_it():
    assert "\x1b" not in terminal.render(ESCALATE_INCIDENT, META)
    coloured = terminal.render(ESCALATE_INCIDENT, META, color=True)
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured).split() == terminal.render(ESCALATE_INCIDENT, META).split()


def test_the_environment_of_the_caller_changes_nothing(monkeypatch):
    plain = terminal.render(CLEAR, META)
    for name, value in {"COLUMNS": "33", "FORCE_COLOR": "1", "TERM": "dumb", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    assert terminal.render(CLEAR, META) == plain


# JUnit


def outcomes(found: Assessment, suite: str) -> dict[str, str]:
    return {
        str(case.get("name")): case[0].tag
        for case in ElementTree.fromstring(junit.render(found, META)).iter("testcase")
        if case.get("classname") == f"savepath.{suite}"
    }


def test_a_slower_required_cell_is_a_failure_and_an_unclear_one_is_skipped():
    found = outcomes(ESCALATE_INCIDENT, "cells")
    assert found["custom-field save, 500 fields, p95"] == "failure"
    assert found["on-save script, 200 fields, p95"] == "skipped"
    assert found["standard save, 0 fields, p95"] == "system-out"
    assert not [name for name in found if name.startswith("read")]


def test_a_slower_cell_on_which_the_verdict_does_not_rest_is_skipped_beside_one_on_which_it_does():
    cells = tuple(
        dataclasses.replace(one, alarms=one.alarms and one.custom_fields == 500) for one in ESCALATE_INCIDENT.cells
    )
    found = outcomes(dataclasses.replace(ESCALATE_INCIDENT, cells=cells), "cells")
    assert found["custom-field save, 500 fields, p95"] == "failure"
    assert found["custom-field save, 200 fields, p95"] == "skipped"


def test_with_a_failed_check_every_cell_and_slope_is_skipped():
    assert set(outcomes(HOLD_INVALID_LOAD, "cells").values()) == {"skipped"}
    assert set(outcomes(HOLD_INVALID_LOAD, "growth").values()) == {"skipped"}
    assert outcomes(HOLD_INVALID_LOAD, "checks")["generator healthy"] == "skipped"


def test_broken_integrity_more_failures_and_growth_are_failures():
    assert outcomes(ESCALATE_INTEGRITY, "integrity")["On-save scripts: Did not run"] == "failure"
    assert outcomes(ESCALATE_FAILURES, "failures")["failed requests: custom-field save"] == "failure"
    assert outcomes(ESCALATE_INCIDENT, "growth")["growth with custom fields: custom-field save, p95"] == "failure"


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_totals_of_junit_are_those_of_its_cases(name):
    root = ElementTree.fromstring(made("junit", name))
    cases = list(root.iter("testcase"))
    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == (
        str(len(cases)),
        str(len(list(root.iter("failure")))),
        str(len(list(root.iter("skipped")))),
    )


@pytest.mark.parametrize(
    "name", [name for name, found in EXAMPLES.items() if found.verdict is not Verdict.ESCALATE]
)
def test_without_escalation_junit_has_no_failure(name):
    assert ElementTree.fromstring(made("junit", name)).get("failures") == "0"


# Foreign text

NASTY = (
    "<script>alert(1)</script>",
    "a | b",
    "one\ntwo\r\nthree",
    "=cmd()|' /C calc'!A0",
    "x" * 200,
    "\x1b[31mred\x07\x00",
    "[bold red]rich[/]",
    "*_`code`_* [link](http://example.invalid) @team",
    "{{ 7 * 7 }} {% raw %}",
    "]]> & \" ' --> <!--",
    "\u202egnp.exe \U0001f600 漢字",
    "$x^2$ \\frac",
)


def nasty(text: str) -> Assessment:
    """Foreign text in every place that can hold it."""
    return dataclasses.replace(
        ESCALATE_INCIDENT,
        scenario=text,
        before=dataclasses.replace(CLEAR.before, target=text, runs=(text,), labels={text: text}),
        cells=(
            *ESCALATE_INCIDENT.cells,
            cell(text, 500, 1.3, low=1.2, high=1.4),
            cell(text, 10, NAN, low=NAN, high=NAN),
        ),
        failure_kinds=(
            FailureKind("http_error", text, 1, 2, (text, "save_custom")),
            FailureKind(text, "", 0, 0, ()),
        ),
        integrity=(*CLEAR.integrity, IntegrityFinding(text, text, 0, 1, 5, 5, 0, False)),
        checks=(*CHECKS, Check(text, CheckOutcome.NOTE, text)),
        differences=(Difference(text, text, text, False),),
        warnings=(text,),
        timeline=(),
    )


@cache
def harmless() -> str:
    """The Markdown of a text that needs no care."""
    return markdown.render(nasty("harmless"), META)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_foreign_text_stays_text_in_html(text):
    meta = dataclasses.replace(META, title=text, change=text, commands=(text,))
    found = nasty(text)
    # Its own two cells, and those of the incident once: charts take most of the time.
    raw = html.render(found if text is NASTY[0] else dataclasses.replace(found, cells=found.cells[-2:]), meta)
    plain, page = read(made("html", "escalate-incident")), Page(raw)
    assert "\x1b" not in raw
    assert set(page.tags) <= {*plain.tags, "ul", "li"}
    assert page.tags.count("style") == 1
    assert not [
        name for name, _ in page.attributes if name.startswith("on") or name in ("src", "srcset", "action")
    ]


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_foreign_text_breaks_no_table_of_markdown(text):
    meta = dataclasses.replace(META, title=text, change=text)
    shown = markdown.render(nasty(text), meta)
    assert "<script" not in shown
    assert "@team" not in shown
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in shown.splitlines() if line.startswith("|")]
    plain = harmless().splitlines()
    assert widths == [len(re.findall(r"(?<!\\)\|", line)) for line in plain if line.startswith("|")]
    assert len(shown.splitlines()) == len(plain)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_foreign_text_breaks_no_line_of_the_terminal(text):
    shown = terminal.render(nasty(text), dataclasses.replace(META, title=text, change=text))
    assert max(cell_len(line) for line in shown.splitlines()) <= 80
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown)


def test_markup_of_rich_is_shown_and_not_obeyed():
    assert "[bold red]rich[/]" in terminal.render(nasty("[bold red]rich[/]"), META)


@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
def test_junit_is_valid_xml_for_any_text(text):
    root = ElementTree.fromstring(junit.render(nasty(text), dataclasses.replace(META, title=text, change=text)))
    assert {element.tag for element in root.iter()} == {
        "testsuites",
        "testsuite",
        "properties",
        "property",
        "testcase",
        "system-out",
        "failure",
        "skipped",
    }


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
NUMBER = st.one_of(st.just(math.nan), st.floats(0, 1e4))
CELL = st.builds(
    CellFinding,
    operation=st.one_of(st.sampled_from(OPERATIONS), TEXT),
    custom_fields=st.integers(0, 2000),
    quantile=st.sampled_from([0.5, 0.95, 0.99]),
    before_s=NUMBER,
    after_s=NUMBER,
    ratio=NUMBER,
    low=NUMBER,
    high=NUMBER,
    limit=st.just(1.1),
    word=st.sampled_from(Word),
    required=st.booleans(),
)


@given(
    found=st.builds(
        Assessment,
        cells=st.lists(CELL, max_size=6).map(tuple),
        slopes=st.just(()),
        common=st.none() | CELL,
        reasons=st.lists(st.sampled_from(Reason), max_size=3, unique=True).map(tuple),
        timeline=st.just(()),
    )
)
@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_any_assessment_can_be_told_in_text(found):
    assert max(cell_len(line) for line in terminal.render(found, META).splitlines()) <= 80
    assert ElementTree.fromstring(junit.render(found, META)).get("errors") == "0"
    assert markdown.render(found, META)


@given(st.lists(CELL, max_size=6).map(tuple))
@settings(max_examples=8)
def test_any_matrix_can_be_told_on_a_page(found):
    assert html.render(dataclasses.replace(CLEAR, cells=found, timeline=()), META)
