"""The picture of an outage: how long each operation was gone, and until when it was not as before."""

from __future__ import annotations

import math
from typing import Final

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from analysis.details import Outage
from reports import units, words
from reports.drawing import AFTER, BAND, INK, MUTED, SIZE, dress, short
from reports.outages import in_order

#: Where an outage has no end, the picture ends so much after what is known.
_BEYOND: Final = 1.08


def outage_figure(outage: Outage) -> Figure | None:
    """A line for each cell that was touched, over the seconds since the outage began; None without one.

    The narrow bar: from its first failed request until it was answered again. The wide one: until it was as
    before. What never came ends in an arrow.
    """
    cells = [cell for cell in in_order(outage.cells) if cell.failed or cell.slow]
    if not cells:
        return None
    known = [outage.ended_s - outage.begun_s, *(cell.again_s for cell in cells)]
    known += [cell.down_s + cell.gone_s for cell in cells] + [cell.down_s for cell in cells]
    end_s = _BEYOND * max(one for one in (*known, 0.1) if math.isfinite(one))
    figure = Figure(figsize=(7.8, 0.95 + 0.21 * len(cells)))
    axes = figure.subplots()
    for row, cell in enumerate(cells):
        again_s = cell.again_s if math.isfinite(cell.again_s) else end_s
        axes.barh(row, again_s, 0.72, color=BAND, linewidth=0)
        if cell.failed:
            gone_s = cell.gone_s if math.isfinite(cell.gone_s) else end_s - cell.down_s
            axes.barh(row, gone_s, 0.42, left=cell.down_s, color=AFTER, linewidth=0)
        if not math.isfinite(cell.again_s):
            axes.plot(end_s, row, ">", color=MUTED, markersize=5, clip_on=False)
    if math.isfinite(outage.ended_s):
        axes.axvline(outage.ended_s - outage.begun_s, color=INK, linewidth=1, linestyle=":")
    names = [words.place(short(cell.operation, 18), cell.custom_fields) for cell in cells]
    axes.set_yticks(range(len(cells)), names, parse_math=False)
    axes.set_ylim(len(cells) - 0.4, -0.6)
    axes.set_xlim(0, end_s)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: units.seconds(value) if value else "0"))
    axes.set_xlabel("since the outage began", color=INK, fontsize=SIZE)
    dress(axes)
    axes.tick_params(axis="y", length=0, labelsize=SIZE - 1)
    axes.grid(visible=False, axis="y")
    height_in = figure.get_figheight()
    figure.subplots_adjust(left=0.27, right=0.97, top=1 - 0.1 / height_in, bottom=0.55 / height_in)
    return figure
