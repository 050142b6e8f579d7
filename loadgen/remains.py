"""What is left of a worker that is gone: what its shards hold, and what of it nobody could look after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.samples import EFFECT_COLUMNS, EFFECT_OUTCOMES, SAMPLE_COLUMNS
from loadgen.effects import Origin, Pending
from loadgen.operations import NOT_IN_TIME
from loadgen.part import ArmCounts, Part
from loadgen.recorder import Effect
from loadgen.run_info import Verified
from loadgen.shards import ShardWriter, read_shard
from loadgen.task import Task
from loadgen.value_rows import record_unverified
from loadgen.value_watch import chosen
from scenarios.model import Operation, Scenario
from targets.binding import Binding

_READS: Final = ["seq", "tenant", "operation", "done_s", "outcome", "detail"]

#: Of a kind, how many effects of each arrival are told, by its number.
Told = Mapping[str, NDArray[np.int64]]


def left_of(task: Task, due: Mapping[str, int], *, why: str, driven_s: float, heirs: Sequence[int] = ()) -> Part:
    """The part of a worker that is gone. ``due`` arrivals of each arm had come up until it was missed.

    What its recorded requests had promised and it had not told by then is added to its shards: unverified.
    """
    arms = {arm: _left_of_arm(task, arm, number) for arm, number in due.items()}
    return Part(worker=task.worker, driven_s=driven_s, arms=arms, lost=why, heirs=tuple(heirs))


def _left_of_arm(task: Task, arm: str, due: int) -> ArmCounts:
    _add_unverified(task, arm)
    written = in_window = 0
    outcomes: Counter[str] = Counter()
    for path in task.folder.shards_of(task.worker, "samples", arm):
        table = read_shard(path, SAMPLE_COLUMNS)
        written += table.num_rows
        outcomes.update(table["outcome"].to_pylist())
        in_window += pc.sum(pc.greater_equal(table["scheduled_s"], 0)).as_py() or 0
    effects: dict[str, Counter[str]] = {}
    for path in task.folder.shards_of(task.worker, "effects", arm):
        table = read_shard(path, EFFECT_COLUMNS)
        for kind, outcome in zip(table["kind"].to_pylist(), table["outcome"].to_pylist(), strict=True):
            effects.setdefault(kind, Counter())[outcome] += 1
    lost = max(due - written, 0)
    return ArmCounts(
        fired=written + lost,
        fired_in_window=in_window,
        written=written,
        aborted=outcomes["aborted"],
        lost=lost,
        verification=Verified(unverified=sum(counts["unverified"] for counts in effects.values())),
        effects={kind: dict(counts) for kind, counts in effects.items()},
    )


def _add_unverified(task: Task, arm: str) -> None:
    folder, worker = task.folder, task.worker
    promises = _Promises(task.scenario, task.prepared[arm].binding, _told(task, arm))
    if shards := folder.shards_of(worker, "effects", arm):
        shard = ShardWriter(folder.shard(worker, "effects", arm, len(shards)), EFFECT_COLUMNS)
        for path in folder.shards_of(worker, "samples", arm):
            samples = read_shard(path, SAMPLE_COLUMNS).select(_READS).to_pylist()
            shard.append([(*row, arm) for sample in samples for row in promises.untold(sample)])
        shard.close()


def _told(task: Task, arm: str) -> Told:
    found = {kind: np.zeros(0, np.int64) for kind in EFFECT_OUTCOMES}
    for path in task.folder.shards_of(task.worker, "effects", arm):
        table = read_shard(path, EFFECT_COLUMNS)
        for kind, counts in found.items():
            of_kind = table["seq"].filter(pc.equal(table["kind"], kind)).to_numpy().astype(np.int64)
            found[kind] = np.bincount(of_kind, minlength=len(counts))
            found[kind][: len(counts)] += counts
    return found


class _Promises:
    """What the requests of the worker had promised, as ``loadgen.verifier`` takes it up."""

    def __init__(self, scenario: Scenario, binding: Binding, told: Told) -> None:
        self._rules, self._mails_of_batch = scenario.verification, scenario.batch_size
        self._tenants = {tenant.key: tenant for tenant in scenario.tenants}
        self._binding = binding
        self._told = told

    def untold(self, sample: Mapping[str, Any]) -> list[Effect]:
        """Rows of what nobody has told."""
        binding, rules, rows = self._binding, self._rules, list[Effect]()
        if sample["outcome"] != "ok" and sample["detail"] != NOT_IN_TIME:
            return rows
        operation, seq, tenant = Operation(sample["operation"]), sample["seq"], self._tenants[sample["tenant"]]
        origin = Origin(seq, "", tenant, operation, "ok", sample["done_s"])
        if operation.saves:
            names = binding.expected_scripts(tenant)
            if names and not self._number("script", seq):
                rows += Pending(origin, "script", names, rules.script_deadline_s, rules.settle_s).rows()
            looked_at = operation is Operation.SAVE_CUSTOM and chosen(seq, rules.read_back_share)
            if looked_at and binding.reads_values and not self._number("value", seq):
                record_unverified(rows.append, origin)
        elif operation is not Operation.READ_CASE and binding.checks_mails:
            mails = self._mails_of_batch if operation is Operation.SEND_BATCH else 1
            mail = Pending(origin, "mail", ("",), rules.mail_deadline_s, rules.settle_s)
            rows += mail.rows() * (mails - self._number("mail", seq))
        return rows

    def _number(self, kind: str, seq: int) -> int:
        counts = self._told[kind]
        return int(counts[seq]) if seq < len(counts) else 0
