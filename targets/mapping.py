"""Target files: found by name or by path, read, checked, and changed by what was set."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from scenarios.errors import InputError, did_you_mean
from scenarios.library import find_text
from scenarios.source import UNREADABLE, read_yaml
from scenarios.validation import check
from targets.literal_secrets import literal_secrets
from targets.model import ENVIRONMENT, Target, Variable
from targets.recipients import foreign_recipients
from targets.request_mapping import check_base_url
from targets.template_problems import batch_problems, template_problems


def load_target(name_or_path: str, settings: Mapping[str, str] = {}, *, allow_python: bool = False) -> Target:
    """The target of that name (``casedesk``) or in that file. Raises InputError with every problem.

    ``settings`` replace variables and ``base_url``. A mapping that names a Python class is an error
    unless ``allow_python``: whoever runs it has to want that.
    """
    return parse_target(*find_text("targets", name_or_path), settings, allow_python=allow_python)


def parse_target(text: str, file: str, settings: Mapping[str, str] = {}, *, allow_python: bool = False) -> Target:
    """A target from YAML text; ``file`` is the name for messages."""
    source = read_yaml(text, file)
    secrets = literal_secrets(source)
    if secrets:
        raise InputError(secrets)
    target = check(Target, source).read_from(source)
    problems = list(template_problems(target, source)) or list(batch_problems(target, source))
    if target.forbidden_domain and "recipient_domain" not in settings:
        problems.append(source.problem(("variables", "recipient_domain"), _forbidden(target)))
    if target.python and not allow_python:
        problems.append(source.problem(("python",), _untrusted(target.python)))
    if problems:
        raise InputError(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
    target = _with_settings(target, settings)
    if target.forbidden_domain:
        raise InputError(f"--set {_forbidden(target)}")
    problems = [source.problem(path, told) for path, told in foreign_recipients(target)]
    if target.is_somewhere_unsaid:
        problems.append(source.problem(("base_url",), _unsaid(target)))
    if problems:
        raise InputError(problems)
    return target


def _untrusted(python: str) -> str:
    return (
        f"python: the mapping wants to run {python} with all your rights; if you know what that does, "
        "allow it with --allow-python"
    )


def _unsaid(target: Target) -> str:
    return (
        f"base_url: {target.base_url} is not on this machine, and nothing says what stands there; add "
        "environment: test (or staging, production, ...) to the mapping, or --set environment=test"
    )


def _forbidden(target: Target) -> str:
    return (
        f"recipient_domain: mail would go to {target.forbidden_domain}, where people may read it; "
        f"list it under mail_domains if that is meant, else take a domain that reaches nobody, like savepath.test"
    )


def target_schema() -> dict[str, Any]:
    """The JSON Schema of a target file, for editors."""
    schema = Target.model_json_schema()
    definitions = schema["$defs"]
    for name, short in (
        ("RequestMapping", {"type": "string", "pattern": "^[A-Z]+ +/"}),
        ("Codec", {"enum": definitions["Codec"]["properties"]["kind"]["enum"]}),
        ("Auth", {"const": "none"}),
        ("Fact", {"$ref": "#/$defs/Find"}),
        ("Find", {"type": "string"}),
        ("Conflict", {"type": "array", "items": {"type": "integer"}}),
        ("MailsLookup", {"const": "sink"}),
        ("Step", definitions["Listing"]),
        ("Removal", {"$ref": "#/$defs/RequestMapping"}),
        ("Remains", {"$ref": "#/$defs/RequestMapping"}),
        ("CleanUp", {"$ref": "#/$defs/RequestMapping"}),
    ):
        definitions[name] = {"anyOf": [short, definitions[name]]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "savepath target"}


def _with_settings(target: Target, settings: Mapping[str, str]) -> Target:
    known = {"base_url", "environment", *target.variables}
    for key in settings:
        if key not in known:
            hint = did_you_mean(key, known) or f"; there are {', '.join(sorted(known))}"
            raise InputError(f"the target {target.name} has no setting {key!r}{hint}")
    variables = {name: _like(value, settings, name) for name, value in target.variables.items()}
    try:
        base_url = check_base_url(settings["base_url"]) if "base_url" in settings else target.base_url
    except ValueError as error:
        raise InputError(f"--set base_url: {error}") from None
    changed: dict[str, Any] = {"base_url": base_url, "variables": variables}
    if "environment" in settings:
        changed["environment"] = _environment(target, settings["environment"])
    return target.model_copy(update=changed)


def _environment(target: Target, said: str) -> str:
    """What ``--set`` says of the environment. Raises InputError where the mapping says something else."""
    if "environment" in target.model_fields_set and said != target.environment:
        raise InputError(f"--set environment={said}: the mapping says {target.environment}; change it there")
    if not re.fullmatch(ENVIRONMENT, said):
        raise InputError(f"--set environment={said}: expected a word like test, staging or production")
    return said


def _like(value: Variable, settings: Mapping[str, str], name: str) -> Variable:
    """The setting of that name, if there is one, in the type that the variable has in the file."""
    if name not in settings or isinstance(value, str):
        return settings.get(name, value)
    try:
        found = yaml.safe_load(settings[name])
    except UNREADABLE:
        found = None
    if isinstance(found, float | int) and isinstance(found, bool) == isinstance(value, bool):
        return found
    expected = "true or false" if isinstance(value, bool) else "a number"
    raise InputError(f"--set {name}: found {settings[name]!r}; expected {expected}")
