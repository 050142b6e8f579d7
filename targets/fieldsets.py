"""How custom fields stand in a body: the shape of the set, and the form of each type of value.

Writing and reading are mirror images: what ``encode`` and ``members`` make, ``read_members`` and
``decode`` take apart again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self

import orjson
from pydantic import Field, model_validator

from scenarios.fields import Value
from scenarios.model import FieldType
from scenarios.source import StrictModel
from targets.extraction import Unreadable

Shape = Literal["flat", "map", "list", "wrapped"]
Kind = Literal["as_is", "text", "joined", "date_time", "yes_no", "id"]

#: The types that each kind of codec is for.
_FITS: dict[str, frozenset[FieldType]] = {
    "as_is": frozenset(FieldType),
    "text": frozenset(FieldType) - {FieldType.MULTI_CHOICE, FieldType.CHECKBOX},
    "joined": frozenset({FieldType.MULTI_CHOICE}),
    "date_time": frozenset({FieldType.DATE}),
    "yes_no": frozenset({FieldType.CHECKBOX}),
    "id": frozenset({FieldType.CHOICE, FieldType.MULTI_CHOICE, FieldType.REFERENCE}),
}


class Codec(StrictModel):
    """The form in which values of a type travel: ``yes_no``, or ``{kind: yes_no, yes: "Y", no: "N"}``."""

    kind: Kind = "as_is"
    separator: str = Field(", ", min_length=1, description="of a joined text")
    suffix: str = Field("T00:00:00Z", description="what follows the date in a date_time")
    yes: str = Field("yes", description="the text for true")
    no: str = Field("no", description="the text for false")
    key: str = Field("id", description="the key in an object that holds an id")

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _yes_is_not_no(self) -> Self:
        if self.kind == "yes_no" and self.yes == self.no:
            raise ValueError(f"yes and no are both {self.yes!r}; expected two different texts")
        return self

    def encode(self, value: Value) -> Any:
        """The value as JSON has it on the target."""
        match self.kind:
            case "text":
                return str(value)
            case "joined" if isinstance(value, list):
                return self.separator.join(value)
            case "date_time":
                return f"{value}{self.suffix}"
            case "yes_no":
                return self.yes if value else self.no
            case "id" if isinstance(value, list):
                return [{self.key: one} for one in value]
            case "id":
                return {self.key: value}
        return value

    def decode(self, type_: FieldType, found: Any) -> Value:
        """The value that the target tells, in savepath's own form. Raises Unreadable if it is of no such form."""
        match self.kind, found:
            case "text", str() if type_ is FieldType.NUMBER:
                return _number(found)
            case "joined", str():
                return found.split(self.separator) if found else []
            case "date_time", str():
                return found[: len("2024-01-31")]
            case "yes_no", self.yes:
                return True
            case "yes_no", self.no:
                return False
            case "id", dict() if self.key in found:
                return str(found[self.key])
            case "id", list() if all(isinstance(one, dict) and self.key in one for one in found):
                return [str(one[self.key]) for one in found]
            case (("as_is" | "text"), str() | int() | float()):
                return found
            case "as_is", list() if all(isinstance(one, str) for one in found):
                return found
        raise Unreadable(f"{type_}: found {orjson.dumps(found).decode()[:60]}, which is not {self.kind}")


class FieldsMapping(StrictModel):
    """Where the custom fields stand in the body of a save, and in the answer to a read.

    flat: beside the standard fields; map: under a key of their own; list: ``[{id, value}]``, behind what
    the body has there, and without ``under`` the whole body is that list; wrapped: ``{name: {value: ...}}``.
    """

    shape: Shape = "flat"
    under: str = Field(
        "", description="the key that they stand under, dotted for deeper ones; a number where the body is a list"
    )
    id_key: str = Field("id", min_length=1, description="in a list: the key of the field's name or id")
    number_ids: bool = Field(False, description="in a list: ids of digits travel as numbers")
    value_key: str = Field("value", min_length=1, description="in a list or wrapped: the key of the value")
    per_save: int | None = Field(
        None,
        ge=2,
        description="how many of the fields a save writes, the first (the token) always; all if not given",
    )
    in_lists: bool = Field(False, description="whether each value stands in a list, a single one too")
    codecs: dict[FieldType, Codec] = Field({}, description="a mapping of field types to the form of their values")

    @model_validator(mode="after")
    def _all_fit(self) -> Self:
        if self.shape == "map" and not self.under:
            raise ValueError("a map stands under a key; name it: under: fields (or use shape: flat)")
        for type_, codec in self.codecs.items():
            if type_ not in _FITS[codec.kind]:
                fitting = ", ".join(sorted(_FITS[codec.kind]))
                raise ValueError(f"codecs.{type_}: {codec.kind} is for {fitting}")
        return self

    def codec(self, type_: FieldType) -> Codec:
        """The codec for a type; values travel as they are where none is named."""
        return self.codecs.get(type_, _AS_IS)

    def encode(self, type_: FieldType, value: Value) -> Any:
        """A value as JSON has it on the target."""
        encoded = self.codec(type_).encode(value)
        return [encoded] if self.in_lists and not isinstance(encoded, list) else encoded

    def decode(self, type_: FieldType, found: Any) -> Value:
        """The value that the target tells, in savepath's own form. Raises Unreadable if it is of no such form."""
        single = self.in_lists and type_ is not FieldType.MULTI_CHOICE
        if single and isinstance(found, list) and len(found) == 1:
            return self.codec(type_).decode(type_, found[0])
        return self.codec(type_).decode(type_, found)

    def members(self, encoded: Mapping[str, Any]) -> bytes:
        """The JSON of some fields (remote name to encoded value), without the brackets around them."""
        match self.shape:
            case "list":
                ids = {k: int(k) if self.number_ids and k.isdecimal() and k.isascii() else k for k in encoded}
                return orjson.dumps([{self.id_key: ids[k], self.value_key: v} for k, v in encoded.items()])[1:-1]
            case "wrapped":
                return orjson.dumps({k: {self.value_key: v} for k, v in encoded.items()})[1:-1]
        return orjson.dumps(dict(encoded))[1:-1]

    def read_members(self, container: Any, shape: Shape | None = None) -> dict[str, Any]:
        """Remote name to encoded value of everything in the container. Raises Unreadable for another shape.

        ``shape`` is that of the container where it is not that of a save.
        """
        shape = shape or self.shape
        if shape == "list":
            if isinstance(container, list) and all(isinstance(one, dict) for one in container):
                return {str(one.get(self.id_key)): one.get(self.value_key) for one in container}
            raise Unreadable("the custom fields are not a list of objects")
        if not isinstance(container, dict):
            raise Unreadable("the custom fields are not an object")
        if shape == "wrapped":
            return {k: v.get(self.value_key) for k, v in container.items() if isinstance(v, dict)}
        return container

    def place(self, body: Any, members: bytes) -> bytes:
        """The JSON of a body with the members put in where they belong."""
        return self._place(body, self.under.split(".") if self.under else [], members)

    def _place(self, body: Any, under: list[str], members: bytes) -> bytes:
        if under and isinstance(body, list):
            number = int(under[0])
            inner = orjson.Fragment(self._place(body[number], under[1:], members))
            return orjson.dumps([*body[:number], inner, *body[number + 1 :]])
        if under:
            inner = orjson.Fragment(self._place((body or {}).get(under[0]), under[1:], members))
            return orjson.dumps({**(body or {}), under[0]: inner})
        if self.shape == "list":
            return (
                b"[" + members + b"]"
                if not body
                else orjson.dumps(body)[:-1] + b"," * bool(members) + members + b"]"
            )
        if not body:
            return b"{" + members + b"}"
        return orjson.dumps(body)[:-1] + (b"," if members else b"") + members + b"}"

    def obstacle(self, body: Any) -> str | None:
        """Why the fields cannot be put into a body as the mapping writes it, or None if they can."""
        for key in self.under.split(".") if self.under else []:
            if isinstance(body, list) and re.fullmatch(r"[0-9]{1,4}", key) and int(key) < len(body):
                body = body[int(key)]
            elif isinstance(body, dict | None):
                body = (body or {}).get(key)
            else:
                return f"custom fields go under {self.under}, but the body has no mapping there"
        if self.shape == "list":
            return (
                None
                if isinstance(body, list | None)
                else "a list of custom fields goes where the body has no list"
            )
        return None if isinstance(body, dict | None) else "custom fields go where the body has no mapping"


_AS_IS = Codec()


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Unreadable(f"number: found {text[:60]!r}") from None
