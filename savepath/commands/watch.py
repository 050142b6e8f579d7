"""``savepath watch``: a stabilization window, block by block, for days."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savepath.exits import Exit
from savepath.options import (
    KeyValue,
    Listen,
    ManyPaths,
    OneOf,
    Shipped,
    allow_python_option,
    label_option,
    production_option,
    quiet_option,
)

if TYPE_CHECKING:
    from savepath.listening import Address

FOLDER = click.Path(file_okay=False, path_type=Path)


class Span(click.ParamType[float]):
    """A length of time on the command line: 90s, 5m, 72h, 3d."""

    name = "SPAN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds, or a usage error."""
        if isinstance(value, float):
            return value
        text = str(value)
        unit = {"s": 1, "m": 60, "h": 3600, "d": 86_400}.get(text[-1:])
        try:
            seconds = float(text[:-1]) * (unit or 0)
        except ValueError:
            seconds = 0.0
        if not 0 < seconds < 1e9:
            self.fail(f"{text!r} is no length of time; write 90s, 5m, 72h or 3d", param, ctx)
        return seconds


@click.command(cls=ManyPaths)
@click.argument("scenario", metavar="[SCENARIO]", required=False, type=Shipped("scenarios"))
@click.option("--target", metavar="TARGET", type=Shipped("targets"), help="The target to drive; with SCENARIO.")
@click.option("--set", "settings", type=KeyValue(), multiple=True, help="A variable of the target.")
@click.option(
    "--versus",
    metavar="TARGET",
    type=Shipped("targets"),
    help="The old environment, where it still answers: driven at once, and the target is held against it.",
)
@click.option("--versus-set", type=KeyValue(), multiple=True, help="A variable of the target of --versus.")
@label_option
@allow_python_option
@production_option
@click.option("--follow", type=FOLDER, metavar="DIR", help="Drive nothing; watch the runs that come into DIR.")
@click.option("--baseline", type=FOLDER, multiple=True, metavar="RUN...", help="Runs before the change.")
@click.option("--state", type=FOLDER, required=True, metavar="DIR", help="Where the watch keeps all it knows.")
@click.option("--for", "lasts_s", type=Span(), default="72h", show_default=True, help="The length of the window.")
@click.option("--until", type=OneOf(["clear"]), help="End at the first CLEAR.")
@click.option("--every", "block_s", type=Span(), default="5m", show_default=True, help="The length of a block.")
@click.option("--settle", "settle_s", type=Span(), default="24h", show_default=True, help="No CLEAR before.")
@click.option("--day", "day_s", type=Span(), default="24h", hidden=True, help="The target's daily cycle.")
@click.option(
    "--require",
    multiple=True,
    metavar="EVENT",
    help="What must be seen before CLEAR: failover, say; hours in UTC, 09:00-11:00; or peak, the busiest hour.",
)
@click.option(
    "--listen",
    type=Listen(),
    metavar="HOST:PORT",
    help="Serve a status page, /status.json, /metrics and /healthz, e.g. at 127.0.0.1:8711.",
)
@click.option(
    "--token-env",
    metavar="NAME",
    default="",
    help="The variable with the token that askers need; a must away from loopback.",
)
@click.option(
    "--webhook-env",
    metavar="NAME",
    default="",
    help="The variable with the URL to which each change of the verdict is posted.",
)
@click.option(
    "--webhook-format",
    type=OneOf(["plain", "teams"]),
    default="plain",
    metavar="FORM",
    help="Its body: plain for Slack, Mattermost and programs (the default), teams for a workflow of Teams.",
)
@click.option("--note", metavar="TEXT", help="Write an unrelated change into the journal, and end.")
@click.option("--seen", metavar="EVENT", help="Say that a required event happened, and end.")
@click.option("--ack", is_flag=True, help="Acknowledge the alarms so far, and end.")
@quiet_option
def command(
    scenario: str | None,
    target: str | None,
    settings: Sequence[tuple[str, str]],
    versus: str | None,
    versus_set: Sequence[tuple[str, str]],
    labels: Sequence[tuple[str, str]],
    allow_python: bool,
    production: bool,
    follow: Path | None,
    baseline: Sequence[Path],
    state: Path,
    lasts_s: float,
    until: str | None,
    block_s: float,
    settle_s: float,
    day_s: float,
    require: Sequence[str],
    listen: Address | None,
    token_env: str,
    webhook_env: str,
    webhook_format: str,
    note: str | None,
    seen: str | None,
    ack: bool,
    quiet: bool,
) -> int:
    """Watch a target after a change, and say after each block whether the window may close.

    With SCENARIO and --target the watch drives the load itself, one run a block; with --follow it reads the
    runs that others write. Started again on the same --state it goes on where it was. With --versus each
    target gets half of the arrivals, as in savepath run --versus; secrets of the old one are looked for as
    VERSUS_NAME before NAME, and what it does never raises an alarm.

    \b
    Examples:
      savepath watch smoke --target my.yaml --baseline runs/before --state watch
      savepath watch --follow runs/after --baseline runs/before --state watch
      savepath watch smoke --target my.yaml --baseline runs/before --state watch \\
          --listen 127.0.0.1:8711 --webhook-env CHAT_WEBHOOK
      savepath watch smoke --target new.yaml --versus old.yaml \\
          --baseline runs/both --state watch
      savepath watch --state watch/24.4 --note "deployed billing 7.1"
      savepath watch --state watch/24.4 --ack
    """
    from loadgen.chosen import ChosenTarget
    from savepath.screen import suggest
    from savepath.watching.beginning import Wanted, watch
    from savepath.watching.beside import Beside
    from savepath.watching.remarks import remark

    said = {"note": note, "event": seen, "ack": "" if ack else None}
    remarks = {kind: text for kind, text in said.items() if text is not None}
    if remarks:
        for kind, text in remarks.items():
            remark(state, kind, text)
        suggest(f"savepath gate --state {state}", quiet=quiet)
        return 0
    if (follow is None) == (scenario is None) or (scenario is None) != (target is None):
        raise click.UsageError("Give SCENARIO and --target to drive, or --follow DIR to watch what others drive.")
    if versus and follow is not None:
        raise click.UsageError(
            "--versus drives a second target; with --follow give runs that drove both (savepath run --versus)."
        )
    if versus_set and not versus:
        raise click.UsageError("--versus-set is of no use without --versus TARGET.")
    wanted = Wanted(
        state=state,
        baseline=tuple(baseline),
        scenario=scenario or "",
        target=target or "",
        settings=dict(settings),
        versus=ChosenTarget(versus, dict(versus_set)) if versus else None,
        labels=dict(labels),
        allow_python=allow_python,
        production=production,
        follow=follow,
        lasts_s=lasts_s,
        block_s=block_s,
        settle_s=settle_s,
        day_s=day_s,
        required_events=tuple(require),
        until_clear=until == "clear",
        beside=Beside(listen, token_env, webhook_env, webhook_format),
    )
    code = watch(wanted, click.echo, quiet=quiet)
    acknowledge = [f"savepath watch --state {state} --ack"] if code == Exit.ESCALATE else []
    steps = [f"savepath gate --state {state}", f"savepath report {state} --md summary.md"]
    suggest(*acknowledge, *steps, quiet=quiet)
    return code
