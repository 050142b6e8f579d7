"""Learning the baseline from its blocks: profile over the day, gains of the cells, noise, rates, failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analysis.window.baseline import GAIN_CLIP, LEVELS_FROM, Baseline
from analysis.window.blocks import P95_AT_LEAST, Block, CellLevel
from analysis.window.failing import learn_rates
from analysis.window.noise import (
    INFLATED_UP_TO,
    SCALES,
    freedom,
    highest_of,
    mean_of,
    on_grid,
    scales_of,
    sigmas,
    window_means,
)
from analysis.window.streams import Cell, Streams, name_streams, weighted

Floats = NDArray[np.float64]

#: No window of the baseline itself may come closer to an alarm than this; sigma is widened until none does.
BASELINE_MOST: Final = 0.8
#: What a block may add to the estimate of the noise at most, in robust standard deviations: bursts are
#: answered by ``clip`` and ``BASELINE_MOST``, and must not blunt the watch for all other hours.
NOISE_CLIP: Final = 4.0
#: A single block counts for so much at most that only this share of its shortest window can raise an alarm.
WINDOW_TO_ALARM: Final = 0.9
#: A stream is watched if so many of the baseline's blocks have it.
PRESENT: Final = 0.8
#: The profile is told by so many parts of a day, from so many days on.
PROFILE_BINS: Final = 48
PROFILE_DAYS: Final = 1.5
#: From so many days on the gains of the cells can be learnt.
GAIN_DAYS: Final = 3.0
#: Less common movement than this teaches nothing of gains.
GAIN_LEAST: Final = 0.01


def learn_baseline(blocks: Sequence[Block], *, day_s: float = 86_400.0) -> Baseline:
    """The baseline of some blocks of equal length; those with a fault, or that were not let in, are left out.

    Raises ValueError if there are fewer than two of the shortest window, or too few requests for any stream.
    """
    sound = sorted((one for one in blocks if not one.fault and not one.refused), key=lambda one: one.start_s)
    if len(sound) < 2 * SCALES[0]:
        faults = (
            f" ({len(blocks) - len(sound)} more had a fault or were refused)" if len(blocks) > len(sound) else ""
        )
        raise ValueError(
            f"a baseline of {len(sound)} usable blocks{faults} is too short; expected {2 * SCALES[0]} or more"
        )
    block_s = sound[0].length_s
    shares = _shares(sound)
    streams = _streams(sound, shares)
    if not streams.names:
        share = f"{PRESENT * 100:.0f} %"
        raise ValueError(f"no operation has {P95_AT_LEAST} requests or more in {share} of the baseline's blocks")
    days = min(len(sound) * block_s, sound[-1].end_s - sound[0].start_s) / day_s
    bins = PROFILE_BINS if days >= PROFILE_DAYS else 1
    part = np.array([int((one.start_s + one.length_s / 2) % day_s / day_s * bins) for one in sound])
    means = np.array([streams.means(one) for one in sound])
    rows = np.array([streams.row(one, own) for one, own in zip(sound, means, strict=True)])
    zero = _zero_cells(streams.cells)
    cell_profile = _profile(means, part, bins)
    common = means[:, zero].mean(axis=1)
    profile, zero_profile = _profile(rows, part, bins), _profile(common[:, None], part, bins)[:, 0]
    residual = rows - profile[part]
    unequal = streams.is_contrast & (np.arange(len(streams.names)) < streams.own)
    gain = _gains(residual, common - zero_profile[part], unequal) if days >= GAIN_DAYS else None
    if gain is not None:
        residual -= gain * np.clip(common - zero_profile[part], -GAIN_CLIP, GAIN_CLIP)[:, None]
    grid = on_grid(residual, sound, block_s)
    scale, degenerate = scales_of(grid)
    # The profile was fitted to these very days, and took a part of their noise with it.
    fitted = math.sqrt(days / (days - 1)) if days >= 2 else 1.0
    sigma = fitted * sigmas(np.clip(grid, -NOISE_CLIP * scale, NOISE_CLIP * scale))
    draft = Baseline(
        streams=streams,
        block_s=block_s,
        day_s=day_s,
        blocks=len(sound),
        days=days,
        profile=profile,
        zero_profile=zero_profile,
        zero_cells=zero,
        gain=np.zeros(len(streams.names)) if gain is None else gain,
        clip=np.zeros(len(streams.names)),
        sigma=sigma,
        long_run=(sigma**2 * np.array(SCALES)[:, None])[-3:].mean(axis=0),
        long_run_df=freedom(len(grid), INFLATED_UP_TO),
        highest=highest_of(grid),
        mean=np.zeros(len(streams.names)),
        rate_low=_rates(sound, part, bins, lowest=True),
        rate_high=_rates(sound, part, bins, lowest=False),
        failures=learn_rates(sound),
        cell_profile=cell_profile,
        moves=_moves(streams, means - cell_profile[part], sound, block_s),
        cell_p95=_medians_by_cell(sound, lambda one: one.p95_log_s),
        shares=shares,
        degenerate=tuple(streams.names[place] for place in np.flatnonzero(degenerate[: streams.own]).tolist()),
    )
    return _widened(draft, grid)


def _widened(draft: Baseline, grid: Floats) -> Baseline:
    """With sigma so wide that the baseline stays ``BASELINE_MOST`` away from an alarm, and with the clip."""
    found = replace(draft, sigma=draft.sigma.copy())
    found.sigma[:LEVELS_FROM, : len(found.streams.levels)] = math.inf
    for _ in range(5):
        clip = _clip(found)
        clipped = np.clip(grid, -clip, clip)
        most = np.array([highest_of(window_means(clipped, k)) for k in SCALES if k <= len(clipped)])
        most = np.vstack([most, np.repeat(most[-1:], len(SCALES) - len(most), axis=0)])
        needed = (most / BASELINE_MOST - found.margin) / found.z_alarm[:, None]
        if (needed <= found.sigma * 1.001).all():
            break
        found = replace(found, sigma=np.maximum(found.sigma, needed))
    clip = _clip(found)
    return replace(found, clip=clip, mean=mean_of(np.clip(grid, -clip, clip)))


def _clip(baseline: Baseline) -> Floats:
    """What a block counts for at most; [streams]."""
    shortest = np.where(baseline.streams.is_contrast, 0, LEVELS_FROM)
    clip: Floats = baseline.threshold[shortest, np.arange(len(shortest))] / WINDOW_TO_ALARM
    return clip


def _streams(blocks: Sequence[Block], shares: Mapping[Cell, float]) -> Streams:
    need = PRESENT * len(blocks)
    levels = Counter(name for one in blocks for name in one.levels)
    cells, versus = (
        {cell for cell, n in Counter((c.operation, c.custom_fields) for c in every).items() if n >= need}
        for every in ([c for one in blocks for c in one.cells], [c for one in blocks for c in one.versus])
    )
    return name_streams(
        [name for name in sorted(levels) if levels[name] >= need],
        cells,
        {cell: shares[cell] for cell in sorted(cells & versus)},
    )


def _moves(streams: Streams, shifts: Floats, blocks: Sequence[Block], block_s: float) -> Floats:
    """How far means of k blocks of the watched target alone go, bursts and all, [scales, against].

    The larger of their standard deviation and a third of the highest, which is what such means of normal noise
    reach in a baseline of days.
    """
    own = np.array([weighted(streams.weights_against, one) for one in shifts]).reshape(len(shifts), -1)
    grid = on_grid(own, blocks, block_s)
    highest = [highest_of(window_means(grid, k)) for k in SCALES if k <= len(grid)]
    highest += highest[-1:] * (len(SCALES) - len(highest))
    moves: Floats = np.maximum(sigmas(grid), np.array(highest) / 3)
    return moves


def _zero_cells(cells: Sequence[Cell]) -> NDArray[np.bool_]:
    """The cells of the cohort with the fewest custom fields."""
    fewest = min((fields for _, fields in cells), default=0)
    return np.array([fields == fewest for _, fields in cells], np.bool_)


def _profile(rows: Floats, part: NDArray[np.int64], bins: int) -> Floats:
    """The median by part of the day, smoothed over its neighbours; [bins, streams]."""
    overall = _medians(rows)
    found = np.array([_medians(rows[part == i], overall) for i in range(bins)])
    if bins < 3:
        return found
    smooth: Floats = 0.25 * np.roll(found, 1, axis=0) + 0.5 * found + 0.25 * np.roll(found, -1, axis=0)
    return smooth


def _medians(rows: Floats, otherwise: Floats | None = None) -> Floats:
    """The median of each column; ``otherwise`` where a column has fewer than three values."""
    few = np.isfinite(rows).sum(axis=0) < 3
    filled = np.where(few, 0.0, rows) if len(rows) else np.zeros((1, rows.shape[1]))
    found: Floats = np.nanmedian(filled, axis=0)
    return np.where(few, 0.0 if otherwise is None else otherwise, found)


def _gains(residual: Floats, common: Floats, contrasts: NDArray[np.bool_]) -> Floats:
    """How much each contrast moves with the common level; 0 for levels.

    The common level of a block is itself measured with noise, which would make the gain too small; the
    common level of the block before has the same slow part and other noise, so it serves as an instrument.
    """
    z = np.clip(common, -GAIN_CLIP, GAIN_CLIP)
    both = np.isfinite(residual[1:]) & np.isfinite(z[1:] * z[:-1])[:, None]
    y, now, earlier = (np.where(both, a, 0.0) for a in (residual[1:], z[1:, None], z[:-1, None]))
    shared = (now * earlier).sum(axis=0)
    enough = shared > GAIN_LEAST**2 * np.maximum(both.sum(axis=0), 1)
    gain: Floats = np.divide((y * earlier).sum(axis=0), shared, out=np.zeros_like(shared), where=enough)
    return np.where(contrasts, np.clip(gain, -1, 1), 0.0)


def _rates(blocks: Sequence[Block], part: NDArray[np.int64], bins: int, *, lowest: bool) -> Floats:
    """The range of requests a block by part of the day, widened by its neighbours, 10 % and Poisson noise."""
    requests = np.array([one.rate for one in blocks])
    choose = np.min if lowest else np.max
    overall = float(choose(requests))
    found = np.array([choose(requests[part == i]) if (part == i).any() else overall for i in range(bins)])
    around = choose(np.array([np.roll(found, shift) for shift in (-1, 0, 1)]), axis=0)
    slack = 0.1 * around + 3 * np.sqrt(around)
    widened: Floats = around - slack if lowest else around + slack
    return widened


def _medians_by_cell(blocks: Sequence[Block], value_of: Callable[[CellLevel], float]) -> dict[Cell, float]:
    """The median of a value over the blocks, for each cell that has it."""
    values: dict[Cell, list[float]] = {}
    for block in blocks:
        for one in block.cells:
            if math.isfinite(value := value_of(one)):
                values.setdefault((one.operation, one.custom_fields), []).append(value)
    return {cell: float(np.median(found)) for cell, found in sorted(values.items())}


def _shares(blocks: Sequence[Block]) -> dict[Cell, float]:
    n: dict[Cell, int] = {}
    for block in blocks:
        for one in block.cells:
            n[one.operation, one.custom_fields] = n.get((one.operation, one.custom_fields), 0) + one.n
    everything = max(sum(n.values()), 1)
    return {cell: count / everything for cell, count in sorted(n.items())}
