"""``savepath report``: a comparison or a watch told again from what it left, or a list of what folders hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from savepath.options import OUT_FILE, json_flag, no_color_option, quiet_option

if TYPE_CHECKING:
    from savepath.telling import Formats


@click.command()
@click.argument("paths", nargs=-1, metavar="[RESULTS|STATE|DIR]...", type=click.Path(path_type=Path))
@click.option("--html", "html_file", type=OUT_FILE, metavar="F", help="Write the report to F.")
@click.option("--md", "md_file", type=OUT_FILE, metavar="F", help="Write the summary for a change ticket to F.")
@click.option("--junit", "junit_file", type=OUT_FILE, metavar="F", help="Write JUnit XML for a pipeline to F.")
@click.option(
    "--open",
    "show",
    is_flag=True,
    help="Open the page: F of --html, or report.html beside RESULTS or in STATE.",
)
@json_flag
@quiet_option
@no_color_option
def command(
    paths: Sequence[Path],
    html_file: Path | None,
    md_file: Path | None,
    junit_file: Path | None,
    show: bool,
    as_json: bool,
    quiet: bool,
    no_color: bool,
) -> None:
    """Tell a comparison again, to the byte as compare told it, or a watch as it stands.

    RESULTS is a results.json, or a folder that holds one; STATE is the state folder of a watch, told for the
    change ticket that closes its window. Without either, or with a DIR of others, it lists the runs and the
    comparisons in there; the current folder by default.

    \b
    Examples:
      savepath report out/demo --open
      savepath report results.json --html report.html --junit junit.xml
      savepath report watch/24.4 --md summary.md --open
      savepath report runs
    """
    from savepath.listing import RESULTS
    from savepath.telling import STDOUT, Formats
    from savepath.watching.agreed import is_state

    formats = Formats(json=STDOUT if as_json else None, html=html_file, md=md_file, junit=junit_file)
    places = tuple(paths) or (Path(),)
    if len(places) == 1 and is_state(places[0]):
        _tell_watch(places[0], formats, show=show, quiet=quiet, no_color=no_color)
        return
    file = _results_at(places, RESULTS)
    if file is None and (show or formats.wanted.keys() - {"json"}):
        file = _only_one(places)
    if file is None:
        _tell_list(places, as_json=as_json, quiet=quiet, no_color=no_color)
    else:
        _tell_comparison(file, formats, show=show, quiet=quiet, no_color=no_color)


def _tell_watch(state: Path, formats: Formats, *, show: bool, quiet: bool, no_color: bool) -> None:
    """A watch as it stands."""
    from savepath.screen import open_page, suggest, wants_color
    from savepath.telling import STDOUT
    from savepath.watching.closing import tell_closing

    page = formats.html or state / "report.html"
    tell_closing(state, replace(formats, html=page) if show else formats, quiet=quiet, color=wants_color(no_color))
    if show and page != STDOUT:
        open_page(page)
    else:
        suggest(f"savepath report {state} --md summary.md --open", quiet=quiet or formats.piped)


def _tell_list(places: Sequence[Path], *, as_json: bool, quiet: bool, no_color: bool) -> None:
    """The runs and the comparisons in these folders."""
    from savepath.listing import list_folders, listing_as_json, tell_listing
    from savepath.screen import say, suggest, wants_color, width

    listing = list_folders(places)
    if as_json:
        say(listing_as_json(listing))
    else:
        say(tell_listing(listing, width=width(), color=wants_color(no_color)))
    steps = [f"savepath report {one.file}" for one in listing.reports[-1:]]
    suggest(*steps, *(f"savepath show {one.folder}" for one in listing.runs[-1:]), quiet=quiet or as_json)


def _tell_comparison(file: Path, formats: Formats, *, show: bool, quiet: bool, no_color: bool) -> None:
    """A comparison as it was told."""
    from savepath.listing import read_results
    from savepath.screen import open_page, suggest, wants_color
    from savepath.telling import STDOUT, tell

    assessment, meta = read_results(file)
    page = formats.html or file.parent / "report.html"
    if show and page != STDOUT and not formats.html and not page.exists():
        formats = replace(formats, html=page)
    tell(assessment, meta, formats, quiet=quiet, color=wants_color(no_color))
    if show:
        open_page(page)
    else:
        suggest(f"savepath report {file} --open", quiet=quiet or formats.piped)


def _only_one(places: Sequence[Path]) -> Path:
    """The results.json in these folders, where there is one alone. Raises UsageError."""
    from savepath.listing import list_folders

    found = list_folders(places).reports
    if len(found) != 1:
        names = ", ".join(str(one.file) for one in found[:9]) or "there is none"
        raise click.UsageError(f"which results.json is to be told? Give one of them: {names}.")
    return found[0].file


def _results_at(places: Sequence[Path], name: str) -> Path | None:
    """The one results.json that was named, by itself or by its folder; None where folders are to be listed."""
    if len(places) == 1 and (places[0] / name).is_file():
        return places[0] / name
    files = [place for place in places if place.is_file()]
    if len(files) > 1 or (files and len(places) > 1):
        raise click.UsageError("give one results.json to tell, or folders to list.")
    return files[0] if files else None
