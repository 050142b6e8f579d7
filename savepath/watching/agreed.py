"""What was agreed about a watch: ``watch.json`` in its state folder, written once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field, ValidationError

from analysis.window.spans import LAST_S
from scenarios.errors import InputError
from scenarios.source import StrictModel

if TYPE_CHECKING:  # the gate asks without loading the analysis
    from analysis.window.state import Terms

NAME: Final = "watch.json"


class AgreedTime(StrictModel):
    """An objective of the scenario that the watch tells the breach of: the p95 of a cell."""

    operation: str
    custom_fields: int
    p95_s: float = Field(gt=0)


class Agreed(StrictModel):
    """What ``watch.json`` holds."""

    schema_: Literal["savepath.watch/1"] = Field("savepath.watch/1", alias="schema")
    block_s: float = Field(gt=0)
    day_s: float = Field(86_400.0, gt=0)
    settle_s: float = Field(ge=0)
    #: Half of all time for each, so that their sum, ``ends_s``, has a calendar too.
    begun_s: float = Field(ge=0, le=LAST_S / 2)  # Unix time
    lasts_s: float = Field(gt=0, le=LAST_S / 2)
    tolerance: float = Field(gt=0)
    required_events: tuple[str, ...] = ()
    source: str  # for people: what is watched
    objectives: tuple[AgreedTime, ...] = ()
    tenants: dict[int, tuple[str, ...]] = Field({})  # of each cohort, by its number of custom fields

    @property
    def ends_s(self) -> float:
        """When the window is over, Unix time."""
        return self.begun_s + self.lasts_s

    @property
    def terms(self) -> Terms:
        """The same as the analysis wants it."""
        from analysis.window.explanation import Objective
        from analysis.window.state import Terms

        return Terms(
            settle_s=self.settle_s,
            tolerance=self.tolerance,
            required_events=self.required_events,
            objectives=tuple(Objective(one.operation, one.custom_fields, one.p95_s) for one in self.objectives),
            tenants=self.tenants,
        )


def is_state(state: Path) -> bool:
    """Whether a watch was begun there."""
    return (state / NAME).is_file()


def read_agreed(state: Path) -> Agreed:
    """What was agreed. Raises InputError for a folder without a watch and for a damaged one."""
    path = state / NAME
    try:
        return Agreed.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{state} holds no watch; savepath watch begins one") from None
    except (OSError, ValidationError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({str(error).splitlines()[0]}); it is damaged") from None
