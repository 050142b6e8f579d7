"""The closer look: the details behind an assessment, made once for a report and never for the verdict.

Apart from ``assess`` because it costs as much again: whoever asks only for verdicts, a simulation or a watch,
goes without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analysis.assessment import SAVES
from analysis.course import draw_course, draw_heat
from analysis.details import Details
from analysis.findings import Design
from analysis.notable import tell_notable
from analysis.outages import tell_outages
from analysis.runs import Run
from analysis.selection import select
from analysis.spread import distributions, shifts

#: Slices of a heat map: as many as have room beside another.
HEAT_SLICES: Final = 24


def look(before: Sequence[Run], after: Sequence[Run]) -> Details:
    """Distributions, shifts and course of the runs whose latency was compared; of all runs the notable samples
    and the outages.
    """
    before, after = (tuple(sorted(runs, key=lambda run: (run.started_at, run.id))) for runs in (before, after))
    selection = select(before, after)
    kept, sides = selection.kept, selection.histograms
    return Details(
        distributions=(*distributions("before", sides[0]), *distributions("after", sides[1])),
        shifts=shifts(sides[0], sides[1], selection.oppose),
        course=draw_course(kept.before, kept.after, paired=selection.design is not Design.APART),
        heat=(
            *draw_heat("before", kept.before, SAVES, HEAT_SLICES),
            *draw_heat("after", kept.after, SAVES, HEAT_SLICES),
        ),
        notable=(*tell_notable("before", before), *tell_notable("after", after)),
        outages=(*tell_outages("before", before), *tell_outages("after", after)),
    )
