"""What the effects of a run on casedesk must be, told by the desk's own logs.

Nothing of this looks at what savepath found: a row for each promise of each answered request, good
unless the desk says that it has broken it. What was planted stands in its list of faults; what was late
in its logs of runs and mails, since a busy machine makes things late that nobody planted. Only the values
of custom saves are checked by savepath, so a standard save whose value was dropped has no row here either.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from scenarios.model import Operation, Scenario
from scenarios.tokens import save_id, seq_of

#: (seq, kind, script or "", outcome) -> rows
Rows = Counter[tuple[int, str, str, str]]
Sample = Mapping[str, Any]

SAVES = tuple(str(operation) for operation in Operation if operation.saves)
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class DeskLog:
    """What a desk says of one run."""

    planted: Sequence[Mapping[str, Any]]
    late_scripts: frozenset[tuple[int, str]]  # seq and name
    late_mails: frozenset[str]  # tokens


def read_desk(url: str, scenario: Scenario, key: str, samples: Sequence[Sample]) -> DeskLog:
    """Ask the desk at ``url`` what became of the run ``key``."""
    rules = scenario.verification
    late_scripts, late_mails = set(), set()
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        for tenant in sorted({sample["tenant"] for sample in samples}):
            mine = [sample for sample in samples if sample["tenant"] == tenant]
            saves = [save_id(key, sample["seq"]) for sample in mine if sample["operation"] in SAVES]
            for tokens in _portions(saves):
                for run in client.get(f"/tenants/{tenant}/script-runs?save_ids={tokens}").json()["runs"]:
                    if run["finished_at"] - run["queued_at"] > rules.script_deadline_s:
                        late_scripts.add((seq_of(key, run["save_id"]), run["script"]))
            for tokens in _portions([token for sample in mine for token in _mails(scenario, key, sample)]):
                for mail in client.get(f"/tenants/{tenant}/outbox?tokens={tokens}").json()["mails"]:
                    if mail["sent_at"] and mail["sent_at"] - mail["queued_at"] > rules.mail_deadline_s:
                        late_mails.add(mail["token"])
        planted = client.get("/admin/planted").json()
    return DeskLog(planted, frozenset(late_scripts), frozenset(late_mails))


def expected_rows(scenario: Scenario, key: str, samples: Iterable[Sample], log: DeskLog) -> Rows:
    """Every row of the effects table of the run ``key``, all custom saves being read back."""
    by_seq: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    by_mail: dict[str, set[str]] = defaultdict(set)
    for one in log.planted:
        if "token" in one:
            by_mail[one["token"]].add(one["fault"])
        else:
            seq = seq_of(key, one["save_id"])
            if seq is not None:
                by_seq[seq].append(one)
    scripts = {tenant.key: tenant.scripts_on_save for tenant in scenario.tenants}
    rows: Rows = Counter()
    for sample in samples:
        seq = sample["seq"]
        if sample["operation"] in SAVES:
            names = [f"script-{number}" for number in range(1, scripts[sample["tenant"]] + 1)]
            late = {name for name in names if (seq, name) in log.late_scripts}
            rows.update((seq, *row) for row in _of_save(sample, names, late, by_seq[seq]))
        elif sample["outcome"] == "ok":
            for token in _mails(scenario, key, sample):
                rows[seq, "mail", "", _of_mail(by_mail[token], token in log.late_mails)] += 1
    return rows


def found_rows(effects: Iterable[Mapping[str, Any]]) -> Rows:
    """The effects table in the same form."""
    return Counter((row["seq"], row["kind"], row["name"], row["outcome"]) for row in effects)


def broken(rows: Rows) -> Counter[tuple[str, str]]:
    """How many rows there are of each kind and outcome that is not the good one."""
    counts: Counter[tuple[str, str]] = Counter()
    for (_, kind, _, outcome), number in rows.items():
        if outcome not in ("identical", "once"):
            counts[kind, outcome] += number
    return counts


def _of_save(
    sample: Sample, names: Sequence[str], late: set[str], planted: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, str]]:
    faults = {one["fault"] for one in planted}
    acknowledged = sample["outcome"] == "ok"
    if not acknowledged and "committed_but_500" not in faults:
        return []  # nothing promised, nothing done
    rows = []
    for name in names:
        outcome = "missed" if "ok_not_committed" in faults else _of_script(name, name in late, planted)
        if not acknowledged:  # of what was not promised only too much is wrong
            outcome = {"late": "once", "out_of_order": "once"}.get(outcome, outcome)
        if acknowledged or outcome != "missed":
            rows.append(("script", name, outcome))
    if not acknowledged:
        rows.append(("value", "", "failed_but_saved"))
    elif sample["operation"] == "save_custom":
        rows.append(("value", "", _of_values(faults)))
    return rows


def _of_script(name: str, late: bool, planted: Sequence[Mapping[str, Any]]) -> str:
    struck = {one["fault"] for one in planted if one["detail"].get("script") == name}
    for fault, outcome in (("script_lost", "missed"), ("script_doubled", "doubled")):
        if fault in struck:
            return outcome
    if late:
        return "late"
    order = [
        script for one in planted if one["fault"] == "script_reordered" for script in one["detail"]["scripts"]
    ]
    before = order[: order.index(name)] if name in order else []
    return "out_of_order" if any(_number(other) > _number(name) for other in before) else "once"


def _of_values(faults: set[str]) -> str:
    if "ok_not_committed" in faults:
        return "lost"
    if "foreign_write" in faults:
        return "foreign"
    return "partial" if faults & {"value_dropped", "value_truncated"} else "identical"


def _of_mail(faults: set[str], late: bool) -> str:
    for fault, outcome in (("mail_lost", "missed"), ("mail_doubled", "doubled")):
        if fault in faults:
            return outcome
    if "mail_misdirected" in faults:
        return "wrong_recipient"
    return "late" if late else "once"


def _mails(scenario: Scenario, key: str, sample: Sample) -> list[str]:
    token = save_id(key, sample["seq"])
    match sample["operation"]:
        case "send_email":
            return [token]
        case "send_batch":
            return [f"{token}-{number}" for number in range(scenario.batch_size)]
    return []


def _number(name: str) -> int:
    return int(re.sub(r"\D", "", name))


def _portions(tokens: Sequence[str]) -> list[str]:
    return [",".join(tokens[first : first + _AT_ONCE]) for first in range(0, len(tokens), _AT_ONCE)]
