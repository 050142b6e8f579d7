"""Who may vouch for an https target: public authorities, the machine's own, and those of SSL_CERT_FILE."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path

import httpx

#: What OpenSSL says of a certificate whose time is over.
_EXPIRED = 10


def tls_context(cafile: str | None = None) -> ssl.SSLContext:
    """What every client of a target believes; ``cafile`` is one file more.

    The bundle that comes along knows public authorities only; a staging system is often vouched for by one of its
    own house, which the machine or OpenSSL's own variables (SSL_CERT_FILE, SSL_CERT_DIR) name.
    """
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    if cafile:
        context.load_verify_locations(cafile)
    return context


def shared_tls_context() -> ssl.SSLContext:
    """The same for all control clients: to read who may vouch takes longer than to ask a target.

    Read again once the file or folder that is named has changed, or another is named: a watch lasts for days.
    """
    paths = ssl.get_default_verify_paths()
    return _read(tuple(_as_it_is(name) for name in (paths.cafile, paths.capath)))


def _as_it_is(name: str | None) -> tuple[str, int]:
    """A file or folder and when it was changed; nothing where there is none."""
    try:
        return (name, Path(name).stat().st_mtime_ns) if name else ("", 0)
    except OSError:
        return ("", 0)


@functools.lru_cache(maxsize=2)
def _read(named: tuple[tuple[str, int], ...]) -> ssl.SSLContext:
    return tls_context()


def tls_fault(error: BaseException | None) -> ssl.SSLError | None:
    """What OpenSSL said, where that is behind an error of a client."""
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    return error


def complaint_of(error: ssl.SSLError) -> str:
    """What is wrong with the connection, in words of a closed set."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return "tls error"
    return "certificate expired" if error.verify_code == _EXPIRED else "certificate not trusted"


def advice_of(error: ssl.SSLError) -> str:
    """The same with what to do, for who waits for the target to answer."""
    match complaint_of(error):
        case "certificate expired":
            return "its certificate has expired; renew it, or set the clock of this machine right"
        case "certificate not trusted":
            why = getattr(error, "verify_message", "")
            return f"its certificate is not trusted ({why}); name the file of your own authority in SSL_CERT_FILE"
        case other:
            return f"{other} ({error.reason}); look whether https is spoken there"
