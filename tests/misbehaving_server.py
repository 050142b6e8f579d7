"""A server on loopback that does what real systems do on their bad days: one class of behaviour each.

    with misbehaving(ExpiringTokens(uses=3)) as url: ...

What it was asked stands in ``behaviour.asked``, in order.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass(frozen=True)
class Asked:
    """One request as it came; names of headers in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return dict(parse_qsl(self.body.decode()))

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Reply:
    """What is answered: data as JSON, bytes as they are, parts as chunks until the other side has enough."""

    status: int = 200
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    chunks: Iterable[bytes] | None = None


class Behaviour:
    """Answers requests; a class of its own for each kind of trouble."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.url = ""
        self.lock = threading.Lock()

    def reply(self, asked: Asked) -> Reply:
        raise NotImplementedError

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]


class Scripted(Behaviour):
    """Gives these replies one after the other, the last one for ever."""

    def __init__(self, *replies: Reply) -> None:
        super().__init__()
        self.replies = replies

    def reply(self, asked: Asked) -> Reply:
        return self.replies[min(len(self.asked), len(self.replies)) - 1]


class ExpiringTokens(Behaviour):
    """Logs in who knows the password; a token is good for so many requests, then it is 401 without warning."""

    def __init__(self, uses: int, *, lasts_s: float | None = None, password: str = "pw") -> None:
        super().__init__()
        self.uses = uses
        self.lasts_s = lasts_s
        self.password = password
        self.issued = 0
        self.left = 0

    def reply(self, asked: Asked) -> Reply:
        if asked.line == "POST /login":
            return self.log_in(asked.json.get("password"), "token")
        if asked.line == "POST /oauth/token":
            assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
            assert asked.form["grant_type"] == "client_credentials"
            return self.log_in(asked.form.get("client_secret"), "access_token")
        if asked.headers.get("authorization") != f"Bearer token-{self.issued}" or self.left == 0:
            return Reply(401, {"error": "token expired"})
        self.left -= 1
        return Reply(200, {"id": "1"})

    def log_in(self, password: str | None, key: str) -> Reply:
        if password != self.password:
            return Reply(403, {"error": f"wrong password {password}"})
        self.issued += 1
        self.left = self.uses
        lasts = {} if self.lasts_s is None else {"expires_in": self.lasts_s}
        return Reply(200, {key: f"token-{self.issued}", **lasts})


class Composite(Behaviour):
    """Answers 207 with a status for each message; ``refused`` of them are not taken."""

    def __init__(self, refused: Container[int]) -> None:
        super().__init__()
        self.refused = refused

    def reply(self, asked: Asked) -> Reply:
        messages = asked.json["messages"]
        results = [{"status": 429 if number in self.refused else 201} for number in range(len(messages))]
        return Reply(207, {"results": results})


class Versioned(Behaviour):
    """Takes a save only with the version that it replaces; somebody else saves in between every so often."""

    def __init__(self, *, stamp_in_body: bool) -> None:
        super().__init__()
        self.stamp_in_body = stamp_in_body
        self.version = 1

    def reply(self, asked: Asked) -> Reply:
        if asked.method == "GET":
            etag = {} if self.stamp_in_body else {"ETag": f'"{self.version}"'}
            return Reply(200, {"id": "7", "version": self.version}, etag)
        given = asked.json.get("version") if self.stamp_in_body else asked.headers.get("if-match", "").strip('"')
        if str(given) != str(self.version):
            # The one kind says so by its status, the other by a code in an answer that is no success either.
            return Reply(422, {"errors": [{"code": "STALE"}]}) if self.stamp_in_body else Reply(412)
        self.version += 1
        return Reply(204) if not self.stamp_in_body else Reply(200, {"version": self.version})


class Arrays(Behaviour):
    """Speaks in bare lists: a save is a list of fields, and so is what is read; anything else is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: dict[str, Any] = {}

    def reply(self, asked: Asked) -> Reply:
        if asked.method == "PATCH":
            if not isinstance(asked.json, list):
                return Reply(400, [{"error": "a list is wanted"}])
            self.fields |= {one["path"]: one["value"] for one in asked.json}
            return Reply(200, [{"path": one["path"], "done": True} for one in asked.json])
        return Reply(200, [{"path": path, "value": value} for path, value in self.fields.items()])


class Pages(Behaviour):
    """Lists cases a few at a time; ``way`` is page, cursor, link or url (of the next page, in the body)."""

    def __init__(self, way: str, number: int, per_page: int = 3) -> None:
        super().__init__()
        self.way = way
        self.number = number
        self.per_page = per_page

    def reply(self, asked: Asked) -> Reply:
        key = {"page": "page", "cursor": "cursor"}.get(self.way, "from")
        given = asked.query.get(key) or "0"
        begin = (int(given) - 1) * self.per_page if self.way == "page" else int(given.removeprefix("after-"))
        end = begin + self.per_page
        body: dict[str, Any] = {"cases": [{"id": str(n)} for n in range(begin, min(end, self.number))]}
        more = end < self.number
        headers = {}
        match self.way:
            case "cursor":
                body["next"] = f"after-{end}" if more else None
            case "url":
                body["next"] = f"{self.url}/cases?from={end}" if more else None
            case "link" if more:
                headers["Link"] = f'</cases>; rel="first", </cases?from={end}>; rel="next last"'
        return Reply(200, body, headers)


class EndlessPages(Behaviour):
    """Lists the same cases again and again, always with a new cursor; or in a circle of cursors."""

    def __init__(self, circle: int | None = None) -> None:
        super().__init__()
        self.circle = circle

    def reply(self, asked: Asked) -> Reply:
        number = len(self.asked) if self.circle is None else len(self.asked) % self.circle
        return Reply(200, {"cases": [{"id": str(number % 7)}], "next": f"c{number}"})


class Jobs(Behaviour):
    """Makes nothing at once: 202 and a job, which is done after so many looks, if it ever is."""

    def __init__(self, looks: int, *, elsewhere: str | None = None, last: Reply | None = None) -> None:
        super().__init__()
        self.looks = looks
        self.elsewhere = elsewhere
        self.last = last or Reply(200, {"result": {"id": "made-1"}})

    def reply(self, asked: Asked) -> Reply:
        if asked.method == "POST":
            return Reply(202, b"", {"Location": self.elsewhere or "/jobs/1"})
        if asked.path == "/cases":
            return Reply(200, {"cases": []})
        self.looks -= 1
        return self.last if self.looks <= 0 else Reply(202, {"state": "running"}, {"Retry-After": "0"})


class Silent(Behaviour):
    """Makes what it is asked for and says nothing: 204; it is found in the list afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.made: list[str] = []

    def reply(self, asked: Asked) -> Reply:
        if asked.method == "POST":
            self.made.append(asked.json["reference"])
            return Reply(204, headers={"Location": f"/things/{len(self.made)}?view=full"})
        return Reply(200, {"cases": [{"id": f"id-{n}", "reference": ref} for n, ref in enumerate(self.made)]})


class Directory(Behaviour):
    """Knows everything by numbers of its own: tenants, and in each other ones for the same fields."""

    def __init__(self, tenants: Sequence[str], fields: Sequence[str]) -> None:
        super().__init__()
        self.tenants = {name: 100 + number for number, name in enumerate(tenants)}
        self.fields = {
            str(id_): {key: 1000 * id_ + number for number, key in enumerate(fields)}
            for id_ in self.tenants.values()
        }
        self.cases: dict[str, Any] = {}

    def reply(self, asked: Asked) -> Reply:
        match asked.method, asked.path.split("/")[1:]:
            case "GET", ["tenants"]:
                return Reply(200, [{"title": name, "number": id_} for name, id_ in self.tenants.items()])
            case "GET", ["tenants", tenant, "fields"]:
                return Reply(200, {"all": [{"k": k, "n": n} for k, n in self.fields[tenant].items()]})
            case "POST", ["tenants", tenant, "fields"]:
                number = self.fields[tenant][asked.json["k"]] = 7_000_000 + len(self.asked)
                return Reply(201, {"n": number})
            case "POST", ["tenants", tenant, "cases"]:
                self.cases[id_ := str(len(self.cases) + 1)] = asked.json
                return Reply(201, {"id": id_})
            case "GET", ["tenants", tenant, "cases"]:
                return Reply(200, [])
            case "DELETE", ["cases", id_]:
                return Reply(204 if self.cases.pop(id_, None) is not None else 410)
        return Reply(404)


@contextlib.contextmanager
def misbehaving(behaviour: Behaviour) -> Iterator[str]:
    """Serve until the block ends; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(
                self.command,
                parts.path,
                dict(parse_qsl(parts.query, keep_blank_values=True)),
                {name.lower(): value for name, value in self.headers.items()},
                self.rfile.read(int(self.headers.get("Content-Length", 0))),
            )
            with behaviour.lock:
                behaviour.asked.append(asked)
                reply = behaviour.reply(asked)
            with contextlib.suppress(OSError):
                self.write(reply)

        def write(self, reply: Reply) -> None:
            raw = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
            kind = {} if isinstance(reply.body, bytes) else {"Content-Type": "application/json"}
            size = {"Content-Length": str(len(raw))} if reply.chunks is None else {"Transfer-Encoding": "chunked"}
            self.send_response(reply.status)
            for name, value in {**kind, **(size if reply.status != 204 else {}), **reply.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if reply.chunks is None:
                self.wfile.write(raw)
                return
            for chunk in reply.chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
            self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  # names that the library looks for

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield behaviour.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
