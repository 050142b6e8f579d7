"""Numbers for people: the only place where seconds, ratios and counts become text.

A number that is not known is told as such, never as ``nan`` and never as zero.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Final

NOT_KNOWN: Final = "not known"
_MINUS: Final = "−"


def seconds(value_s: float) -> str:
    """``0.174`` is "174 ms", ``1.58`` is "1.6 s"; two digits below 10 ms and from 1 s on."""
    if not math.isfinite(value_s):
        return NOT_KNOWN
    if value_s == 0:
        return "0 ms"
    if abs(value_s) < 0.00995:
        return f"{value_s * 1000:.1f} ms"
    if abs(value_s) < 0.9995:
        return f"{value_s * 1000:.0f} ms"
    if abs(value_s) < 9.95:
        return f"{value_s:.1f} s"
    return f"{value_s:,.0f} s" if value_s < 1e6 else f"{value_s:.2g} s"


def change(ratio: float) -> str:
    """A ratio after / before as a signed change: ``2.2`` is "+120 %", ``0.86`` is "−14 %", ``12`` is "×12"."""
    if not math.isfinite(ratio * 100):
        return NOT_KNOWN
    if ratio >= 10:
        return f"×{ratio:,.0f}" if ratio < 1e6 else f"×{ratio:.2g}"
    return f"{_signed((ratio - 1) * 100, 0)} %"


def bound(ratio: float, limit: float) -> str:
    """One end of an interval, like ``change``, but never rounded onto the limit or onto zero.

    A bound of +9.7 % against a limit of +10 % is "+9.7 %": rounded to "+10 %" it would
    contradict the word beside it.
    """
    if not math.isfinite(ratio * 100) or ratio >= 10:
        return change(ratio)
    return f"{_bound_number(ratio, limit)} %"


def interval(low: float, high: float, limit: float) -> str:
    """Both ends as text: "between +109 % and +132 %"; not known if either is not."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return NOT_KNOWN
    return f"between {bound(low, limit)} and {bound(high, limit)}"


def short_interval(low: float, high: float, limit: float) -> str:
    """Both ends without their unit, for a narrow column: "+109..+132"; empty if either is not known."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{bound(low, limit).removesuffix(' %')}..{bound(high, limit).removesuffix(' %')}"


def share(value: float) -> str:
    """A share between 0 and 1: ``0.31`` is "31 %", ``0.0012`` is "0.12 %", 0 is "0 %"."""
    percent = value * 100
    if not math.isfinite(percent):
        return NOT_KNOWN
    if percent == 0 or abs(percent) >= 9.95:
        return f"{percent:.0f} %".replace("-", _MINUS)
    return f"{percent:.2g} %".replace("-", _MINUS) if abs(percent) >= 0.01 else "under 0.01 %"


def points(value: float) -> str:
    """A difference of two shares in percentage points: ``0.004`` is "+0.40 points"."""
    if not math.isfinite(value * 100):
        return NOT_KNOWN
    return f"{_signed(value * 100, 2)} points"


def growth(value: float) -> str:
    """A growth without dimension: ``0.25`` is "+25 %"."""
    return change(1 + value)


def count(value: int) -> str:
    """A count with thousands separators; zero is "0"."""
    return f"{value:,}".replace("-", _MINUS)


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """A count and what was counted: "1 pair", "2,000 pairs"."""
    return f"{count(value)} {noun if value == 1 else plural or noun + 's'}"


def of_hundred(quantile: float) -> str:
    """A quantile as people say it: ``0.95`` is "95 of 100", ``0.999`` is "999 of 1,000"."""
    whole = next(
        whole for whole in (100, 1000, 10_000, 100_000) if _is_whole(quantile * whole) or whole == 100_000
    )
    return f"{round(quantile * whole):,} of {whole:,}"


def percentile(quantile: float) -> str:
    """A quantile as engineers say it: ``0.95`` is "p95", ``0.999`` is "p99.9"."""
    return f"p{quantile * 100:.6g}"


def moment(iso: str) -> str:
    """An ISO 8601 time in UTC for people: "2026-11-20 16:12 UTC"; other text is returned as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    if when.tzinfo is None:
        return iso
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _bound_number(ratio: float, limit: float) -> str:
    percent, agreed = (ratio - 1) * 100, round((limit - 1) * 100, 6)
    touched = 0.0
    for digits in (0, 1, 2):
        hit = [mark for mark in (0.0, agreed) if round(percent, digits) == mark and not _same(percent, mark)]
        if not hit:
            return _signed(percent, digits)
        touched = hit[0]
    return f"{'over' if percent > touched else 'under'} {_signed(touched, 0 if touched.is_integer() else 2)}"


def _same(percent: float, mark: float) -> bool:
    return math.isclose(percent, mark, abs_tol=1e-9)


def _signed(number: float, digits: int) -> str:
    text = f"{abs(number):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        return "0"
    return f"{'+' if number > 0 else _MINUS}{text}"


def _is_whole(number: float) -> bool:
    return math.isclose(number, round(number), abs_tol=1e-6)


def duration(seconds: float) -> str:
    """How long something takes: ``45 s``, ``2 min``, ``1 h 20 min``."""
    if seconds < 120:
        return f"{seconds:.3g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
