"""``savepath demo``: the incident on the embedded system, to a finished report."""

from __future__ import annotations

from pathlib import Path

import click

from savepath.options import OUT_FOLDER, no_color_option, quiet_option


@click.command()
@click.option(
    "--out", type=OUT_FOLDER, default=Path("out/demo"), show_default=True, help="Where to put everything."
)
@click.option("--healthy", is_flag=True, help="Both sides on the healthy disk: must not end in ESCALATE.")
@click.option(
    "--disk", default="degraded", show_default=True, help="Disk of the after side: a name or a YAML file."
)
@click.option("--pairs", type=click.IntRange(2, 100), help="Pairs of runs; the scenario's own number by default.")
@click.option("--open", "show", is_flag=True, help="Open the page in the browser, where there is a screen.")
@quiet_option
@no_color_option
def command(
    out: Path, healthy: bool, disk: str, pairs: int | None, show: bool, quiet: bool, no_color: bool
) -> int:
    """Drive casedesk on a healthy and on a degraded disk in turns, compare, and write the report.

    Exits 0 when the verdict is the planted one: ESCALATE, or with --healthy anything else.

    \b
    Examples:
      savepath demo
      savepath demo --healthy --out out/healthy
    """
    from savepath.demo import Demonstration, demonstrate
    from savepath.screen import open_page, suggest, wants_color

    demo = Demonstration(out=out, disk=disk, healthy=healthy, pairs=pairs)
    verdict = demonstrate(demo, quiet=quiet, color=wants_color(no_color))
    if show:
        open_page(out / "report.html")
    if demo.succeeded(verdict):
        suggest("savepath init load-tests, for a system of your own", quiet=quiet)
        return 0
    expected = "anything but ESCALATE" if healthy else "ESCALATE"
    click.echo(f"savepath: the demonstration should have ended in {expected}, not in {verdict}", err=True)
    return 1
