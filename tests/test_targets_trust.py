"""Certificates of an https target: its own authority can be named, an expired one is told, by both clients."""

import contextlib
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from loadgen.client import Client
from loadgen.unanswered import Unanswered
from scenarios.errors import Aborted
from targets.control import ControlClient
from targets.http import Request
from targets.mapping import load_target

pytestmark = pytest.mark.skipif(not shutil.which("openssl"), reason="openssl is not there to make a certificate")

#: OpenSSL 3.0 sets the dates of a certificate only as an authority, which takes a file.
AUTHORITY = """\
[ca]
default_ca = own
[own]
database = {0}/index
rand_serial = yes
new_certs_dir = {0}
default_md = sha256
policy = any
x509_extensions = names
[any]
commonName = supplied
[names]
subjectAltName = DNS:localhost
"""
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    """A key, and two certificates that it signed itself: one that is valid and one that expired in 2020."""
    room = tmp_path_factory.mktemp("certificates")
    (room / "ca.conf").write_text(AUTHORITY.format(room))
    (room / "index").touch()

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=room, check=True, capture_output=True)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem")
    openssl("req", *key, "-subj", "/CN=localhost", "-out", "request.pem")
    for name, year in (("valid", "2099"), ("expired", "2020")):
        dates = ("-startdate", "20190101000000Z", "-enddate", f"{year}0101000000Z")
        openssl("ca", "-batch", "-config", "ca.conf", "-selfsign", "-keyfile", "key.pem", *dates, "-notext",
                "-in", "request.pem", "-out", f"{name}.pem")  # fmt: skip
        (room / "index").write_text("")  # the same subject again
    return room


@contextmanager
def served(room: Path, name: str) -> Iterator[str]:
    """An https server that shows this certificate to whoever asks; yields its URL."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(room / f"{name}.pem", room / "key.pem")

    def answer() -> None:
        connection, _ = listener.accept()
        with contextlib.suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(4096)
            secure.sendall(ANSWER)
        connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"https://localhost:{listener.getsockname()[1]}"
        thread.join(10)


def measured(url: str) -> str:
    client = Client(timeout_s=10, connections=1)
    try:
        return client.send(Request("GET", f"{url}/health")).body.decode()
    except Unanswered as why:
        return f"{why.outcome}: {why.detail}"
    finally:
        client.close()


def control(url: str) -> str:
    with ControlClient(load_target("casedesk", {"base_url": url})) as client:
        try:
            return client.send(Request("GET", f"{url}/health")).body.decode()
        except Aborted as why:
            return str(why)


@pytest.mark.parametrize("client", [measured, control])
def test_an_authority_of_ones_own_is_named_in_the_environment(room, monkeypatch, client):
    monkeypatch.setenv("SSL_CERT_FILE", str(room / "valid.pem"))
    with served(room, "valid") as url:
        assert client(url) == "{}"


@pytest.mark.parametrize("client", [measured, control])
def test_an_authority_that_is_written_into_the_named_file_later_is_believed_from_then_on(
    room, monkeypatch, tmp_path, client
):
    named = tmp_path / "authorities.pem"
    shutil.copy(room / "expired.pem", named)
    monkeypatch.setenv("SSL_CERT_FILE", str(named))
    with served(room, "valid") as url:
        assert client(url) != "{}"
    shutil.copy(room / "valid.pem", named)
    with served(room, "valid") as url:
        assert client(url) == "{}"


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (measured, "refused: certificate not trusted"),
        (control, r"certificate is not trusted \(self-signed certificate\); name the file of your own authority"),
    ],
)
def test_a_certificate_that_nobody_vouches_for_is_not_believed(room, client, said):
    with served(room, "valid") as url:
        assert re.search(said, client(url))


@pytest.mark.parametrize(
    ("client", "said"),
    [
        (measured, "refused: certificate expired"),
        (
            control,
            "is not believed at https://localhost:.*: its certificate has expired; renew it, or set the clock",
        ),
    ],
)
def test_a_certificate_whose_time_is_over_is_told_as_what_it_is(room, monkeypatch, client, said):
    monkeypatch.setenv("SSL_CERT_FILE", str(room / "expired.pem"))
    with served(room, "expired") as url:
        found = client(url)
    assert re.search(said, found)
