"""A target as somebody chose it for a run, and the secrets that go with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from scenarios.errors import InputError, Refused
from scenarios.model import Scenario
from scenarios.parts import refuse_too_many
from targets.footprint import Footprint, Heading
from targets.hosts import AllowedHosts
from targets.mapping import load_target
from targets.model import Target

#: Of a second target a secret ``NAME`` is looked for as ``VERSUS_NAME`` first.
VERSUS: Final = "VERSUS_"
#: What sends the load: savepath's own client, and those of Locust's FastHttpUser and HttpUser.
CLIENTS: Final = ("measured", "fast", "requests")
#: What becomes of a run that loses a worker: it is void, or others take over what that one leaves.
LOST: Final = ("void", "take-over")


@dataclass(frozen=True, slots=True)
class Workers:
    """How many processes drive a run together; with ``listen`` (HOST:PORT) they come from other machines."""

    number: int = 1
    listen: str = ""
    token_env: str = ""  # the variable with the token that they must know
    lost: str = LOST[0]  # what a lost one does to the run

    def __post_init__(self) -> None:
        if not self.take_over:
            return
        if self.listen:
            raise InputError(
                f"--lost-worker {self.lost} is for workers of this machine: one of another machine that is silent "
                "may still drive, and what both save would be called doubled; leave it or --listen out"
            )
        if self.number == 1:
            raise InputError(f"--lost-worker {self.lost} needs somebody who is left; say --workers 2 or more")

    def refuse_unfit(self, scenario: Scenario) -> None:
        """Raises InputError for a scenario that they cannot drive."""
        refuse_too_many(scenario, self.number)
        if self.take_over and scenario.load.users:
            raise InputError(
                f"scenario {scenario.name} has load.users: whoever waited for an answer of a lost worker has no "
                f"heir; leave --lost-worker {self.lost} out, or give a rate in place of users"
            )

    @property
    def take_over(self) -> bool:
        """Whether others drive on what a lost one leaves."""
        return self.lost != LOST[0]

    @property
    def alone(self) -> bool:
        """Whether the leading process drives the run itself."""
        return self.number == 1 and not self.listen


#: No workers.
ALONE: Final = Workers()


@dataclass(frozen=True, slots=True)
class ChosenTarget:
    """Which mapping, with which variables; ``inventory`` is the file of what is known of it already."""

    mapping: str  # name or path
    variables: Mapping[str, str] = field(default_factory=dict)
    inventory: Path | None = None

    def load(self, *, allow_python: bool) -> Target:
        """The mapping. Raises InputError."""
        return load_target(self.mapping, self.variables, allow_python=allow_python)

    def footprint(self, folder: Path, name: str, target: Target, scenario: Scenario, side: str) -> Footprint:
        """A footprint in that folder of what is made on the target, which was loaded from this choice.

        A mapping in a file is named so that it is found again from anywhere.
        """
        path = Path(self.mapping)
        heading = Heading(
            scenario=scenario.name,
            tenants=scenario.tenant_keys,
            mapping=str(path.resolve()) if path.is_file() else self.mapping,
            settings=dict(self.variables),
            address=target.base_url,
            side=side,
        )
        return Footprint(folder, name, heading)


def refuse_blind(client: str, hosts: AllowedHosts) -> None:
    """Raises Refused for a client that looks up hosts by itself, where they may stand in some networks only."""
    if hosts.networks and client != CLIENTS[0]:
        raise Refused(
            f"--client {client}: Locust's own clients cannot be held to the networks of a mapping "
            f"({', '.join(map(str, hosts.networks))}); leave --client out, or take a mapping without networks"
        )


def secrets_side(side: str, *, watched: bool) -> str:
    """Whose secrets the target on a side takes: in a watch the second target is the old one, so before."""
    return {"before": "after", "after": "before"}.get(side, side) if watched else side


def environ_of(arm: str, environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment in which an arm finds its secrets.

    Old and new host often share a mapping and not a password: where ``VERSUS_NAME`` or ``VERSUS_NAME_FILE``
    is set, the after arm takes it instead of ``NAME`` and ``NAME_FILE``.
    """
    own = {name.removeprefix(VERSUS): value for name, value in environ.items() if name.startswith(VERSUS)}
    if arm != "after" or not own:
        return environ
    replaced = {name.removesuffix("_FILE") for name in own}
    kept = {name: value for name, value in environ.items() if name.removesuffix("_FILE") not in replaced}
    return {**kept, **own}
