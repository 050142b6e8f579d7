"""What the scripts that prepare a real system share: flags, the password, how they speak and how they end."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from scenarios.errors import InputError, SavepathError

#: Where ``targets.mail_sink`` takes mail unless told otherwise.
SMTP_PORT = 8825
#: A server that was asked to end has this long before it is killed.
END_S = 10


def flags(module: str, about: str | None, *, home: str) -> argparse.ArgumentParser:
    """The flags of all of them; ``about`` is the module's docstring, ``home`` says what its folder is for."""
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=(about or "").split("\n")[0])
    parser.add_argument("--scenario", required=True, help="name or file")
    parser.add_argument("--home", required=True, type=Path, help=home)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--serve", action="store_true", help="serve until interrupted")
    return parser


def accept_smtp_port(parser: argparse.ArgumentParser) -> None:
    """Add the flag of those systems that send mail."""
    parser.add_argument(
        "--smtp-port", type=int, default=SMTP_PORT, help="where the mail sink is on 127.0.0.1 (%(default)s)"
    )


def password_in(variable: str, whose: str, *, least: int = 1) -> str:
    """The password in an environment variable, ``least`` characters long. Raises InputError."""
    password = os.environ.get(variable, "")
    if len(password) < least:
        found = f"has {len(password)} characters" if password else "is not set"
        wanted = f", {least} characters or more" if least > 1 else ""
        raise InputError(f"the environment variable {variable} {found}; it is to be {whose} password{wanted}")
    return password


def announce(ready: str, url: str) -> None:
    """Say on one line of stdout where the system is."""
    sys.stdout.write(f"{ready}{url}\n")
    sys.stdout.flush()


def carry_out(work: Callable[[], None], failure: str) -> int:
    """Do it; returns the exit code, and says on stderr what a user can mend (``failure`` begins an OSError)."""
    try:
        work()
    except SavepathError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"{failure}: {error}\n")
        return InputError.exit_code
    return 0


def end_on_signals() -> None:
    """Let SIGINT and SIGTERM unwind the stack, so that what was started is ended."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def outlast(child: subprocess.Popen[bytes]) -> int:
    """Wait until a server ends by itself; its exit code. A signal meanwhile unwinds the stack."""
    while True:
        # By and by: a signal that comes just before an endless wait would not end it.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return child.wait(1)


def end(child: subprocess.Popen[bytes]) -> None:
    """End a server: politely, then for sure."""
    child.terminate()
    try:
        child.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
