"""What a request may say: the JSON bodies of the API as models, and how they are read.

Unknown keys and wrong types are refused (422), broken JSON too (400). The values of custom
fields are checked against their case type later, in ``fields``.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from casedesk.fields import FieldType
from casedesk.problems import Problem

_CONFIG: Final = ConfigDict(extra="forbid", frozen=True, strict=True)

#: Largest request body, in bytes.
BODY_LIMIT: Final = 4_000_000
#: Tokens are visible ASCII without a comma: they travel in headers and in comma lists.
TOKEN_PATTERN: Final = r"^[!-+\--~]{1,200}$"  # noqa: S105  # not a password

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Token = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=50)]
Description = Annotated[str, StringConstraints(max_length=20_000)]
Address = Annotated[str, StringConstraints(pattern=r"^[!#-'*+\--9=?A-Z^-~]{1,64}@[A-Za-z0-9.-]{1,190}$")]
#: One line: no control characters, so that it cannot begin another header.
Subject = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f\u0085\u2028\u2029]{0,500}$")]
Fields = Annotated[dict[str, Any], Field(max_length=2000)]


class TenantBody(BaseModel):
    """A tenant to create."""

    model_config = _CONFIG
    key: Key
    name: Name


class FieldBody(BaseModel):
    """A custom field of a case type."""

    model_config = _CONFIG
    key: Key
    label: Name
    type: FieldType
    choices: list[Name] = Field(default_factory=list, max_length=500)

    @model_validator(mode="after")
    def _have_choices(self) -> FieldBody:
        if (self.type in ("choice", "multi_choice")) != bool(self.choices):
            raise ValueError("choices belong to the types choice and multi_choice, which need at least one")
        return self


class CaseTypeBody(BaseModel):
    """A case type to create or, by PUT, to extend."""

    model_config = _CONFIG
    key: Key
    name: Name
    scripts_on_save: int = Field(default=0, ge=0, le=20)
    fields: list[FieldBody] = Field(default_factory=list, max_length=2000)

    @model_validator(mode="after")
    def _name_each_field_once(self) -> CaseTypeBody:
        if len({field.key for field in self.fields}) < len(self.fields):
            raise ValueError("two fields have the same key")
        return self


class CaseBody(BaseModel):
    """A case to create."""

    model_config = _CONFIG
    case_type: Key
    title: Title
    status: Word = "open"
    priority: Word = "normal"
    description: Description = ""
    fields: Fields = Field(default_factory=dict)


class SaveBody(BaseModel):
    """A save: what is named is set, what is not stays as it is."""

    model_config = _CONFIG
    title: Title | None = None
    status: Word | None = None
    priority: Word | None = None
    description: Description | None = None
    fields: Fields = Field(default_factory=dict)


class MailBody(BaseModel):
    """A mail to send."""

    model_config = _CONFIG
    to: Address
    subject: Subject
    body: Description = ""
    token: Token
    case_id: int | None = Field(default=None, ge=1, lt=2**63)


class MessageBody(BaseModel):
    """One mail of a batch."""

    model_config = _CONFIG
    to: Address
    subject: Subject
    body: Description = ""
    token: Token


class BatchBody(BaseModel):
    """Mails to send together."""

    model_config = _CONFIG
    token: Token
    messages: list[MessageBody] = Field(min_length=1, max_length=1000)


Body = TypeVar("Body", bound=BaseModel)


def read_body(model: type[Body], content: bytes) -> Body:
    """The body as a model; :class:`Problem` 400 for broken JSON, 422 with the field for anything else."""
    if len(content) > BODY_LIMIT:
        raise Problem(413, "too_large", f"the body has {len(content)} bytes; at most {BODY_LIMIT} are taken")
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "bad_json", first["msg"]) from error
        field = ".".join(str(part) for part in first["loc"])
        detail = f"{field or 'body'}: {first['msg'].removeprefix('Value error, ')}"
        raise Problem(422, "invalid", detail, field=field) from error
