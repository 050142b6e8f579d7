"""The custom fields of saves as ready JSON, and the way back from an answer to values.

Every variant of every group of fields is encoded once. A save then joins a token and eight byte
strings, whatever the number of fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scenarios.errors import InputError
from scenarios.fields import VARIANTS, SavedValues, Value
from scenarios.model import FieldType
from targets.extraction import Unreadable
from targets.fieldsets import FieldsMapping, Shape


def written_keys(saved: SavedValues, per_save: int | None, seq: int) -> tuple[str, ...] | None:
    """The keys of the fields that save ``seq`` writes, the token's first; None where it writes all of them.

    Each save takes up where the one before it in number stopped, so that all fields have their turn.
    """
    if per_save is None or per_save >= len(saved.fields):
        return None
    others, number = saved.fields[1:], per_save - 1
    begin = seq * number
    return (saved.fields[0].key, *(others[(begin + i) % len(others)].key for i in range(number)))


class EncodedSaves:
    """What each save writes into the custom fields of tenants that have them under the same remote names.

    ``names`` gives the remote name of each field by its key. Raises InputError if a choice could
    not be told from two, because it holds the separator that joins them.
    """

    def __init__(self, mapping: FieldsMapping, saved: SavedValues, names: Mapping[str, str]) -> None:
        self._mapping = mapping
        self._saved = saved
        self._names = names
        self._types = {field.key: field.type for field in saved.fields}
        self._keys = {names[field.key]: field.key for field in saved.fields}
        self._group_of = {field.key: i for i, group in enumerate(saved.groups) for field in group}
        self._pieces: dict[tuple[str, int], bytes] = {}
        self._check_separator()
        self._variants = tuple(
            tuple(self._encode(saved.variant(group, pick)) for pick in range(VARIANTS))
            for group in range(len(saved.groups))
        )

    def members(self, seq: int, token: str) -> bytes:
        """The JSON of the fields that save ``seq`` writes, without the brackets around them."""
        keys = written_keys(self._saved, self._mapping.per_save, seq)
        if keys is None:
            return self.all_members(seq, token)
        picks = self._saved.picks(seq)
        first = self._encode({keys[0]: token})
        return b",".join([first, *(self._piece(key, picks[self._group_of[key]]) for key in keys[1:])])

    def all_members(self, seq: int, token: str) -> bytes:
        """The same of every field, as a new case has them."""
        if not self._saved.fields:
            return b""
        first = self._encode({self._saved.fields[0].key: token})
        picks = self._saved.picks(seq)
        return b",".join([first, *(variants[p] for variants, p in zip(self._variants, picks, strict=True))])

    def read(self, container: Any, shape: Shape | None = None) -> dict[str, Value]:
        """The values in an answer, by key; what cannot be decoded is given as it came.

        ``shape`` is that of the answer where it is not that of a save.
        """
        found: dict[str, Value] = {}
        for name, raw in self._mapping.read_members(container, shape).items():
            key = self._keys.get(name)
            if key is not None and raw is not None:
                found[key] = self._decode(self._types[key], raw)
        return found

    def field(self, name: str) -> str | None:
        """The key of the field with that remote name; None if it is none of the tenant's custom fields."""
        return self._keys.get(name)

    def value(self, key: str, raw: Any) -> Value | None:
        """One value in an answer; what cannot be decoded is given as it came."""
        return None if raw is None else self._decode(self._types[key], raw)

    def _piece(self, key: str, pick: int) -> bytes:
        """One field of one variant, encoded when it is needed first."""
        found = self._pieces.get((key, pick))
        if found is None:
            value = self._saved.variant(self._group_of[key], pick)[key]
            found = self._pieces[(key, pick)] = self._encode({key: value})
        return found

    def _decode(self, type_: FieldType, raw: Any) -> Value:
        try:
            return self._mapping.decode(type_, raw)
        except Unreadable:
            return raw if isinstance(raw, str | int | float | list) else str(raw)

    def _encode(self, values: Mapping[str, Value]) -> bytes:
        mapping = self._mapping
        encoded = {self._names[key]: mapping.encode(self._types[key], value) for key, value in values.items()}
        return mapping.members(encoded)

    def _check_separator(self) -> None:
        codec = self._mapping.codec(FieldType.MULTI_CHOICE)
        for field in self._saved.fields if codec.kind == "joined" else ():
            if field.type is FieldType.MULTI_CHOICE:
                clash = next((choice for choice in field.choices if codec.separator in choice), None)
                if clash:
                    raise InputError(
                        f"the choice {clash!r} of {field.key} holds the separator {codec.separator!r} of "
                        "fields.codecs.multi_choice; choose another separator"
                    )
