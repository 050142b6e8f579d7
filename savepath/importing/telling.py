"""What an import says to the one who asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from loadgen.run_info import RunInfo
from savepath.importing.folder import Reading, listed
from savepath.importing.label_map import Meaning

#: What a run lacks -> what a comparison cannot show for it.
CANNOT: Final = {
    "schedule": "times count from sending, not from when a request was due (coordinated omission)",
    "generator": "whether the load generator kept up is not known",
    "cohorts": "growth with custom fields: the label map gives no numbers of custom fields",
    "effects": "integrity is not looked at: scripts, stored values and mails",
}
_LABELS_SHOWN: Final = 200


def tell_labels(reading: Reading) -> str:
    """The labels that the files hold, the most frequent first, and what the map makes of each."""
    collected = reading.collected
    whole = sum(collected.labels.values())
    lines = [f"{reading.format}: {whole:,} requests of {len(collected.labels):,} labels", ""]
    lines.append("requests    failed  label")
    mapped, ignored = collected.mapped, collected.ignored
    for label, n in collected.labels.most_common(_LABELS_SHOWN):
        meaning = f"  -> {_stands_for(mapped[label])}" if label in mapped else "  -> left out" * (label in ignored)
        lines.append(f"{n:>8,}  {collected.failed[label]:>8,}  {label}{meaning}")
    if len(collected.labels) > _LABELS_SHOWN:
        lines.append(
            f"... and {len(collected.labels) - _LABELS_SHOWN:,} more labels; * in a map takes many at once"
        )
    return "\n".join([*lines, *(f"note: {note}" for note in reading.notes)])


def tell_import(reading: Reading, info: RunInfo, out: Path) -> str:
    """What was made, what was left out, and what cannot be shown."""
    return "\n".join(_lines(reading, info, out))


def _lines(reading: Reading, info: RunInfo, out: Path) -> Iterator[str]:
    collected = reading.collected
    mapped = collected.mapped
    failed = sum(collected.failed[label] for label in mapped)
    yield (
        f"imported: {out} ({reading.format}: {len(collected):,} requests, {failed:,} failed, "
        f"{info.duration_s:,.1f} s, {info.offered_per_s:,.1f}/s)"
    )
    for meaning in dict.fromkeys(mapped.values()):
        labels = {label: collected.labels[label] for label, one in mapped.items() if one == meaning}
        yield f"  {_stands_for(meaning)}: {listed(labels, 3)}"
    for what, left_out in (
        ("not named by the map", collected.unmapped),
        ("left out by the map", collected.ignored),
    ):
        if left_out:
            yield f"{what}: {sum(left_out.values()):,}: {listed(left_out, 5)}"
    if info.origin:
        yield from (f"note: {note}" for note in info.origin.notes)
        yield "cannot be shown:"
        yield from (f"  - {CANNOT[fact]}" for fact in info.origin.lacks)


def _stands_for(meaning: Meaning) -> str:
    tenant = f", tenant {meaning.tenant}" if meaning.tenant else ""
    return f"{meaning.operation}, {meaning.custom_fields} custom fields{tenant}"
