"""Integrity: exact counts of what became of saves, scripts and mails, against limits. No statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from analysis.findings import IntegrityFinding
from analysis.runs import Question, Run
from analysis.samples import EFFECT_OUTCOMES, UNDECIDED

Counts = Mapping[tuple[str, str], int]  # (kind, outcome) -> effects


def count_effects(runs: Sequence[Run]) -> dict[tuple[str, str], int]:
    """Effects by kind and outcome over all runs."""
    found: dict[tuple[str, str], int] = {}
    for run in runs:
        for what, n in run.reduced.effects.items():
            found[what] = found.get(what, 0) + n
    return found


def check_integrity(
    before: Sequence[Run], after: Sequence[Run], question: Question
) -> tuple[IntegrityFinding, ...]:
    """Every outcome of every kind of effect that occurred on either side, zero counts included.

    The limit of a bad outcome is its agreed share of the checked effects of that kind, rounded down;
    0 where none was agreed. Good and undecided outcomes always hold; their limit is all there are.
    Checked are the effects that somebody looked at and that no other save had covered.
    """
    counts = count_effects(before), count_effects(after)
    found = []
    for kind in _in_order({kind for side in counts for kind, _ in side}, list(EFFECT_OUTCOMES)):
        known = EFFECT_OUTCOMES.get(kind, ())
        seen = {outcome for side in counts for k, outcome in side if k == kind}
        everything = sum(n for (k, _), n in counts[1].items() if k == kind)
        checked = [_checked(side, kind) for side in counts]
        for outcome in _in_order(seen | set(known), list(known)):
            after_count = counts[1].get((kind, outcome), 0)
            if outcome in UNDECIDED:
                limit = everything
            elif outcome in known[:1]:
                limit = checked[1]
            else:
                limit = math.floor(question.integrity_limits.get((kind, outcome), 0.0) * checked[1] + 1e-9)
            found.append(
                IntegrityFinding(
                    kind=kind,
                    outcome=outcome,
                    before=counts[0].get((kind, outcome), 0),
                    after=after_count,
                    checked_before=checked[0],
                    checked_after=checked[1],
                    limit=limit,
                    held=after_count <= limit,
                )
            )
    return tuple(found)


def _checked(counts: Counts, kind: str) -> int:
    return sum(n for (k, outcome), n in counts.items() if k == kind and outcome not in UNDECIDED)


def _in_order(names: set[str], known: list[str]) -> list[str]:
    """Known names in their order, then unknown ones by the alphabet."""
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))
