"""Sends the same requests with every client and prints what each found; Locust patches the process, so by itself.

``python clients_of_all_kinds.py URL CLOSED_URL PATH...``
"""

import json
import sys

from loadgen.locust_clients import FastClient, RequestsClient  # first: it imports Locust

from loadgen.client import Client  # isort: skip
from loadgen.unanswered import Unanswered  # isort: skip
from targets.http import Request  # isort: skip

KINDS = {"measured": Client, "fast": FastClient, "requests": RequestsClient}


def found(kind: str, method: str, url: str) -> list[object]:
    client = KINDS[kind](timeout_s=1.0, connections=2)
    try:
        answer = client.send(Request(method, url, {"X-Save-Id": "sp-1"}, b"{}" if method == "POST" else None))
    except Unanswered as error:
        return [error.outcome, error.detail]
    finally:
        client.close()
    return [answer.status, answer.body.decode()[:20], answer.headers.get("x-case", "")[:8]]


if __name__ == "__main__":
    url, closed, *paths = sys.argv[1:]
    urls = {path: f"{url}/{path}" for path in paths} | {"closed port": f"{closed}/x"}
    told = {
        path: {kind: [found(kind, method, where) for method in ("GET", "POST")] for kind in KINDS}
        for path, where in urls.items()
    }
    sys.stdout.write(json.dumps(told))
