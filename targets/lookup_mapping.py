"""What a mapping says of where the truth behind the answers is looked up: scripts, values, mails."""

from __future__ import annotations

from typing import Any, Final, Self

from pydantic import Field, model_validator

from scenarios.source import StrictModel
from targets.extraction import Expression
from targets.fieldsets import Shape
from targets.request_mapping import RequestMapping

#: How mails are looked up at savepath's own SMTP sink.
SINK: Final = {
    "base_url": "{{ variables.mail_sink }}",
    "request": "GET /mails?tokens={{ tokens | join(',') }}",
    "items": "mails",
    "count": "deliveries",
    "batch": 100,
}


class Items(StrictModel):
    """A lookup of what became of many tokens at once."""

    request: RequestMapping
    base_url: str | None = Field(
        None,
        description="where it is looked up, if not at the target itself; nothing of the target's auth goes there",
    )
    batch: int = Field(50, ge=1, le=1000, description="tokens in one lookup at most")
    items: Expression = Field("@", description="finds the list of results in the answer")
    token: Expression = Field("token", description="finds the token in a result")
    begun: Expression | None = Field(None, description="finds when it was due to begin, by the target's clock")
    ended: Expression | None = Field(None, description="finds when it was done, by the same clock")


class ScriptsLookup(Items):
    """Where the log of on-save scripts is read."""

    name: Expression = Field("name", description="finds the name of the script in a result")
    expected: str = Field("script-{{ script.number }}", description="the name of script number 1, 2, ...")
    in_order: bool = Field(
        False,
        description="the target promises to run scripts one after another: those of a save by their numbers, and "
        "those of a case save by save; held against `ended`",
    )

    @model_validator(mode="after")
    def _order_needs_a_clock(self) -> Self:
        if self.in_order and self.ended is None:
            raise ValueError("in_order is held against `ended`, the moment at which a script was done; name it")
        return self


class MailsLookup(Items):
    """Where it is read which mails were delivered; ``sink`` stands for savepath's own (``targets.mail_sink``)."""

    recipient: Expression = Field("to", description="finds the recipient in a result")
    count: Expression | None = Field(None, description="finds how often it was delivered; once if not given")

    @model_validator(mode="before")
    @classmethod
    def _from_sink(cls, given: Any) -> Any:
        return dict(SINK) if given == "sink" else given


class ValuesLookup(StrictModel):
    """Where a case is read back."""

    request: RequestMapping
    fields: Expression = Field("@", description="finds the custom fields in the answer")
    shape: Shape | None = Field(None, description="the shape that they have there; that of a save if not given")


class HistoryLookup(StrictModel):
    """Where the changes of cases are told: what each save wrote, whatever was saved after it."""

    request: RequestMapping
    batch: int = Field(1, ge=1, le=200, description="cases in one lookup at most")
    items: Expression = Field("@", description="finds the list of changes in the answer, oldest first")
    token: Expression = Field("token", description="finds in a change the token of the save that made it")
    case: Expression | None = Field(None, description="finds in a change the case; needed where batch is above 1")
    field: Expression = Field("field", description="finds in a change the name or id of the field")
    before: Expression = Field("before", description="finds in a change the value that the field had before")

    @model_validator(mode="after")
    def _cases_are_told_apart(self) -> Self:
        if self.batch > 1 and self.case is None:
            raise ValueError("a lookup of several cases needs `case`: whose change is it?")
        return self


class SavesLookup(Items):
    """Where it is found by token which cases a save has reached, in one tenant at a time."""

    case: Expression = Field("case", description="finds in a result the case that was saved")


class Verify(StrictModel):
    """How the truth behind the answers is looked up; what is left out is not checked, and it is said."""

    scripts: ScriptsLookup | None = None
    values: ValuesLookup | None = None
    history: HistoryLookup | None = None
    saves: SavesLookup | None = None
    mails: MailsLookup | None = None

    @model_validator(mode="after")
    def _history_ends_in_the_present(self) -> Self:
        if self.history and not self.values:
            raise ValueError("history needs values: what a case holds now is where its history ends")
        return self
