"""The guard before Locust's web interface, which starts and stops load: on loopback, or with a password.

Locust's own default is every interface and no password, and it lets pages of other sites read and start runs
(CORS). With Locust's ``--web-login`` the login that a locustfile brings is asked besides.
"""

from __future__ import annotations

import os

from flask import Flask, Response, request

from loadgen.admission import OWN_NAMES, is_called, is_of_another_page, knows
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


def guard(app: Flask, password: str) -> None:
    """Let through whoever knows the password; without one, whoever calls this machine by its own name."""

    def refuse() -> Response | None:
        if password and not knows(request.headers.get("Authorization", ""), password):
            return Response("the password is missing or wrong\n", 401, CHALLENGE, mimetype="text/plain")
        if not password and not is_called(request.host, OWN_NAMES):
            return Response("not by this name\n", 421, mimetype="text/plain")
        if is_of_another_page(request.headers.get("Origin", ""), request.host):
            return Response("not from a page of another site\n", 403, mimetype="text/plain")
        return None

    app.before_request(refuse)
