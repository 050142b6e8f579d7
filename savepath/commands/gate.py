"""``savepath gate``: what a deployment pipeline asks before a release goes out."""

from __future__ import annotations

from pathlib import Path

import click

from savepath.options import quiet_option


@click.command()
@click.option("--state", type=click.Path(path_type=Path), metavar="DIR", help="The state folder of the watch.")
@click.option("--url", metavar="URL", help="Where the watch listens, e.g. http://watch.internal:8711.")
@click.option("--token-env", metavar="NAME", help="The variable with the token for URL.")
@quiet_option
def command(state: Path | None, url: str | None, token_env: str | None, quiet: bool) -> int:
    """Say in one line what a watch says now; exit 0 for CLEAR, 10 for HOLD, 20 for ESCALATE.

    No state, a broken one, a watch that has fallen silent, or a URL without a whole answer is HOLD.

    \b
    Examples:
      savepath gate --state watch/24.4
      savepath gate --state watch/24.4 && ./release.sh
      savepath gate --url http://127.0.0.1:8711
    """
    if (state is None) == (url is None):
        raise click.UsageError("give --state DIR or --url URL.")
    if token_env and not url:
        raise click.UsageError("--token-env is of no use without --url.")

    import time

    from savepath.exits import Exit, exit_code
    from savepath.screen import say, suggest
    from savepath.watching.gatekeeping import ask

    if url:
        from savepath.secret import needed
        from savepath.watching.remote import ask_url

        answer = ask_url(url, needed("--token-env", token_env) if token_env else None, time.time())
    else:
        assert state is not None  # noqa: S101 (one of both, see above)
        answer = ask(state, time.time())
    say(answer.line)
    code = exit_code(answer.verdict, "hold")
    if code is Exit.ESCALATE and state:
        suggest(f"savepath watch --state {state} --ack    # when somebody is at it", quiet=quiet)
    return code
