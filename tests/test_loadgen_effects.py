"""What became of an effect, decided from look-ups made by hand."""

import contextlib
import math
import time

import pytest

from loadgen.client import Client
from loadgen.effects import Origin, Pending, Sight, sights
from loadgen.recorder import Recorder
from loadgen.run_folder import RunFolder
from loadgen.unanswered import Unanswered
from loadgen.value_watch import chosen
from loadgen.values import CustomSave, classify_values, held_after_saves, same_values
from loadgen.verifier import Verifier
from scenarios.library import parse_scenario
from scenarios.model import Operation, Tenant
from targets.binding import Binding
from targets.http import Request
from targets.inventory import Inventory, TenantInventory
from targets.lookups import Change
from targets.mapping import load_target
from targets.model import Quota

TENANT = Tenant("t-01", "some", 10, 5, 1, 2)
DEADLINE_S, SETTLE_S = 10.0, 1.0


def save(outcome: str = "ok", operation: Operation = Operation.SAVE_CUSTOM, done_s: float = 100.0) -> Origin:
    return Origin(7, "sp-7", TENANT, operation, outcome, done_s)


def scripts(outcome: str = "ok", names: tuple[str, ...] = ("a",)) -> Pending:
    return Pending(save(outcome), "script", names, DEADLINE_S, SETTLE_S)


def outcomes(pending: Pending) -> dict[str, str]:
    return {row.name: row.outcome for row in pending.rows()}


def test_a_script_that_ran_once_and_settled_is_once_after_one_look():
    pending = scripts()
    pending.look(102.5, 102.6, {"a": Sight(1, delay_s=0.4)})
    assert pending.settled
    assert [tuple(row)[6:] for row in pending.rows()] == [(1, 1, 110.0, 102.6, 0.4, "once")]


def test_once_is_not_believed_before_the_settle_time():
    pending = scripts()
    pending.look(100.5, 100.6, {"a": Sight(1, delay_s=0.4)})
    assert (pending.settled, pending.next_look_s, outcomes(pending)) == (False, 101.4, {"a": "unverified"})


def test_without_a_clock_of_the_target_it_settles_from_the_moment_it_was_seen():
    pending = scripts()
    pending.look(102.5, 102.6, {"a": Sight(1)})
    assert (pending.settled, pending.next_look_s) == (False, 103.6)
    pending.look(103.6, 103.7, {"a": Sight(1)})
    assert (pending.settled, outcomes(pending)) == (True, {"a": "once"})


def test_a_second_run_within_the_settle_time_is_doubled():
    pending = scripts()
    pending.look(100.5, 100.6, {"a": Sight(1)})
    pending.look(101.6, 101.7, {"a": Sight(2)})
    assert [(row.seen, row.outcome) for row in pending.rows()] == [(2, "doubled")]


def test_a_delay_beyond_the_deadline_by_the_targets_clock_is_late():
    pending = scripts()
    pending.look(112.0, 112.1, {"a": Sight(1, delay_s=10.5)})
    assert outcomes(pending) == {"a": "late"}


def test_without_a_clock_late_needs_a_look_after_the_deadline_that_showed_nothing():
    lazy, watched = scripts(), scripts()
    for pending, looks in ((lazy, (112.0, 113.2)), (watched, (110.5, 112.0, 113.2))):
        for number, asked_s in enumerate(looks):
            found = {} if pending is watched and number == 0 else {"a": Sight(1)}
            pending.look(asked_s, asked_s + 0.1, found)
    assert (outcomes(lazy), outcomes(watched)) == ({"a": "once"}, {"a": "late"})


def test_missed_is_said_only_after_a_look_behind_the_deadline():
    pending = scripts()
    pending.look(109.9, 109.95, {})
    assert outcomes(pending) == {"a": "unverified"}
    pending.hurry()
    pending.look(111.0, 111.1, {})
    assert (pending.settled, outcomes(pending)) == (True, {"a": "missed"})


def test_while_the_run_lasts_what_is_missing_is_looked_for_beyond_the_deadline():
    pending = scripts()
    pending.look(115.0, 115.1, {})
    assert not pending.settled
    pending.look(118.0, 118.1, {"a": Sight(1, delay_s=16.0)})
    assert (pending.settled, outcomes(pending)) == (True, {"a": "late"})


def test_pauses_grow_from_a_quarter_of_a_second_to_two():
    pending, pauses = scripts(), []
    asked_s = 101.0
    for _ in range(8):
        pending.look(asked_s, asked_s, {})
        pauses.append(round(pending.next_look_s - asked_s, 3))
        asked_s = pending.next_look_s
    assert pauses == [0.25, 0.4, 0.64, 1.024, 1.638, 2.0, 2.0, 2.0]


def test_each_script_of_a_save_has_its_own_outcome():
    pending = scripts(names=("a", "b", "c"))
    pending.hurry()
    pending.look(111.0, 111.1, {"a": Sight(1, delay_s=0.1), "b": Sight(2, delay_s=0.2)})
    assert outcomes(pending) == {"a": "once", "b": "doubled", "c": "missed"}


@pytest.mark.parametrize("outcome", ["timeout", "refused", "invalid", "http_error", "conflict", "aborted"])
def test_a_save_that_was_not_acknowledged_promised_nothing(outcome):
    pending = scripts(outcome)
    pending.look(111.5, 111.6, {})
    assert (pending.settled, pending.rows()) == (True, [])


@pytest.mark.parametrize("outcome", ["timeout", "refused", "invalid", "aborted"])
def test_a_save_that_timed_out_may_have_run_its_script_once(outcome):
    pending = scripts(outcome)
    pending.look(111.5, 111.6, {"a": Sight(1, delay_s=0.1)})
    assert [(row.kind, row.expected, row.seen, row.outcome) for row in pending.rows()] == [
        ("script", 1, 1, "once")
    ]


def test_a_save_that_timed_out_must_not_have_run_its_script_twice():
    pending = scripts("timeout")
    pending.look(111.5, 111.6, {"a": Sight(2, delay_s=0.1)})
    assert outcomes(pending) == {"a": "doubled"}


@pytest.mark.parametrize("outcome", ["http_error", "conflict"])
def test_a_save_reported_as_failed_whose_script_ran_was_saved_after_all(outcome):
    pending = scripts(outcome)
    pending.look(102.5, 102.6, {"a": Sight(1, delay_s=0.1)})
    assert [(row.kind, row.outcome) for row in pending.rows()] == [
        ("script", "once"),
        ("value", "failed_but_saved"),
    ]


def test_what_a_denied_save_did_late_shows_in_a_second_look_after_the_deadline():
    pending = scripts("http_error")
    pending.look(102.0, 102.1, {})
    assert (pending.settled, pending.next_look_s) == (False, 111.0)
    pending.look(111.0, 111.1, {"a": Sight(2, delay_s=9.5)})
    assert outcomes(pending)["a"] == "doubled"


def test_what_a_timed_out_save_did_is_looked_at_when_it_may_have_finished_or_in_the_sweep():
    pending = scripts("timeout")
    assert pending.next_look_s == 111.0
    pending.hurry()
    assert pending.next_look_s == 101.0


def mail(recipient: str = "user-1@savepath.test") -> Pending:
    return Pending(save(operation=Operation.SEND_EMAIL), "mail", ("",), DEADLINE_S, SETTLE_S, recipient)


@pytest.mark.parametrize(
    ("count", "recipient", "outcome"),
    [
        (1, "user-1@savepath.test", "once"),
        (2, "user-1@savepath.test", "doubled"),
        (1, "b@x.test", "wrong_recipient"),
    ],
)
def test_a_mail_arrives_once_at_its_recipient(count, recipient, outcome):
    pending = mail()
    pending.look(102.5, 102.6, {"": Sight(count, 0.2, recipient)})
    assert outcomes(pending) == {"": outcome}


def test_rows_of_one_script_are_added_up():
    assert sights([("a", Sight(1, 0.1)), ("b", Sight(1, None)), ("a", Sight(1, 0.3))]) == {
        "a": Sight(2, 0.3),
        "b": Sight(1, None),
    }


WRITTEN = {
    1: {"cf_001": "sp-1", "cf_002": "old", "cf_003": 1.5},
    2: {"cf_001": "sp-2", "cf_002": "new", "cf_003": 2.5},
    3: {"cf_001": "sp-3", "cf_002": "newer", "cf_003": 3.5},
}
OWN = CustomSave(2, "t-01", "case-1", sent_s=10.0, done_s=10.2, acknowledged=True)


def judge(found: dict, writer: CustomSave | None) -> str:
    return classify_values(OWN, found, writer, lambda written: WRITTEN[written.seq])


def other(
    seq: int, sent_s: float, done_s: float = math.inf, case: str = "case-1", tenant: str = "t-01"
) -> CustomSave:
    return CustomSave(seq, tenant, case, sent_s, done_s, acknowledged=done_s < math.inf)


def test_all_values_there_are_identical():
    assert judge({**WRITTEN[2], "cf_009": "not ours"}, OWN) == "identical"


@pytest.mark.parametrize("changed", [{"cf_002": "ne"}, {"cf_003": 1.5}])
def test_a_value_that_differs_makes_it_partial(changed):
    assert judge({**WRITTEN[2], **changed}, OWN) == "partial"


def test_a_value_that_is_missing_makes_it_partial():
    assert judge({"cf_001": "sp-2", "cf_002": "new"}, OWN) == "partial"


def test_a_lost_token_beside_our_other_values_is_partial():
    assert judge({**WRITTEN[2], "cf_001": "sp"}, None) == "partial"


def test_the_value_from_before_the_run_means_lost():
    assert judge({"cf_001": "first", "cf_002": "first", "cf_003": 0.0}, None) == "lost"


def test_a_save_that_was_over_before_ours_was_sent_means_lost():
    assert judge(WRITTEN[1], other(1, sent_s=9.0, done_s=9.9)) == "lost"


def test_a_later_save_of_the_case_supersedes_ours():
    assert judge(WRITTEN[3], other(3, sent_s=10.3)) == "superseded"


def test_an_overlapping_save_of_the_case_supersedes_ours():
    assert judge(WRITTEN[1], other(1, sent_s=9.0, done_s=10.1)) == "superseded"


def test_an_unacknowledged_earlier_save_may_have_come_later():
    assert judge(WRITTEN[1], other(1, sent_s=9.0)) == "superseded"


def test_a_mixture_of_two_saves_is_partial():
    assert judge({**WRITTEN[3], "cf_002": "new"}, other(3, sent_s=10.1)) == "partial"


@pytest.mark.parametrize(("case", "tenant"), [("case-2", "t-01"), ("case-1", "t-02")])
def test_the_token_of_another_case_or_tenant_is_foreign(case, tenant):
    assert judge(WRITTEN[3], other(3, sent_s=9.0, done_s=9.5, case=case, tenant=tenant)) == "foreign"


def test_the_order_of_several_choices_has_no_meaning():
    assert same_values({"cf_002": ["a", "b"]}, {"cf_002": ["b", "a"]})


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_that_is_read_back_is_the_share_asked_for(share):
    assert abs(sum(chosen(seq, share) for seq in range(10_000)) / 10_000 - share) < 0.005


def changed(token: str, key: str, before) -> Change:
    return Change(token, "case-1", key, before)


def test_from_what_a_case_holds_each_save_undone_leads_to_what_it_held_before():
    changes = [
        changed("one", "a", None),
        changed("one", "b", "first"),
        changed("two", "a", 1),
        changed("three", "b", "second"),
        changed("three", "a", 2),
    ]
    now = {"a": 3, "b": "third", "c": True}
    assert [(token, dict(values)) for token, values in held_after_saves(changes, now)] == [
        ("three", {"a": 3, "b": "third", "c": True}),
        ("two", {"a": 2, "b": "second", "c": True}),
        ("one", {"a": 1, "b": "second", "c": True}),
        ("", {"b": "first", "c": True}),
    ]


def test_a_case_without_history_has_always_held_what_it_holds():
    assert list(held_after_saves([], {"a": 1})) == [("", {"a": 1})]


def test_a_script_that_was_overtaken_ran_out_of_order_unless_it_was_worse_than_that():
    pending = scripts(names=("a", "b", "c", "d"))
    pending.hurry()
    pending.look(112.0, 112.1, {"a": Sight(1, 0.4), "b": Sight(2, 0.4), "c": Sight(1, 10.5)})
    found = {row.name: row.outcome for row in pending.rows({"a", "b", "c", "d"})}
    assert found == {"a": "out_of_order", "b": "doubled", "c": "late", "d": "missed"}


def test_of_several_runs_the_first_tells_when_it_was_done():
    pending = scripts(names=("a", "b"))
    runs = [("b", Sight(1, 0.5, ended_at=9.0)), ("b", Sight(1, 0.2, ended_at=8.7)), ("a", Sight(1, 0.1))]
    pending.look(112.0, 112.1, sights(runs))
    assert pending.ends == {"b": 8.7}


def test_where_there_are_quotas_users_who_wait_for_scripts_poll_at_the_rate_of_the_verification(tmp_path):
    scenario = parse_scenario(
        "name: s\ncohorts: {a: {custom_fields: 0, cases: 1}}\nmix: {run_script: 1}\nload: {rate_per_s: 1}\n"
        "duration_s: 1\nverification: {rate_per_s: 100}\n",
        "s",
    )
    (tenant,) = scenario.tenants
    inventory = Inventory(tenants={tenant.key: TenantInventory(remote={"id": "1"}, cases=("1",))})
    target = load_target("casedesk")
    limited = target.model_copy(update={"quotas": (Quota(requests=1000, in_s=1),)})
    folder = RunFolder(tmp_path / "run")
    folder.create()
    recorder = Recorder(folder)
    client = Client(timeout_s=1, connections=1)
    seconds = []
    for one, polls, rate_per_s in ((target, 5, 0.1), (limited, 200, 100)):
        verification = scenario.verification.model_copy(update={"rate_per_s": rate_per_s})
        binding = Binding(one, scenario, inventory, {})
        paced = scenario.model_copy(update={"verification": verification})
        verifier = Verifier(
            paced, binding, client, recorder, run_key="0123456789", now=time.monotonic, broken=pytest.fail
        )
        begun = time.monotonic()
        for _ in range(polls):  # a second's worth may be caught up, the rest takes its time where it is held back
            with contextlib.suppress(Unanswered):
                verifier.poll(Request("GET", "http://127.0.0.1:1/"))
        seconds.append(time.monotonic() - begun)
    recorder.close()
    assert seconds[0] < 30  # they would take 40 s
    assert seconds[1] >= 0.98
