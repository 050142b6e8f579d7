"""``savepath import``: make a run folder of another tool's results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from savepath.options import OUT_FOLDER, OneOf, json_flag, label_option, quiet_option

_FILE = click.Path(path_type=Path)


@click.command("import")
@click.argument("tool", type=OneOf(["jtl", "k6", "locust", "vegeta"]))
@click.argument("files", nargs=-1, required=True, type=_FILE, metavar="FILE...")
@click.option("--out", type=OUT_FOLDER, metavar="RUN", help="The run folder to make; must not hold anything yet.")
@click.option("--map", "map_file", type=_FILE, metavar="MAP.yaml", help="What the labels of the tool stand for.")
@label_option
@click.option("--list-labels", is_flag=True, help="Only say which labels the files hold, and how often.")
@json_flag
@quiet_option
def command(
    tool: str,
    files: Sequence[Path],
    out: Path | None,
    map_file: Path | None,
    labels: Sequence[tuple[str, str]],
    list_labels: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make a run folder of the results of JMeter (jtl), k6, Locust or vegeta, for savepath compare.

    Several FILEs are the parts of one run, as of several load generators. What such results cannot tell (when a
    request was due, what became of its effects) is kept with the run, and every report on it says so.

    \b
    Examples:
      savepath import k6 before.json.gz --list-labels
      savepath import k6 before.json.gz --map cases.yaml --out runs/before/1
      savepath import jtl results.jtl --map cases.yaml --out runs/after/1
    """
    from loadgen.run_folder import refuse_used
    from savepath.importing.folder import make_run, read_files
    from savepath.importing.label_map import load_label_map, own_names
    from savepath.importing.telling import tell_import, tell_labels
    from savepath.screen import note, say, suggest

    if out is None and not list_labels:
        raise click.UsageError("--out RUN is missing: the run folder to make (or --list-labels)")
    if out is not None:
        refuse_used(out)
    label_map = load_label_map(map_file) if map_file else own_names()
    reading = read_files(tool, files, label_map)
    if out is None or list_labels:
        say(tell_labels(reading))
        return
    info = make_run(reading, out, label_map, labels=dict(labels))
    if as_json:
        from savepath.showing import runs_as_json

        say(runs_as_json([out]))
    elif quiet:
        say(f"imported: {out}")
    else:
        say(tell_import(reading, info, out))
    for line in label_map.unused(reading.collected.labels):
        note(f"savepath: {line}")
    suggest(
        f"savepath compare --before {out} --after OTHER_RUNS --html report.html",
        f"savepath show {out}",
        quiet=quiet or as_json,
    )
