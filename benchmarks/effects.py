"""Whether what savepath says of effects is true: faults planted in casedesk all at once, and none at all.

With faults, each row of the effects table must be the one that the desk's own logs ask for, by save id and
script, not only in number. Without faults nothing may be found, on casedesk, Roundup and PocketBase, with
eight clients at all times on a few cases, where most saves of a case overlap with others. The load
generator is one process; its eight clients are its eight requests in flight, each begun as one ends.

    python -m benchmarks effects
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from casedesk.process import running_desk
from loadgen.run_folder import RunFolder
from loadgen.run_info import RunInfo
from scenarios.library import load_scenario
from targets.mail_sink import running_sink
from tests import pocketbase_server, roundup_server
from tests.planted_truth import SAVES, Rows, broken, expected_rows, found_rows, read_desk

RUNS = 10
EXTRA_MAX = 0.15

#: About 3,000 saves and 1,000 mails.
PLANTED = """\
name: planted
about: Every kind of fault at once, eight clients on 24 cases.
cohorts:
  few:  {custom_fields: 10, tenants: 2, cases: 6}
  some: {custom_fields: 40, tenants: 2, cases: 6}
mix: {save_custom: 400, save_standard: 200, send_email: 140, send_batch: 3}
load: {rate_per_s: 400, arrivals: constant, in_flight_max: 8}
warmup_s: 0
duration_s: 9.3
batch_size: 20
verification: {read_back_share: 1, script_deadline_s: 5, mail_deadline_s: 5, settle_s: 3, rate_per_s: 50}
"""
FAULTS = {
    "script_lost": 0.01,
    "script_doubled": 0.01,
    "script_late": 0.01,
    "script_late_s": 5.5,
    "value_dropped": 0.0025,
    "value_truncated": 0.0025,
    "foreign_write": 0.001,
    "committed_but_500": 0.005,
    "mail_lost": 0.01,
    "mail_doubled": 0.005,
}

#: No fault: eight clients on four cases.
QUIET = """\
name: quiet
about: No fault at all, eight clients on four cases.
cohorts: {{few: {{custom_fields: 10, tenants: 2, cases: 2, scripts_on_save: 2}}}}
mix: {mix}
load: {{rate_per_s: 100, arrivals: constant, in_flight_max: 8}}
warmup_s: 0
duration_s: 3
verification: {{read_back_share: 1, script_deadline_s: 30, mail_deadline_s: 30, settle_s: 1, rate_per_s: 50}}
"""
SAVES_AND_MAILS = "{save_custom: 2, save_standard: 1, send_email: 1}"

#: What stands in the effects of a run on a system without faults. What a later save has covered is no finding.
GOOD = {"once", "identical", "superseded"}

#: Serves a scenario file from a folder of its own: settings of the target, and what must stand in the environment.
Serving = Callable[[Path, Path], AbstractContextManager[tuple[Mapping[str, str], Mapping[str, str]]]]


@dataclass(frozen=True, slots=True)
class Drive:
    """One finished run."""

    folder: RunFolder
    info: RunInfo
    saves: int

    @property
    def extra(self) -> float:
        """Requests of the verification for each save, mails and sweep included, polls of users left out."""
        return (self.info.verification.requests - self.info.verification.polls) / self.saves


def measure(runs: int = RUNS) -> list[dict[str, object]]:
    """Rows {figure, value, low, high, goal, reached}."""
    rows = _planted(runs)
    for name, serving, mix in (
        ("casedesk", _casedesk, SAVES_AND_MAILS),
        ("roundup", _roundup, SAVES_AND_MAILS),
        ("pocketbase", _pocketbase, "{save_custom: 2, save_standard: 1}"),
    ):
        rows += _quiet(name, serving, QUIET.format(mix=mix), runs)
    rows.append(_field_sweep())
    return rows


def _planted(runs: int) -> list[dict[str, object]]:
    equal, extra = 0, []
    truth: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    for number in range(runs):
        with _room(PLANTED) as (file, folder), running_desk(seed=number + 1) as desk:
            desk.set_faults(**FAULTS)
            drive = _drive(file, "casedesk", {"base_url": desk.url}, folder, {})
            scenario, samples = load_scenario(str(file)), drive.folder.read_samples().to_dict("records")
            log = read_desk(desk.url, scenario, drive.info.key, samples)
            seen = found_rows(drive.folder.read_effects().to_dict("records"))
        expected = expected_rows(scenario, drive.info.key, samples, log)
        equal += seen == expected
        extra.append(drive.extra)
        truth, found = truth + broken(expected), found + broken(seen)
        _say(f"planted {number + 1}: {_words(samples)}; {_difference(expected, seen)}; {drive.extra:.3f} extra")
    figure = "faults planted: runs whose effects equal the desk's logs"
    low, high = min(extra), max(extra)
    rows = [
        _row(figure, equal, f"{runs} of {runs}", equal == runs),
        _row("extra requests per save, the highest run", high, f"<= {EXTRA_MAX}", high <= EXTRA_MAX, low, high),
    ]
    for kind, outcome in sorted(truth | found):
        planted, seen_of_it = truth[kind, outcome], found[kind, outcome]
        goal = f"{planted} in the desk's logs"
        rows.append(_row(f"{kind} {outcome}, in {runs} runs", seen_of_it, goal, seen_of_it == planted))
    return rows


def _quiet(name: str, serving: Serving, scenario: str, runs: int) -> list[dict[str, object]]:
    effects, covered, silent = 0, 0, 0
    with _room(scenario) as (file, folder), serving(file, folder / "home") as (settings, environ):
        for number in range(runs):
            drive = _drive(file, name, settings, folder / f"run-{number}", environ)
            seen = found_rows(drive.folder.read_effects().to_dict("records"))
            bad = Counter({what: n for what, n in broken(seen).items() if what[1] not in GOOD})
            effects, silent = effects + seen.total(), silent + (not bad)
            covered += broken(seen)["value", "superseded"]
            samples = drive.folder.read_samples().to_dict("records")
            _say(f"{name} {number + 1}: {_words(samples)}; {dict(broken(seen))} not good; {drive.extra:.3f} extra")
    _say(f"{name}: {effects} effects, of them {covered} values that another save had covered")
    return [_row(f"{name}, no fault: runs in which nothing is found", silent, f"{runs} of {runs}", silent == runs)]


def _field_sweep() -> dict[str, object]:
    with _room("") as (_, folder), running_desk() as desk:
        extra = _drive("field-sweep", "casedesk", {"base_url": desk.url}, folder, {}).extra
    return _row("extra requests per save, field-sweep", extra, f"<= {EXTRA_MAX}", extra <= EXTRA_MAX)


@contextmanager
def _casedesk(file: Path, home: Path) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    with running_desk() as desk:
        yield {"base_url": desk.url}, {}


@contextmanager
def _roundup(file: Path, home: Path) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    with running_sink() as (port, sink), roundup_server.running_roundup(file, home, smtp_port=port) as url:
        yield {"base_url": url, "mail_sink": sink}, roundup_server.ENVIRON


@contextmanager
def _pocketbase(file: Path, home: Path) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    with pocketbase_server.running_pocketbase(file, home) as url:
        yield {"base_url": url}, pocketbase_server.ENVIRON


@contextmanager
def _room(scenario: str) -> Iterator[tuple[Path, Path]]:
    """A scenario file and a folder for the run, gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="effects-") as room:
        file = Path(room) / "scenario.yaml"
        file.write_text(scenario)
        yield file, Path(room) / "run"


def _drive(
    scenario: Path | str, target: str, settings: Mapping[str, str], folder: Path, environ: Mapping[str, str]
) -> Drive:
    """``savepath run``, as anybody would."""
    words = [sys.executable, "-m", "savepath", "run", str(scenario), "--target", target, "--out", str(folder)]
    words += [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    done = subprocess.run(words, env={**os.environ, **environ}, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[2:])} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    run = RunFolder(folder)
    return Drive(run, run.read(), int(run.read_samples()["operation"].isin(SAVES).sum()))


def _words(samples: Sequence[Mapping[str, object]]) -> str:
    operations, outcomes = (Counter(str(one[column]) for one in samples) for column in ("operation", "outcome"))
    saves = sum(operations[operation] for operation in SAVES)
    return f"{saves} saves of {len(samples)} arrivals, {dict(outcomes)}"


def _difference(expected: Rows, seen: Rows) -> str:
    if seen == expected:
        return f"equal, {broken(expected).total()} of {expected.total()} effects not good"
    return f"missing {list((expected - seen).items())[:5]}, too many {list((seen - expected).items())[:5]}"


def _row(
    figure: str, value: float, goal: str, reached: bool, low: float | None = None, high: float | None = None
) -> dict[str, object]:
    return {"figure": figure, "value": value, "low": low, "high": high, "goal": goal, "reached": reached}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(measure(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)))
