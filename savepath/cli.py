"""The command line: finds the command, and turns each deliberate error into its message and exit code.

Each command lives in a module of its own under ``savepath.commands`` and is imported only when it
is called, so that ``savepath --help`` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import keyword
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NoReturn, cast

import click

from savepath import __version__
from savepath.exits import MEANINGS, Exit

#: command -> its one line in the help. The module ``savepath.commands.<command>`` holds ``command``,
#: with an underscore behind a name that Python keeps for itself.
COMMANDS: Mapping[str, str] = {
    "demo": "Show the incident on the embedded system, to a finished report.",
    "init": "Lay out a folder to begin with: scenario, mapping, pipelines.",
    "plan": "Say what a run would offer to a target; sends nothing.",
    "run": "Drive a target with a scenario and record what happened.",
    "worker": "Drive a part of the runs that another machine leads.",
    "clean": "Remove from a target what runs have made there.",
    "import": "Make a run of the results of JMeter, k6, Locust or vegeta.",
    "show": "Tell one run by itself: times, failures, effects.",
    "compare": "Compare runs before and after a change: CLEAR, HOLD or ESCALATE.",
    "export": "Send the requests of a run to a tracing system, over OTLP.",
    "watch": "Watch a stabilization window for days: CLEAR, HOLD or ESCALATE.",
    "gate": "Ask a watch whether a release may go out: 0 CLEAR, 10 HOLD, 20 ESCALATE.",
    "report": "Tell a comparison again, or list runs and comparisons.",
    "desk": "Start casedesk, the embedded case-management system.",
    "schema": "Print the JSON Schema of a scenario, a target, results.json or a watch.",
    "completion": "Print what bash, zsh or fish need to complete commands.",
}

#: What this machine has run out of or does not allow, wherever it shows: no bug of ours.
OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
)

EXITS = "\n".join(f"{int(code):>5}  {meaning}" for code, meaning in MEANINGS.items())


class LazyGroup(click.Group):
    """A group that imports a command when it is called, and suggests the one that was meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        underscore = "_" if keyword.iskeyword(cmd_name) else ""
        module = importlib.import_module(f"savepath.commands.{cmd_name}{underscore}")
        return cast(click.Command, module.command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a suggestion for a command that does not exist."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from scenarios.errors import did_you_mean

            hint = did_you_mean(args[0], COMMANDS) or f"; there are {', '.join(COMMANDS)}"
            ctx.fail(f"no command {args[0]!r}{hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"\b\nExit codes:\n{EXITS}",
)
@click.version_option(__version__, prog_name="savepath")
def cli() -> None:
    """Load testing of the custom-field save path, before, during and after a change.

    \b
    Begin with:      savepath demo
    Your own system: savepath init load-tests
    """


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Run the command line, of this process by default, and exit with a code of ``savepath.exits``."""
    try:
        code = cli.main(words, prog_name="savepath", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)  # noqa: T201
        sys.exit(130)
    except BrokenPipeError:  # somebody piped us into head
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.errno not in OF_THE_MACHINE:
            raise
        where = error.filename or "this machine"
        print(f"savepath: {where}: {error.strerror}; what was being written is not whole", file=sys.stderr)  # noqa: T201
        _give_up_stdout()
        sys.exit(Exit.ABORTED)
    except Exception as error:
        from scenarios.errors import SavepathError

        if not isinstance(error, SavepathError):
            raise
        for line in str(error).splitlines():
            print(f"savepath: {line}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    sys.exit(code if isinstance(code, int) else 0)


def _give_up_stdout() -> None:
    """What is still to be written there goes nowhere; Python would try it again at its end, and complain."""
    with suppress(OSError, ValueError):  # a stdout that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
