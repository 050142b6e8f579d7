"""The label map: which operation, cohort and tenant a label of another tool stands for.

    name: case saves
    target: cases
    warmup_s: 30
    labels:
      - label: POST save {custom_fields} fields of {tenant}
        operation: save_custom
      - label: GET /cases/*
        operation: read_case
        custom_fields: 0
    ignore: [GET /login]

In a label ``*`` stands for any text, ``{custom_fields}`` for a whole number and ``{tenant}`` for any text; all
else stands for itself. The first entry that matches counts.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from analysis.samples import OPERATIONS
from scenarios.errors import InputError, Problem, did_you_mean
from scenarios.source import Source, StrictModel, read_yaml
from scenarios.validation import check

_PLACEHOLDERS: Final = ("custom_fields", "tenant")
#: What does not stand for itself in a label -> as a regular expression.
_SPECIAL: Final = {"*": ".*", "{custom_fields}": r"(?P<custom_fields>[0-9]{1,5})", "{tenant}": "(?P<tenant>.+?)"}
_MOST_FIELDS: Final = 65_535


class Rule(StrictModel):
    """One entry under ``labels``."""

    label: str = Field(min_length=1, description="a label of the tool, with * for any text")
    operation: Literal["read_case", "send_email", "send_batch", "save_standard", "save_custom", "run_script"] = (
        Field(description=f"one of {', '.join(OPERATIONS)}")
    )
    custom_fields: int | None = Field(None, ge=0, le=_MOST_FIELDS)
    tenant: str = ""


class Document(StrictModel):
    """A label map as it stands in its file."""

    name: str = Field("imported", min_length=1)  # in the place of the scenario's name
    target: str = Field("target", min_length=1)
    warmup_s: float = Field(0, ge=0)
    labels: tuple[Rule, ...] = Field(description="a list of label and operation")
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a label stands for."""

    operation: str
    custom_fields: int
    tenant: str


class LabelMap:
    """Finds what labels stand for, and remembers which entries were of use."""

    def __init__(self, document: Document, source: Source | None = None) -> None:
        self.document = document
        self._source = source
        self._rules = [pattern_of(rule.label) for rule in document.labels]
        self._ignored = [pattern_of(label) for label in document.ignore]
        self._used: set[int] = set()

    @property
    def tells_cohorts(self) -> bool:
        """Whether any label tells a number of custom fields."""
        return any(tells_cohort(rule) for rule in self.document.labels)

    def digest(self, tool: str) -> str:
        """What two imports must share to be comparable: the tool and what the map says, but not its layout."""
        facts = {"tool": tool, **self.document.model_dump(mode="json")}
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def meaning_of(self, label: str) -> Meaning | None:
        """What the label stands for; None if no entry names it. Raises InputError for a cohort too large."""
        for place, (rule, pattern) in enumerate(zip(self.document.labels, self._rules, strict=True)):
            if found := pattern.fullmatch(label):
                self._used.add(place)
                told = found.groupdict()
                fields = int(told.get("custom_fields") or rule.custom_fields or 0)
                if fields > _MOST_FIELDS:
                    raise InputError(
                        f"the label {label!r} tells {fields} custom fields; the most is {_MOST_FIELDS}"
                    )
                return Meaning(rule.operation, fields, told.get("tenant") or rule.tenant)
        return None

    def ignores(self, label: str) -> bool:
        """Whether the map leaves this label out on purpose."""
        return any(pattern.fullmatch(label) for pattern in self._ignored)

    def unused(self, labels: Collection[str]) -> list[str]:
        """A line for each entry that no label matched, with the label that may have been meant."""
        if self._source is None:
            return []
        return [
            str(
                self._source.problem(
                    ("labels", place, "label"),
                    f"no label matches {rule.label!r}{did_you_mean(rule.label, labels)}",
                )
            )
            for place, rule in enumerate(self.document.labels)
            if place not in self._used
        ]


def load_label_map(path: Path) -> LabelMap:
    """The label map in that file. Raises InputError with every problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the label map {path}: {error}") from None
    return parse_label_map(text, str(path))


def parse_label_map(text: str, file: str) -> LabelMap:
    """A label map from YAML text; ``file`` is the name for messages. Raises InputError with every problem."""
    source = read_yaml(text, file)
    document = check(Document, source)
    if not document.labels:
        raise InputError(source.problem(("labels",), "labels is empty; expected entries of label and operation"))
    if problems := [*_placeholder_problems(document, source), *_cohort_problems(document, source)]:
        raise InputError(problems)
    return LabelMap(document, source)


def own_names() -> LabelMap:
    """The map of those who named their requests as the operations are, perhaps with a method before it."""
    rules = [
        Rule.model_validate({"label": f"{before}{name}", "operation": name})
        for name in OPERATIONS
        for before in ("", "* ")
    ]
    return LabelMap(Document(labels=tuple(rules)))


def pattern_of(label: str) -> re.Pattern[str]:
    """A label of the map as a regular expression."""
    parts = re.split(r"(\*|\{custom_fields\}|\{tenant\})", label)
    return re.compile("".join(_SPECIAL.get(part) or re.escape(part) for part in parts), re.DOTALL)


def tells_cohort(rule: Rule) -> bool:
    """Whether the entry gives a number of custom fields, or takes it from the label."""
    return rule.custom_fields is not None or "{custom_fields}" in rule.label


def _placeholder_problems(document: Document, source: Source) -> list[Problem]:
    problems = []
    for place, rule in enumerate(document.labels):
        path = ("labels", place, "label")
        for name in re.findall(r"\{(\w+)\}", rule.label):
            if name not in _PLACEHOLDERS and (hint := did_you_mean(name, _PLACEHOLDERS)):
                problems.append(source.problem(path, f"{{{name}}} is no placeholder{hint}"))
        for name, given in (("custom_fields", rule.custom_fields is not None), ("tenant", bool(rule.tenant))):
            times = rule.label.count(f"{{{name}}}")
            if times > 1:
                problems.append(source.problem(path, f"{{{name}}} stands twice in one label; keep one"))
            elif times and given:
                problems.append(source.problem(path, f"{name} is taken from the label and given too; keep one"))
    return problems


def _cohort_problems(document: Document, source: Source) -> Sequence[Problem]:
    """Growth would take a label without a number for one of a tenant without custom fields."""
    without = [place for place, rule in enumerate(document.labels) if not tells_cohort(rule)]
    if len(without) == len(document.labels):
        return ()
    return [
        source.problem(
            ("labels", place),
            f"labels[{place}].custom_fields is missing, though other labels tell theirs; give the number "
            "(it may be 0) or put the label under ignore",
        )
        for place in without
    ]
