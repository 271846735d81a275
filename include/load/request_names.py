"""Names of requests and of their errors, as a locustfile gives them: clean, and not too many.

A name is a row of every report, and part of every line of the record. A locustfile that has ids in its URLs makes a new
name with each request, so names beyond a limit share one.
"""

import errno
import re
from collections.abc import Iterator

from include.load.outcome import ERROR_KINDS
from include.perf.load.load_plan import TIMED_OUT

MAX_NAMES = 100
OTHER = "other"
MAX_LENGTH = 120
MAX_KINDS = 50
OTHER_ERRORS = "other errors"

FAILED_BY_CODE = "failure by the locustfile"
"""The kind of a response that the locustfile itself marked as failed."""

_UNSAFE = re.compile(r"[^\w ./:?&=%~@+$()\[\]{}<>*!;|^#-]+")

_BY_CLASS = {
    "ConnectTimeout": TIMED_OUT,
    "ReadTimeout": TIMED_OUT,
    "Timeout": TIMED_OUT,
    "TimeoutError": TIMED_OUT,
    "CatchResponseError": FAILED_BY_CODE,
}


class RequestNames:
    """The names of the requests of one load process.

    Attributes:
        grouped: requests whose names were beyond the limit.
    """

    def __init__(self, *, limit: int = MAX_NAMES) -> None:
        self._limit = limit
        self._known: dict[tuple[str, str], str] = {}
        self.grouped = 0

    def of(self, method: object, name: object) -> str:
        """Return the name of a request; a name beyond the limit becomes `OTHER`."""
        key = (str(method or ""), str(name or ""))
        found = self._known.get(key)
        if found is not None:
            return found
        if len(self._known) >= self._limit:
            self.grouped += 1
            return OTHER
        return self._known.setdefault(key, clean(" ".join(filter(None, key))))


class ErrorKinds:
    """The kinds of errors of one load process."""

    def __init__(self, *, limit: int = MAX_KINDS) -> None:
        self._limit = limit
        self._known: set[str] = set()

    def of(self, err: object, *, status: int) -> str:
        """Return the kind of an error.

        Args:
            status: of the answer, 0 without one.
        """
        kind = kind_of_error(err, status=status)
        if kind in self._known or len(self._known) < self._limit:
            self._known.add(kind)
            return kind
        return OTHER_ERRORS


def clean(text: str) -> str:
    """Return a name in letters that a record, a page and a message can show, and not too long."""
    return " ".join(_UNSAFE.sub("_", text).split())[:MAX_LENGTH] or "unnamed"


def kind_of_error(err: object, *, status: int) -> str:
    """Return the kind of an error that a client of Locust reports, in the words that other requests have."""
    names = [type(link).__name__ for link in _chain(err)]
    if FAILED_BY_CODE in (known := [_BY_CLASS.get(name) for name in names]):
        return FAILED_BY_CODE
    if status >= 400:
        return f"HTTP {status}"
    if TIMED_OUT in known:
        return TIMED_OUT
    for link in _chain(err):
        if isinstance(link, OSError) and link.errno in ERROR_KINDS:
            return ERROR_KINDS[link.errno or 0]
        if isinstance(link, OSError) and link.errno == errno.EPERM:
            return "refused by the guard"
    return clean(f"exception {names[0]}" if names else FAILED_BY_CODE)


def _chain(err: object) -> Iterator[BaseException]:
    """Yield an error and those that it wraps; requests and urllib3 keep the cause in their arguments."""
    pending: list[object] = [err]
    seen: set[int] = set()
    while pending and len(seen) < 20:
        link = pending.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        pending += [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
