"""Simulated requests as the run that a generator would have recorded, so that ``assess`` can be asked itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.runs import Run
from analysis.samples import EFFECT_OUTCOMES
from analysis.slices import fold, width_for
from benchmarks.truth.worlds import CELLS, OPERATIONS, Drawn

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
#: How late a generator that keeps up sends: no request leaves in the very microsecond in which it is due.
LAG_S: Final = 0.0005
_OPERATION: Final = np.array([list(OPERATIONS).index(operation) for operation, _ in CELLS])
_OUTCOMES: Final = sorted({outcome for outcomes in EFFECT_OUTCOMES.values() for outcome in outcomes})
_FIELDS: Final = np.array([fields for _, fields in CELLS])


@dataclass(slots=True)
class Recorded:
    """What was recorded of a run. Faults change it before it is folded; ``facts`` override those of the run."""

    id: str
    minutes: float  # after noon
    duration_s: float
    samples: pd.DataFrame
    effects: pd.DataFrame  # kind, outcome, operation; by the place of the sample that promised it
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """The run as a comparison reads it."""
        n = len(self.samples)
        facts: dict[str, Any] = {
            "id": self.id,
            "started_at": NOON + timedelta(minutes=self.minutes),
            "status": "complete",
            "scenario": "simulated",
            "target": "simulated",
            "plan_digest": "ab" * 32,
            "duration_s": self.duration_s,
            "scheduled": n,
            "recorded": n,
            "aborted": 0,
            "unsent": 0,
            "run_queue_delay": 0.01,
            "cpu": 0.3,
            "stored_cases": 1000,
            "waited_for_pool": 0,
        }
        folded = fold(self.samples, width_for(self.duration_s))
        return Run(**{**facts, **self.facts}, slices=folded, effects=self.effects)


def record(drawn: Drawn, name: str, *, minutes: float, duration_s: float) -> Recorded:
    """A run whose generator kept up and whose every request was answered and kept its promise."""
    n = len(drawn.cell)
    samples = pd.DataFrame(
        {
            "arm": _all_of("", n),
            "operation": pd.Categorical.from_codes(_OPERATION[drawn.cell], list(OPERATIONS)),
            "custom_fields": _FIELDS[drawn.cell],
            "scheduled_s": drawn.scheduled_s,
            "sent_s": drawn.scheduled_s + np.minimum(LAG_S, drawn.response_s / 2),
            "done_s": drawn.scheduled_s + drawn.response_s,
            "outcome": _all_of("ok", n),
            "detail": _all_of("", n),
        }
    )
    return Recorded(name, minutes, duration_s, samples, _promised(samples))


def _promised(samples: pd.DataFrame) -> pd.DataFrame:
    """A script a save, the values of custom saves, and e-mails: each once, as it should be."""
    operation = samples["operation"]
    parts = []
    for kind, good, operations in (
        ("script", "once", ("save_standard", "save_custom", "run_script")),
        ("value", "identical", ("save_custom",)),
        ("mail", "once", ("send_email",)),
    ):
        own = operation[operation.isin(operations)]
        outcome = pd.Categorical.from_codes(np.full(len(own), _OUTCOMES.index(good)), _OUTCOMES)
        kinds = pd.Categorical.from_codes(
            np.full(len(own), list(EFFECT_OUTCOMES).index(kind)), list(EFFECT_OUTCOMES)
        )
        parts.append(pd.DataFrame({"kind": kinds, "outcome": outcome, "operation": own}, index=own.index))
    return pd.concat(parts)


def _all_of(word: str, n: int) -> pd.Categorical:
    return pd.Categorical.from_codes(np.zeros(n, np.int8), [word])
