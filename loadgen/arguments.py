"""What a run is told on the command line of ``locust``: savepath's arguments there, and the settings they make."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from locust.argument_parser import LocustArgumentParser

from loadgen.chosen import CLIENTS, LOST, ChosenTarget, Workers
from loadgen.settings import Settings
from scenarios.errors import InputError


def add_arguments(parser: LocustArgumentParser) -> None:
    """savepath's arguments of ``locust``."""
    shown, hidden = {"include_in_web_ui": True}, {"include_in_web_ui": False}
    repeatable = {"metavar": "KEY=VALUE", "action": "append", "default": [], **hidden}
    parser.add_argument(
        "--scenario", metavar="NAME|FILE", default="smoke", env_var="SAVEPATH_SCENARIO", help="A scenario", **shown
    )
    parser.add_argument(
        "--target", metavar="NAME|FILE", default="casedesk", env_var="SAVEPATH_TARGET", help="A target", **shown
    )
    parser.add_argument("--set", help="A variable of the target; repeatable", **repeatable)
    parser.add_argument("--versus", metavar="NAME|FILE", help="A second target, driven at once", **hidden)
    parser.add_argument("--versus-set", help="A variable of the second target; repeatable", **repeatable)
    parser.add_argument("--versus-inventory", metavar="FILE", help="As --inventory", **hidden)
    parser.add_argument(
        "--watched", action="store_true", help="The second target is the old one, and may be missing", **hidden
    )
    parser.add_argument("--run-dir", metavar="DIR", help="Default: runs/<UTC time>-<scenario>", **hidden)
    parser.add_argument("--inventory", metavar="FILE", help="Default: find or make tenants and cases", **hidden)
    parser.add_argument("--label", help="A label of the run; repeatable", **repeatable)
    parser.add_argument("--purpose", metavar="TEXT", default="", help="Why this run is made", **shown)
    parser.add_argument(
        "--client", choices=list(CLIENTS), default=CLIENTS[0], help="What sends the requests", **hidden
    )
    parser.add_argument(
        "--allow-python", action="store_true", help="Let the mapping run the Python class that it names", **hidden
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="Processes that drive the plan together", **hidden
    )
    parser.add_argument(
        "--lost-worker", choices=list(LOST), default=LOST[0], help="What a lost worker does to the run", **hidden
    )
    parser.add_argument(
        "--listen", metavar="HOST:PORT", default="", help="The workers come here, by savepath worker", **hidden
    )
    parser.add_argument("--token-env", metavar="NAME", default="", help="The variable with their token", **hidden)
    parser.add_argument(
        "--metrics-port", type=int, metavar="PORT", help="Metrics for Prometheus, on 127.0.0.1", **hidden
    )
    parser.add_argument(
        "--web-password-env", metavar="NAME", default="", help="The variable with the web password", **hidden
    )
    parser.set_defaults(web_host="127.0.0.1")  # Locust's own default is every interface
    parser.add_argument("--production", action="store_true", help="Production is meant", **hidden)
    parser.add_argument(
        "--stop-with-parent", type=int, metavar="PID", help="End the run when this parent has ended", **hidden
    )


def settings_of(options: Namespace, number: int) -> Settings:
    """The arguments as settings; a second run of the same process gets a folder of its own. Raises InputError."""
    run_dir = options.run_dir
    if run_dir and number:
        run_dir = f"{run_dir}-{number + 1}"
    return Settings(
        scenario=options.scenario,
        target=_chosen(options.target, _pairs("--set", options.set), options.inventory),
        versus=_chosen(options.versus, _pairs("--versus-set", options.versus_set), options.versus_inventory)
        if options.versus
        else None,
        run_dir=Path(run_dir) if run_dir else None,
        labels=_pairs("--label", options.label),
        purpose=options.purpose or "",
        allow_python=options.allow_python,
        client=options.client,
        production=options.production,
        workers=Workers(options.workers, options.listen, options.token_env, options.lost_worker),
        metrics_port=options.metrics_port,
        watched=options.watched,
    )


def _chosen(mapping: str, variables: dict[str, str], inventory: str | None) -> ChosenTarget:
    return ChosenTarget(mapping, variables, Path(inventory) if inventory else None)


def _pairs(flag: str, words: list[str]) -> dict[str, str]:
    pairs = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise InputError(f"{flag} {word!r} is not of the form KEY=VALUE")
        pairs[key] = value
    return pairs
