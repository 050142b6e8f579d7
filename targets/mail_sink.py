"""A mail server that delivers to nobody: it counts mails by the token in them, and can be asked for it.

    python -m targets.mail_sink --smtp-port 8825 --http-port 8725

The system under test is told to send its mail there; ``verify: {mails: sink}`` in a mapping looks
up ``GET /mails?tokens=a,b``. What an API says of a mail is no evidence that it left: what arrived is.
The token may stand anywhere in a mail: a header, the subject, the text.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email import message_from_bytes
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import orjson
from aiosmtpd.smtp import SMTP, Envelope
from aiosmtpd.smtp import Session as SmtpSession

_TOKEN: Final = re.compile(r"sp-[0-9a-f]{10}-[0-9a-f]{7,8}(?:-\d+)?")
#: A mail larger than this is refused.
_SIZE_MAX: Final = 8 * 1024 * 1024


@dataclass(slots=True)
class _Arrived:
    """How often a mail came, and when first (epoch seconds)."""

    deliveries: int
    first_at: float


class MailSink:
    """What has arrived, by token and recipient. Safe to use from any thread."""

    def __init__(self) -> None:
        self.strays = 0  # mails without any token
        self._arrived: dict[str, dict[str, _Arrived]] = {}
        self._lock = threading.Lock()

    def take(self, raw: bytes, recipients: Sequence[str], at: float) -> None:
        """Count a mail for each of its recipients; each token in it counts once."""
        tokens = tokens_in(raw)
        with self._lock:
            self.strays += not tokens
            for token in tokens:
                by_recipient = self._arrived.setdefault(token, {})
                for recipient in recipients:
                    by_recipient.setdefault(recipient, _Arrived(0, at)).deliveries += 1

    def find(self, tokens: Sequence[str]) -> list[dict[str, Any]]:
        """What arrived of these: token, to, deliveries, arrived_at (epoch seconds)."""
        with self._lock:
            return [
                {"token": token, "to": to, "deliveries": one.deliveries, "arrived_at": one.first_at}
                for token in tokens
                for to, one in self._arrived.get(token, {}).items()
            ]

    async def handle_DATA(self, server: SMTP, session: SmtpSession, envelope: Envelope) -> str:  # noqa: N802
        """What aiosmtpd calls for each mail."""
        raw = envelope.content if isinstance(envelope.content, bytes) else b""
        self.take(raw, envelope.rcpt_tos, time.time())
        return "250 OK"


def tokens_in(raw: bytes) -> frozenset[str]:
    """Every token in a mail, also where its text is encoded (base64, quoted-printable)."""
    texts = [raw.decode("ascii", "replace")]
    message = message_from_bytes(raw, EmailMessage, policy=default)
    for part in message.walk():
        with contextlib.suppress(MessageError, LookupError, ValueError, KeyError):
            texts += [str(value) for value in part.values()]
            texts.append(part.get_content() if part.get_content_maintype() == "text" else "")
    return frozenset(token for text in texts for token in _TOKEN.findall(text))


@contextlib.contextmanager
def running_sink(smtp_port: int = 0, http_port: int = 0, owner: int = 0) -> Iterator[tuple[int, str]]:
    """A sink on loopback until the block ends: its SMTP port and the URL that answers for it.

    ``owner`` is the process that will end it, for whoever else thinks of using it; 0 if nobody in particular.
    """
    sink = MailSink()
    listener = socket.create_server(("127.0.0.1", smtp_port))
    http = ThreadingHTTPServer(("127.0.0.1", http_port), _handler(sink, owner))
    http.daemon_threads = True
    answering = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
    with http, _smtp(sink, listener):
        answering.start()
        try:
            yield listener.getsockname()[1], f"http://127.0.0.1:{http.server_port}"
        finally:
            http.shutdown()
            answering.join()


@contextlib.contextmanager
def _smtp(sink: MailSink, listener: socket.socket) -> Iterator[None]:
    """Take mails on a listening socket, in a thread of its own, until the block ends."""
    loop = asyncio.new_event_loop()
    over = asyncio.Event()

    async def serve() -> None:
        server = await loop.create_server(lambda: SMTP(sink, data_size_limit=_SIZE_MAX, loop=loop), sock=listener)
        await over.wait()
        server.close()  # connections that are still open end with the loop

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


def _handler(sink: MailSink, owner: int) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            known = parts.path == "/mails"
            tokens = ",".join(parse_qs(parts.query).get("tokens", [])).split(",")
            told = {"mails": sink.find(tokens), "strays": sink.strays, "owner": owner}
            body = orjson.dumps(told if known else {})
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Nothing: look-ups are many."""

    return Handler


def main(words: Sequence[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m targets.mail_sink", description=__doc__.splitlines()[0])
    parser.add_argument("--smtp-port", type=int, default=8825)
    parser.add_argument("--http-port", type=int, default=8725)
    parser.add_argument("--owner", type=int, default=0, help="the process that will end it, told to who asks")
    given = parser.parse_args(words)
    # Blocked before there is a thread, a signal stays until it is waited for. A handler is set off at any
    # moment: just before a wait, or in another thread, and the wait goes on.
    ending = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ending)
    with running_sink(given.smtp_port, given.http_port, given.owner) as (port, url):
        sys.stdout.write(f"mail sink ready: SMTP at 127.0.0.1:{port}, asked at {url}\n")
        sys.stdout.flush()
        signal.sigwait(ending)


if __name__ == "__main__":
    main()
