"""From run folders to the blocks of a watch or of its baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from analysis.integrity import count_effects
from analysis.loop import fault_of
from analysis.runs import Run
from analysis.slices import fold
from analysis.window.blocks import Block, fold_block
from loadgen.run_folder import RunFolder
from reports.words import listed_up_to
from savepath.driving import AFTER, BEFORE
from savepath.loading import load_arms, load_run, question_of
from targets.credentials import REFUSED

BATCH: Final = "e-mail batch"
#: A rest of a run that is shorter than this share of a block is left out.
REST_LEAST: Final = 0.9
#: A token that ended too soon costs so large a share of the requests of a block, or of a tenant in it, at most:
#: the failures of a second; and of a tenant that asks seldom, so many.
RENEWING: Final = 0.01
RENEWING_FEW: Final = 2


def blocks_of(path: Path, block_s: float) -> list[Block]:
    """The blocks of one run, in order. A run that is shorter than a block is one block.

    Of a run of two targets at once the after side is watched, and the other one is the old environment.
    What became of the effects of a run is told with its last block, when all of them are known.
    Raises InputError for a folder that is no whole run.
    """
    run, old = _sides(path)
    watched, failed = AFTER if run.at_once else "", bool(run.slices["failures"].any())
    # The slices of a run may lie across the end of a block; its samples do not.
    samples = RunFolder(path).read_samples() if run.duration_s > block_s or failed else None
    asked = None if samples is None else _of_arm(samples, watched)
    slices = _cut(run, asked, block_s)
    versus = None if old is None else _cut(old, None if samples is None else _of_arm(samples, BEFORE), block_s)
    question = question_of(path, ())
    begins_s = run.started_at.timestamp()
    fault = _fault(run)
    pieces = max(math.floor(run.duration_s / block_s + 1 - REST_LEAST), 1)
    blocks = []
    for number in range(pieces):
        last = number == pieces - 1
        start_s = number * block_s
        block = fold_block(
            _within(slices, start_s, block_s),
            begins_s + start_s,
            block_s,
            effects=count_effects([run]) if last else None,
            allowed=question.integrity_limits,
            events=[BATCH] if last and _batch_was_whole(run) else [],
            fault=fault,
            loaded_s=min(run.duration_s - start_s, block_s),
            versus=None if versus is None else _within(versus, start_s, block_s),
        )
        if asked is not None and failed:
            block = _apart(block, asked[asked["scheduled_s"].between(start_s, start_s + block_s, "left")])
        blocks.append(block)
    return blocks


def blocks_of_all(paths: Iterable[Path], block_s: float) -> list[Block]:
    """The blocks of several runs, by time."""
    return sorted((one for path in paths for one in blocks_of(path, block_s)), key=lambda one: one.start_s)


def tenants_of(paths: Iterable[Path]) -> dict[int, tuple[str, ...]]:
    """The tenants of each cohort, by its number of custom fields, as these runs drove them."""
    found: dict[int, set[str]] = {}
    for path in paths:
        pairs = RunFolder(path).read_samples()[["custom_fields", "tenant"]].drop_duplicates()
        for fields, tenant in zip(pairs["custom_fields"].tolist(), pairs["tenant"].tolist(), strict=True):
            found.setdefault(int(fields), set()).add(str(tenant))
    return {fields: tuple(sorted(names)) for fields, names in sorted(found.items())}


def begun_at(path: Path) -> float:
    """When the measured window of a run began, Unix time."""
    return datetime.fromisoformat(RunFolder(path).read().started_at).timestamp()


def _sides(path: Path) -> tuple[Run, Run | None]:
    """The watched side of a run, and the other one if there is one."""
    if not RunFolder(path).read().arms:
        return load_run(path), None
    arms = load_arms(path)
    return arms[AFTER], arms.get(BEFORE)


def _of_arm(samples: pd.DataFrame, arm: str) -> pd.DataFrame:
    return samples[samples["arm"].astype(str) == arm]


def _cut(run: Run, samples: pd.DataFrame | None, block_s: float) -> pd.DataFrame:
    """Slices of the length of a block, of the samples of the run; its own where it is no longer than one."""
    return run.slices if samples is None or run.duration_s <= block_s else fold(samples, block_s)


def _within(slices: pd.DataFrame, start_s: float, length_s: float) -> pd.DataFrame:
    return slices[slices["t_s"].between(start_s, start_s + length_s, inclusive="left")]


def _fault(run: Run) -> str:
    found = fault_of(run)
    return f"the load of {run.id} proves nothing: the run {found}" if found else ""


def _apart(block: Block, asked: pd.DataFrame) -> Block:
    """The block without the requests that were answered 401, if they are too many for a token that was renewed.

    They say nothing of how the target does, so they are neither its failures nor its requests. ``asked`` are the
    samples of the block. The credential of one tenant of many is told by its own requests.
    """
    who = asked["tenant"].astype(str)
    is_refused = asked["status"] == REFUSED
    if is_refused.sum() > RENEWING * block.requests:
        tenants = sorted(set(who[is_refused]))
    else:
        tenants = _shut_out(who, who[is_refused])
    if not tenants:
        return block
    theirs = who.isin(tenants)
    refused, of = asked[is_refused & theirs], int(theirs.sum())
    number = refused["operation"].astype(str).value_counts()
    return replace(
        block,
        counts=tuple(
            replace(one, requests=one.requests - n, failures=one.failures - n)
            for one in block.counts
            if (n := int(number.get(one.operation, 0))) < one.requests
        ),
        refused=f"{len(refused)} of {of} requests of {listed_up_to(tenants)} were answered {REFUSED}",
    )


def _shut_out(asked: Iterable[str], refused: Iterable[str]) -> list[str]:
    """The tenants of whose requests more were refused than a renewal costs; both are tenants, one a request."""
    whole = Counter(asked)
    return sorted(
        tenant
        for tenant, n in Counter(refused).items()
        if n > RENEWING * whole[tenant] and n > min(RENEWING_FEW, whole[tenant] - 1)
    )


def _batch_was_whole(run: Run) -> bool:
    """Whether an e-mail batch was sent and every mail of it came once."""
    sent = (
        run.slices.loc[run.slices["operation"].astype(str) == "send_batch", "ok"].sum() if len(run.slices) else 0
    )
    if not sent or not len(run.effects):
        return False
    mails: pd.DataFrame = run.effects[
        (run.effects["kind"].astype(str) == "mail") & (run.effects["operation"].astype(str) == "send_batch")
    ]
    return bool(len(mails)) and bool(np.all(mails["outcome"].astype(str) == "once"))
