"""The sentences of every example, word by word, and what they must never say.

The golden files are written anew by ``python tests/test_reports_sentences.py``; read their diff.
"""

import dataclasses
import re
from pathlib import Path

import pytest
from assessment_examples import (
    CLEAR,
    ESCALATE_INCIDENT,
    ESCALATE_INTEGRITY,
    EXAMPLES,
    HOLD_INVALID_LOAD,
    HOLD_NEAR_LIMIT,
    HOLD_NEEDS_DATA,
    META,
    assessment,
    cell,
    cells,
    integrity,
)

from analysis.findings import (
    ENOUGH_PAIRS,
    Assessment,
    Check,
    CheckOutcome,
    Design,
    Measure,
    Reason,
    SlopeFinding,
    Verdict,
)
from reports import claims, evidence, sections, sentences
from reports.words import OPERATIONS, REASONS, effect, operation, operation_rank

GOLDEN = Path(__file__).parent / "golden"


def told(found: Assessment) -> str:
    story = sentences.tell(found, META)
    return "\n".join(
        [
            f"headline: {story.headline}",
            f"promise: {story.promise}",
            f"scope: {story.scope}",
            *(f"{row.label}: {row.text}" for row in story.decisions),
            *(f"figure [{item.tone}]: {item.value} | {item.label} | {item.detail}" for item in story.figures),
            *(f"{row.label} {row.text}" for row in story.trust),
            f"growth: {sections.growth_told(found)}",
            f"common: {sections.common_told(found)}",
            f"standing out: {sections.standing_out_told(found) or '-'}",
            "",
        ]
    )


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_sentences_of_an_example_are_the_agreed_ones(name):
    assert told(EXAMPLES[name]) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", EXAMPLES)
def test_no_sentence_speaks_of_p_values_or_significance(name):
    assert not re.search(r"p-value|p_value|\bp ?[<=]|significan|\bnan\b|None", told(EXAMPLES[name]))


def test_the_incident_names_its_cause_and_what_is_not_to_blame():
    story = sentences.tell(ESCALATE_INCIDENT, META)
    assert story.headline == (
        "Saving custom fields became much slower at 200 and 500 custom fields, the more custom fields the more so."
    )
    assert story.promise == "95 of 100 custom-field saves with 500 fields finished within 1.6 s before; now 3.5 s."


def test_growth_of_the_operation_that_leads_the_report_is_told_first_whatever_grew_more():
    reads = SlopeFinding("read_case", Measure.MEAN, 6.0, 4.0, 9.0, fires=True, p_value=0.0001)
    found = claims.claim(dataclasses.replace(ESCALATE_INCIDENT, slopes=(reads, *ESCALATE_INCIDENT.slopes)))
    assert found.telling is not None
    assert found.telling.operation == "save_custom"
    assert list(dict.fromkeys(slope.operation for slope in found.growing)) == ["save_custom", "read_case"]


def test_an_operation_with_an_unclear_cell_is_never_called_not_slower():
    assert "run_script" in claims.claim(ESCALATE_INCIDENT).not_known
    assert "run_script" not in claims.claim(ESCALATE_INCIDENT).not_slower_to_headline


def test_an_operation_is_not_slower_only_where_every_quantile_shows_it():
    every = assessment(cells=tuple(item for item in cells() if item.quantile < 0.99))
    assert claims.claim(every).not_slower == tuple(sorted(claims.claim(every).not_slower, key=operation_rank))
    assert "read_case" in claims.claim(every).not_slower
    assert "read_case" not in claims.claim(CLEAR).not_slower


def test_a_failed_check_leaves_no_claim_about_speed():
    found = claims.claim(HOLD_INVALID_LOAD)
    assert (found.slower, found.growing, found.not_slower, found.not_slower_to_headline) == ((), (), (), ())
    assert sections.growth_told(HOLD_INVALID_LOAD).startswith("No verdict on growth")


def test_broken_integrity_is_told_even_where_a_check_failed():
    both = dataclasses.replace(ESCALATE_INTEGRITY, checks=HOLD_INVALID_LOAD.checks)
    assert sentences.tell(both, META).headline.startswith("Some on-save scripts did not run")


def test_sides_apart_in_time_tell_of_no_change_where_none_was_seen():
    apart = assessment(verdict=Verdict.HOLD, reasons=(Reason.CONFOUNDED,), design=Design.APART, pairs=0)
    assert sentences.tell(apart, META).headline == (
        "No verdict on speed: before and after lie apart in time, "
        "so other changes may have made or hidden a difference."
    )
    assert sentences.tell(apart, META).scope == ""
    assert "from 2 runs before and 2 runs after" in sentences.tell(apart, META).decisions[3].text


@pytest.mark.parametrize(
    ("design", "sentence"),
    [
        (
            Design.CONCURRENT,
            "Both sides were asked at the same time: that shows what differs between the two systems, "
            "and cannot show what both would do at another hour or load.",
        ),
        (
            Design.ALTERNATING,
            "Before and after took turns: that shows what differs between them whatever the hour, "
            "and cannot show what takes longer than a turn to build up.",
        ),
        (
            Design.APART,
            "Before and after lie apart in time: that can show growth with custom fields, failures and broken "
            "promises, and cannot tell a uniform slow-down by the change from one by anything else in between.",
        ),
    ],
)
def test_each_design_says_in_one_sentence_what_it_can_and_cannot_show(design, sentence):
    assert sentences.tell(assessment(design=design), META).decisions[3].text.endswith(sentence)


def test_runs_of_several_days_are_told_by_their_days():
    days = assessment(design=Design.APART, before=dataclasses.replace(assessment().before, days=5))
    assert "2 runs on 5 days before and 2 runs after" in evidence.evidence_told(days)


def test_a_slow_cell_that_the_verdict_does_not_rest_on_is_not_claimed():
    apart = assessment(
        verdict=Verdict.HOLD,
        reasons=(Reason.CONFOUNDED,),
        design=Design.APART,
        slopes=(),
        cells=ESCALATE_INCIDENT.cells,
    )
    assert claims.claim(apart).slower == ()
    assert sentences.tell(apart, META).headline == (
        "Custom-field saves with 200 and 500 fields were measured slower than agreed, but "
        "before and after lie apart in time, so other changes may have made or hidden a difference."
    )


def test_a_cell_that_is_slower_but_not_beyond_doubt_is_open():
    doubtful = assessment(verdict=Verdict.HOLD, reasons=(Reason.NEEDS_DATA,), cells=ESCALATE_INCIDENT.cells)
    story = sentences.tell(doubtful, META)
    assert story.headline.endswith("were measured slower than agreed, but not beyond doubt yet.")
    assert ("save_custom", 500) in claims.claim(doubtful).open_places


def test_hold_says_how_many_more_pairs_are_needed():
    change = sentences.tell(HOLD_NEEDS_DATA, META).decisions[-1].text
    assert change == "About 12 more pairs of runs (17 in all) at this noise."


def test_a_single_pair_is_told_what_more_pairs_would_tell():
    lone = Check(ENOUGH_PAIRS, CheckOutcome.FAIL, "1 of 1 pairs are compared.", Reason.NEEDS_DATA)
    single = assessment(verdict=Verdict.HOLD, reasons=(Reason.NEEDS_DATA,), pairs=1, checks=(lone,))
    change = sentences.tell(single, META).decisions[-1].text
    assert change == (
        "More pairs of runs: two tell a large change, `savepath plan --detect` how many a small one."
    )


def test_what_nobody_looked_at_is_named_beside_what_was_found():
    unseen = Check("effects checked", CheckOutcome.NOTE, "No effects were recorded.", Reason.UNVERIFIED)
    story = sentences.tell(assessment(verdict=Verdict.HOLD, reasons=(Reason.UNVERIFIED,), checks=(unseen,)), META)
    assert story.headline == (
        "No required part became slower by 10 % or more, but not all that CLEAR claims was looked at: "
        "effects checked."
    )
    assert "Effects checked: No effects were recorded." in story.decisions[1].text


def test_hold_says_how_long_the_pairs_that_are_missing_take():
    timed = dataclasses.replace(HOLD_NEEDS_DATA, pair_s=450)
    change = sentences.tell(timed, META).decisions[-1].text
    assert change == "About 12 more pairs of runs (17 in all) at this noise, some 1 h 30 min."


def test_near_the_limit_is_not_told_as_slower_than_agreed():
    assert sentences.tell(HOLD_NEAR_LIMIT, META).headline == (
        "Custom-field saves with 200 fields became slower, perhaps still within the agreed +10 %, perhaps not."
    )


def test_a_part_that_is_not_required_is_told_beside_a_clear_verdict():
    slow_read = cell("read_case", 500, 1.4, required=False)
    others = tuple(item for item in cells() if (item.operation, item.custom_fields) != ("read_case", 500))
    story = sentences.tell(assessment(cells=(*others, slow_read)), META)
    assert "Not required, but measured slower: reads with 500 fields." in story.decisions[1].text
    assert "Nobody, as far as was measured" not in story.decisions[2].text


def test_without_any_cell_nothing_is_claimed():
    empty = assessment(
        verdict=Verdict.HOLD, reasons=(Reason.NEEDS_DATA,), cells=(), slopes=(), common=None, timeline=()
    )
    story = sentences.tell(empty, META)
    assert (story.promise, story.scope) == ("", "")
    assert story.headline == "Not known yet whether the change made anything slower: there is not enough data."


def test_integrity_that_nobody_looked_at_is_not_told_as_kept():
    assert "was not looked at" in sentences.tell(assessment(integrity=()), META).headline


def test_the_share_of_saves_is_told_only_where_it_is_known():
    story = sentences.tell(dataclasses.replace(ESCALATE_INCIDENT, shares={"200": 0.19}), META)
    assert story.decisions[2].text == "Users of cases with 200 or more custom fields."


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_sentence(reason):
    assert REASONS[reason].endswith(".")


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize("reason", Reason)
def test_every_verdict_can_be_told_for_every_reason(verdict, reason):
    assert sentences.tell(dataclasses.replace(CLEAR, verdict=verdict, reasons=(reason,)), META).headline


def test_operations_are_ranked_as_the_samples_list_them():
    assert sorted(["zz", *reversed(OPERATIONS)], key=operation_rank) == [*OPERATIONS, "zz"]


@pytest.mark.parametrize(
    ("kind", "outcome", "label"),
    [
        ("script", "doubled", "Ran twice or more"),
        ("script", "missed", "Did not run"),
        ("script", "late", "Ran late"),
        ("value", "lost", "Reported as saved, value missing"),
        ("value", "partial", "Partly saved (some fields only)"),
        ("value", "failed_but_saved", "Reported as failed, but was saved"),
        ("value", "foreign", "Value in another tenant"),
        ("mail", "unverified", "Nobody looked"),
        ("mail", "eaten", "mail: eaten"),
    ],
)
def test_outcomes_of_effects_have_their_words(kind, outcome, label):
    assert effect(kind, outcome) == label


def test_operations_have_their_labels():
    assert [operation(name) for name in (*OPERATIONS, "other")] == [
        "read",
        "e-mail",
        "e-mail batch",
        "standard save",
        "custom-field save",
        "on-save script",
        "other",
    ]


def test_imported_results_are_said_to_count_from_sending_on_the_first_page_and_in_the_method():
    imported = dataclasses.replace(CLEAR, imported_from="k6")
    row = next(row for row in sentences.tell(imported, META).decisions if row.label == "How sure are we")
    assert row.text.endswith(
        "The results are k6's: times count from sending, so what a stall kept from being sent does not show."
    )
    assert "is timed from when it was sent" in sections.method_told(imported)[0]
    assert "is timed from the moment at which it was due" in sections.method_told(CLEAR)[0]


def test_the_figures_count_whatever_kinds_of_effects_went_wrong():
    two = dataclasses.replace(ESCALATE_INTEGRITY, integrity=integrity(script_missed=5, mail_missed=7))
    all_three = dataclasses.replace(two, integrity=integrity(script_missed=5, value_lost=2, mail_missed=7))
    told = [
        [(one.value, one.label) for one in sentences.tell(found, META).figures[1:3]] for found in (two, all_three)
    ]
    assert told[0] == [("5", "on-save scripts did not run"), ("7", "e-mails were not delivered")]
    assert told[1][0] == ("14", "went wrong: on-save scripts, saved values and e-mails")


def test_slower_in_every_cohort_is_told_of_any_number_of_fields():
    slow = tuple(cell("save_standard", number, 1.5, alarms=True) for number in (0, 10, 50, 200, 500))
    found = dataclasses.replace(ESCALATE_INCIDENT, cells=slow)
    who = next(row.text for row in sentences.tell(found, META).decisions if row.label == "Who notices")
    assert who.startswith("Users of cases with any number of custom fields")


if __name__ == "__main__":
    for title, example in EXAMPLES.items():
        (GOLDEN / f"{title}.txt").write_text(told(example), encoding="utf-8")
