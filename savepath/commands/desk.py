"""``savepath desk``: start casedesk, the embedded case-management system."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option("--port", default=8700, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 is every address; takes a key.")
@click.option("--api-key-env", metavar="NAME", help="The variable with the key that askers send as X-Api-Key.")
@click.option("--disk", default="healthy", show_default=True, help="A disk profile by name, or its YAML file.")
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="Keep the database in this folder.")
@click.option("--smtp", metavar="HOST:PORT", help="Deliver mail to this SMTP server.")
@click.option("--seed", default=1, show_default=True, help="Seed of jitter and planted faults.")
@click.option("--deadline-s", default=5.0, show_default=True, help="A save that takes longer is given up.")
def command(
    port: int,
    host: str,
    api_key_env: str | None,
    disk: str,
    data: Path | None,
    smtp: str | None,
    seed: int,
    deadline_s: float,
) -> int:
    """Start casedesk and serve until Ctrl-C.

    \b
    Examples:
      savepath desk
      savepath desk --disk degraded --port 8701
    """
    from casedesk.__main__ import main, say_ready
    from savepath.screen import suggest

    def ready(url: str) -> None:
        say_ready(url)
        at = "" if url.endswith(":8700") else f" --set base_url={url}"
        suggest(f"savepath run smoke --target casedesk{at} --out runs/first, in another terminal")

    words = ["--port", port, "--disk", disk, "--seed", seed, "--deadline-s", deadline_s]
    words += ["--host", host, *(["--api-key-env", api_key_env] if api_key_env else [])]
    words += ["--data", data] if data else []
    words += ["--smtp", smtp] if smtp else []
    return main([str(word) for word in words], ready)
