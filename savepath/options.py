"""Flags that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

scenario_argument = click.argument("scenario", metavar="SCENARIO")

target_option = click.option(
    "--target",
    "target",
    metavar="TARGET",
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

OUT_FOLDER = click.Path(file_okay=False, path_type=Path)
OUT_FILE = click.Path(dir_okay=False, path_type=Path)
