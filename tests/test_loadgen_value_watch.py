"""What became of the values of custom saves, decided from answers written by hand."""

import re
import tracemalloc
from urllib.parse import unquote

import orjson
import pytest

from loadgen.effects import Origin
from loadgen.pace import Pace
from loadgen.seqs import Seqs
from loadgen.unanswered import Unanswered
from loadgen.value_watch import ValueWatch
from scenarios.fields import saved_values
from scenarios.library import parse_scenario
from scenarios.model import Operation
from scenarios.tokens import save_id
from targets.binding import Binding
from targets.call import Call
from targets.http import Response
from targets.inventory import Inventory, TenantInventory
from targets.mapping import parse_target

SCENARIO = parse_scenario(
    """\
name: two
cohorts: {some: {custom_fields: 3, tenants: 2, cases: 2}}
mix: {save_custom: 1}
load: {rate_per_s: 1}
duration_s: 1
verification: {read_back_share: 1, rate_per_s: 1000}
""",
    "two.yaml",
)
OURS, THEIRS = SCENARIO.tenants
KEY = "0123456789"
MAPPING = """\
name: hand
base_url: http://127.0.0.1:1
operations: {save_custom: {request: "PUT /{{ case }}"}}
verify:
  values: {request: "GET /{{ tenant.key }}/{{ case }}"}
  history: {request: "GET /history?of={{ cases | join(',') }}", batch: 5, case: case}
  saves: {request: "GET /{{ tenant.key }}?saves={{ tokens | join(',') }}"}
"""


class Desk:
    """Answers by path; a list is a list of answers to be given in turn. What has no answer cannot be reached."""

    def __init__(self, answers):
        self.answers = answers
        self.asked = []
        self.rows = []

    def send(self, request):
        path = unquote(request.url.removeprefix("http://127.0.0.1:1"))
        self.asked.append(re.sub(r"sp-\w+-0*(\d)", r"\1", path))
        found = self.answers.get(self.asked[-1])
        if found is None:
            raise Unanswered("refused", "connection refused")
        return Response(200, {}, orjson.dumps(found))

    def watch(self, mapping=MAPPING, own=None):
        target = parse_target(mapping, "hand.yaml")
        inventory = Inventory(
            tenants={
                tenant.key: TenantInventory(cases=[f"{tenant.key[-2:]}-a", f"{tenant.key[-2:]}-b"], fields=NAMES)
                for tenant in SCENARIO.tenants
            }
        )
        self.binding = Binding(target, SCENARIO, inventory, {})
        self.values = ValueWatch(
            SCENARIO, self.binding, self.send, self.rows.append, Pace(1000), run_key=KEY, now=lambda: 5.0,
            guarded=lambda step, *what: step(*what), own=own,
        )  # fmt: skip
        return self.values

    def save(self, seq, case="01-a", tenant=OURS, outcome="ok"):
        call = Call(seq, save_id(KEY, seq), tenant, case, "")
        self.values.saving(call, seq + 0.0, custom=True)
        self.values.answered(
            call, Origin(seq, call.token, tenant, Operation.SAVE_CUSTOM, outcome, seq + 0.5, case)
        )

    def inherit(self, seq, case="01-a", tenant=OURS):
        self.values.inherit(Call(seq, save_id(KEY, seq), tenant, case, ""), custom=True)

    def outcomes(self):
        self.values.sweep()
        self.values.give_up()
        assert self.values.pending == 0
        return {row.seq: row.outcome for row in self.rows}


NAMES = {f"cf_{number:03}": f"cf_{number:03}" for number in (1, 2, 3)}


VALUES = saved_values(SCENARIO, 3)


def written(seq):
    """What save ``seq`` writes, by the law of the scenario."""
    return VALUES.of(seq, save_id(KEY, seq))


def changes(case, *saves, before):
    """The history of a case: each save with what it wrote, all of it changed."""
    rows, held = [], dict(before)
    for seq, values in saves:
        for field, value in values.items():
            rows.append({"token": save_id(KEY, seq), "case": case, "field": field, "before": held.get(field)})
            held[field] = value
    return rows


READ_BACK = re.sub("  (history|saves).*\n", "", MAPPING)
FIRST = {"cf_001": "first", "cf_002": "first", "cf_003": "first"}
NOBODY = {"/two-some-01?saves=1": [], "/two-some-02?saves=1": []}


def test_each_of_two_saves_of_a_case_is_identical_although_the_second_covers_the_first():
    history = changes("01-a", (1, written(1)), (2, written(2)), before=FIRST)
    desk = Desk({"/two-some-01/01-a": written(2), "/history?of=01-a": history})
    desk.watch()
    desk.save(1)
    desk.save(2)
    assert desk.outcomes() == {1: "identical", 2: "identical"}


def test_a_part_that_is_missing_shows_although_a_later_save_covers_it():
    short = {key: value for key, value in written(1).items() if key != "cf_002"}
    history = changes("01-a", (1, short), (2, written(2)), before=FIRST)
    desk = Desk({"/two-some-01/01-a": written(2), "/history?of=01-a": history})
    desk.watch()
    desk.save(1)
    desk.save(2)
    assert desk.outcomes() == {1: "partial", 2: "identical"}


def test_a_history_that_says_more_than_the_case_holds_is_not_believed():
    history = changes("01-a", (1, written(1)), before=FIRST)
    desk = Desk({"/two-some-01/01-a": {**written(1), "cf_003": "else"}, "/history?of=01-a": history})
    desk.watch()
    desk.save(1)
    assert desk.outcomes() == {1: "partial"}


@pytest.mark.parametrize(
    ("places", "outcome"),
    [
        ({}, "lost"),
        ({"/two-some-02?saves=1": [{"token": save_id(KEY, 1), "case": "02-b"}]}, "foreign"),
        ({"/two-some-01?saves=1": [{"token": save_id(KEY, 1), "case": "01-b"}]}, "foreign"),
        ({"/two-some-01?saves=1": [{"token": save_id(KEY, 1), "case": "01-a"}]}, "lost"),
    ],
)
def test_what_is_not_in_its_case_is_sought_by_its_token_in_every_tenant(places, outcome):
    desk = Desk({"/two-some-01/01-a": FIRST, "/history?of=01-a": [], **NOBODY, **places})
    desk.watch()
    desk.save(1)
    assert desk.outcomes() == {1: outcome}


def test_a_save_that_reached_its_case_and_changed_nothing_lost_its_token_where_the_rest_stood_there_before():
    before = {**written(1), "cf_001": "first"}
    places = {**NOBODY, "/two-some-01?saves=1": [{"token": save_id(KEY, 1), "case": "01-a"}]}
    desk = Desk({"/two-some-01/01-a": before, "/history?of=01-a": [], **places})
    desk.watch()
    desk.save(1)
    assert desk.outcomes() == {1: "partial"}


def test_a_token_that_stands_in_another_case_without_a_line_in_its_history_is_foreign():
    struck = changes("02-a", (2, written(2)), before={**FIRST, "cf_001": save_id(KEY, 1)})
    desk = Desk(
        {
            "/two-some-01/01-a": FIRST,
            "/history?of=01-a": [],
            "/two-some-02/02-a": written(2),
            "/history?of=02-a": changes("02-a", (9, FIRST), before={}) + struck,
        }
    )
    desk.watch(MAPPING[: MAPPING.index("  saves:")])
    desk.save(1)
    desk.save(2, "02-a", THEIRS)
    assert desk.outcomes() == {1: "foreign", 2: "identical"}


def test_the_token_of_another_worker_in_a_case_of_ours_is_a_stray_and_that_of_our_own_standard_save_is_none():
    history = changes("02-a", (1, written(1)), (3, FIRST), (2, written(2)), before=FIRST)
    desk = Desk({"/two-some-02/02-a": written(2), "/history?of=02-a": history})
    desk.watch(MAPPING[: MAPPING.index("  saves:")], own=Seqs())
    desk.values.saving(Call(3, save_id(KEY, 3), THEIRS, "02-b", ""), 1.0, custom=False)
    desk.save(2, "02-a", THEIRS)
    assert (desk.outcomes(), desk.values.strays) == ({2: "identical"}, (1,))


def test_a_case_of_ours_that_holds_what_another_worker_wrote_holds_foreign_values():
    desk = Desk({"/two-some-01/01-a": written(2)})
    desk.watch(READ_BACK, own=Seqs())
    desk.save(1)
    assert desk.outcomes() == {1: "foreign"}


@pytest.mark.parametrize("gone", ["/two-some-01/01-a", "/history?of=01-a"])
def test_what_cannot_be_read_is_unverified_after_three_tries(gone):
    desk = Desk(
        {"/two-some-01/01-a": written(1), "/history?of=01-a": changes("01-a", (1, written(1)), before=FIRST)}
    )
    del desk.answers[gone]
    desk.watch()
    desk.save(1)
    assert (desk.outcomes(), desk.asked.count(gone)) == ({1: "unverified"}, 3)


CUT = MAPPING.replace("') }}\", batch", "') }}&newest={{ changes }}\", batch")
OTHERS = {"token": "", "case": "01-a", "field": "title", "before": "x"}


@pytest.mark.parametrize(
    ("mapping", "found", "outcome"),
    [
        (CUT, [], "lost"),
        (CUT, [{"token": save_id(KEY, 1), "case": "01-a"}], "unverified"),
        (CUT[: CUT.index("  saves")], None, "unverified"),
    ],
)
def test_what_a_history_that_was_cut_does_not_tell_is_lost_only_if_its_token_is_nowhere(mapping, found, outcome):
    places = {"/two-some-01?saves=1": found, "/two-some-02?saves=1": []}
    desk = Desk({"/two-some-01/01-a": FIRST, "/history?of=01-a&newest=103": [OTHERS] * 103, **places})
    desk.watch(mapping)
    desk.save(1)
    assert desk.outcomes() == {1: outcome}


def test_a_history_that_was_cut_behind_the_first_save_of_the_run_tells_everything():
    told = [OTHERS] * 103 + changes("01-a", (2, written(2)), before=FIRST)
    desk = Desk({"/two-some-01/01-a": written(2), "/history?of=01-a&newest=106": told, **NOBODY})
    desk.watch(CUT[: CUT.index("  saves")])
    desk.save(1)
    desk.save(2)
    assert desk.outcomes() == {1: "lost", 2: "identical"}


def test_a_save_answered_with_an_error_is_sought_by_its_token():
    found = [{"token": save_id(KEY, 1), "case": "01-a"}]
    desk = Desk({"/two-some-01/01-a": FIRST, "/history?of=01-a": [], "/two-some-01?saves=1,2": found})
    desk.watch()
    desk.save(1, outcome="http_error")
    desk.save(2, outcome="conflict")
    desk.outcomes()
    assert {(row.seq, row.outcome) for row in desk.rows} == {(1, "failed_but_saved")}


def test_a_denied_save_takes_a_few_bytes_until_the_end_of_the_run():
    desk, number = Desk({}), 20_000
    values = desk.watch()
    call = Call(0, save_id(KEY, 0), OURS, "01-a", "")
    tracemalloc.start()
    for seq in range(number):
        values.answered(call, Origin(seq, "", OURS, Operation.SAVE_STANDARD, "http_error", 1.0, "01-a"))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept / number < 8


#: A save of one that was lost is in the case; ours of 2 s comes soon after, that of 200 s when nothing is open.
INHERITED = changes("01-a", (1, written(1)), (2, written(2)), (200, written(200)), before=FIRST)


def test_where_a_lost_worker_had_saved_values_are_judged_once_nothing_of_it_is_open():
    desk = Desk({"/two-some-01/01-a": written(200), "/history?of=01-a": INHERITED, **NOBODY})
    desk.watch(own=Seqs())
    desk.inherit(1)
    desk.save(2)
    desk.save(200)
    assert desk.outcomes() == {2: "unverified", 200: "identical"}
    assert desk.values.strays == ()


def test_a_value_that_was_replaced_by_that_of_a_lost_worker_long_after_it_was_lost_is_lost_and_not_foreign():
    without = re.sub("  history:.*\n", "", MAPPING)
    desk = Desk({"/two-some-01/01-a": written(1), "/two-some-01?saves=200": [], **NOBODY})
    desk.watch(without, own=Seqs())
    desk.inherit(1)
    desk.save(200)
    assert desk.outcomes() == {200: "lost"}


def test_the_cases_of_a_tenant_are_asked_about_together():
    together = changes("01-a", (1, written(1)), before=FIRST) + changes("01-b", (2, written(2)), before=FIRST)
    desk = Desk(
        {"/two-some-01/01-a": written(1), "/two-some-01/01-b": written(2), "/history?of=01-a,01-b": together}
    )
    desk.watch()
    desk.save(1)
    desk.save(2, "01-b")
    assert desk.outcomes() == {1: "identical", 2: "identical"}
    assert sorted(desk.asked) == ["/history?of=01-a,01-b", "/two-some-01/01-a", "/two-some-01/01-b"]


def test_without_histories_a_case_is_read_right_after_its_save():
    desk = Desk({"/two-some-01/01-a": FIRST, "/two-some-02?saves=1": [{"token": save_id(KEY, 1), "case": "02-a"}]})
    desk.watch(re.sub("  history.*\n", "", MAPPING))
    desk.save(1)
    assert desk.outcomes() == {1: "foreign"}
    assert desk.asked[0] == "/two-some-01/01-a"


@pytest.mark.parametrize(
    ("sent_s", "outcome", "word"),
    [
        (1.4, "ok", "superseded"),
        (1.4, None, "superseded"),
        (1.4, "conflict", "lost"),
        (0.2, "timeout", "superseded"),
    ],
)
def test_what_is_missing_beside_another_save_of_the_case_that_was_under_way_nobody_can_tell(sent_s, outcome, word):
    desk = Desk({"/two-some-01/01-a": FIRST})
    desk.watch(READ_BACK)
    other = Call(7, save_id(KEY, 7), OURS, "01-a", "")
    desk.values.saving(other, sent_s, custom=False)
    if outcome:
        done = Origin(7, other.token, OURS, Operation.SAVE_STANDARD, outcome, sent_s + 0.4, "01-a")
        desk.values.answered(other, done)
    desk.save(1)
    assert desk.outcomes() == {1: word}


def test_a_save_of_the_case_that_was_over_before_is_no_excuse():
    desk = Desk({"/two-some-01/01-a": FIRST})
    desk.watch(READ_BACK)
    other = Call(7, save_id(KEY, 7), OURS, "01-a", "")
    desk.values.saving(other, 0.1, custom=False)
    desk.values.answered(other, Origin(7, other.token, OURS, Operation.SAVE_STANDARD, "ok", 0.9, "01-a"))
    desk.save(1)
    assert desk.outcomes() == {1: "lost"}


def test_when_the_time_is_up_what_is_open_is_unverified():
    desk = Desk({})
    desk.watch()
    desk.save(1)
    desk.values.give_up()
    assert [(row.seq, row.outcome) for row in desk.rows] == [(1, "unverified")]
