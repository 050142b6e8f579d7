"""A small JSON API as a team of users might have written it: the one that docs/writing-a-target.md maps first.

Custom fields are a list of id and value, a save runs one script that appends to a log, and a mail is delivered
at once. Everything stands in memory.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Iterable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

KEY = "house-key-1"


class HouseDesk:
    """The service and what it knows; ``url`` while it is served."""

    def __init__(self, tenants: Iterable[str], cases: int) -> None:
        number = itertools.count(1)
        self.tenant_of = {str(next(number)): tenant for tenant in tenants for _ in range(cases)}
        self.cases = {id_: {"subject": "", "status": "open"} for id_ in self.tenant_of}
        self.fields: dict[str, dict[str, object]] = {id_: {} for id_ in self.tenant_of}
        self.log: list[dict[str, str]] = []
        self.mails: list[dict[str, str]] = []
        self.traces: list[str] = []  # the traceparent of every save
        self.url = ""
        paths = [
            Route("/cases", self.list_cases),
            Route("/cases/{id}", self.read),
            Route("/cases/{id}", self.save, methods=["PATCH"]),
            Route("/cases/{id}/mails", self.mail, methods=["POST"]),
            Route("/automation-log", self.runs),
            Route("/sent-mails", self.sent),
        ]
        self.app = Starlette(routes=[Mount("/api", routes=paths)])

    def refused(self, request: Request) -> Response | None:
        if request.headers.get("x-api-key") != KEY:
            return JSONResponse({"error": "wrong key"}, 401)
        if request.path_params.get("id", "1") not in self.cases:
            return JSONResponse({"error": "no such case"}, 404)
        return None

    async def list_cases(self, request: Request) -> Response:
        tenant = request.query_params["tenant"]
        found = [{"id": id_} for id_, whose in self.tenant_of.items() if whose == tenant]
        return self.refused(request) or JSONResponse({"cases": found})

    async def read(self, request: Request) -> Response:
        return self.refused(request) or JSONResponse(self.shown(request.path_params["id"]))

    async def save(self, request: Request) -> Response:
        refused = self.refused(request)
        if refused:
            return refused
        id_, given = request.path_params["id"], await request.json()
        self.fields[id_] |= {one["id"]: one["value"] for one in given.pop("custom_fields", [])}
        self.cases[id_] |= given
        self.log.append({"token": request.query_params["token"], "name": "script-1"})
        self.traces.append(request.headers.get("traceparent", ""))
        return JSONResponse(self.shown(id_))

    async def mail(self, request: Request) -> Response:
        refused = self.refused(request)
        if refused:
            return refused
        given = await request.json()
        self.mails.append({"token": given["reference"], "to": given["to"]})
        return JSONResponse({"queued": True}, 202)

    async def runs(self, request: Request) -> Response:
        tokens = request.query_params["tokens"].split(",")
        return self.refused(request) or JSONResponse({"entries": [r for r in self.log if r["token"] in tokens]})

    async def sent(self, request: Request) -> Response:
        tokens = request.query_params["references"].split(",")
        return self.refused(request) or JSONResponse({"mails": [m for m in self.mails if m["token"] in tokens]})

    def shown(self, id_: str) -> dict[str, object]:
        fields = [{"id": key, "value": value} for key, value in self.fields[id_].items()]
        return {"id": id_, **self.cases[id_], "custom_fields": fields}


@contextlib.contextmanager
def serving(desk: HouseDesk) -> Iterator[HouseDesk]:
    """Serve until the block ends; who comes before the server is up waits in the backlog."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    desk.url = f"http://127.0.0.1:{listener.getsockname()[1]}/api"
    server = uvicorn.Server(uvicorn.Config(desk.app, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield desk
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
