"""The muster: which workers a run has, and what each of them is ordered to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata

from loadgen.admission import Door
from loadgen.crew import Crew
from loadgen.ending import Ending
from loadgen.hands import Child, Guest
from loadgen.messages import Known, Order
from loadgen.reception import Reception
from loadgen.settings import PreparedRun
from loadgen.shipping import files_of, mapping_name, scenario_name
from targets.environment import secret_of


def crew_of(run: PreparedRun, *, on_stop: Callable[[Ending], None], say: Callable[[str], None]) -> Crew:
    """The crew of a run: children of this process, or whoever comes from other machines."""
    workers = run.settings.workers
    orders = _orders(run)
    if not workers.listen:
        children = [Child(order) for order in orders]
        return Crew(children, run.task_of, on_stop=on_stop, take_over=workers.take_over, say=say)
    guests = [Guest(order, run.folder) for order in orders]
    token = secret_of(os.environ, workers.token_env) or "" if workers.token_env else ""
    reception = Reception(workers.listen, Door(token), guests, metadata.version("savepath"), say)
    return Crew(guests, run.task_of, on_stop=on_stop, reception=reception)


def _orders(run: PreparedRun) -> list[Order]:
    """An order for each worker; one for another machine carries the files that it names."""
    settings, away = run.settings, bool(run.settings.workers.listen)
    files = files_of(settings.scenario, run.plan.scenario, settings.targets) if away else {}
    known = {
        name: Known(
            mapping=mapping_name(name, chosen.mapping) if away else chosen.mapping,
            variables=dict(chosen.variables),
            fingerprint=dict(run.targets[name].fingerprint),
            inventory=run.targets[name].inventory,
        )
        for name, chosen in settings.targets.items()
    }
    return [
        Order(
            worker=worker,
            workers=settings.workers.number,
            scenario=scenario_name(settings.scenario) if away else settings.scenario,
            targets=known,
            folder="" if away else str(run.folder.path),
            files=files,
            run_key=run.key,
            plan_digest=run.plan.digest,
            client=settings.client,
            allow_python=settings.allow_python,
        )
        for worker in range(settings.workers.number)
    ]
