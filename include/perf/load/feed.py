"""The request feed: every request that a load can send, made ready before it starts.

A feed file holds one JSON document a line: first the header (endpoints and weights), then the requests of
each endpoint in the order in which they are sent; when they are used up, they start again.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from include.perf.model.errors import LoadError


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEndpoint:
    """One endpoint of a feed; ``rows`` is how many different requests there are."""

    name: str
    method: str
    weight: int
    rows: int


@dataclass(frozen=True, slots=True)
class Request:
    """What goes over the wire: path with its query, and a JSON body."""

    target: str
    body: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Requests by endpoint, in the order of ``endpoints``."""

    endpoints: tuple[FeedEndpoint, ...]
    requests: tuple[tuple[Request, ...], ...]

    def write(self, path: Path) -> None:
        """Write the feed file."""
        with path.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield json.dumps({"endpoints": [asdict(endpoint) for endpoint in self.endpoints]})
        for index, requests in enumerate(self.requests):
            for request in requests:
                body = None if request.body is None else request.body.decode()
                yield json.dumps([index, request.target, body])


def read_feed(path: Path) -> Feed:
    """Read a feed file back.

    Raises:
        LoadError: the file is not whole; the counts of its header do not match.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return _read_lines(file)
    except (OSError, ValueError, KeyError, TypeError, StopIteration, IndexError) as err:
        raise LoadError(f"the request feed {path} is not usable ({err!r}); stage the data again") from err


def _read_lines(lines: Iterable[str]) -> Feed:
    documents = map(json.loads, lines)
    endpoints = tuple(FeedEndpoint(**endpoint) for endpoint in next(documents)["endpoints"])
    requests: list[list[Request]] = [[] for _ in endpoints]
    for index, target, body in documents:
        requests[index].append(Request(target, None if body is None else body.encode()))
    for endpoint, rows in zip(endpoints, requests, strict=True):
        if endpoint.rows != len(rows) or not rows:
            raise ValueError(f"{endpoint.name} has {len(rows)} rows, its header says {endpoint.rows}")
    return Feed(endpoints=endpoints, requests=tuple(map(tuple, requests)))
