"""The request feed: all requests of a load, prepared before it starts.

A feed file has one JSON document per line: first the header (endpoints and weights), then the requests of every
endpoint in the order in which they are sent. After its last request an endpoint starts again with its first.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from include.perf.model.errors import LoadError


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEndpoint:
    """One endpoint of a feed; ``rows`` is the number of its different requests."""

    name: str
    method: str
    weight: int
    rows: int


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its path with query, and its JSON body."""

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


def _read_lines(lines: Iterable[str]) -> Feed:
    documents = map(json.loads, lines)
    endpoints = tuple(FeedEndpoint(**endpoint) for endpoint in next(documents)["endpoints"])
    requests: list[list[Request]] = [[] for _ in endpoints]
    for index, target, body in documents:
        requests[index].append(Request(target, None if body is None else body.encode()))
    return Feed(endpoints=endpoints, requests=tuple(map(tuple, requests)))
