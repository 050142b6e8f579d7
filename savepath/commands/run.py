"""``savepath run``: drive a target with a scenario and record what happened."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savepath.options import (
    OUT_FOLDER,
    KeyValue,
    Listen,
    Shipped,
    allow_python_option,
    json_flag,
    label_option,
    production_option,
    quiet_option,
    scenario_argument,
    settings_option,
    target_option,
)

if TYPE_CHECKING:
    from savepath.listening import Address


@click.command()
@scenario_argument
@target_option
@settings_option
@label_option
@allow_python_option
@production_option
@click.option("--versus", metavar="TARGET", type=Shipped("targets"), help="A second target, driven at once.")
@click.option("--versus-set", type=KeyValue(), multiple=True, help="A variable of the target of --versus.")
@click.option("--alternate", metavar="TARGET", type=Shipped("targets"), help="A second target, driven by turns.")
@click.option("--alternate-set", type=KeyValue(), multiple=True, help="A variable of the target of --alternate.")
@click.option("--out", type=OUT_FOLDER, required=True, help="The run folder to make; must not hold anything yet.")
@click.option(
    "--pairs",
    type=click.IntRange(1, 1000),
    help="Runs to make, as OUT/run-01, OUT/run-02, ...: one by default, or with --versus and --alternate as "
    "many as the scenario says.",
)
@click.option(
    "--client",
    type=click.Choice(["measured", "fast", "requests"]),
    default="measured",
    show_default=True,
    help="What sends the requests: savepath's own client, or that of Locust's FastHttpUser or HttpUser.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that drive the plan together; what is offered is the same for any number.",
)
@click.option(
    "--lost-worker",
    type=click.Choice(["void", "take-over"]),
    default="void",
    show_default=True,
    help="A run that loses one of its workers is void, or the others take over what that one leaves.",
)
@click.option(
    "--listen",
    type=Listen(),
    help="Let the workers come here from other machines, by savepath worker --master.",
)
@click.option(
    "--token-env",
    metavar="NAME",
    default="",
    help="The variable with the token that they must know; a must away from loopback.",
)
@click.option(
    "--metrics-port",
    type=click.IntRange(1, 65_535),
    help="Metrics for Prometheus while a run lasts, at 127.0.0.1:PORT/metrics.",
)
@click.option("--purpose", default="", help="One sentence on why this run is made; kept in run.json.")
@json_flag
@quiet_option
def command(
    scenario: str,
    target: str,
    settings: Sequence[tuple[str, str]],
    labels: Sequence[tuple[str, str]],
    allow_python: bool,
    production: bool,
    versus: str | None,
    versus_set: Sequence[tuple[str, str]],
    alternate: str | None,
    alternate_set: Sequence[tuple[str, str]],
    out: Path,
    pairs: int | None,
    client: str,
    workers: int,
    lost_worker: str,
    listen: Address | None,
    token_env: str,
    metrics_port: int | None,
    purpose: str,
    as_json: bool,
    quiet: bool,
) -> int:
    """Drive TARGET as SCENARIO says, check the effects, and keep everything in run folders.

    Secrets of a second target are looked for as VERSUS_NAME before NAME.

    \b
    Examples:
      savepath run smoke --target casedesk --out runs/first
      savepath run field-sweep --target my.yaml --pairs 8 --out runs/before
      savepath run field-sweep --target my.yaml --versus my.yaml \\
          --versus-set base_url=https://new.example.test --out runs/old-and-new
    """
    if versus and alternate:
        raise click.UsageError("--versus drives two targets at once and --alternate in turn; choose one.")
    for flag, other, words in (("--versus", versus, versus_set), ("--alternate", alternate, alternate_set)):
        if words and not other:
            raise click.UsageError(f"{flag}-set is of no use without {flag} TARGET.")

    from loadgen.chosen import ChosenTarget, Workers
    from savepath.cleaned import exit_code, tell_cleaned, tell_left
    from savepath.cleaning import Choice, clean, removes_after
    from savepath.driving import AFTER, BEFORE, Command, drive_runs, in_turns, runs_of
    from savepath.launch import How
    from savepath.progress import NOBODY, Progress
    from savepath.screen import note, say, suggest
    from scenarios.library import load_scenario

    targets = {BEFORE: ChosenTarget(target, dict(settings))}
    if versus or alternate:
        targets[AFTER] = ChosenTarget(versus or alternate or "", dict(versus_set or alternate_set))
    number = pairs or (load_scenario(scenario).pairs if AFTER in targets else 1)
    turns = list(in_turns(out, number)) if alternate else runs_of(tuple(targets), out, number)
    progress = Progress(NOBODY if quiet else sys.stderr)
    crew = Workers(workers, f"{listen.host}:{listen.port}" if listen else "", token_env, lost_worker)
    if listen:
        from savepath.listening import refuse_unguarded
        from savepath.secret import needed

        refuse_unguarded(listen, token_env)
        if token_env:
            needed("--token-env", token_env)
        secret = f" --token-env {token_env}" if token_env else ""
        suggest(f"savepath worker --master {crew.listen}{secret}", quiet=quiet or as_json)
    how = How(
        purpose=purpose,
        allow_python=allow_python,
        client=client,
        production=production,
        workers=crew,
        metrics_port=metrics_port,
    )
    drive_runs(Command(scenario, targets, dict(labels), how), turns, out, progress)
    if as_json:
        from savepath.showing import runs_as_json

        say(runs_as_json([turn.folder for turn in turns]))
    else:
        say(f"recorded: {out}")
    if not quiet:
        for turn in turns:
            _note_what_happened(turn.folder)
    code = 0
    if any(removes_after(chosen.load(allow_python=allow_python)) for chosen in targets.values()):
        choice = Choice(allow_python=allow_python, production=production, unasked=True)
        cleaned = clean([out], choice, progress.say)
        note(tell_cleaned(cleaned).rstrip("\n"))
        code = exit_code(cleaned)
    left = tell_left(out)
    if left and not quiet:
        note(f"on the target: {left};\n      savepath clean {out} removes that")
    if alternate:
        sides = f"--before {out / BEFORE} --after {out / AFTER}"
    elif versus:
        sides = f"--both {out}"
    else:
        sides = f"--before {out} --after OTHER_RUNS"
    suggest(
        f"savepath show {turns[0].folder}",
        f"savepath compare {sides} --html report.html",
        quiet=quiet or as_json,
    )
    return code


def _note_what_happened(folder: Path) -> None:
    """Outages of a run, and workers that it lost."""
    from loadgen.run_folder import RunFolder
    from reports import units
    from savepath.screen import note

    info = RunFolder(folder).read()
    if info.outages:
        told = units.counted(info.outages, "outage")
        note(f"{told} in {folder};\n      savepath show {folder} tells when and for whom")
    for lost in info.taken_over:
        with_it = units.counted(lost.lost, "arrival")
        note(f"worker {lost.worker} was lost in {folder}, and {with_it} with it;")
        note("      the others took over what it left, and its times are in no comparison")
