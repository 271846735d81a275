"""The client of the object store, each of whose requests is an operation that can fail."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from botocore.exceptions import ReadTimeoutError

from include.perf.adapters.s3 import objects
from include.perf.adapters.s3.client import S3Login
from tests.explorer.decisions import Kind, Operation
from tests.explorer.machine import Machine
from tests.explorer.simulated_threads import current_process

READS = ("get_object", "head_object", "download_file")
WRITES = ("put_object", "delete_object", "upload_file")


class SimulatedClient:
    """Passes requests on to another client, after the machine was asked."""

    def __init__(self, client: Any, machine: Machine) -> None:
        self._client = client
        self._machine = machine

    def __getattr__(self, name: str) -> Any:
        request = getattr(self._client, name)
        if name == "get_paginator":
            return lambda operation: _Paginator(request(operation), self)
        if name not in (*READS, *WRITES):
            raise AssertionError(f"unexpected request {name}")
        kind = Kind.OBJECT_READ if name in READS else Kind.OBJECT_WRITE

        def perform(*args: Any, **named: Any) -> Any:
            key = named.get("Key") or args[-1 if name == "upload_file" else 1]
            return self.perform(kind, f"{name} {_short(key)}", lambda: request(*args, **named))

        return perform

    def perform(self, kind: Kind, what: str, effect: Callable[[], Any]) -> Any:
        """Make a request, or fail as decided."""

        def failure() -> Exception:
            return ReadTimeoutError(endpoint_url="http://object-store")

        def whole() -> Any:
            with _without_operations():
                return effect()

        return self._machine.perform(Operation(kind=kind, what=what), whole, failure=failure)


class _Paginator:
    """Requests each page when it is needed."""

    def __init__(self, paginator: Any, client: SimulatedClient) -> None:
        self._paginator = paginator
        self._client = client

    def paginate(self, **named: Any) -> Iterator[Any]:
        """Yield the pages."""
        pages = iter(self._paginator.paginate(**named))
        what = f"lists {_short(named['Prefix'])}"
        while (page := self._client.perform(Kind.OBJECT_READ, what, lambda: next(pages, None))) is not None:
            yield page


@contextmanager
def _without_operations() -> Iterator[None]:
    """Let the client read or write its file as a part of the request, as the threads of the real client do."""
    process = current_process()
    was_spared = process is None or process.is_spared
    if process is not None:
        process.is_spared = True
    try:
        yield
    finally:
        if process is not None:
            process.is_spared = was_spared


def _short(key: str) -> str:
    """Return a key without the prefix of the history."""
    return key.partition("/")[2]


@contextmanager
def simulated_client(client: Any, machine: Machine) -> Iterator[None]:
    """Let stores use a client, whose requests are operations, until the block ends."""

    def simulated(_: S3Login) -> SimulatedClient:
        return SimulatedClient(client, machine)

    with mock.patch.object(objects, "client_of", simulated):
        yield
