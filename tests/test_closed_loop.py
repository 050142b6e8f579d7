"""The closed loop: users who wait for each answer, and the label that their times carry."""

import math
import time
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import gevent
import numpy as np
import pytest
from analysis_examples import effects, sides
from command_line import savepath
from run_examples import driven
from stub_server import OK, stub_server
from test_loadgen_workers import PATIENCE_S

from analysis.assessment import assess
from analysis.findings import CheckOutcome, ObjectiveOutcome, Reason, Verdict
from analysis.runs import Objective, Question
from loadgen.chosen import ChosenTarget, Workers
from loadgen.client import Client
from loadgen.closed_loop import ClosedLoop
from loadgen.driver import Driver
from loadgen.health import Health
from loadgen.run_folder import RunFolder
from loadgen.session import Session
from loadgen.settings import Settings
from savepath.watching.blocks_of_runs import blocks_of
from scenarios.arrivals import arrivals, expected_in_cells, most_in_a_second
from scenarios.errors import InputError
from scenarios.library import parse_scenario
from scenarios.load import Users
from scenarios.model import Scenario
from scenarios.parts import Parts
from scenarios.users import UsersAtWork, arrivals_at_most, steps_of
from targets.http import Request
from targets.inventory import Inventory

TEXT = """\
name: closed
seed: 7
cohorts:
  none: {custom_fields: 0, cases: 5, scripts_on_save: 0}
  some: {custom_fields: 10, cases: 5, scripts_on_save: 0}
mix: {read_case: 1, save_standard: 1}
load: {users: {count: 20, think_s: 0.5}}
warmup_s: 0
duration_s: 60
"""


def scenario(load: str = "users: {count: 20, think_s: 0.5}", more: str = "") -> Scenario:
    text = TEXT.replace("users: {count: 20, think_s: 0.5}", load) + more
    return parse_scenario(text, "closed.yaml")


def driven_by_one_user(answer_s: float, number: int) -> list:
    """What the only user does who waits so long for each answer."""
    work, found = UsersAtWork(scenario("users: {count: 1, think_s: 5}")), []
    for _ in range(number):
        arrival = work.begin()
        found.append((arrival.tenant.key, arrival.operation, arrival.case, arrival.at_s - answer_s * len(found)))
        work.answered(arrival, arrival.at_s + answer_s)
    return found


def test_what_a_user_does_and_how_long_they_think_follows_from_the_seed_and_not_from_the_answers():
    prompt, slow = driven_by_one_user(0.0, 100), driven_by_one_user(3.0, 100)
    assert [one[:3] for one in slow] == [one[:3] for one in prompt]
    assert [one[3] for one in slow] == pytest.approx([one[3] for one in prompt])


def test_users_differ_and_another_seed_gives_other_users():
    first, other = scenario(), scenario().model_copy(update={"seed": 8})
    taken = [
        list(islice(steps_of(one, user), 70)) for one, user in ((first, 0), (first, 0), (first, 1), (other, 0))
    ]
    assert taken[0] == taken[1]
    assert taken[0] != taken[2]
    assert taken[0] != taken[3]


@pytest.mark.parametrize(("kind", "spread"), [("exponential", 1.0), ("constant", 0.0)])
def test_think_times_have_the_mean_and_the_spread_of_their_kind(kind, spread):
    load = f"users: {{count: 20, think_s: 0.5, think_times: {kind}}}"
    thinks_s = np.array(
        [step.think_s for user in range(20) for step in islice(steps_of(scenario(load), user), 1, 500)]
    )
    assert thinks_s.mean() == pytest.approx(0.5, rel=0.05)  # five standard errors of 10,000
    assert thinks_s.std() / thinks_s.mean() == pytest.approx(spread, abs=0.05)


def test_answers_that_come_at_once_make_count_by_think_time_arrivals_with_the_mix_of_an_open_load():
    found = list(arrivals_at_most(scenario("users: {count: 20, think_s: 0.5, think_times: constant}")))
    assert len(found) == pytest.approx(20 / 0.5 * 60, abs=20)
    assert [one.seq for one in found] == list(range(len(found)))
    assert all(one.at_s <= following.at_s for one, following in pairwise(found))
    in_cells = expected_in_cells(scenario())
    assert in_cells == pytest.approx(expected_in_cells(scenario("rate_per_s: 40")))
    for (operation, fields), number in in_cells.items():
        counted = sum(one.operation == operation and one.tenant.custom_fields == fields for one in found)
        assert counted == pytest.approx(number, abs=5 * math.sqrt(number))


@pytest.mark.parametrize("workers", [1, 3])
def test_users_are_dealt_to_workers_who_keep_to_their_cases_in_the_same_mix_and_pace(workers):
    plan = scenario("users: {count: 20, think_s: 0.5, think_times: constant}")
    parts, found = Parts(plan, workers), []
    for worker in range(workers):
        work, mine = UsersAtWork(plan, worker, workers, parts.of(worker)), []
        while work.next_at_s < plan.duration_s:
            mine.append(work.begin())
            work.answered(mine[-1], mine[-1].at_s)
        tenants = [plan.tenants.index(one.tenant) for one in mine]
        cases = [one.case for one in mine]
        assert set(parts.workers_of(np.array(tenants), np.array(cases)).tolist()) == {worker}
        found += mine
    assert len({one.seq for one in found}) == len(found) == pytest.approx(20 / 0.5 * 60, abs=20)
    for (operation, fields), number in expected_in_cells(plan).items():
        counted = sum(one.operation == operation and one.tenant.custom_fields == fields for one in found)
        assert counted == pytest.approx(number, abs=5 * math.sqrt(number))


def test_no_second_holds_more_arrivals_than_its_ceiling():
    found = list(arrivals_at_most(scenario("rate_max_per_s: 15, users: {count: 20, think_s: 0.5}")))
    assert most_in_a_second(np.array([one.at_s for one in found])) == 15


@pytest.mark.parametrize(
    ("load", "said"),
    [
        (
            "rate_per_s: 5, users: {count: 1, think_s: 1}",
            "users begin when they were answered; leave rate_per_s out",
        ),
        (
            "steps: [{at_s: 0, times: 1}], users: {count: 1, think_s: 1}",
            "steps and users each say when arrivals come",
        ),
        ("in_flight_max: 9, users: {count: 10, think_s: 1}", "10 users may all wait at once; set in_flight_max"),
        ("users: {count: 500, think_s: 0.05}", "500 users who think 0.05 s may come to 10,000/s; expected 5,000"),
        ("users: {count: 500}", "load.users.think_s is missing"),
    ],
)
def test_a_closed_loop_that_cannot_be_is_refused_where_it_is_written(load, said):
    with pytest.raises(InputError) as found:
        scenario(load)
    assert str(found.value).startswith("closed.yaml:7:")
    assert said in str(found.value)


class Stalled(NamedTuple):
    """What became of two seconds against a server that stalls for one of them."""

    responses_s: np.ndarray
    waited: int  # requests that came during the stall, as the server counts them


def stalled(load: str) -> Stalled:
    plan = scenario(load).model_copy(update={"duration_s": 2.0})
    zero_s, found, in_the_stall = time.monotonic(), [], []

    def now() -> float:
        return time.monotonic() - zero_s

    def stalls(request: bytes, connection: object) -> bytes:
        if 0.7 < now() < 1.7:
            in_the_stall.append(request)
            time.sleep(max(1.7 - now(), 0))
        return OK

    with stub_server(stalls) as stub:
        client = Client(timeout_s=10, connections=200)

        def perform(arrival):
            client.send(Request("GET", f"{stub.url}/x"))
            found.append(now() - arrival.at_s)

        loop = ClosedLoop(UsersAtWork(plan), plan.duration_s, now) if plan.load.users else None
        driver = Driver(
            loop or arrivals(plan),
            loop.answering(perform) if loop else perform,
            now=now, in_flight_max=200, health=Health(),
        )  # fmt: skip
        driver.walk()
        assert driver.drain(10)
        client.close()
    assert len(found) == driver.fired
    return Stalled(np.array(found), len(in_the_stall))


def test_the_percentiles_of_a_closed_loop_hide_a_stall_that_those_of_an_open_load_show():
    """One second of stall in two: half of 40 arrivals/s fall into it, and a quarter wait for half of it or more.

    Four users, who come to as many while nothing stalls, each wait for it once.
    """
    opened, closed = stalled("rate_per_s: 40, arrivals: constant"), stalled("users: {count: 4, think_s: 0.1}")
    assert closed.waited <= 4 < 20 < opened.waited  # about 40, and fewer where this machine stood still as well
    assert len(closed.responses_s) < len(opened.responses_s) == 80
    third_quartiles = [np.quantile(one.responses_s, 0.75) for one in (closed, opened)]
    assert third_quartiles[0] < third_quartiles[1] / 2


def test_a_stop_is_heard_while_everybody_thinks():
    plan = scenario("users: {count: 3, think_s: 3000}")
    loop = ClosedLoop(UsersAtWork(plan), plan.duration_s, lambda: 0.0)
    waits = gevent.spawn(list, loop)
    gevent.sleep(0)
    loop.stop()
    assert waits.get(timeout=5) == []


@pytest.fixture(scope="module")
def closed_run(tmp_path_factory) -> Path:
    """A run with two workers."""
    room = tmp_path_factory.mktemp("closed")
    (room / "closed.yaml").write_text(
        TEXT.replace("duration_s: 60", "duration_s: 1").replace(", save_standard: 1", "").replace(": 10", ": 1")
    )
    known = Inventory.model_validate(
        {"tenants": {key: {"cases": ["1"], "fields": {"cf_001": "f"}} for key in scenario().tenant_keys}}
    )
    (room / "inventory.json").write_text(known.model_dump_json())
    (room / "desk.yaml").write_text(
        'name: desk\nbase_url: http://127.0.0.1:9\noperations: {read_case: {request: "GET /cases/{{ case }}"}}\n'
    )
    said: list[str] = []
    with stub_server(lambda request, connection: OK) as stub:
        chosen = ChosenTarget(str(room / "desk.yaml"), {"base_url": stub.url}, room / "inventory.json")
        session = Session(
            Settings(str(room / "closed.yaml"), chosen, run_dir=room / "run", workers=Workers(2)), say=said.append
        )
        session.prepare()
        session.start()
        assert session.finished.wait(PATIENCE_S)
    assert session.ending.exit_code == 0, said
    return room / "run"


def test_a_run_says_that_its_loop_was_closed_and_its_ledger_closes_over_both_workers(closed_run):
    info, samples = RunFolder(closed_run).read(), RunFolder(closed_run).read_samples()
    assert info.users == Users(count=20, think_s=0.5)
    assert len(samples) < 80
    assert (info.ledger.scheduled, info.ledger.unsent, info.ledger.closes) == (len(samples), 0, True)
    for worker in (0, 1):
        mine = samples.loc[samples["worker"] == worker, "seq"].tolist()
        assert sorted(mine) == list(range(worker, 2 * len(mine), 2))
        assert mine
    said = savepath("show", closed_run).stdout
    assert "closed loop, times not comparable: 20 users with 0.5 s to think" in said
    assert "Its times are no yardstick: the run drove a closed loop" in said


def test_times_of_a_closed_loop_give_no_verdict_and_what_to_drive_in_its_place_is_said():
    change = dict.fromkeys([("read_case", 0), ("save_custom", 500)], 3.0)
    before, after = sides(6, change, n=200, before={"users": 20}, after={"users": 20})
    agreed = Objective("read_case p95 <= 60 s", "quantile", 60.0, "s", operation="read_case", quantile=0.95)
    found = assess(before, after, Question(objectives=(agreed,)))
    assert (found.verdict, found.reasons[0], found.pairs_needed) == (Verdict.HOLD, Reason.INVALID_LOAD, None)
    assert [one.outcome for one in found.objectives] == [ObjectiveOutcome.NO_DATA]
    (failed,) = [one for one in found.checks if one.outcome is CheckOutcome.FAIL]
    assert failed.name == "times from due moment"
    assert "20 users waited for each answer" in failed.meaning
    assert "coordinated omission" in failed.meaning
    assert "drive the same mix with load.rate_per_s" in failed.meaning


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"effects": effects(script_once=99, script_missed=1)}, Reason.INTEGRITY),
        ({"samples": {"failed": 40}}, Reason.FAILURES),
    ],
)
def test_effects_and_failures_of_a_closed_loop_are_judged(facts, reason):
    before, after = sides(6, n=200, before={"users": 20}, after={"users": 20, **facts})
    found = assess(before, after, Question())
    assert (found.verdict, found.reasons) == (Verdict.ESCALATE, (reason,))


def test_a_watch_takes_no_times_of_a_closed_loop(tmp_path):
    run = driven(tmp_path / "run", users=Users(count=20, think_s=0.5))
    assert "the run drove a closed loop" in blocks_of(run, 12.0)[0].fault


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("run", "--workers", "11"), "11 workers are too many for scenario closed: it has 10 cases in all"),
        (("run", "--workers", "2", "--lost-worker", "take-over"), "has no heir"),
        (("run", "--versus", "casedesk"), "drive the targets by turns (--alternate)"),
        (("plan", "--detect", "10%"), "no number of pairs gives a verdict on speed"),
        (("watch", "--state", "s", "--baseline", "b"), "whose times no watch can judge"),
    ],
)
def test_what_cannot_be_done_with_users_is_refused_with_what_to_do(tmp_path, words, said):
    (tmp_path / "closed.yaml").write_text(TEXT)
    command, *flags = words
    where = ("--out", tmp_path / "run") if command == "run" else ()
    done = savepath(command, tmp_path / "closed.yaml", "--target", "casedesk", *flags, *where, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert not (tmp_path / "run").exists() or not (tmp_path / "run" / "run.json").exists()


def test_a_plan_says_how_much_it_may_come_to(tmp_path):
    (tmp_path / "closed.yaml").write_text(TEXT)
    said = " ".join(savepath("plan", tmp_path / "closed.yaml", "--target", "casedesk").stdout.split())
    assert "20 users with 0.5 s to think between answer and request (on average)" in said
    assert "at most about 2,400 arrivals" in said
    assert "closed loop, times not comparable" in said
