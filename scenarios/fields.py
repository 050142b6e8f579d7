"""Custom fields and the values saved into them: seeded, typed, plausible.

Faker makes the vocabulary once. The fields of a tenant are cut into eight groups, each group has
64 ready variants of its values, and a save picks one variant of each group from its own number: so
a body costs microseconds and the values that a save wrote can be told again from its number alone.
The first field is always a text that carries the save id, so that a value read back names the save
that wrote it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from scenarios.model import FieldType, Scenario

#: A custom-field value as it travels: text, number, date (YYYY-MM-DD), choice(s), yes or no.
Value = str | int | float | bool | list[str]

GROUPS = 8
VARIANTS = 64
_LOCALE_SEED = 20_261_123


@dataclass(frozen=True, slots=True)
class CustomField:
    """The definition of a custom field. ``key`` is savepath's own name for it, equal on every target."""

    key: str
    label: str
    type: FieldType
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Plausible words in the tens to hundreds, from which all values are put together."""

    subjects: tuple[str, ...]
    sentences: tuple[str, ...]
    paragraphs: tuple[str, ...]
    people: tuple[str, ...]
    choices: tuple[str, ...]


@functools.cache
def vocabulary() -> Vocabulary:
    """The one vocabulary, always the same; made by Faker at the first call (about half a second)."""
    from faker import Faker

    fake = Faker("en_US")
    fake.seed_instance(_LOCALE_SEED)
    return Vocabulary(
        subjects=tuple(fake.bs().capitalize() for _ in range(200)),
        sentences=tuple(fake.sentence(nb_words=9) for _ in range(200)),
        paragraphs=tuple(fake.paragraph(nb_sentences=6) for _ in range(64)),
        people=tuple(fake.unique.name() for _ in range(100)),
        choices=tuple(dict.fromkeys(fake.unique.job().split(",")[0].title() for _ in range(60))),
    )


def define_fields(scenario: Scenario, number: int) -> tuple[CustomField, ...]:
    """The ``number`` custom fields of a cohort's tenants; types by the scenario's weights, seeded."""
    return _define(scenario.seed, scenario.field_types, number)


def _define(seed: int, field_types: Mapping[FieldType, float], number: int) -> tuple[CustomField, ...]:
    words = vocabulary()
    rng = np.random.default_rng((seed, 1, number))
    kinds = [kind for kind, weight in field_types.items() if weight]
    weights = np.array([field_types[kind] for kind in kinds])
    drawn = rng.choice(len(kinds), size=number, p=weights / weights.sum())
    fields = []
    for i in range(number):
        kind = FieldType.TEXT if i == 0 else kinds[drawn[i]]
        label = "Save reference" if i == 0 else f"{words.subjects[rng.integers(200)]} {i + 1}"
        some = rng.permutation(len(words.choices))[: rng.integers(3, 9)]
        choices = tuple(words.choices[j] for j in some) if "choice" in kind else ()
        fields.append(CustomField(f"cf_{i + 1:03d}", label, kind, choices))
    return tuple(fields)


class SavedValues:
    """What each save of a cohort writes: the values of its custom fields by the number of the save.

    The first field holds the save id and is in no group; the others are in ``groups``. Made by ``saved_values``.
    """

    def __init__(self, seed: int, field_types: Mapping[FieldType, float], number: int) -> None:
        self.fields = _define(seed, field_types, number)
        self._seed = seed
        others = self.fields[1:]
        bounds = [round(i * len(others) / GROUPS) for i in range(GROUPS + 1)]
        self.groups = tuple(others[a:b] for a, b in itertools.pairwise(bounds) if b > a)
        rng = np.random.default_rng((seed, 2, number))
        self._variants = [_variants(group, rng) for group in self.groups]

    def picks(self, seq: int) -> tuple[int, ...]:
        """Which variant of each group save ``seq`` writes, 0 to 63 each."""
        bits = _mix64(self._seed ^ (seq * 0x9E3779B97F4A7C15))
        return tuple((bits >> (6 * i)) & 63 for i in range(len(self.groups)))

    def variant(self, group: int, pick: int) -> Mapping[str, Value]:
        """The values of one variant of one group, by key."""
        return self._variants[group][pick]

    def of(self, seq: int, token: str) -> dict[str, Value]:
        """All values that save ``seq`` with the save id ``token`` writes, by key, in the order of the fields."""
        if not self.fields:
            return {}
        values: dict[str, Value] = {self.fields[0].key: token}
        for group, pick in enumerate(self.picks(seq)):
            values |= self._variants[group][pick]
        return values


def saved_values(scenario: Scenario, number: int) -> SavedValues:
    """What saves of a cohort with ``number`` custom fields write.

    Worked out once in a process: preparing, warming up and driving a target all want it.
    """
    return _saved_values(scenario.seed, tuple(scenario.field_types.items()), number)


@functools.lru_cache(maxsize=64)
def _saved_values(seed: int, field_types: tuple[tuple[FieldType, float], ...], number: int) -> SavedValues:
    return SavedValues(seed, dict(field_types), number)


class StandardValues(TypedDict):
    """The standard fields that a case has on any system, as save ``seq`` writes them and templates see them."""

    title: str
    description: str
    priority: str
    status: str


def standard_values(seq: int) -> StandardValues:
    """Plausible standard fields; they differ from those of the save before it."""
    words = vocabulary()
    bits = _mix64(seq + 1)
    return StandardValues(
        title=f"{words.subjects[bits % 200]} #{seq}",
        description=words.sentences[(bits >> 16) % 200],
        priority=("low", "normal", "high", "urgent")[(bits >> 32) % 4],
        status=("open", "in progress", "waiting", "resolved")[(bits >> 40) % 4],
    )


def _variants(group: Sequence[CustomField], rng: np.random.Generator) -> list[dict[str, Value]]:
    """The ``VARIANTS`` variants of a group: the values of its fields, by key."""
    keys, columns = [field.key for field in group], [_values(field, rng) for field in group]
    return [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]


def _values(field: CustomField, rng: np.random.Generator) -> Sequence[Value]:
    """``VARIANTS`` values of a field. All at once: to draw single numbers costs most of the time."""
    words = vocabulary()
    match field.type:
        case FieldType.TEXT:
            subjects, numbers = _draw(rng, 200), _draw(rng, 1000)
            return [f"{words.subjects[i]} {n}" for i, n in zip(subjects, numbers, strict=True)]
        case FieldType.LONG_TEXT:
            return [words.paragraphs[i] for i in _draw(rng, 64)]
        case FieldType.NUMBER:
            return [round(amount, 2) for amount in rng.gamma(2, 400, VARIANTS).tolist()]
        case FieldType.DATE:
            days = np.datetime64("2024-01-01") + rng.integers(1500, size=VARIANTS)
            return [str(day) for day in days]
        case FieldType.CHOICE:
            return [field.choices[i] for i in _draw(rng, len(field.choices))]
        case FieldType.MULTI_CHOICE:
            orders = rng.random((VARIANTS, len(field.choices))).argsort(axis=1).tolist()
            sizes = (1 + n for n in _draw(rng, 3))
            return [[field.choices[i] for i in sorted(order[:n])] for order, n in zip(orders, sizes, strict=True)]
        case FieldType.CHECKBOX:
            return [i == 1 for i in _draw(rng, 2)]
        case FieldType.REFERENCE:
            return [words.people[i] for i in _draw(rng, 100)]


def _draw(rng: np.random.Generator, below: int) -> list[int]:
    drawn: list[int] = rng.integers(below, size=VARIANTS).tolist()
    return drawn


def _mix64(x: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): spreads neighbouring numbers over 64 bits."""
    x = (x + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)
