"""Whether casedesk does what its OpenAPI document promises, asked of a real one by schemathesis.

``python -m benchmarks promises [--examples N]``

Of each operation N requests that fit the document, half of them at what is there, and N that do not. No answer may
be an error of the server, have a status, a type or a form that the document does not name, or take what does not
fit.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import Failure, FailureGroup
from schemathesis.specs.openapi import checks

from casedesk.openapi import DOCUMENT
from casedesk.process import running_desk
from casedesk.server import MOVING_S

EXAMPLES = 100
SEED = 8
PROMISES = (
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance, checks.negative_data_rejection,
)  # fmt: skip


@dataclass
class Asked:
    """What the answers to the requests of an operation were."""

    statuses: Counter[int] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)  # promise -> the first request that showed it


def measure(options: Sequence[str] = ()) -> list[dict[str, object]]:
    """Two rows an operation: requests by the status of their answers, and promises broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks promises", description=__doc__)
    parser.add_argument("--examples", type=int, default=EXAMPLES, help="of each kind and operation")
    asked = parser.parse_args(options)
    rows: list[dict[str, object]] = []
    for name, found in ask(asked.examples):
        for promise, request in found.broken.items():
            print(f"{name}: {promise}\n  {request}", file=sys.stderr)
        statuses = ", ".join(f"{number} x {status}" for status, number in sorted(found.statuses.items()))
        rows.append(_row(f"{name} ({statuses})", found.statuses.total(), "", None))
        rows.append(_row("  promises broken", len(found.broken), "0", not found.broken))
    return rows


def ask(examples: int, document: dict[str, Any] = DOCUMENT) -> Iterator[tuple[str, Asked]]:
    """Ask a desk of its own, operation by operation; what removes things comes last."""
    operations = [found.ok() for found in schemathesis.openapi.from_dict(document).get_all_operations()]
    operations.sort(key=lambda one: (one.method == "delete", one.path.startswith("/admin")))
    with running_desk() as desk, httpx.Client(base_url=desk.url, trust_env=False, timeout=20) as client:
        for operation in operations:
            found = Asked()
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                _ask(client, operation, mode, examples, found)
            yield operation.label, found


def _ask(desk: httpx.Client, operation: Any, mode: GenerationMode, examples: int, found: Asked) -> None:
    there = _prepare(desk)

    @seed(SEED)
    @settings(max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode), at_what_is_there=st.booleans())
    def check(case: Any, at_what_is_there: bool) -> None:
        if at_what_is_there and mode is GenerationMode.POSITIVE:
            case.path_parameters.update({name: there[name] for name in case.path_parameters})
        answer = case.call(base_url=str(desk.base_url), timeout=20)
        found.statuses[answer.status_code] += 1
        try:
            case.validate_response(answer, checks=PROMISES)
        except (Failure, FailureGroup) as broken:
            for one in broken.exceptions if isinstance(broken, FailureGroup) else [broken]:
                found.broken.setdefault(f"{mode.value}: {type(one).__name__}: {one}", case.as_curl_command())
        if operation.method != "get" and answer.status_code < 300:
            _put_right(desk, operation.path)
            there.update(_prepare(desk))

    try:
        check()
    except Unsatisfiable:  # nothing in it can be wrong
        return


def _put_right(desk: httpx.Client, path: str) -> None:
    """The next request meets a desk that answers at once."""
    match path:
        case "/admin/move-host":
            time.sleep(2 * MOVING_S)
        case "/admin/disk":
            desk.put(path, json={"profile": "healthy"})
        case "/admin/faults":
            desk.put(path, json={})


def _prepare(desk: httpx.Client) -> dict[str, object]:
    """What stands in the paths, made where it is not there."""
    desk.post("/tenants", json={"key": "acme", "name": "Acme"})
    fields = [{"key": "room", "label": "Room", "type": "text"}]
    desk.post("/tenants/acme/case-types", json={"key": "incident", "name": "Incident", "fields": fields})
    if not (cases := desk.get("/tenants/acme/cases?case_type=incident&limit=1").json()["cases"]):
        cases = [desk.post("/tenants/acme/cases", json={"case_type": "incident", "title": "Noise"}).json()]
    mail = {"to": "a@example.test", "subject": "Noise", "token": "m"}
    batch = desk.post("/tenants/acme/email-batches", json={"token": "b", "messages": [mail]}).json()
    return {"tenant": "acme", "case_type": "incident", "case_id": cases[0]["id"], "batch_id": batch["id"]}


def _row(figure: str, value: int, goal: str, reached: bool | None) -> dict[str, object]:
    return {"figure": figure, "value": value, "low": value, "high": value, "goal": goal, "reached": reached}
