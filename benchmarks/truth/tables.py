"""The figures as tables: on the terminal, and in docs/method.md between two comments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from benchmarks.truth.figures import Row

METHOD: Final = Path(__file__).parents[2] / "docs" / "method.md"
BEGIN: Final = "<!-- made by `make bench-truth` -->"
END: Final = "<!-- end of what `make bench-truth` made -->"
TITLES: Final = {
    "identical": "Identical systems: how often something is said",
    "power": "Something planted: how often it is found",
    "harmless": "CLEAR: how often it is earned, and how often it is wrong",
    "apart": "Before and after apart in time",
    "failures": "Failures",
    "rivals": "Other rules on the same runs",
    "real": "Identical real runs, held against each other",
    "wrong-clear": "CLEAR where something is wrong",
}


def lines(rows: Iterable[Row]) -> list[str]:
    """A line a figure, for the terminal."""
    return [
        f"{plain(one):<86}{_number(one):>7}  {_span(one):<16}{_goal(one):>8}"
        + ("  NOT REACHED" if one.reached is False else "")
        for one in rows
    ]


def plain(one: Row) -> str:
    """The figure as one text; "|" parts what a table sets out in lines and columns."""
    return one.figure.replace("|", ", ")


def markdown(rows: Sequence[Row]) -> dict[str, str]:
    """The text of each table by its title."""
    found = {}
    for table in dict.fromkeys(one.table for one in rows):
        own = [one for one in rows if one.table == table]
        found[TITLES[table]] = "\n".join(_crossed(own) if table == "rivals" else _listed(own))
    return found


def write(rows: Sequence[Row], path: Path = METHOD) -> None:
    """Put the tables of the rows into the document."""
    put(markdown(rows), path)


def put(made: Mapping[str, str], path: Path = METHOD) -> None:
    """Put tables, by title, between the comments of the document; those that were not made again stay."""
    text = path.read_text(encoding="utf-8")
    head, begin, rest = text.partition(BEGIN)
    old, end, tail = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path}: expected the lines {BEGIN} and {END}")
    standing = dict(part.split("\n", 1) for part in old.split("### ")[1:])
    whole = standing | dict(made)
    parts = [f"### {title}\n\n{whole[title].strip()}\n" for title in TITLES.values() if title in whole]
    path.write_text("\n".join([f"{head}{BEGIN}\n", *parts, f"{END}{tail}"]), encoding="utf-8")


def _listed(rows: Sequence[Row]) -> list[str]:
    return [
        "| what | share | ± two errors | goal | n |",
        "|---|---|---|---|---|",
        *(f"| {one.figure} | {_number(one)} | {_span(one)} | {_marked(one)} | {one.replicates} |" for one in rows),
    ]


def _crossed(rows: Sequence[Row]) -> list[str]:
    """A line a rule, a column a world: its false alarms by cell, by comparison, and what it finds."""
    value = {tuple(one.figure.split("|")): one for one in rows}
    rules, worlds = (list(dict.fromkeys(key[place] for key in value)) for place in (0, 1))
    cells = [
        [
            " / ".join(_number(value[rule, world, what]) for what in ("one cell", "any cell", "found"))
            for world in worlds
        ]
        for rule in rules
    ]
    return [
        "Each entry: share of cells falsely called slower / share of comparisons with such a cell / +25 % in one",
        f"cell found (n {rows[0].replicates} each, ± {1 / rows[0].replicates ** 0.5:.2f} at most).",
        "",
        f"| rule | {' | '.join(world.removeprefix('alternating, ') for world in worlds)} |",
        f"|---|{'---|' * len(worlds)}",
        *(f"| {rule} | {' | '.join(line)} |" for rule, line in zip(rules, cells, strict=True)),
    ]


def _number(one: Row) -> str:
    return f"{one.value:.3f}".removeprefix("0") if _is_share(one) else f"{one.value:.0f}"


def _span(one: Row) -> str:
    if one.low is None or one.high is None:
        return ""
    return f"{one.low:.3f} to {one.high:.3f}" if _is_share(one) else f"{one.low:.0f} to {one.high:.0f}"


def _is_share(one: Row) -> bool:
    return (one.value if one.high is None else one.high) <= 1


def _goal(one: Row) -> str:
    return "" if one.goal is None else f"{'≤' if one.most else '≥'} {one.goal:g}"


def _marked(one: Row) -> str:
    return f"{_goal(one)}, **not reached**" if one.reached is False else _goal(one)
