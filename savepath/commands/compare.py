"""``savepath compare``: runs before and after a change, and what they say about it."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from savepath.options import OUT_FILE, RUN_FOLDER, ManyPaths, OneOf, no_color_option, quiet_option


@click.command(cls=ManyPaths)
@click.option("--before", type=RUN_FOLDER, multiple=True, metavar="RUN...", help="Runs before it.")
@click.option("--after", type=RUN_FOLDER, multiple=True, metavar="RUN...", help="Runs after it.")
@click.option("--both", type=RUN_FOLDER, multiple=True, metavar="RUN...", help="Runs made with run --versus.")
@click.option(
    "--candidate", "candidates", multiple=True, metavar="NAME=RUN...", help="Runs of one of several candidates."
)
@click.option("--json", "json_file", type=OUT_FILE, metavar="F", help="Write results.json to F; - is stdout.")
@click.option("--html", "html_file", type=OUT_FILE, metavar="F", help="Write the report to F.")
@click.option("--md", "md_file", type=OUT_FILE, metavar="F", help="Write the summary for a change ticket to F.")
@click.option("--junit", "junit_file", type=OUT_FILE, metavar="F", help="Write JUnit XML for a pipeline to F.")
@click.option("--planned", multiple=True, metavar="KEY", help="A setting whose change was announced, or faster.")
@click.option("--title", default="", help="What changed, for the head of the report.")
@click.option("--change", default="", metavar="ID", help="The change request, e.g. CHG0048213.")
@click.option(
    "--fail-on",
    type=OneOf(["escalate", "hold", "never"]),
    default="hold",
    show_default=True,
    help="Which verdicts end in an exit code other than 0: 20 for ESCALATE, 10 for HOLD.",
)
@quiet_option
@no_color_option
def command(
    before: tuple[Path, ...],
    after: tuple[Path, ...],
    both: tuple[Path, ...],
    candidates: tuple[str, ...],
    json_file: Path | None,
    html_file: Path | None,
    md_file: Path | None,
    junit_file: Path | None,
    planned: tuple[str, ...],
    title: str,
    change: str,
    fail_on: str,
    quiet: bool,
    no_color: bool,
) -> int:
    """Compare runs before a change with runs after it: CLEAR, HOLD or ESCALATE.

    A RUN is a run folder, or a folder of run folders. Give --before and --after, or --both for runs
    that drove the old and the new system at once, or --before and several --candidate to rank them.

    \b
    Examples:
      savepath compare --before runs/before --after runs/after --html report.html
      savepath compare --before b1 b2 b3 --after a1 a2 a3 --junit junit.xml
      savepath compare --both runs/old-and-new --html report.html
      savepath compare --before runs/old --candidate a=runs/a --candidate b=runs/b
    """
    if both and (before or after or candidates):
        raise click.UsageError("--both stands alone: its runs hold both sides. Leave the other sides out.")
    if after and candidates:
        raise click.UsageError("--after is one candidate and --candidate NAME=RUN... several; choose one.")
    if not both and not (before and (after or candidates)):
        raise click.UsageError("give --before RUN... and --after RUN..., or --both RUN... of run --versus.")

    from analysis.evidence import FASTER
    from loadgen.runs import find_runs
    from savepath.comparing import Sides, compare_runs
    from savepath.exits import exit_code
    from savepath.screen import note, suggest, wants_color
    from savepath.telling import Formats, tell
    from scenarios.errors import did_you_mean

    formats = Formats(json=json_file, html=html_file, md=md_file, junit=junit_file)
    assessment, meta = compare_runs(
        Sides(before, after, both, _by_name(candidates)), planned=planned, title=title, change=change
    )
    tell(assessment, meta, formats, quiet=quiet, color=wants_color(no_color))
    differing = {FASTER, *(one.setting for one in assessment.differences)}
    for key in planned:
        if key not in differing:
            note(f"savepath: --planned {key}: no setting of that name differs{did_you_mean(key, differing)}")
    if not html_file:
        step = f"{meta.commands[0]} --html report.html"
    elif json_file:
        step = f"{shlex.join(['savepath', 'report', str(json_file)])} --open"
    else:
        step = shlex.join(["savepath", "show", str(find_runs(after or both or before)[0])])
    suggest(step, quiet=quiet or formats.piped)
    return exit_code(assessment.verdict, fail_on)


def _by_name(words: tuple[str, ...]) -> dict[str, list[Path]]:
    """``NAME=RUN``, then further RUNs of the same candidate."""
    found: dict[str, list[Path]] = {}
    runs: list[Path] | None = None
    for word in words:
        name, equals, path = word.partition("=")
        if equals and name and path:
            runs = found.setdefault(name, [])
        if runs is None:
            raise click.UsageError(f"--candidate {word!r} has no name; expected NAME=RUN...")
        runs.append(Path(path if equals else word))
    return found
