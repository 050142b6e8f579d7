"""What must be so of a target before a run drives it: it answers, has what the scenario needs, and is warm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from loadgen.run_info import ArmFacts, Ledger
from scenarios.errors import InputError
from scenarios.model import Scenario
from targets.binding import Binding
from targets.control import preflight
from targets.extension import bind
from targets.footprint import Footprint, Tokens
from targets.inventory import Inventory
from targets.model import Target
from targets.provisioning import provision, warm_up


@dataclass(frozen=True, slots=True)
class Prepared:
    """A target that answers, has what the scenario needs, and is warm."""

    target: Target
    fingerprint: Mapping[str, str]
    inventory: Inventory
    binding: Binding

    @property
    def about(self) -> ArmFacts:
        """What ``run.json`` says of the target, without any counts."""
        return ArmFacts(
            target=self.target.name,
            address=self.target.base_url,
            environment=self.target.environment,
            fingerprint=dict(self.fingerprint),
            offered_per_s=0.0,
            fired=0,
            ledger=Ledger(scheduled=0, recorded=0, aborted=0, unsent=0),
            stored_cases=sum(len(known.cases) for known in self.inventory.tenants.values()),
        )


def prepare(
    target: Target,
    scenario: Scenario,
    inventory: Path | None,
    environ: Mapping[str, str],
    footprint: Footprint,
) -> Prepared:
    """Look at the target, find or make what the scenario needs, read a little. Raises SavepathError; blocks."""
    fingerprint = preflight(target, environ)
    if inventory:
        known = read_inventory(inventory)
    else:
        known = provision(target, scenario, environ, lambda *_: None, footprint)
    warm_up(target, scenario, known, environ)
    return Prepared(target, fingerprint, known, bind(target, scenario, known, environ))


def announce_tokens(footprint: Footprint, prepared: Prepared, run_key: str) -> None:
    """Say what the saves and mails of the run will carry, before the first is sent."""
    remotes = {key: dict(known.remote) for key, known in prepared.inventory.tenants.items()}
    footprint.announce(Tokens(run_key=run_key, tenants=remotes))


def read_inventory(path: Path) -> Inventory:
    """The inventory in a file. Raises InputError."""
    try:
        return Inventory.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise InputError(f"{path}: {where}: {first['msg']}; expected an inventory as savepath wrote it") from None
