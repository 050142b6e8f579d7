"""``savepath schema``: the JSON Schemas, for editors and for those who read the results."""

from __future__ import annotations

import click

from savepath.options import OneOf


@click.command()
@click.argument("what", type=OneOf(["scenario", "target", "results", "watch-status"]))
def command(what: str) -> None:
    """Print the JSON Schema of a scenario file, a target file, results.json or the status.json of a watch.

    \b
    Examples:
      savepath schema scenario > scenario.schema.json
      savepath schema results | jq .properties.verdict
    """
    from scenarios.library import scenario_schema, schema_text

    if what == "scenario":
        schema = scenario_schema()
    elif what == "target":
        from targets.mapping import target_schema

        schema = target_schema()
    elif what == "watch-status":
        from savepath.watching.status import status_schema

        schema = status_schema()
    else:
        from reports.schema import json_schema

        schema = json_schema()
    click.echo(schema_text(schema), nl=False)
