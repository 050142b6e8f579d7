"""``savepath export``: the requests of runs for a tracing system."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from savepath.options import RUN_FOLDER, quiet_option


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=RUN_FOLDER)
@click.option("--otlp", "url", required=True, metavar="URL", help="The collector, e.g. http://127.0.0.1:4318.")
@click.option("--notable", is_flag=True, help="Only the slowest and the failed requests.")
@quiet_option
def command(runs: Sequence[Path], url: str, notable: bool, quiet: bool) -> None:
    """Send the requests of runs to a tracing system, as OpenTelemetry spans over OTLP/HTTP.

    Each span is the parent of what the target's own tracing recorded of that request, so that a slow save
    leads to what it waited for. Headers, such as a token, come from OTEL_EXPORTER_OTLP_HEADERS.

    \b
    Examples:
      savepath export runs/after/run-01 --otlp http://127.0.0.1:4318
      savepath export runs/after/* --otlp http://collector:4318 --notable
    """
    import os

    from loadgen.run_folder import RunFolder
    from savepath.screen import note, say, suggest
    from savepath.spans import headers_of, send_spans
    from targets.request_mapping import check_base_url

    try:
        check_base_url(url)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--otlp") from None
    headers = headers_of(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", ""))
    for run in runs:
        sent = send_spans(RunFolder(run), url, notable=notable, headers=headers)
        say(f"{run}: {sent.spans:,} spans sent")
        if sent.rejected:
            why = sent.why or "no reason given"
            note(f"savepath: the collector left out {sent.rejected:,} spans of {run}: {why}")
    suggest(f"savepath show {runs[0]}", quiet=quiet)
