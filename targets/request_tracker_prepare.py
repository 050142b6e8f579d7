"""Makes and serves a Request Tracker 5 for a scenario: one queue per tenant, its custom fields and scrips.

    export RT_PASSWORD=...
    python -m targets.request_tracker_prepare --scenario field-sweep --home rt-home --port 8919 --serve

The database is SQLite in the home. Each on-save script is a scrip that appends a ticket to the queue
``scriptrun``: the token is its subject, the number of the script its priority. A correspondence that
names a recipient in the field ``mail_to`` of its transaction is sent there, by SMTP to the mail sink.
The server runs as a child process on 127.0.0.1 and ends with this one.

Needs Debian's packages request-tracker5, rt5-db-sqlite and rt5-standalone, and a user who may write
to RT's cache (root or www-data).
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from scenarios.errors import Aborted, InputError
from scenarios.fields import CustomField, define_fields
from scenarios.library import load_scenario
from scenarios.model import FieldType, Scenario, Tenant
from targets.preparing import (
    SMTP_PORT,
    accept_smtp_port,
    announce,
    carry_out,
    end,
    end_on_signals,
    flags,
    outlast,
    password_in,
)

PASSWORD_ENV: Final = "RT_PASSWORD"  # noqa: S105  # the name of a variable, not a password
READY: Final = "request tracker ready at "
SETUP: Final = "rt-setup-database-5"
SHARE: Final = Path("/usr/share/request-tracker5")
_SERVER: Final = SHARE / "libexec/rt-server"
_WORKERS: Final = 4
_TIMEOUT_S: Final = 120.0

#: RT's type of a custom field by savepath's, where it is not a text of up to 255 characters.
_TYPES: Final = {
    FieldType.LONG_TEXT: "TextSingle",
    FieldType.DATE: "DateSingle",
    FieldType.CHOICE: "SelectSingle",
    FieldType.MULTI_CHOICE: "SelectMultiple",
}

#: RT hashes the password of every request anew; its default of 12 takes 350 ms and hides everything else.
_CONFIG: Final = """\
# Written by savepath (targets/request_tracker_prepare.py).
Set($rtname, 'savepath');
Set($Organization, 'savepath.test');
Set($DatabaseType, 'SQLite');
Set($DatabaseName, $ENV{{RT_SQLITE}});
Set($WebDomain, '127.0.0.1');
Set($WebPort, $ENV{{RT_PORT}} || {port});
Set($BcryptCost, 4);
Set($MailCommand, sub {{
    $_[0]->send('smtp', Server => '127.0.0.1', Port => $ENV{{RT_SMTP_PORT}}, From => 'rt@savepath.test');
}});
Set($LogToSTDERR, 'error');
Set($LogToFile, undef);
Set($LogToSyslog, undef);
1;
"""

_DATA: Final = """\
# Written by savepath (targets/request_tracker_prepare.py).
our @Queues = ({queues});
our @ScripActions = ({{ Name => 'Send by its template', ExecModule => 'SendEmail' }});
our @Templates = ({{ Queue => 0, Name => 'mail', Type => 'Perl', Content => q[{mail}] }});
our @CustomFields = (
{fields});
our @Scrips = (
{scrips}{send});
our @Final = (sub {{
    my $root = RT::User->new(RT->SystemUser);
    $root->Load('root');
    $root->SetPassword($ENV{{{password_env}}});
}});
1;
"""

#: The fields of a correspondence are written after it: only the batch has both. RT's own scrips may have
#: put a change of status before it (a reply opens a ticket), so it is looked for.
_MAIL: Final = """\
To: {
  our ($said) = grep { $_->Type eq 'Correspond' } @{$Ticket->TransactionBatch};
  $said->FirstCustomFieldValue('mail_to')
}
Subject: {$said->Subject}
X-Savepath-Token: {$said->FirstCustomFieldValue('mail_token')}

{$said->Content}
"""

_SEND: Final = """\
  { Queue => 0, Description => 'mail', Stage => 'TransactionBatch', Template => 'mail',
    ScripCondition => 'User Defined', ScripAction => 'Send by its template',
    CustomIsApplicableCode => q[
      return scalar grep { $_->Type eq 'Correspond' && $_->FirstCustomFieldValue('mail_to') }
        @{$self->TicketObj->TransactionBatch};
    ] },
"""

#: Without TransactionBatch a scrip would run once for each field that a save changes.
_SCRIP: Final = """\
  {{ Queue => {queue}, Description => 'script-{number}', Stage => 'TransactionBatch', Template => 'Blank',
    ScripCondition => 'User Defined', ScripAction => 'User Defined',
    CustomIsApplicableCode => q[
      return scalar grep {{ $_->Type eq 'CustomField' }} @{{$self->TicketObj->TransactionBatch}};
    ],
    CustomPrepareCode => 'return 1;',
    CustomCommitCode => q[
      # The tokens of this very save: what the ticket holds by now may be another's.
      my $field = $self->TicketObj->LoadCustomFieldByIdentifier('save_token');
      for my $saved (@{{$self->TicketObj->TransactionBatch}}) {{
        next unless $saved->Type eq 'CustomField' && $saved->Field == $field->id && $saved->NewValue;
        RT::Ticket->new(RT->SystemUser)->Create(
          Queue => 'scriptrun', Subject => $saved->NewValue, Priority => {number}, _RecordTransaction => 0);
      }}
      return 1;
    ] }},
"""


def prepare(scenario: Scenario, home: Path, password: str) -> None:
    """Make the database in ``home``; one that was made for the same scenario is kept.

    Raises InputError for one of another scenario, Aborted where RT's own set-up fails.
    """
    _require_rt()
    data = initial_data(scenario)
    path = home / "initialdata"
    if (home / "rt.sqlite3").exists():
        if not path.is_file() or path.read_text(encoding="utf-8") != data:
            raise InputError(f"{home} was made for another scenario; choose another --home or remove it")
        return
    (home / "conf.d").mkdir(parents=True, exist_ok=True)
    (home / "RT_SiteConfig.pm").write_text(_CONFIG.format(port=8919), encoding="utf-8")
    path.write_text(data, encoding="utf-8")
    making = home / "making.sqlite3"
    making.unlink(missing_ok=True)
    environ = {**_environ(home), "RT_SQLITE": str(making.resolve()), PASSWORD_ENV: password}
    for words in (
        ["--action", "init", "--skip-create", "--dba", "none", "--datadir", str(SHARE / "etc")],
        ["--action", "insert", "--dba", "none", "--datafile", str(path.resolve())],
    ):
        done = subprocess.run([SETUP, *words], env=environ, capture_output=True, text=True, timeout=_TIMEOUT_S)
        if done.returncode or "[error]" in done.stderr + done.stdout:
            raise Aborted(f"{SETUP} {words[1]} failed: {(done.stdout + done.stderr)[-800:]}")
    making.rename(home / "rt.sqlite3")


def initial_data(scenario: Scenario) -> str:
    """The Perl that makes queues, custom fields and scrips, as RT's own initial data."""
    return _DATA.format(
        queues=", ".join(
            f"{{ Name => {_perl(name)} }}" for name in (*(tenant.key for tenant in scenario.tenants), "scriptrun")
        ),
        fields="".join(_fields(scenario, tenant) for tenant in scenario.tenants) + _mail_fields(scenario),
        scrips="".join(
            _SCRIP.format(queue=_perl(tenant.key), number=number)
            for tenant in scenario.tenants
            for number in range(1, tenant.scripts_on_save + 1)
        ),
        mail=_MAIL,
        send=_SEND,
        password_env=PASSWORD_ENV,
    )


@contextmanager
def running(
    home: Path, *, port: int, password: str, smtp_port: int = SMTP_PORT
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """RT's own server on 127.0.0.1 until the block ends; yields its URL and the process.

    ``port`` 0 takes a free one; mail goes to ``smtp_port`` of 127.0.0.1.
    """
    port = port or _free_port()
    words = [str(_SERVER), "--server", "Starlet", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "server.log").open("ab") as log:
        child = subprocess.Popen(
            [*words, "--max-workers", str(_WORKERS)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**_environ(home), "RT_PORT": str(port), "RT_SMTP_PORT": str(smtp_port)},
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, child, password, home)
        yield url, child
    finally:
        end(child)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = flags("targets.request_tracker_prepare", __doc__, home="folder for the database and the settings")
    accept_smtp_port(parser)
    given = parser.parse_args(words)

    def work() -> None:
        scenario = load_scenario(given.scenario)
        password = password_in(PASSWORD_ENV, "root's")
        end_on_signals()
        prepare(scenario, given.home, password)
        if given.serve:
            serving = running(given.home, port=given.port, password=password, smtp_port=given.smtp_port)
            with serving as (url, child):
                announce(READY, url)
                raise Aborted(f"RT ended with code {outlast(child)}: {_last_words(given.home)}")

    return carry_out(work, f"cannot prepare or serve Request Tracker in {given.home}")


def obstacle() -> str:
    """Why there can be no Request Tracker here, or nothing."""
    if shutil.which(SETUP) is None or not _SERVER.exists():
        return "Request Tracker 5 is not there; apt install request-tracker5 rt5-db-sqlite rt5-standalone"
    return ""


def _require_rt() -> None:
    if obstacle():
        raise InputError(obstacle())


def _environ(home: Path) -> Mapping[str, str]:
    """Both of RT's variables: with one alone it would read the settings of the system as well."""
    place = home.resolve()
    return {
        "PATH": os.environ.get("PATH", ""),
        "RT_SITE_CONFIG": str(place / "RT_SiteConfig.pm"),
        "RT_SITE_CONFIG_DIR": str(place / "conf.d"),
        "RT_SQLITE": str(place / "rt.sqlite3"),
    }


def _await(url: str, child: subprocess.Popen[bytes], password: str, home: Path) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    with httpx.Client(auth=("root", password), timeout=10, trust_env=False) as client:
        while child.poll() is None and time.monotonic() < deadline:
            try:
                status = client.get(f"{url}/REST/2.0/rt").status_code
            except httpx.HTTPError:
                time.sleep(0.1)
                continue
            if status == 401:
                raise InputError(
                    f"{home} was made with another {PASSWORD_ENV}; set that one or choose another --home"
                )
            if status == 200:
                return
    raise Aborted(f"RT did not start at {url}: {_last_words(home)}")


def _last_words(home: Path) -> str:
    return (home / "server.log").read_text(encoding="utf-8", errors="replace")[-400:]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _fields(scenario: Scenario, tenant: Tenant) -> str:
    token = f"  {{ Name => 'save_token', Queue => [{_perl(tenant.key)}], Type => 'FreeformSingle' }},\n"
    return token + "".join(_field(tenant, field) for field in define_fields(scenario, tenant.custom_fields))


def _mail_fields(scenario: Scenario) -> str:
    queues = ", ".join(_perl(tenant.key) for tenant in scenario.tenants)
    where = f"Queue => [{queues}], LookupType => 'RT::Queue-RT::Ticket-RT::Transaction', Type => 'FreeformSingle'"
    return "".join(f"  {{ Name => '{name}', {where} }},\n" for name in ("mail_to", "mail_token"))


def _field(tenant: Tenant, field: CustomField) -> str:
    values = ", ".join(f"{{ Name => {_perl(choice)} }}" for choice in field.choices)
    kind = _TYPES.get(field.type, "FreeformSingle")
    choices = f", Values => [{values}]" if values else ""
    return f"  {{ Name => '{field.key}', Queue => [{_perl(tenant.key)}], Type => '{kind}'{choices} }},\n"


def _perl(text: str) -> str:
    """The text as Perl writes it, in single quotes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    raise SystemExit(main())
