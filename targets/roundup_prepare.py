"""Makes and serves a Roundup for a scenario: one tracker per tenant, with its custom fields and scripts.

    export ROUNDUP_PASSWORD=...
    python -m targets.roundup_prepare --scenario field-sweep --home roundup-home --port 8917 --serve

Roundup keeps its schema in code, so this writes the code: a column of the class ``issue`` for each
custom field, and a reactor that appends a row to the class ``scriptrun`` for each on-save script, in
the transaction of the save. The trackers are served by one waitress process on 127.0.0.1, each under
the key of its tenant; ``/`` tells versions and trackers.

A message that is put on an issue goes out as Roundup's nosy mail, by SMTP to ``--smtp``: savepath's
own sink (``python -m targets.mail_sink``), where it is counted and reaches nobody.

SQLite by default; ``--postgres "host=DIR user=NAME"`` keeps each tracker in a PostgreSQL database of
its own (needs psycopg2 as well). Needs the extra ``roundup`` (roundup 2.6 and waitress). Under a Python
older than 3.11.8 a request is answered 500 now and then while others run (CPython gh-106905).
"""

from __future__ import annotations

import functools
import importlib.util
import shutil
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, cast

import orjson

from scenarios.errors import InputError
from scenarios.fields import define_fields
from scenarios.library import load_scenario
from scenarios.model import FieldType, Scenario, Tenant
from targets.preparing import SMTP_PORT, accept_smtp_port, announce, carry_out, flags, password_in

PASSWORD_ENV: Final = "ROUNDUP_PASSWORD"  # noqa: S105  # the name of a variable, not a password
READY: Final = "roundup ready at "
_THREADS: Final = 8
#: Roundup hashes the password of every request anew. With its default of 250,000 rounds that takes
#: 250 ms and hides everything else; a test installation that nobody else reaches can do with few.
_PBKDF2_ROUNDS: Final = 1000

#: Roundup's class of a column by the type of a custom field. Choices are texts: a Link would come
#: back as the number of an item, and the value could not be compared with what was saved.
_COLUMNS: Final = {
    FieldType.NUMBER: "Number(use_double=True)",
    FieldType.DATE: "Date()",
    FieldType.CHECKBOX: "Boolean()",
}

_SCHEMA: Final = """\
# Written by savepath (targets/roundup_prepare.py) for the tenant {key}.
user = Class(db, "user", username=String(), password=Password(), address=String(), realname=String(),
             alternate_addresses=String(), roles=String(), timezone=String())
user.setkey("username")
keyword = Class(db, "keyword", name=String())
keyword.setkey("name")
priority = Class(db, "priority", name=String(), order=Number())
priority.setkey("name")
status = Class(db, "status", name=String(), order=Number())
status.setkey("name")
msg = FileClass(db, "msg", author=Link("user", do_journal="no"), recipients=Multilink("user", do_journal="no"),
                date=Date(), summary=String(), files=Multilink("file"), messageid=String(), inreplyto=String(),
                on_issue=Link("issue"), mail_to=String(), mail_subject=String(), mail_token=String())
file = FileClass(db, "file", name=String())
scriptrun = Class(db, "scriptrun", token=String(), issue=String(), name=String(), at=Number(use_double=True))
scriptrun.disableJournalling()
issue = IssueClass(
    db, "issue", assignedto=Link("user"), keyword=Multilink("keyword"), priority=Link("priority"),
    status=Link("status"), description=String(), save_token=String(),
{columns})
for name in ("Web Access", "Rest Access"):
    db.security.addPermissionToRole("User", name)
"""

_INITIAL_DATA: Final = """\
# Written by savepath. ``adminpw`` and ``admin_email`` are given by Roundup.
user = db.getclass("user")
user.create(username="admin", password=adminpw, address=admin_email, roles="Admin")
user.create(username="anonymous", roles="Anonymous")
for order, name in enumerate(("low", "normal", "high", "urgent")):
    db.getclass("priority").create(name=name, order=order)
for order, name in enumerate(("open", "in progress", "waiting", "resolved")):
    db.getclass("status").create(name=name, order=order)
# Issue 1 is no case: it is read to see which fields the tracker has.
db.getclass("issue").create(title="The fields of this tracker")
# The log of script runs is looked up by token while it grows.
db.sql("create index scriptrun_token_idx on _scriptrun (_token)")
"""

_DETECTOR: Final = """\
# Written by savepath: the on-save scripts. Each leaves one row per save, in the save's own transaction.
import time

SCRIPTS = {scripts}


def run_scripts(db, cl, nodeid, oldvalues):
    token = cl.get(nodeid, "save_token")
    if not token or (oldvalues is not None and oldvalues.get("save_token") == token):
        return
    for number in range(1, SCRIPTS + 1):
        db.scriptrun.create(token=token, issue=nodeid, name="script-%d" % number, at=time.time())


def init(db):
    db.issue.react("create", run_scripts)
    db.issue.react("set", run_scripts)
"""

_MAIL: Final = """\
# Written by savepath: a message with ``mail_to`` goes onto its issue and out by mail, as nosy mail does.


def own(db, cl, nodeid, newvalues):
    newvalues.setdefault("author", db.getuid())


def send(db, cl, nodeid, oldvalues):
    issue, to = cl.get(nodeid, "on_issue"), cl.get(nodeid, "mail_to")
    if not issue or not to:
        return
    db.issue.set(issue, messages=[*db.issue.get(issue, "messages"), nodeid])
    db.issue.nosymessage(issue, nodeid, None, cc_emails=[to], subject=cl.get(nodeid, "mail_subject"),
                         add_headers={"X-Savepath-Token": cl.get(nodeid, "mail_token")})


def init(db):
    db.msg.audit("create", own)
    db.msg.react("create", send)
"""

#: Roundup's own search joins several texts by "and", so that one token could be asked for at a time; and of its
#: own class nothing would need the two requests that it takes to delete a row.
_INTERFACES: Final = """\
# Written by savepath: GET rest/scriptruns?tokens=a,b,... tells the rows of many tokens at once,
# DELETE rest/scriptruns/PREFIX deletes those of tokens that begin like that.
from roundup.exceptions import Unauthorised
from roundup.rest import RestfulInstance, Routing, _data_decorator


@Routing.route("/scriptruns", "GET")
@_data_decorator
def scriptruns(self, input_payload):
    if not self.db.security.hasPermission("View", self.db.getuid(), "scriptrun"):
        raise Unauthorised("permission to view scriptrun denied")
    tokens = input_payload["tokens"].value.split(",")
    marks = ",".join([self.db.arg] * len(tokens))
    self.db.sql("select _token, _name from _scriptrun where _token in (%s)" % marks, tokens)
    return 200, {"collection": [{"token": row[0], "name": row[1]} for row in self.db.sql_fetchall()]}


@Routing.route("/scriptruns/<:prefix>", "DELETE")
@_data_decorator
def delete_scriptruns(self, prefix, input_payload):
    if not self.db.security.hasPermission("Retire", self.db.getuid(), "scriptrun"):
        raise Unauthorised("permission to delete scriptrun denied")
    # A token is lower-case letters, digits and dashes: "~" comes after all of them.
    bounds = (prefix, prefix + "~")
    self.db.sql("delete from _scriptrun where _token >= %s and _token < %s" % (self.db.arg, self.db.arg), bounds)
    self.db.commit()
    return 200, {"status": "ok"}


RestfulInstance.scriptruns = scriptruns
RestfulInstance.delete_scriptruns = delete_scriptruns
"""


@dataclass(frozen=True, slots=True)
class Postgres:
    """Where trackers keep their databases; ``host`` may be the folder of a socket."""

    host: str
    port: int = 5432
    user: str = "postgres"


def parse_postgres(text: str) -> Postgres:
    """``host=/run/postgresql port=5432 user=savepath``; the host alone will do. A password stays in PGPASSWORD.

    Raises InputError.
    """
    given = dict(pair.split("=", 1) for pair in text.split() if "=" in pair) if "=" in text else {"host": text}
    unknown = sorted(given.keys() - {"host", "port", "user"})
    if unknown or not given.get("host") or not given.get("port", "5432").isdecimal():
        # The text is not repeated: somebody may have put a password into it.
        also = f"; it has {', '.join(unknown)}" if unknown else ""
        raise InputError(f'--postgres: expected host, port and user, like "host=/run/postgresql user=me"{also}')
    return Postgres(given["host"], int(given.get("port", "5432")), given.get("user", "postgres"))


def prepare(scenario: Scenario, home: Path, password: str, postgres: Postgres | None = None) -> None:
    """Make a tracker in ``home`` for each tenant of the scenario; those that are there already are kept.

    Raises InputError for a tracker there that was made for other fields or scripts, and for a folder
    that holds something else: nothing is overwritten.
    """
    _require(*("roundup", "waitress"), *(("psycopg2",) if postgres else ()))
    for tenant in scenario.tenants:
        files = tracker_files(scenario, tenant)
        place = home / tenant.key
        if place.exists():
            _check_made_before(place, files)
        else:
            _make_tracker(place, files, password, postgres)


def tracker_files(scenario: Scenario, tenant: Tenant) -> dict[str, str]:
    """The code of a tenant's tracker: path inside its folder to text."""
    fields = define_fields(scenario, tenant.custom_fields)
    columns = "".join(f"    {field.key}={_COLUMNS.get(field.type, 'String()')},\n" for field in fields)
    return {
        "schema.py": _SCHEMA.format(key=tenant.key, columns=columns),
        "initial_data.py": _INITIAL_DATA,
        "detectors/scripts.py": _DETECTOR.format(scripts=tenant.scripts_on_save),
        "detectors/mail.py": _MAIL,
        "interfaces.py": _INTERFACES,
    }


def serve(
    scenario: Scenario, home: Path, *, port: int, ready: Callable[[str], None], smtp_port: int = SMTP_PORT
) -> None:
    """Serve the scenario's trackers on 127.0.0.1 until SIGINT or SIGTERM; ``ready`` gets the URL.

    Mail goes to ``smtp_port`` of 127.0.0.1.
    """
    _require("roundup", "waitress")
    import waitress.server

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    trackers: dict[str, Any] = {}  # Roundup's dispatchers, which are WSGI applications
    server = waitress.server.create_server(
        _front(trackers), host="127.0.0.1", port=port, threads=_THREADS, clear_untrusted_proxy_headers=True
    )
    url = f"http://127.0.0.1:{server.effective_port}"
    # The port is known only now, and Roundup reads its own address when a tracker is opened.
    for tenant in scenario.tenants:
        trackers[tenant.key] = _open_tracker(home / tenant.key, f"{url}/{tenant.key}/", smtp_port)
    ready(url)
    try:
        server.run()
    finally:
        server.close()


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = flags("targets.roundup_prepare", __doc__, home="folder for the trackers, one folder each")
    accept_smtp_port(parser)
    parser.add_argument("--postgres", metavar="WHERE", help='"host=FOLDER_OR_NAME port=5432 user=NAME"')
    given = parser.parse_args(words)

    def work() -> None:
        scenario = load_scenario(given.scenario)
        password = password_in(PASSWORD_ENV, "the admin's")
        prepare(scenario, given.home, password, parse_postgres(given.postgres) if given.postgres else None)
        if given.serve:
            ready = functools.partial(announce, READY)
            serve(scenario, given.home, port=given.port, ready=ready, smtp_port=given.smtp_port)

    return carry_out(work, f"cannot prepare or serve the trackers in {given.home}")


def _require(*names: str) -> None:
    for name in names:
        if importlib.util.find_spec(name) is None:
            remedy = (
                "pip install psycopg2-binary" if name == "psycopg2" else "install savepath with the extra roundup"
            )
            raise InputError(f"{name} is not installed; {remedy}")


def _check_made_before(place: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = place / name
        if not path.is_file():
            raise InputError(f"{place} is there already and no tracker of ours (no {name}); choose another --home")
        if path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{place} is a tracker for another scenario ({name} differs); choose another --home or remove it"
            )


def _make_tracker(place: Path, files: Mapping[str, str], password: str, postgres: Postgres | None) -> None:
    from roundup import instance
    from roundup.configuration import CoreConfig
    from roundup.password import Password

    final, place = place, place.with_name(f".{place.name}.making")
    shutil.rmtree(place, ignore_errors=True)  # what an interrupted preparation left
    for name in ("html", "extensions", "db"):
        (place / name).mkdir(parents=True)
    for name, text in files.items():
        path = place / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    config = CoreConfig()
    config["RDBMS_BACKEND"] = "postgresql" if postgres else "sqlite"
    if postgres:
        config["RDBMS_NAME"] = final.name.replace("-", "_")
        config["RDBMS_HOST"], config["RDBMS_PORT"] = postgres.host, postgres.port
        config["RDBMS_USER"] = postgres.user
    config["DATABASE"] = "db"
    config["MAIL_DOMAIN"] = "savepath.test"
    config["MAIL_HOST"] = "127.0.0.1"
    config["TRACKER_WEB"] = f"http://127.0.0.1/{final.name}/"
    config["TRACKER_NAME"] = final.name
    config["PASSWORD_PBKDF2_DEFAULT_ROUNDS"] = _PBKDF2_ROUNDS
    config.save(str(place / config.INI_FILE))
    tracker = instance.open(str(place))
    tracker.init(Password(password, config=tracker.config))
    # Roundup makes these tables at the first request, and answers 500 to each other that comes while it
    # does ("table sessions already exists"): eight clients at once on a new tracker meet that often.
    database = tracker.open("admin")
    try:
        database.getSessionManager()
        database.getOTKManager()
    finally:
        database.close()
    place.rename(final)


def _open_tracker(place: Path, url: str, smtp_port: int) -> Any:
    from roundup.cgi.wsgi_handler import RequestDispatcher
    from roundup.configuration import CoreConfig

    config = CoreConfig(str(place))
    config["TRACKER_WEB"] = url
    config["MAIL_PORT"] = smtp_port
    config.save(str(place / config.INI_FILE))
    return RequestDispatcher(str(place), feature_flags={"cache_tracker": ""})


def _front(trackers: Mapping[str, Any]) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    """A WSGI application that hands each request to the tracker named by the first part of its path."""

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        name, _, rest = environ["PATH_INFO"].lstrip("/").partition("/")
        tracker = trackers.get(name)
        if tracker:
            inner = {**environ, "SCRIPT_NAME": f"/{name}", "PATH_INFO": f"/{rest}"}
            return cast("Iterable[bytes]", tracker(inner, start_response))
        status, said = "200 OK", _describe(trackers)
        if name:
            status, said = "404 Not Found", {"error": f"no tracker {name!r}"}
        start_response(status, [("Content-Type", "application/json")])
        return [orjson.dumps(said)]

    return answer


def _describe(trackers: Mapping[str, Any]) -> dict[str, Any]:
    import roundup

    backends = sorted({one.tracker.config["RDBMS_BACKEND"] for one in trackers.values()})
    return {"roundup": roundup.__version__, "backend": ", ".join(backends), "trackers": sorted(trackers)}


if __name__ == "__main__":
    raise SystemExit(main())
