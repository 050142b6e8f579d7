"""The load of a scenario: how many arrivals, and how they are spread over time."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Annotated, Final, Literal, Self

from pydantic import Field, PrivateAttr, field_validator, model_validator

from scenarios.curve import Curve
from scenarios.recording import Recording
from scenarios.source import StrictModel

#: Arrivals per second that no scenario may exceed.
RATE_MOST: Final = 5000
HOUR_S: Final = 3600.0
DAY_S: Final = 24 * HOUR_S
LONGEST_S: Final = 30 * DAY_S

#: A day of an office, from midnight: the morning's peak, lunch, the afternoon, and the few who work at night.
OFFICE: Final = (
    0.05, 0.04, 0.03, 0.03, 0.04, 0.08, 0.2, 0.55, 1.3, 1.9, 2.0, 1.8,
    1.3, 1.5, 1.9, 1.8, 1.6, 1.2, 0.7, 0.4, 0.25, 0.15, 0.1, 0.07,
)  # fmt: skip

Times = Annotated[float, Field(ge=0, le=1000)]


class Point(StrictModel):
    """A moment of a ramp or the beginning of a step."""

    at_s: float = Field(ge=0, le=LONGEST_S, description="seconds from the start of the measured window")
    times: Times = Field(description="the rate there, in times rate_per_s")


class Daily(StrictModel):
    """A daily profile: the rate at each full hour, straight between them, and again the next day."""

    hours: tuple[Times, ...] = Field(
        OFFICE, min_length=24, max_length=24, description="24 numbers from midnight, in times rate_per_s"
    )
    starts_at_h: float = Field(0, ge=0, lt=24, description="the hour at which the measured window starts")
    lasts_s: float = Field(DAY_S, ge=24, le=DAY_S, description="how long a day takes; 3600 plays it in an hour")


class Burst(StrictModel):
    """Arrivals that come together, beside the others: a batch of mail, everybody at nine."""

    at_s: float = Field(ge=0, le=LONGEST_S, description="seconds from the start of the measured window")
    arrivals: int = Field(ge=1, le=1_000_000, description="how many of them, exactly")
    within_s: float = Field(1, gt=0, le=HOUR_S, description="they come at independent moments within so long")
    every_s: float | None = Field(None, gt=0, le=LONGEST_S, description="again after so long; else only once")
    operation: str | None = Field(None, description="what all of them do; else as the mix says")
    cohort: str | None = Field(None, description="where all of them arrive; else as the shares say")

    @property
    def kind(self) -> tuple[str, str]:
        """Operation and cohort; "" for whatever the scenario draws."""
        return self.operation or "", self.cohort or ""

    @model_validator(mode="after")
    def _one_after_the_other(self) -> Self:
        if self.every_s is not None and self.every_s < self.within_s:
            raise ValueError(f"every_s is {self.every_s:g}; expected within_s ({self.within_s:g}) or more")
        if self.arrivals > RATE_MOST * max(self.within_s, 1):
            raise ValueError(
                f"{self.arrivals:,} arrivals within {self.within_s:g} s; expected {RATE_MOST:,}/s or less"
            )
        return self


class Users(StrictModel):
    """A closed loop: so many users, each of whom thinks, asks, and waits for the answer."""

    count: int = Field(ge=1, le=20_000, description="how many users there are")
    think_s: float = Field(gt=0, le=HOUR_S, description="seconds from an answer to what they do next, on average")
    think_times: Literal["exponential", "constant"] = Field(
        "exponential", description="different each time (exponential) or always the same (constant)"
    )

    @property
    def most_per_s(self) -> float:
        """Arrivals per second on average if every answer came at once; slower answers make fewer of them."""
        return self.count / self.think_s


class Load(StrictModel):
    """How many arrivals, and how they are spread over time."""

    rate_per_s: float | None = Field(
        None, gt=0, le=RATE_MOST, description="arrivals per second, over all tenants; what times counts in"
    )
    arrivals: Literal["poisson", "constant"] = Field(
        "poisson", description="independent users (poisson) or evenly spaced (constant)"
    )
    ramp: tuple[Point, ...] = Field((), description="the rate goes straight from point to point")
    steps: tuple[Point, ...] = Field((), description="the rate jumps at each point")
    daily: Daily | None = Field(None, description="the rate follows the hours of a day; {} for that of an office")
    bursts: tuple[Burst, ...] = Field(
        (), max_length=100, description="arrivals that come together, beside the rate"
    )
    replay: str | None = Field(
        None,
        description="in place of a rate: a CSV beside this file, at_s[,operation][,cohort]",
    )
    users: Users | None = Field(
        None,
        description="in place of a rate: users who wait for each answer; what they waited is not comparable",
    )
    rate_max_per_s: int | None = Field(
        None, ge=1, le=RATE_MOST, description="arrivals in any second at most; those beyond it come later"
    )
    in_flight_max: int = Field(
        500, ge=1, le=20_000, description="open requests at most; beyond it arrivals wait, and it is said"
    )
    timeout_s: float = Field(30, gt=0, le=600, description="a request that takes longer is a timeout")
    _recording: Recording | None = PrivateAttr(None)

    @field_validator("ramp", "steps")
    @classmethod
    def _points_go_on(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        for one, following in pairwise(points):
            if following.at_s < one.at_s:
                raise ValueError(f"at_s falls from {one.at_s:g} to {following.at_s:g}; put the points in order")
        return points

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        shapes = [name for name in ("ramp", "steps", "daily", "replay", "users") if getattr(self, name)]
        if len(shapes) > 1:
            raise ValueError(f"{' and '.join(shapes)} each say when arrivals come; keep one of them")
        if self.users:
            self._refuse_beside(self.users)
            return self
        if self.rate_per_s is None and not self.replay:
            raise ValueError("rate_per_s is missing; expected arrivals per second, over all tenants")
        if self.rate_per_s is not None and self.replay:
            raise ValueError("replay says when arrivals come; leave rate_per_s out")
        highest = (self.rate_per_s or 0) * max(self._factors, default=1)
        if highest > RATE_MOST:
            raise ValueError(f"the rate rises to {highest:,.0f}/s; expected {RATE_MOST:,} or less")
        return self

    def _refuse_beside(self, users: Users) -> None:
        """Raises ValueError for what users of a closed loop cannot have beside them."""
        beside = [name for name in ("rate_per_s", "bursts") if getattr(self, name)]
        if beside:
            raise ValueError(f"users begin when they were answered; leave {' and '.join(beside)} out")
        if users.count > self.in_flight_max:
            raise ValueError(
                f"{users.count:,} users may all wait at once; set in_flight_max (it is {self.in_flight_max:,}) to "
                "as many or more"
            )
        if users.most_per_s > RATE_MOST:
            raise ValueError(
                f"{users.count:,} users who think {users.think_s:g} s may come to {users.most_per_s:,.0f}/s; "
                f"expected {RATE_MOST:,} or less"
            )

    @property
    def _factors(self) -> tuple[float, ...]:
        points = tuple(point.times for point in (*self.ramp, *self.steps))
        return points or (self.daily.hours if self.daily else ())

    @property
    def by_users_per_s(self) -> float:
        """What users of a closed loop come to at most, on average; 0 where the load is open."""
        return min(self.users.most_per_s, self.rate_max_per_s or math.inf) if self.users else 0.0

    @property
    def is_steady(self) -> bool:
        """Whether one rate holds all the time, but for bursts."""
        return not (self._factors or self.replay)

    @property
    def recording(self) -> Recording | None:
        """What ``replay`` names, once it was read."""
        return self._recording

    def take(self, recording: Recording) -> None:
        """Keep what ``replay`` names; called once, by whoever read the scenario."""
        self._recording = recording

    def curve(self, *, warmup_s: float, duration_s: float) -> Curve:
        """The rate per second of one run. The warm-up has the rate that the window starts with."""
        rate = self.rate_per_s or 0.0
        corners = [(at_s, times * rate) for at_s, times in self._corners(duration_s)]
        before = [-warmup_s, *(at_s for at_s, _ in corners), duration_s]
        rates = [corners[0][1], *(one for _, one in corners), corners[-1][1]]
        return Curve(before, rates)

    def _corners(self, duration_s: float) -> list[tuple[float, float]]:
        """Moments from 0 to ``duration_s``, and the factor at each."""
        if self.daily:
            return _within(_corners_of_day(self.daily, duration_s), duration_s)
        if self.steps:
            first, *others = self.steps
            corners = [(first.at_s, first.times)]
            for point in others:
                corners += [(point.at_s, corners[-1][1]), (point.at_s, point.times)]
            return _within(corners, duration_s)
        return _within([(point.at_s, point.times) for point in self.ramp] or [(0.0, 1.0)], duration_s)


def _within(corners: list[tuple[float, float]], duration_s: float) -> list[tuple[float, float]]:
    """The corners up to the end, the last of them where a line is cut off by it."""
    kept = [corner for corner in corners if corner[0] <= duration_s]
    beyond = next((corner for corner in corners if corner[0] > duration_s), None)
    if not kept:
        return [(0.0, corners[0][1])]
    if beyond:
        (at_s, times), (later_s, then) = kept[-1], beyond
        kept.append((duration_s, times + (then - times) * (duration_s - at_s) / (later_s - at_s)))
    return kept


def _corners_of_day(daily: Daily, duration_s: float) -> list[tuple[float, float]]:
    hour_s = daily.lasts_s / 24
    first = math.floor(daily.starts_at_h)
    number = math.ceil(duration_s / hour_s) + 2
    corners = [
        ((hour - daily.starts_at_h) * hour_s, daily.hours[hour % 24]) for hour in range(first, first + number)
    ]
    if corners[0][0] < 0:  # the window starts between two full hours
        (at_s, times), (later_s, then) = corners[:2]
        corners[0] = (0.0, times + (then - times) * -at_s / (later_s - at_s))
    return corners
