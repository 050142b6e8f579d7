"""What was removed and what was not, in words of 80 columns and as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from reports.console import printed
from reports.escaping import one_line
from reports.units import counted
from savepath.cleaning import Cleaned, find_footprints
from savepath.exits import Exit
from scenarios.errors import InputError
from targets.footprint import read_footprint
from targets.removal import Fate

_WORDS: Final = {"tenant": "tenant", "case_type": "case type", "field": "custom field", "case": "case"}
_TOLD: Final = {"removed": "removed", "gone": "gone before", "left": "left", "unknown": "not known whose"}
#: So many names, and so many reasons, are told; all of them with --json.
_NAMES, _REASONS = 5, 8


def exit_code(cleaned: Sequence[Cleaned]) -> int:
    """0 where nothing is left, else the code of the first error, else that of what is not whole."""
    errors = [one.error.exit_code for one in cleaned if one.error]
    left = any(not fate.is_settled for one in cleaned for fate in one.fates)
    return errors[0] if errors else int(Exit.ABORTED if left else Exit.DONE)


def tell_cleaned(cleaned: Sequence[Cleaned]) -> str:
    """For people: what became of it, target by target, and each reason for what is left."""
    return printed(_parts(cleaned))


def tell_count(cleaned: Sequence[Cleaned]) -> str:
    """The same in one line."""
    fates = [fate for one in cleaned for fate in one.fates]
    settled = sum(fate.is_settled for fate in fates)
    errors = [one for one in cleaned if one.error]
    failed = f", {counted(len(errors), 'footprint')} with an error" if errors else ""
    return f"{settled:,} removed, {len(fates) - settled:,} left{failed}"


def cleaned_as_json(cleaned: Sequence[Cleaned]) -> str:
    """The same for programs, each thing by itself."""
    return json.dumps(
        [
            {
                "footprint": str(one.path),
                "address": one.heading.address if one.heading else None,
                "clean_before": one.before,
                "error": str(one.error) if one.error else None,
                "things": [dataclasses.asdict(fate) for fate in one.fates],
            }
            for one in cleaned
        ],
        indent=1,
        ensure_ascii=False,
    )


def tell_left(out: Path) -> str:
    """What the runs in a folder have made and not removed, in a few words; empty if that is nothing."""
    try:
        found = [read_footprint(path) for path in find_footprints(out)]
    except InputError:
        return ""
    recorded = [one for one in found if one is not None and not one.closed]
    made: Counter[str] = Counter(thing.kind for one in recorded for thing in one.made)
    runs = sum(len(one.tokens) for one in recorded)
    parts = [counted(made[kind], _WORDS[kind]) for kind in _WORDS if made[kind]]
    parts += [f"what {counted(runs, 'run')} saved and mailed"] if runs else []
    return ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1] if parts else ""


def _parts(cleaned: Sequence[Cleaned]) -> Iterator[RenderableType]:
    addresses = dict.fromkeys(one.heading.address for one in cleaned if one.heading)
    for address in addresses:
        ours = [one for one in cleaned if one.heading and one.heading.address == address]
        yield Text(one_line(address), style="bold")
        for line in _counts([fate for one in ours for fate in one.fates]) or ["nothing to remove"]:
            yield Text(f"  {line}")
        before = sum(one.before for one in ours)
        if before:
            yield Text(f"  {counted(before, 'footprint')} removed by an earlier call, not asked again")
        for line in _reasons([fate for one in ours for fate in one.fates]):
            yield Text(f"✗ {one_line(line)}")
    for one in cleaned:
        for line in str(one.error).splitlines() if one.error else []:
            yield Text(f"✗ {one_line(line)}")
    yield Text(
        "Something is left, see ✗; call it again to try again." if exit_code(cleaned) else "Nothing is left."
    )


def _counts(fates: Iterable[Fate]) -> list[str]:
    counts: dict[str, Counter[str]] = {}
    for fate in fates:
        counts.setdefault(fate.kind, Counter())[fate.word] += 1
    order = [*_WORDS, *sorted(counts.keys() - _WORDS.keys())]
    lines = []
    for kind in (kind for kind in order if kind in counts):
        told = ", ".join(f"{number:,} {_TOLD[word]}" for word, number in counts[kind].items())
        name = f"{_WORDS[kind]}s" if kind in _WORDS else f"{kind} of runs, by tenant"
        lines.append(f"{name}: {told}")
    return lines


def _reasons(fates: Iterable[Fate]) -> Iterator[str]:
    """What is left, together where the reason is the same."""
    groups: dict[tuple[str, str], list[Fate]] = {}
    for fate in fates:
        if not fate.is_settled:
            groups.setdefault((fate.kind, fate.why), []).append(fate)
    for (kind, why), some in list(groups.items())[:_REASONS]:
        names = ", ".join(f"{fate.tenant} {fate.name}".strip() for fate in some[:_NAMES])
        more = f" and {len(some) - _NAMES:,} more" if len(some) > _NAMES else ""
        what = _WORDS.get(kind, kind)
        yield f"{counted(len(some), what) if kind in _WORDS else what} ({names}{more}): {why}"
    if len(groups) > _REASONS:
        yield f"and {len(groups) - _REASONS} more reasons; all with --json"
