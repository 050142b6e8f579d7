"""Killed with SIGKILL at random moments: compare, watch, clean and run, and what the next command makes of it.

``python -m benchmarks chaos [--kills N] [--commands NAME ...] [--seconds S] [--write]``

A moment is drawn evenly from the time that the command takes undisturbed. Afterwards nothing half-written may be
there under its name, the same command again must come to what it comes to undisturbed, without counting anything
twice, and whoever speaks must do so without a traceback. A hundred kills of each; what was found is kept after
every kill in ``benchmarks/out/chaos``, and a bench that was ended, or had only so many seconds, goes on there.
``--write`` puts the table into docs/security.md.

All but the run are forked from this process, which has loaded what they need: the kill then meets the work and not
the loading. A run is killed as a machine kills: the command, the load generator that it started, or both.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import matplotlib.figure  # noqa: F401  # loaded here, so that no child has to

from benchmarks.records import put_table, read_record, record_of, write_record
from benchmarks.watch_survival import decisions
from benchmarks.watched_runs import BLOCK_S, write_run
from casedesk.process import running_desk
from loadgen.chosen import ChosenTarget
from loadgen.run_folder import RunFolder
from reports import html  # noqa: F401
from savepath import comparing, showing  # noqa: F401
from savepath.cleaned import exit_code
from savepath.cleaning import Choice, clean
from savepath.cli import cli
from savepath.watching import beginning  # noqa: F401
from scenarios.errors import SavepathError
from scenarios.library import parse_scenario
from targets.provisioning import provision
from tests.run_examples import driven

KILLS = 100
SEED = 8
TERMS = ("--for", "0.01s", "--every", "20s", "--settle", "100s", "--day", "200s")
#: The embedded desk, cleaned in many small requests instead of one.
MAPPING = (Path(__file__).parent.parent / "targets" / "casedesk.yaml").read_text()
PIECEMEAL = MAPPING.replace("clean_up:\n", "clean_up:\n  cases_first: true\n")
SCENARIO = """\
name: {name}
cohorts: {{some: {{custom_fields: 3, cases: {cases}, scripts_on_save: 1}}}}
mix: {{save_standard: 2, save_custom: 2, send_email: 1}}
load: {{rate_per_s: 40, timeout_s: 2}}
warmup_s: 0
duration_s: 1
verification: {{settle_s: 0.1, script_deadline_s: 1, mail_deadline_s: 1}}
"""
PATIENCE_S = 60.0


@dataclass
class Tally:
    """What was found after the kills of one command."""

    kills: int = 0
    in_time: int = 0  # kills that met the command at work
    wrong: dict[str, int] = field(default_factory=dict)

    def note(self, what: str, wrong: bool) -> None:
        """Count something that must not be."""
        self.wrong[what] = self.wrong.get(what, 0) + wrong


def measure(options: Sequence[str] = ()) -> list[dict[str, object]]:
    """A row for the kills of each command that met it at work, and one for each thing that must not be."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=KILLS, help="of each command")
    parser.add_argument("--commands", nargs="+", default=[*TORMENTS], choices=[*TORMENTS], help="only these")
    parser.add_argument("--seconds", type=float, default=math.inf, help="of this sitting")
    parser.add_argument("--write", action="store_true", help="into docs/security.md")
    asked = parser.parse_args(options)
    ends_s = time.monotonic() + asked.seconds
    for command in asked.commands:
        _go_on(command, asked.kills, ends_s)
    found = {command: read_record(record_of("chaos", command), Tally()) for command in TORMENTS}
    if asked.write:
        put_table("make bench-chaos", markdown(found))
    return [row for command, tally in found.items() for row in _rows(command, tally)]


def _go_on(command: str, kills: int, ends_s: float) -> None:
    """Kill the command until its record has so many kills, or the time is up."""
    record = record_of("chaos", command)
    tally = read_record(record, Tally())
    if tally.kills >= kills or time.monotonic() > ends_s:
        return
    rng = random.Random(f"{SEED} {command} {tally.kills}")
    with (
        tempfile.TemporaryDirectory(prefix="savepath-chaos-") as room,
        contextlib.closing(TORMENTS[command](Path(room), rng, tally)) as torment,
    ):
        for _ in torment:
            write_record(record, tally)
            if tally.kills >= kills or time.monotonic() > ends_s:
                break
    print(f"{command}: {tally.kills} kills, {tally.in_time} at work, {tally.wrong}", file=sys.stderr)


def markdown(found: Mapping[str, Tally]) -> str:
    """The table, a line for each command that was killed."""
    lines = [
        f"| `{command}` | {one.kills} | {one.in_time} | {sum(one.wrong.values())} | {', '.join(one.wrong)} |"
        for command, one in found.items()
        if one.kills
    ]
    head = "| killed | kills | at work | found wrong | what was looked for |"
    return "\n".join([head, "|---|---:|---:|---:|---|", *lines])


def _rows(command: str, tally: Tally) -> list[dict[str, object]]:
    first = f"{command}: kills that met it at work, of {tally.kills}"
    rows: list[dict[str, object]] = [_row(first, tally.in_time, "", None)]
    return rows + [_row(f"  {what}", number, "0", number == 0) for what, number in tally.wrong.items()]


def _row(figure: str, value: int, goal: str, reached: bool | None) -> dict[str, object]:
    return {"figure": figure, "value": value, "low": value, "high": value, "goal": goal, "reached": reached}


# -- compare -------------------------------------------------------------------------------------------


def torment_compare(room: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """Every output that is there is whole, and the same command again comes to the same results."""
    for side in ("before", "after"):
        for number in range(3):
            driven(room / side / f"run-{number}")
    words = ["compare", "--before", str(room / "before"), "--after", str(room / "after")]
    names = {"--json": "results.json", "--html": "report.html", "--md": "summary.md", "--junit": "junit.xml"}

    def command(out: Path) -> list[str]:
        return [*words, *(word for flag, name in names.items() for word in (flag, str(out / name)))]

    whole = room / "whole"
    seconds = _undisturbed(command(whole), room)
    expected = _results(whole / "results.json")
    for number in itertools.count():
        out = room / f"out-{number}"
        _, said = _killed(command(out), room, rng.uniform(0, seconds), tally)
        there = [path for path in out.glob("*") if not path.name.startswith(".")] if out.is_dir() else []
        tally.note("files half-written", any(not _is_whole(path) for path in there))
        again, words_again = _forked(command(out), room)
        tally.note("other results the second time", _results(out / "results.json") != expected)
        tally.note("tracebacks", "Traceback" in said + words_again)
        tally.note("other exit codes the second time", again not in (0, 10, 20))
        shutil.rmtree(out, ignore_errors=True)
        yield


def _results(path: Path) -> object:
    """What a results.json says of the runs, not of its own making; nothing where there is none."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return {key: value for key, value in found.items() if key != "report"}


def _is_whole(path: Path) -> bool:
    text = path.read_text()
    match path.suffix:
        case ".json":
            return _results(path) is not None
        case ".xml":
            with contextlib.suppress(ElementTree.ParseError):
                return ElementTree.fromstring(text) is not None  # our own
            return False
        case ".html":
            return text.rstrip().endswith("</html>")
    return text.endswith("\n")


# -- watch ---------------------------------------------------------------------------------------------


def torment_watch(room: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """Every block is decided once, in the end as by a watch that nobody killed; runs have two blocks."""
    for number in range(12):
        write_run(room / "before", number)
    for number in range(6, 10):
        write_run(room / "after", number, lasts_s=2 * BLOCK_S)

    def command(state: Path) -> list[str]:
        sides = ("--follow", str(room / "after"), "--baseline", str(room / "before"))
        return ["watch", *sides, "--state", str(state), *TERMS]

    seconds = _undisturbed(command(room / "whole"), room)
    expected = decisions(room / "whole")
    for number in itertools.count():
        state = room / f"state-{number}"
        _, said = _killed(command(state), room, rng.uniform(0, seconds), tally)
        _, said_again = _forked(command(state), room)
        found = decisions(state)
        blocks = [line["block"]["start_s"] for line in found]
        tally.note("blocks decided twice", len(blocks) != len(set(blocks)))
        tally.note("other decisions in the end", found != expected)
        tally.note("tracebacks", "Traceback" in said + said_again)
        shutil.rmtree(state, ignore_errors=True)
        yield


# -- clean ---------------------------------------------------------------------------------------------


def torment_clean(room: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """In the end nothing is left of what was made, and all of what somebody else has."""
    mapping = room / "desk.yaml"
    mapping.write_text(PIECEMEAL)
    with running_desk() as desk:
        chosen = ChosenTarget(str(mapping), {"base_url": desk.url})
        target = chosen.load(allow_python=False)
        theirs = parse_scenario(SCENARIO.format(name="theirs", cases=3), "s")
        provision(target, theirs, {}, lambda *_: None)

        def made(name: str) -> Path:
            out = room / name
            scenario = parse_scenario(SCENARIO.format(name=name, cases=40), "s")
            footprint = chosen.footprint(out, "prepared", target, scenario, "")
            provision(target, scenario, {}, lambda *_: None, footprint)
            footprint.close()
            return out

        seconds = _undisturbed(["clean", str(made("whole"))], room)
        for number in itertools.count():
            out = made(f"made{number}")
            _, said = _killed(["clean", str(out)], room, rng.uniform(0, seconds), tally)
            code, said_again = _forked(["clean", str(out)], room)
            tally.note("not clean the second time", code != 0)
            tally.note("objects left, or theirs gone", _tenants(desk.url) != {"theirs-some-01": 3})
            tally.note("tracebacks", "Traceback" in said + said_again)
            yield


def _tenants(url: str) -> dict[str, int]:
    found = httpx.get(f"{url}/tenants", timeout=30, trust_env=False).json()["tenants"]
    return {one["key"]: one["cases"] for one in found}


# -- run -----------------------------------------------------------------------------------------------


def torment_run(room: Path, rng: random.Random, tally: Tally) -> Iterator[None]:
    """A folder with a run.json is a whole run, any other is none; and after a clean-up nothing is left."""
    with running_desk() as desk:

        def command(name: str) -> list[str]:
            scenario = room / f"{name}.yaml"
            scenario.write_text(SCENARIO.format(name=name, cases=20))
            words = ["run", str(scenario), "--target", "casedesk", "--set", f"base_url={desk.url}"]
            return [sys.executable, "-m", "savepath", *words, "--out", str(room / name), "--quiet"]

        begun = time.monotonic()
        subprocess.run(command("whole"), check=True, capture_output=True)
        seconds = time.monotonic() - begun
        clean([room / "whole"], Choice(), lambda _: None)
        for number in itertools.count():
            out = room / f"made{number}"
            said = _killed_run(command(out.name), rng, seconds, tally)
            tally.note("half a run taken for a whole one", not _is_run_or_none(out))
            _, shown = _forked(["show", str(out)], room)
            left = _clean_up(out) if (out / "footprint").is_dir() else 0
            tally.note("not clean afterwards", left != 0)
            tally.note("objects left", _tenants(desk.url) != {})
            tally.note("tracebacks", "Traceback" in said + shown)
            yield


def _clean_up(out: Path) -> int:
    return exit_code(clean([out], Choice(), lambda _: None, settle_s=2))


def _killed_run(command: Sequence[str], rng: random.Random, seconds: float, tally: Tally) -> str:
    """What it said before it was killed, and what is left of it has ended."""
    whom = rng.choice(("command", "generator", "both"))
    with tempfile.TemporaryFile("w+") as said:
        child = subprocess.Popen(command, stdout=said, stderr=said)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(rng.uniform(0, seconds))
        generators = _children(child.pid)
        at_work = child.poll() is None
        victims = [child.pid] * (whom != "generator") + generators * (whom != "command")
        for pid in victims or [child.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        tally.kills += 1
        tally.in_time += at_work
        child.wait()
        deadline = time.monotonic() + PATIENCE_S
        while any(Path(f"/proc/{pid}/exe").exists() for pid in generators) and time.monotonic() < deadline:
            time.sleep(0.05)
        said.seek(0)
        return said.read()


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _is_run_or_none(out: Path) -> bool:
    """Whether the folder is a run in which every arrival is accounted for once, or says that it is none."""
    folder = RunFolder(out)
    if not (out / "run.json").exists():
        with contextlib.suppress(SavepathError):
            folder.read()
            return False
        return True
    try:
        info, samples = folder.read(), folder.read_samples()
    except SavepathError:
        return False
    counted = info.ledger.recorded + info.ledger.aborted
    return info.ledger.closes and samples["seq"].is_unique and len(samples) == counted


TORMENTS = {"compare": torment_compare, "watch": torment_watch, "clean": torment_clean, "run": torment_run}


# -- killing -------------------------------------------------------------------------------------------


def _undisturbed(words: Sequence[str], room: Path) -> float:
    """Seconds that a command takes."""
    begun = time.monotonic()
    code, said = _forked(words, room)
    if code not in (0, 10, 20):
        raise RuntimeError(f"{words[0]} ended with {code}: {said}")
    return time.monotonic() - begun


def _killed(words: Sequence[str], room: Path, after_s: float, tally: Tally) -> tuple[int, str]:
    """Exit code (-9 where the kill met it at work) and what it said until then."""
    tally.kills += 1
    with _begun(words, room) as (pid, said):
        time.sleep(after_s)
        os.kill(pid, signal.SIGKILL)  # ours until it is waited for, ended or not
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    tally.in_time += code == -signal.SIGKILL
    return code, said.read_text()


def _forked(words: Sequence[str], room: Path) -> tuple[int, str]:
    """Exit code of a command that nobody disturbs, and what it said."""
    with _begun(words, room) as (pid, said):
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return code, said.read_text()


@contextlib.contextmanager
def _begun(words: Sequence[str], room: Path) -> Iterator[tuple[int, Path]]:
    """The command line at work in a copy of this process."""
    said = room / "said.txt"
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
            code = cli.main(list(words), prog_name="savepath", standalone_mode=False) or 0
        except SavepathError as error:
            sys.stderr.write(f"{error}\n")
            code = error.exit_code
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(int(code))
    yield pid, said
