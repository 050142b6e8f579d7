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
from collections.abc import Mapping
from dataclasses import dataclass

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
        self._variants = [
            [{f.key: _value(f, rng) for f in group} for _ in range(VARIANTS)] for group in self.groups
        ]

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

    Worked out once in a process, which takes a third of a second for 500 fields: preparing, warming up and driving
    a target all want it.
    """
    return _saved_values(scenario.seed, tuple(scenario.field_types.items()), number)


@functools.lru_cache(maxsize=64)
def _saved_values(seed: int, field_types: tuple[tuple[FieldType, float], ...], number: int) -> SavedValues:
    return SavedValues(seed, dict(field_types), number)


@dataclass(frozen=True, slots=True)
class StandardValues:
    """The standard fields that a case has on any system, as save ``seq`` writes them."""

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


def _value(field: CustomField, rng: np.random.Generator) -> Value:
    words = vocabulary()
    match field.type:
        case FieldType.TEXT:
            return f"{words.subjects[rng.integers(200)]} {rng.integers(1000)}"
        case FieldType.LONG_TEXT:
            return words.paragraphs[rng.integers(64)]
        case FieldType.NUMBER:
            return round(float(rng.gamma(2, 400)), 2)
        case FieldType.DATE:
            return str(np.datetime64("2024-01-01") + rng.integers(1500))
        case FieldType.CHOICE:
            return field.choices[rng.integers(len(field.choices))]
        case FieldType.MULTI_CHOICE:
            chosen = rng.permutation(len(field.choices))[: rng.integers(1, 4)]
            return [field.choices[i] for i in sorted(chosen)]
        case FieldType.CHECKBOX:
            return bool(rng.integers(2))
        case FieldType.REFERENCE:
            return words.people[rng.integers(100)]


def _mix64(x: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea & Flood 2014): spreads neighbouring numbers over 64 bits."""
    x = (x + 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & 0xFFFFFFFFFFFFFFFF
    return x ^ (x >> 31)
