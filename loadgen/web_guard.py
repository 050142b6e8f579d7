"""The guard before Locust's web interface, which starts and stops load: on loopback, or with a password.

Locust's own default is every interface and no password, and it lets pages of other sites read and start runs
(CORS). With Locust's ``--web-login`` the login that a locustfile brings is asked besides.
"""

from __future__ import annotations

import math
import os

from flask import Flask, Response, request

from loadgen.admission import OWN_NAMES, Door, is_called, is_of_another_page, said_in
from scenarios.errors import InputError
from targets.environment import secret_of

CHALLENGE = {"WWW-Authenticate": 'Basic realm="savepath", charset="UTF-8"'}


def password_for(host: str, variable: str) -> str:
    """The password of an interface on this host, "" for none.

    Raises InputError where others can reach it and there is no password, or where the variable is empty.
    """
    if not variable:
        if host in OWN_NAMES:
            return ""
        raise InputError(
            f"--web-host: {host.strip('*') or 'every interface'} can be reached from elsewhere; name the variable "
            "that holds a password with --web-password-env, or leave it at 127.0.0.1"
        )
    password = secret_of(os.environ, variable)
    if not password:
        raise InputError(
            f"--web-password-env: the environment variable {variable} is not set; export {variable}=... (or "
            f"{variable}_FILE=, a file that holds it)"
        )
    return password


def guard(app: Flask, door: Door | None) -> None:
    """Let through whoever the door does; without one, whoever calls this machine by its own name."""

    def refuse() -> Response | None:
        said = said_in(request.headers.get("Authorization", ""))
        if door and (away := door.turned_away(said, request.remote_addr or "")):
            if away.wait_s:
                later = {"Retry-After": str(math.ceil(away.wait_s))}
                return Response("too many wrong passwords came from there\n", 429, later, mimetype="text/plain")
            return Response("the password is missing or wrong\n", 401, CHALLENGE, mimetype="text/plain")
        if not door and not is_called(request.host, OWN_NAMES):
            return Response("not by this name\n", 421, mimetype="text/plain")
        if is_of_another_page(request.headers.get("Origin", ""), request.host):
            return Response("not from a page of another site\n", 403, mimetype="text/plain")
        return None

    app.before_request(refuse)
