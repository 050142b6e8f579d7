"""Imitations of two hosted products, from their documentation: shapes, paging, quotas, automation.

Zendesk: an array of {id, value} with numeric ids, cursor pages whose last one still has a ``next``, tokens in
a header, limits on updates. ServiceNow: flat columns that are answered as text, the Link header, encoded queries.
"""

from __future__ import annotations

import base64
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from misbehaving_server import Asked, Behaviour, Reply

PAGE = 2


class Zendesk(Behaviour):
    """Organizations, tickets, and one trigger whose webhook writes into a log that is read without credentials."""

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__()
        self.numbers = itertools.count(360001)
        self.organizations: dict[int, str] = {}
        self.tickets: dict[int, dict[str, Any]] = {}
        self.fields = {next(self.numbers): title for title in fields}
        self.runs: list[dict[str, str]] = []
        self.updates: Counter[int] = Counter()
        self.busy = 0  # so many requests more are answered 429
        self.role = "admin"

    def reply(self, asked: Asked) -> Reply:
        if asked.path == "/runs":
            assert "authorization" not in asked.headers
            return Reply(200, {"runs": [r for r in self.runs if r["token"] in asked.query["tokens"].split(",")]})
        if asked.headers.get("authorization") != "Bearer zd-t0ken":
            return Reply(401, {"error": "Couldn't authenticate you"})
        if self.busy:
            self.busy -= 1
            return Reply(429, b"Rate limit exceeded", {"Retry-After": "0", "Content-Type": "text/html"})
        match asked.method, asked.path.removeprefix("/api/v2/").split("/"):
            case "GET", ["users", "me"]:
                return Reply(200, {"user": {"id": 1, "role": self.role}})
            case "GET", ["organizations"]:
                return self.page(
                    asked, "organizations", [{"id": i, "name": n} for i, n in self.organizations.items()]
                )
            case "POST", ["organizations"]:
                self.organizations[number := next(self.numbers)] = asked.json["organization"]["name"]
                return Reply(201, {"organization": {"id": number, "name": self.organizations[number]}})
            case "DELETE", ["organizations", id_] if int(id_) in self.organizations:
                del self.organizations[int(id_)]
                return Reply(204)
            case "GET", ["ticket_fields"]:
                fields = [{"id": 1, "title": "Subject"}, *({"id": i, "title": t} for i, t in self.fields.items())]
                return self.page(asked, "ticket_fields", fields)
            case "GET", ["organizations", id_, "tickets"]:
                found = [t for t in self.tickets.values() if t["organization_id"] == int(id_)]
                return self.page(asked, "tickets", found)
            case "POST", ["tickets"]:
                given = {"organization_id": None, "custom_fields": [], **asked.json["ticket"]}
                assert given.pop("comment")["body"]
                ticket = {"id": next(self.numbers), **given, "custom_fields": [self.blank(i) for i in self.fields]}
                self.tickets[ticket["id"]] = ticket
                self.put(ticket, {"custom_fields": given["custom_fields"]})
                return Reply(201, {"ticket": ticket})
            case method, ["tickets", id_] if int(id_) in self.tickets:
                return self.ticket(method, int(id_), asked)
        return Reply(404, {"error": "RecordNotFound"})

    def ticket(self, method: str, id_: int, asked: Asked) -> Reply:
        if method == "DELETE":
            del self.tickets[id_]
            return Reply(204)
        if method == "PUT":
            self.updates[id_] += 1
            if self.updates[id_] > 30:
                return Reply(429, b"Rate limit for ticket updates exceeded", {"Retry-After": "93"})
            self.put(self.tickets[id_], asked.json["ticket"])
            self.runs.append({"token": self.tickets[id_]["external_id"], "name": "script-1"})
        return Reply(200, {"ticket": self.tickets[id_]})

    def put(self, ticket: dict[str, Any], given: dict[str, Any]) -> None:
        for one in given.pop("custom_fields", []):
            assert isinstance(one["id"], int)
            (field,) = (field for field in ticket["custom_fields"] if field["id"] == one["id"])
            field["value"] = one["value"]
        ticket |= given

    @staticmethod
    def blank(id_: int) -> dict[str, Any]:
        return {"id": id_, "value": None}

    def page(self, asked: Asked, name: str, items: list[Any]) -> Reply:
        assert asked.query["page[size]"] == "100"
        begin = int(asked.query.get("page[after]", 0))
        end = begin + PAGE
        following = f"{self.url}{asked.path}?page[size]=100&page[after]={end}"
        meta = {"has_more": end < len(items), "after_cursor": str(end)}
        return Reply(200, {name: items[begin:end], "meta": meta, "links": {"next": following}})


class ServiceNow(Behaviour):
    """Tables of rows of text, and a business rule that logs each update of an incident."""

    def __init__(self, columns: Sequence[str]) -> None:
        super().__init__()
        self.numbers = itertools.count(1)
        self.tables: dict[str, list[dict[str, str]]] = {
            "core_company": [],
            "incident": [],
            "u_savepath_log": [],
            "sys_email": [],
            "sys_user": [self.row({"user_name": "savepath"})],
            "sys_user_has_role": [self.row({"role.name": "admin", "user": "javascript:gs.getUserID()"})],
            "sys_dictionary": [
                self.row({"name": "incident", "element": f"u_{key}", "column_label": key}) for key in columns
            ],
        }
        self.busy = 0

    def row(self, values: dict[str, Any]) -> dict[str, str]:
        texts = {key: str(value) for key, value in values.items()}
        return {"sys_id": f"{next(self.numbers):032x}", **texts}

    def reply(self, asked: Asked) -> Reply:
        if asked.headers.get("authorization") != "Basic " + base64.b64encode(b"savepath:sn-p4ss").decode():
            return Reply(401, {"error": {"message": "User Not Authenticated", "detail": ""}, "status": "failure"})
        if self.busy:
            self.busy -= 1
            return Reply(429, {"error": {"message": "Rate limit exceeded"}}, {"Retry-After": "0"})
        match asked.method, asked.path.removeprefix("/api/now/").split("/"):
            case "POST", ["v1", "email"]:
                given = asked.json
                mail = {"type": "sent", "subject": given["subject"], "recipients": ",".join(given["to"])}
                self.tables["sys_email"].append(self.row(mail))
                return Reply(200, {"result": {"id": self.tables["sys_email"][-1]["sys_id"]}})
            case "GET", ["table", name] if name in self.tables:
                return self.find(asked, self.tables[name])
            case "POST", ["table", name] if name in self.tables:
                self.tables[name].append(self.row(asked.json))
                return Reply(201, {"result": self.tables[name][-1]})
            case method, ["table", name, id_]:
                found = [row for row in self.tables[name] if row["sys_id"] == id_]
                return self.one(method, name, found[0], asked) if found else Reply(404, {"error": {}})
        return Reply(400, {"error": {"message": "Invalid table"}})

    def one(self, method: str, name: str, row: dict[str, str], asked: Asked) -> Reply:
        if method == "DELETE":
            self.tables[name].remove(row)
            return Reply(204)
        if method == "PATCH":
            row |= {key: str(value) for key, value in asked.json.items()}
            log = {"u_token": row["correlation_id"], "u_script": "script-1"}
            self.tables["u_savepath_log"].append(self.row(log))
        return Reply(200, {"result": row})

    def find(self, asked: Asked, rows: list[dict[str, str]]) -> Reply:
        for condition in filter(None, asked.query.get("sysparm_query", "").split("^")):
            name, operator, value = re.fullmatch(r"([a-z_.]+)(=|IN|STARTSWITH)(.*)", condition).groups()
            test = {
                "=": str.__eq__,
                "IN": lambda have, want: have in want.split(","),
                "STARTSWITH": str.startswith,
            }
            rows = [row for row in rows if test[operator](row[name], value)]
        wanted = asked.query["sysparm_fields"].split(",")
        begin, limit = int(asked.query.get("sysparm_offset", 0)), min(int(asked.query["sysparm_limit"]), PAGE)
        links = {}
        if begin + limit < len(rows):
            query = "&".join(f"{k}={v}" for k, v in asked.query.items() if k != "sysparm_offset")
            following = f"{self.url}{asked.path}?{query}&sysparm_offset={begin + limit}".replace("^", "%5E")
            links = {"Link": f'<{self.url}{asked.path}?{query}>;rel="first",<{following}>;rel="next"'}
        page = [{name: row[name] for name in wanted} for row in rows[begin : begin + limit]]
        return Reply(200, {"result": page}, links)
