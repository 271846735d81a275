"""The outcome of a request: a good answer, a wrong answer, or a failure, and its kind."""

import errno
import ssl
from dataclasses import dataclass

from include.load.connection import ClosedWhileIdle, ConnectTimeout
from include.perf.load.answer_head import HTTP2_ONLY, Http2Only, UnusableAnswer
from include.perf.load.load_plan import TIMED_OUT
from include.perf.load.wire import wants_http2

ERROR_KINDS = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EPIPE: "connection reset",
    errno.ETIMEDOUT: "connection timed out",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "host unreachable",
}

OWN_FAULTS = {
    errno.EMFILE: "file descriptors",
    errno.ENFILE: "file descriptors",
    errno.EADDRNOTAVAIL: "local ports",
    errno.ENOBUFS: "socket buffers",
    errno.ENOMEM: "memory",
    errno.ENOSPC: "disk space",
}
"""Resources that this machine may run out of. That is no failure of the service: the load ends, and its run is
invalid."""


ONLY_HTTP2 = "HTTP/2 only"

EXAMPLE_BYTES = 16 * 1024
"""How much of a wrong answer is kept until its example is masked and shortened: rows wait in memory with their text."""


class RequestTimeout(Exception):
    """A request has no complete answer within its time limit; thrown into the greenlet that waits for it."""


@dataclass(slots=True)
class Outcome:
    """How a request ended; ``error`` is the kind of error, empty for a good answer."""

    status: int = 0
    size: int = 0
    error: str = ""
    example: str = ""


FAILURES = (RequestTimeout, ConnectTimeout, UnusableAnswer, OSError)
"""Errors that mean a failed request; any other error is a fault of the load generator."""


def failure(err: Exception, *, timeout_s: float) -> Outcome:
    """Return the outcome of a request that failed with one of `FAILURES`."""
    match err:
        case RequestTimeout():
            return Outcome(error=TIMED_OUT, example=f"no complete answer within {timeout_s:g} s")
        case ConnectTimeout():
            return Outcome(error=TIMED_OUT, example=str(err))
        case ClosedWhileIdle():
            return Outcome(error="idle connection closed", example=_message(err))
        case Http2Only():
            return Outcome(error=ONLY_HTTP2, example=HTTP2_ONLY)
        case UnusableAnswer():
            return Outcome(error="broken answer", example=_message(err))
        case OSError():
            return Outcome(error=_kind(err), example=_message(err))
    raise TypeError(f"{err!r} is no failure of a request")


def example_of(body: bytes) -> str:
    """Return the beginning of a wrong answer as text."""
    return body[:EXAMPLE_BYTES].decode("utf-8", errors="replace")


def _kind(err: OSError) -> str:
    match err:
        case ssl.SSLCertVerificationError():
            return "certificate rejected"
        case ssl.SSLError() if wants_http2(err):
            return ONLY_HTTP2
        case ssl.SSLError():
            return "TLS error"
    return ERROR_KINDS.get(err.errno or 0, "network error")


def _message(err: Exception) -> str:
    """Return the text of an error without the numbers and names of its library."""
    match err:
        case ssl.SSLCertVerificationError(verify_message=str(text)) if text:
            return text
        case ssl.SSLError() if wants_http2(err):
            return HTTP2_ONLY
        case ssl.SSLError(reason=str(reason)) if reason:
            return reason.replace("_", " ").lower()
        case OSError(strerror=str(text)) if text:
            return text
    return str(err)


def is_own_fault(err: Exception) -> bool:
    """Whether this machine ran out of something."""
    return isinstance(err, OSError) and err.errno in OWN_FAULTS


def own_fault(err: Exception) -> str:
    """Return what went wrong in the load generator itself."""
    if isinstance(err, OSError) and is_own_fault(err):
        return f"the load generator ran out of {OWN_FAULTS[err.errno or 0]} ({_message(err)}); raise its limits"
    return f"the load generator failed unexpectedly ({_message(err) or 'no message'}); its log has the details"
