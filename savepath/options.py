"""Flags that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from savepath.listening import Address

quiet_option = click.option("--quiet", is_flag=True, help="Only results and errors: no progress, no advice.")
no_color_option = click.option(
    "--no-color", is_flag=True, help="No colour, as without a terminal or with NO_COLOR."
)
json_flag = click.option("--json", "as_json", is_flag=True, help="The same as JSON on stdout, for programs.")


class OneOf(click.Choice[str]):
    """One of some words, with a suggestion for one that is none of them."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """As click does, and which one was meant."""
        from scenarios.errors import did_you_mean

        words = [str(word) for word in self.choices]
        return super().get_invalid_choice_message(value, ctx).rstrip(".") + did_you_mean(str(value), words)


class Shipped(click.Path):
    """The name of a file that comes with a package, or a path: only completion tells them apart."""

    name = "text"

    def __init__(self, package: str) -> None:
        super().__init__()
        self.package = package

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that fit; the shell adds the files."""
        from scenarios.library import names

        found = [CompletionItem(name) for name in names(self.package) if name.startswith(incomplete)]
        return [*found, *super().shell_complete(ctx, param, incomplete)]


scenario_argument = click.argument("scenario", metavar="SCENARIO", type=Shipped("scenarios"))

target_option = click.option(
    "--target",
    "target",
    metavar="TARGET",
    type=Shipped("targets"),
    required=True,
    help="A target by name (casedesk, roundup) or the path of its YAML mapping.",
)


class KeyValue(click.ParamType[tuple[str, str]]):
    """``KEY=VALUE`` on the command line."""

    name = "KEY=VALUE"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """The key and the value, or a usage error."""
        key, equals, text = str(value).partition("=")
        if not equals or not key:
            self.fail(f"{value!r} is not of the form KEY=VALUE", param, ctx)
        return key, text


class Percent(click.ParamType[float]):
    """``10%``, or ``0.1``: a share of at most 10 (1,000 %)."""

    name = "PERCENT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The share, or a usage error."""
        text = str(value).strip().removeprefix("+")
        try:
            number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            number = 0.0
        if not 0 < number <= 10:
            self.fail(f"{value!r} is no change; expected something like 10%", param, ctx)
        return number


class ManyPaths(click.Command):
    """Lets ``--before A B C`` take several paths, as shells expand ``--before runs/before/*``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Repeat a flag whose metavar ends in ``...`` before each further value."""
        flags = {
            flag
            for option in self.params
            if isinstance(option, click.Option) and (option.metavar or "").endswith("...")
            for flag in option.opts
        }
        spread: list[str] = []
        flag = ""
        for word in args:
            if word.startswith("-"):
                flag = word if word in flags else ""
            elif flag and spread[-1] != flag:
                spread.append(flag)
            spread.append(word)
        return super().parse_args(ctx, spread)


settings_option = click.option(
    "--set", "settings", type=KeyValue(), multiple=True, help="A variable of the target, e.g. base_url=http://..."
)

label_option = click.option(
    "--label", "labels", type=KeyValue(), multiple=True, help="A label of the run, shown in reports; repeatable."
)

allow_python_option = click.option(
    "--allow-python",
    is_flag=True,
    help="Let the mapping run the Python class that it names, with all your rights.",
)

production_option = click.option(
    "--production",
    is_flag=True,
    help="Production is meant; its mapping must cap the rate and list the test tenants.",
)

RUN_FOLDER = click.Path(path_type=Path)
OUT_FOLDER = click.Path(file_okay=False, path_type=Path)
OUT_FILE = click.Path(dir_okay=False, path_type=Path)


class Listen(click.ParamType["Address"]):
    """Where to listen, on the command line."""

    name = "HOST:PORT"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """The address, or a usage error."""
        from savepath.listening import parse_address

        try:
            return parse_address(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)
