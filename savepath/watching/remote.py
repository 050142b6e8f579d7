"""The status of a watch over HTTP, for the gate; whatever cannot be believed is told as an error."""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import urlsplit

import httpx
from pydantic import ValidationError

from analysis.findings import Verdict
from savepath.watching.status import Answer, Status, judge, most_silent_s
from scenarios.errors import InputError

PATH: Final = "/status.json"
TIMEOUT_S: Final = 10.0
MOST_BYTES: Final = 1_000_000


def ask_url(url: str, token: str | None, now_s: float, *, timeout_s: float = TIMEOUT_S) -> Answer:
    """What the watch at ``url`` answers the gate at ``now_s``; HOLD where it cannot be believed."""
    try:
        return judge(fetch_status(url, token, now_s, timeout_s), now_s)
    except InputError as error:
        return Answer(Verdict.HOLD, str(error))


def fetch_status(url: str, token: str | None, now_s: float, timeout_s: float) -> Status:
    """The status of the watch at ``url`` (with or without /status.json). Raises InputError with one line."""
    where = url if url.endswith(PATH) else url.rstrip("/") + PATH
    _refuse_odd(where)
    if token and not token.isascii():
        raise InputError(
            "the token has a character that no header can hold; set the one that the watch was begun with"
        )
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        content = _read(where, headers, timeout_s)
    except httpx.HTTPError as error:
        raise InputError(f"{where}: no answer ({_said(error)})") from None
    return read_status(content, where, now_s)


def read_status(content: bytes, where: str, now_s: float) -> Status:
    """The status in an answer at ``now_s``. Raises InputError for one that is none, or of another time."""
    try:
        status = Status.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise InputError(f"{where}: no status of a watch ({place}: {first['msg']})") from None
    apart_s = now_s - status.answered_s
    if abs(apart_s) > most_silent_s(status.block_s):
        raise InputError(
            f"{where}: the answer is of {abs(apart_s) / 60:.0f} min {'ago' if apart_s > 0 else 'from now'}: "
            "something keeps old answers, or the clocks are apart"
        )
    return status


def _read(where: str, headers: dict[str, str], timeout_s: float) -> bytes:
    """The body of a 200, so long and so large at most; nothing is followed elsewhere, no proxy is asked."""
    ends_s, found = time.monotonic() + timeout_s, b""
    with (
        httpx.Client(timeout=timeout_s, trust_env=False) as client,
        client.stream("GET", where, headers=headers) as answer,
    ):
        if answer.status_code == 401:
            raise InputError(f"{where}: answered 401; name the variable that holds its token with --token-env")
        if answer.status_code == 429:
            why = "too many wrong tokens, or too many requests, came from here"
            raise InputError(f"{where}: answered 429, {why}; {_when(answer.headers)}")
        if answer.status_code != 200:
            raise InputError(f"{where}: answered {answer.status_code}")
        for part in answer.iter_bytes():
            found += part
            if len(found) > MOST_BYTES:
                raise InputError(f"{where}: an answer of more than {MOST_BYTES:,} bytes is no status of a watch")
            if time.monotonic() > ends_s:
                raise InputError(f"{where}: no whole answer within {timeout_s:g} s")
    return found


def _when(headers: httpx.Headers) -> str:
    wait_s = headers.get("Retry-After", "")
    return f"ask again in {wait_s} s" if wait_s.isdecimal() else "ask again later"


def _refuse_odd(where: str) -> None:
    if "@" in where:  # not repeated: it may be a password
        raise InputError("the address of a watch has no user and no password; its token is told by --token-env")
    try:
        parts = urlsplit(where)
        httpx.URL(where).host.encode("idna")  # as who looks it up does: no part is empty or of over 63 characters
        odd = parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0
    except (ValueError, httpx.InvalidURL):
        odd = True
    if odd:
        raise InputError(f"{where} is no address of a watch; expected http://HOST:PORT")


def _said(error: httpx.HTTPError) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
