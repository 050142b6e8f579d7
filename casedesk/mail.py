"""How mail leaves: an outbox, batches, and a worker that delivers over SMTP.

Queueing is part of the request's transaction; delivery is not, and cannot be: the mail is
handed over first and marked as sent afterwards. A mark that fails (deadline, crash) means
that the mail is delivered again: at least once, as with every real mailer. Without an SMTP
server the mails go to a sink inside the service, which counts them as delivered.
"""

from __future__ import annotations

import logging
import smtplib
import socket
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any, Final, cast

import apsw

from casedesk.bodies import BatchBody, MailBody, MessageBody
from casedesk.catalogue import Tenant
from casedesk.faults import Faults, Planted
from casedesk.jobs import Worker
from casedesk.problems import not_found
from casedesk.store import Store

#: Header that carries the token of a mail.
TOKEN_HEADER: Final = "X-Save-Token"  # noqa: S105  # not a password
SENDER: Final = "casedesk@example.com"
#: Delivered one after the other, then marked together.
_TOGETHER: Final = 16
_SMTP_TIMEOUT_S: Final = 5.0
_RETRY_S: Final = 0.5
#: After this many refused attempts a mail is marked ``failed`` and left.
_ATTEMPTS: Final = 20


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mails are delivered."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class QueuedMail:
    """A mail at the front of the queue."""

    job_id: int
    mail_id: int
    attempts: int
    token: str
    recipient: str
    subject: str
    body: str


def queue_mail(store: Store, faults: Faults, tenant: Tenant, body: MailBody, *, deadline: float) -> int:
    """Put a mail into the outbox; its id."""
    with store.write(deadline) as connection:
        planted: list[Planted] = []
        mail_id = _queue(connection, faults, tenant, body, body.case_id, None, planted)
    faults.enter(*planted)
    return mail_id


def queue_batch(store: Store, faults: Faults, tenant: Tenant, body: BatchBody, *, deadline: float) -> int:
    """Put all mails of a batch into the outbox, or none; the batch's id."""
    with store.write(deadline) as connection:
        planted: list[Planted] = []
        connection.execute(
            "INSERT INTO batches (tenant_id, token, messages) VALUES (?, ?, ?)",
            (tenant.id, body.token, len(body.messages)),
        )
        batch_id = connection.last_insert_rowid()
        for message in body.messages:
            _queue(connection, faults, tenant, message, None, batch_id, planted)
    faults.enter(*planted)
    return batch_id


def read_outbox(store: Store, tenant: Tenant, tokens: Sequence[str]) -> list[dict[str, Any]]:
    """The mails with these tokens, oldest first."""
    columns = ("token", "recipient", "status", "queued_at", "sent_at", "deliveries")
    marks = ", ".join("?" * len(tokens))
    with store.read() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(columns)} FROM outbox WHERE tenant_id = ? AND token IN ({marks})"  # noqa: S608
            " ORDER BY id",
            (tenant.id, *tokens),
        ).fetchall()
    names = ("token", "to", "status", "queued_at", "sent_at", "deliveries")
    return [dict(zip(names, row, strict=True)) for row in rows]


def read_batch(store: Store, tenant: Tenant, batch_id: int) -> dict[str, Any]:
    """A batch and how many of its mails are sent; :class:`Problem` 404 if it is not in this tenant."""
    with store.read() as connection:
        row = connection.execute(
            "SELECT token, messages, (SELECT count(*) FROM outbox WHERE batch_id = b.id AND status = 'sent')"
            " FROM batches b WHERE id = ? AND tenant_id = ?",
            (batch_id, tenant.id),
        ).fetchone()
    if row is None:
        raise not_found(f"batch {batch_id}")
    return {"id": batch_id, "token": row[0], "messages": row[1], "sent": row[2]}


def _queue(
    connection: apsw.Connection,
    faults: Faults,
    tenant: Tenant,
    mail: MailBody | MessageBody,
    case_id: int | None,
    batch_id: int | None,
    planted: list[Planted],
) -> int:
    now, recipient = time.time(), mail.to
    if faults.strikes("mail_misdirected", mail.token):
        recipient = f"astray.{mail.to}"
        planted.append(Planted("token", mail.token, "mail_misdirected", {"to": mail.to, "went_to": recipient}))
    connection.execute(
        "INSERT INTO outbox (tenant_id, batch_id, case_id, token, recipient, subject, body, status, queued_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', ?)",
        (tenant.id, batch_id, case_id, mail.token, recipient, mail.subject, mail.body, now),
    )
    mail_id = connection.last_insert_rowid()
    deliveries = 1
    if faults.strikes("mail_lost", mail.token):
        deliveries = 0
        planted.append(Planted("token", mail.token, "mail_lost", {"to": mail.to}))
    elif faults.strikes("mail_doubled", mail.token):
        deliveries = 2
        planted.append(Planted("token", mail.token, "mail_doubled", {"to": mail.to}))
    connection.executemany(
        "INSERT INTO jobs (kind, tenant_id, mail_id, queued_at, not_before, attempts)"
        " VALUES ('mail', ?, ?, ?, ?, 0)",
        [(tenant.id, mail_id, now, now)] * deliveries,
    )
    return mail_id


class MailWorker(Worker):
    """Delivers the queued mails, oldest first, and marks them as sent."""

    def __init__(self, store: Store, *, smtp: SmtpServer | None, deadline_s: float) -> None:
        super().__init__("mail")
        self._store = store
        self._smtp = smtp
        self._deadline_s = deadline_s
        self._session: smtplib.SMTP | None = None

    def work(self) -> bool:
        """Deliver and mark up to ``_TOGETHER`` due mails; True if that many were due."""
        mails = self._due()
        delivered = [mail for mail in mails if self._deliver(mail)]
        if mails:
            self._mark(delivered, [mail for mail in mails if mail not in delivered])
        return len(mails) == _TOGETHER

    def stop(self) -> None:
        """End the thread and the SMTP session, even in the middle of a delivery."""
        self._stop = True
        session = self._session
        if session is not None and session.sock is not None:
            with suppress(OSError):
                session.sock.shutdown(socket.SHUT_RDWR)
        super().stop()
        self._hang_up()

    def _due(self) -> list[QueuedMail]:
        with self._store.read() as connection:
            rows = connection.execute(
                "SELECT jobs.id, mail_id, attempts, token, recipient, subject, body FROM jobs"
                " JOIN outbox ON outbox.id = mail_id"
                " WHERE kind = 'mail' AND not_before <= ? ORDER BY jobs.id LIMIT ?",
                (time.time(), _TOGETHER),
            ).fetchall()
        return [QueuedMail(*cast(tuple[Any, ...], row)) for row in rows]

    def _mark(self, delivered: Iterable[QueuedMail], failed: Iterable[QueuedMail]) -> None:
        now = time.time()
        with self._store.write(time.monotonic() + self._deadline_s) as connection:
            for mail in delivered:
                connection.execute(
                    "UPDATE outbox SET status = 'sent', sent_at = coalesce(sent_at, ?),"
                    " deliveries = deliveries + 1 WHERE id = ?",
                    (now, mail.mail_id),
                )
                connection.execute("DELETE FROM jobs WHERE id = ?", (mail.job_id,))
            for mail in failed:
                if mail.attempts + 1 >= _ATTEMPTS:
                    connection.execute("UPDATE outbox SET status = 'failed' WHERE id = ?", (mail.mail_id,))
                    connection.execute("DELETE FROM jobs WHERE id = ?", (mail.job_id,))
                    continue
                connection.execute(
                    "UPDATE jobs SET attempts = attempts + 1, not_before = ? WHERE id = ?",
                    (now + _RETRY_S, mail.job_id),
                )

    def _deliver(self, mail: QueuedMail) -> bool:
        if self._smtp is None:
            return True
        try:
            self._connected(self._smtp).send_message(_message(mail), SENDER, [mail.recipient])
        except (OSError, smtplib.SMTPException) as error:
            logging.getLogger("casedesk").info("mail %s: %s; trying again", mail.token, error)
            self._hang_up()
            return False
        return True

    def _connected(self, server: SmtpServer) -> smtplib.SMTP:
        if self._session is None:
            # Known before it is connected, so that ``stop`` can cut a server that does not answer.
            self._session = smtplib.SMTP(timeout=_SMTP_TIMEOUT_S)
            self._session.connect(server.host, server.port)
        return self._session

    def _hang_up(self) -> None:
        if self._session is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._session.quit()
            self._session = None


def _message(mail: QueuedMail) -> EmailMessage:
    message = EmailMessage()
    message["From"] = SENDER
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="casedesk.example.com")
    message[TOKEN_HEADER] = mail.token
    message.set_content(mail.body)
    return message
