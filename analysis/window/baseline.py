"""The baseline: what was normal before the change, and how much it moves by itself at every scale of time.

A residual is the value of a stream less its profile over the day; from a contrast is also taken what a
uniform slow-down of the host does to it, because cells gain unequally (a host that is twice as slow
would otherwise pass for growth). Noise is measured where it will be used: ``sigma[k]`` is the standard
deviation of the mean of k consecutive blocks, so that neither a model of the noise nor its memory has
to be guessed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.window.blocks import P95_AT_LEAST, Block, CellLevel
from analysis.window.failing import BLOCKS_IN_30_DAYS, FailureRate, learn_rates
from analysis.window.streams import Cell, Streams, name_streams

Floats = NDArray[np.float64]

#: Lengths of the windows that are looked at, in blocks: 25 min to a day where a block is 5 minutes.
SCALES: Final = (5, 9, 18, 36, 72, 144, 288)
#: Levels, which every busy half hour moves, begin with the second of them, contrasts with the first.
LEVELS_FROM: Final = 1
#: Share of a window's blocks that must have a value.
FILLED: Final = 2 / 3
#: Alarms expected in 30 days of 5-minute blocks, over all streams and scales, if nothing is wrong: a bound.
FALSE_ALARMS: Final = 0.5
#: A shift up to this is not acted upon.
MARGIN: Final = math.log(1.05)
#: No window of the baseline itself may come closer to an alarm than this; sigma is widened until none does.
BASELINE_MOST: Final = 0.8
#: What a block may add to the estimate of the noise at most, in robust standard deviations: bursts are
#: answered by ``clip`` and ``BASELINE_MOST``, and must not blunt the watch for all other hours.
NOISE_CLIP: Final = 4.0
#: A single block counts for so much at most that only this share of its shortest window can raise an alarm.
WINDOW_TO_ALARM: Final = 0.9
INFLATED_UP_TO: Final = 72
#: No system stands stiller than this; protects from a baseline that happened to be quiet.
SIGMA_LEAST: Final = 0.005
#: A stream is watched if so many of the baseline's blocks have it.
PRESENT: Final = 0.8
#: The profile is told by so many parts of a day, from so many days on.
PROFILE_BINS: Final = 48
PROFILE_DAYS: Final = 1.5
#: From so many days on the gains of the cells can be learnt; the common level counts up to +- 0.7.
GAIN_DAYS: Final = 3.0
GAIN_CLIP: Final = 0.7
#: Less common movement than this teaches nothing of gains.
GAIN_LEAST: Final = 0.01
#: Shorter baselines than a day cannot tell a daily cycle from a change.
SHORT_DAYS: Final = 1.0
_MAD: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Baseline:
    """Learnt once, never changed. Arrays are [bins], [streams], [bins, streams] or [scales, streams]."""

    streams: Streams
    block_s: float
    day_s: float
    blocks: int
    days: float
    profile: Floats
    zero_profile: Floats
    zero_cells: NDArray[np.bool_]
    gain: Floats
    highest: Floats  # residual of a single block
    mean: Floats  # residual, each block counted up to ``clip``: bursts lift it above the profile, a median
    clip: Floats
    sigma: Floats
    long_run: Floats  # variance of one block, as if blocks were independent; rather too large
    long_run_df: float  # degrees of freedom that it was told from
    rate_low: Floats
    rate_high: Floats
    failures: Mapping[str, FailureRate]
    cell_profile: Floats  # [bins, cells]
    cell_p95: Mapping[Cell, float]  # median, log seconds
    shares: Mapping[Cell, float]  # of all requests
    degenerate: tuple[str, ...]  # streams without any variation

    @property
    def margin(self) -> Floats:
        """A shift up to this may be chance of the baseline, or too small to act upon; [streams]."""
        return MARGIN + np.sqrt(self.long_run / max(self.blocks, 1))

    @property
    def long_run_told(self) -> Floats:
        """The same as it was told, without the allowance for having been told from little; [streams]."""
        return self.long_run / _allowance(self.long_run_df)

    @property
    def z_alarm(self) -> Floats:
        """Sigmas beyond the margin that raise an alarm, [scales]: a union bound over blocks, streams, scales."""
        return _z_alarm(len(self.streams.names))

    @property
    def threshold(self) -> Floats:
        """The mean of a window that raises an alarm, [scales, streams]."""
        return self.margin + self.z_alarm[:, None] * self.sigma

    @property
    def is_short(self) -> bool:
        """Whether it is too short to tell a daily cycle from a change."""
        return self.days < SHORT_DAYS

    def smallest(self, stream: str) -> float:
        """The smallest lasting shift of a stream that a day of watching can find, as a share: 0.1 is +10 %."""
        at = self.streams.names.index(stream)
        return math.expm1(float(self.threshold[:, at].min()))

    def bin_of(self, block: Block) -> int:
        """Which part of the day a block belongs to."""
        middle = block.start_s + block.length_s / 2
        return int(middle % self.day_s / self.day_s * len(self.profile))

    def residual(self, block: Block) -> Floats:
        """Every stream less what is normal at that time of day, NaN where it has no value."""
        part, means = self.bin_of(block), self.streams.means(block)
        common = max(-GAIN_CLIP, min(self._common(means, part), GAIN_CLIP))
        row: Floats = self.streams.row(block, means) - self.profile[part]
        if math.isnan(common):
            row[self.gain != 0] = math.nan
            return row
        row -= self.gain * common
        return row

    def cell_shifts(self, block: Block) -> Floats:
        """How much slower than normal each cell is, log scale; NaN where the block has none."""
        shifts: Floats = self.streams.means(block) - self.cell_profile[self.bin_of(block)]
        return shifts

    def common_level(self, block: Block) -> float:
        """How much slower than normal the cells without custom fields are; NaN if one is missing."""
        return self._common(self.streams.means(block), self.bin_of(block))

    def _common(self, means: Floats, part: int) -> float:
        zero = means[self.zero_cells]
        return float(zero.mean() - self.zero_profile[part]) if len(zero) else math.nan


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
    streams = _streams(sound)
    if not streams.names:
        share = f"{PRESENT * 100:.0f} %"
        raise ValueError(f"no operation has {P95_AT_LEAST} requests or more in {share} of the baseline's blocks")
    days = min(len(sound) * block_s, sound[-1].end_s - sound[0].start_s) / day_s
    bins = PROFILE_BINS if days >= PROFILE_DAYS else 1
    part = np.array([int((one.start_s + one.length_s / 2) % day_s / day_s * bins) for one in sound])
    means = np.array([streams.means(one) for one in sound])
    rows = np.array([streams.row(one, own) for one, own in zip(sound, means, strict=True)])
    zero = _zero_cells(streams.cells)
    common = means[:, zero].mean(axis=1)
    profile, zero_profile = _profile(rows, part, bins), _profile(common[:, None], part, bins)[:, 0]
    residual = rows - profile[part]
    gain = _gains(residual, common - zero_profile[part], streams.is_contrast) if days >= GAIN_DAYS else None
    if gain is not None:
        residual -= gain * np.clip(common - zero_profile[part], -GAIN_CLIP, GAIN_CLIP)[:, None]
    on_grid = _on_grid(residual, sound, block_s)
    scale, degenerate = _scales_of(on_grid)
    # The profile was fitted to these very days, and took a part of their noise with it.
    fitted = math.sqrt(days / (days - 1)) if days >= 2 else 1.0
    sigma = fitted * _sigmas(np.clip(on_grid, -NOISE_CLIP * scale, NOISE_CLIP * scale))
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
        long_run_df=_freedom(len(on_grid), INFLATED_UP_TO),
        highest=_highest(on_grid),
        mean=np.zeros(len(streams.names)),
        rate_low=_rates(sound, part, bins, lowest=True),
        rate_high=_rates(sound, part, bins, lowest=False),
        failures=learn_rates(sound),
        cell_profile=_profile(means, part, bins),
        cell_p95=_medians_by_cell(sound, lambda one: one.p95_log_s),
        shares=_shares(sound),
        degenerate=tuple(name for name, flat in zip(streams.names, degenerate, strict=True) if flat),
    )
    return _widened(draft, on_grid)


@cache
def _z_alarm(streams: int) -> Floats:
    """The means of k blocks change slowly, and z^2 of them a window are as good as all (Pickands 1969)."""
    found = []
    for k in SCALES:
        z = 4.5
        for _ in range(20):
            looks = BLOCKS_IN_30_DAYS / k * min(k, z**2)
            z = -float(special.ndtri(FALSE_ALARMS / (looks * len(SCALES) * max(streams, 1))))
        found.append(z)
    return np.array(found)


def window_means(rows: Floats, k: int) -> Floats:
    """The mean of each k consecutive rows, NaN where too few of them have a value; [rows - k + 1, streams]."""
    present = np.isfinite(rows)
    sums = np.cumsum(np.vstack([np.zeros(rows.shape[1]), np.where(present, rows, 0.0)]), axis=0)
    counts = np.cumsum(np.vstack([np.zeros(rows.shape[1]), present]), axis=0)
    total, n = sums[k:] - sums[:-k], counts[k:] - counts[:-k]
    means: Floats = np.where(n >= FILLED * k, total / np.maximum(n, 1), math.nan)
    return means


def _widened(draft: Baseline, on_grid: Floats) -> Baseline:
    """With sigma so wide that the baseline stays ``BASELINE_MOST`` away from an alarm, and with the clip."""
    found = replace(draft, sigma=draft.sigma.copy())
    found.sigma[:LEVELS_FROM, : len(found.streams.levels)] = math.inf
    for _ in range(5):
        clip = _clip(found)
        clipped = np.clip(on_grid, -clip, clip)
        most = np.array([_highest(window_means(clipped, k)) for k in SCALES if k <= len(clipped)])
        most = np.vstack([most, np.repeat(most[-1:], len(SCALES) - len(most), axis=0)])
        needed = (most / BASELINE_MOST - found.margin) / found.z_alarm[:, None]
        if (needed <= found.sigma * 1.001).all():
            break
        found = replace(found, sigma=np.maximum(found.sigma, needed))
    clip = _clip(found)
    return replace(found, clip=clip, mean=_mean_of(np.clip(on_grid, -clip, clip)))


def _clip(baseline: Baseline) -> Floats:
    """What a block counts for at most; [streams]."""
    shortest = np.where(baseline.streams.is_contrast, 0, LEVELS_FROM)
    clip: Floats = baseline.threshold[shortest, np.arange(len(shortest))] / WINDOW_TO_ALARM
    return clip


def _sigmas(rows: Floats) -> Floats:
    """The standard deviation of the mean of k blocks for every scale, [scales, streams].

    A scale of which the baseline holds fewer than three windows takes over the one before: its noise
    is then over-estimated, never under-estimated. That few independent windows tell little is allowed for
    by the lower quintile of chi-squared, for the longest scales as if they were ``INFLATED_UP_TO``: they
    cannot be quieter than what the shorter ones add up to.
    """
    found: list[Floats] = []
    for k in SCALES:
        independent = len(rows) / k
        if found and independent < 3:
            found.append(found[-1])
            continue
        allowance = _allowance(_freedom(len(rows), min(k, INFLATED_UP_TO)))
        square = _mean_of(window_means(rows, k) ** 2) * allowance
        least = found[-1] * math.sqrt(SCALES[len(found) - 1] / k) if found else SIGMA_LEAST
        found.append(np.maximum(np.sqrt(square), least))
    return np.array(found)


def _freedom(blocks: int, k: int) -> float:
    return max(blocks / k - 1, 1.0)


@cache
def _allowance(df: float) -> float:
    """By how much a variance that was told from ``df`` is made larger: a fifth of such are too small by more."""
    return df / float(special.chdtri(df, 0.8))


def _highest(rows: Floats) -> Floats:
    """The largest value of each column; 0 where it has none."""
    highest: Floats = np.where(np.isfinite(rows), rows, -np.inf).max(axis=0)
    return np.where(np.isfinite(highest), highest, 0.0)


def _streams(blocks: Sequence[Block]) -> Streams:
    need = PRESENT * len(blocks)
    levels: dict[str, int] = {}
    cells: dict[Cell, int] = {}
    for one in blocks:
        for name in one.levels:
            levels[name] = levels.get(name, 0) + 1
        for cell in one.cells:
            key = cell.operation, cell.custom_fields
            cells[key] = cells.get(key, 0) + 1
    return name_streams(
        [name for name in sorted(levels) if levels[name] >= need], [cell for cell in cells if cells[cell] >= need]
    )


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


def _on_grid(rows: Floats, blocks: Sequence[Block], block_s: float) -> Floats:
    """The rows at their places in time, NaN between them; gaps longer than a day's worth are cut short."""
    steps = np.rint(np.diff([one.start_s for one in blocks]) / block_s).astype(int)
    place = np.concatenate([[0], np.cumsum(np.clip(steps, 1, SCALES[-1]))])
    grid = np.full((place[-1] + 1, rows.shape[1]), math.nan)
    grid[place] = rows
    return grid


def _scales_of(rows: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """A robust scale of each column: MAD, else p10 to p90, else sd, else 1 %; and which had no variation."""
    columns, flat = [], []
    for column in rows.T:
        values = column[np.isfinite(column)]
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9]) if len(values) else (0.0, 0.0, 0.0)
        mad = float(np.median(np.abs(values - middle))) if len(values) else 0.0
        candidates = (_MAD * mad, float(high - low) / 2.563, float(values.std()) if len(values) else 0.0)
        scale = next((one for one in candidates if one > 1e-9), 0.0)
        columns.append(scale or 0.01)
        flat.append(scale == 0.0)
    return np.array(columns), np.array(flat, np.bool_)


def _mean_of(rows: Floats) -> Floats:
    """The mean of each column over what has a value; 0 where nothing has."""
    present = np.isfinite(rows)
    mean: Floats = np.where(present, rows, 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
    return mean


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
