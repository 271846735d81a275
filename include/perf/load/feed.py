"""The request feed: all requests of a load, prepared before it starts.

A feed file has one JSON document per line: first the header (endpoints, weights, and the columns of data files), then
the requests of every endpoint in the order in which they are sent. After its last request an endpoint starts again with
its first. What differs in every request is filled into the slots of the prepared one (`include.perf.load.slots`).
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from include.perf.catalogue.data_file import RowOrder
from include.perf.load.slot_values import FileRows
from include.perf.load.slots import Slot
from include.perf.model.errors import LoadError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileUse:
    """How an endpoint takes rows from a data file.

    Attributes:
        key: of the file's columns in the feed.
        first: the row of the endpoint's first request, if no row is used twice.
    """

    key: str
    order: RowOrder
    first: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEndpoint:
    """One endpoint of a feed.

    Attributes:
        rows: the number of its different prepared requests.
        slots: of each of its requests.
        files: the data files that the slots name.
        is_signed: whether its requests are signed, if those of the service are.
        journey: the name of the journey whose step it is; empty for an endpoint. The steps of a journey follow each
            other, and each has the weight of the journey.
    """

    name: str
    method: str
    weight: int
    rows: int
    slots: tuple[Slot, ...] = ()
    files: Mapping[str, FileUse] = field(default_factory=dict)
    is_signed: bool = True
    journey: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A request.

    Attributes:
        target: its path with query.
        headers: in addition to those of the service.
        is_signed: whether it is signed, if the requests of the service are.
    """

    target: str
    body: bytes | None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_signed: bool = True


_UNWRITTEN: Mapping[str, Any] = {"slots": (), "files": {}, "is_signed": True, "journey": ""}
"""Fields of an endpoint that a feed file has only where they differ from this."""

Columns = Mapping[str, Sequence[str]]
"""The columns of a data file by name, each with one text per row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Requests by endpoint, in the order of ``endpoints``.

    Attributes:
        columns: of the data files, by their keys, as far as requests name them.
    """

    endpoints: tuple[FeedEndpoint, ...]
    requests: tuple[tuple[Request, ...], ...]
    columns: Mapping[str, Columns] = field(default_factory=dict)

    def rows_of(self, endpoint: FeedEndpoint) -> dict[str, FileRows]:
        """Return the rows of the data files that an endpoint names, by their names."""
        return {
            name: FileRows(order=use.order, columns=self.columns[use.key], first=use.first)
            for name, use in endpoint.files.items()
        }

    def write(self, path: Path) -> None:
        """Write the feed file."""
        with path.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        columns = {"columns": self.columns} if self.columns else {}
        endpoints = [
            {name: value for name, value in asdict(endpoint).items() if value != _UNWRITTEN.get(name, ...)}
            for endpoint in self.endpoints
        ]
        yield json.dumps({"endpoints": endpoints, **columns})
        for index, requests in enumerate(self.requests):
            for request in requests:
                body = None if request.body is None else request.body.decode()
                headers = [request.headers] if request.headers else []
                yield json.dumps([index, request.target, body, *headers])


def read_feed(path: Path) -> Feed:
    """Read a feed file.

    Raises:
        LoadError: the file cannot be read, is damaged, or does not match the counts of its header.
    """
    try:
        with path.open(encoding="utf-8") as file:
            feed = _read_lines(file)
    except OSError as err:
        raise LoadError(f"the request feed {path} cannot be read ({err.strerror}); stage the data again") from err
    except (ValueError, KeyError, TypeError, StopIteration, IndexError) as err:
        raise LoadError(f"the request feed {path} is damaged; stage the data again") from err
    for endpoint, requests in zip(feed.endpoints, feed.requests, strict=True):
        if endpoint.rows != len(requests) or not requests:
            raise LoadError(
                f"the request feed {path} is incomplete: {endpoint.name} has {len(requests)} rows, its header says "
                f"{endpoint.rows}; stage the data again"
            )
    return feed


_ENDPOINTS: TypeAdapter[tuple[FeedEndpoint, ...]] = TypeAdapter(tuple[FeedEndpoint, ...])


def _read_lines(lines: Iterable[str]) -> Feed:
    documents: Iterator[Any] = map(json.loads, lines)
    header = next(documents)
    endpoints = _ENDPOINTS.validate_python(header["endpoints"])
    requests: list[list[Request]] = [[] for _ in endpoints]
    for index, target, body, *headers in documents:
        content = None if body is None else body.encode()
        requests[index].append(Request(target, content, headers[0] if headers else {}, endpoints[index].is_signed))
    return Feed(endpoints=endpoints, requests=tuple(map(tuple, requests)), columns=header.get("columns", {}))
