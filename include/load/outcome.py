"""How a request ended: good, wrong, or failed, and of which kind."""

import errno
from dataclasses import dataclass

from geventhttpclient.response import HTTPParseError

from include.load.answer import UnusableAnswer
from include.load.connection import ConnectTimeout
from include.perf.load.load_plan import TIMED_OUT

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
"""What this machine may run out of: no failure of the service, so that such a load ends and counts for nothing."""


class RequestTimeout(Exception):
    """A request has no whole answer and may take no longer; thrown into the greenlet that waits for it."""


@dataclass(slots=True)
class Outcome:
    """How a request ended; ``error`` is its kind, empty when all is well."""

    status: int = 0
    size: int = 0
    error: str = ""
    example: str = ""


FAILURES = (RequestTimeout, ConnectTimeout, UnusableAnswer, HTTPParseError, OSError)
"""What a request may fail with; anything else is a fault of the load generator."""


def failure(err: Exception, *, timeout_s: float) -> Outcome:
    """Return what one of `FAILURES` means for the request."""
    match err:
        case RequestTimeout():
            return Outcome(error=TIMED_OUT, example=f"no whole answer within {timeout_s:g} s")
        case ConnectTimeout():
            return Outcome(error=TIMED_OUT, example=str(err))
        case UnusableAnswer() | HTTPParseError():
            return Outcome(error="broken answer", example=str(err))
        case OSError():
            return Outcome(error=ERROR_KINDS.get(err.errno or 0, type(err).__name__), example=str(err))
    raise TypeError(f"{err!r} is no failure of a request")


def is_own_fault(err: Exception) -> bool:
    """Whether this machine ran out of something."""
    return isinstance(err, OSError) and err.errno in OWN_FAULTS


def own_fault(err: Exception) -> str:
    """Say what the load generator itself met."""
    if isinstance(err, OSError) and is_own_fault(err):
        return f"the load generator ran out of {OWN_FAULTS[err.errno or 0]} ({err}); raise its limits"
    return f"the load generator failed ({err!r})"
