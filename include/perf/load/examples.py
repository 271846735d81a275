"""Examples of requests, with their slots filled as in a load that starts now."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from include.perf.load.feed import Feed, Request
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import filled, head_bytes


@dataclass(frozen=True, slots=True)
class ExampleMoment:
    """The moment of an example: it is due at once."""

    number: int
    ordinal: int
    due_s: float = 0.0


def example_requests(feed: Feed, endpoint: int, rows: Iterable[int]) -> Iterator[Request]:
    """Yield requests of an endpoint as they would be sent now.

    Args:
        endpoint: its index in the feed.
        rows: which of its prepared requests.
    """
    known = feed.endpoints[endpoint]
    if not known.slots:
        yield from (feed.requests[endpoint][row] for row in rows)
        return
    values = SlotValues(known.slots, feed.rows_of(known), Draw(endpoint=endpoint))
    values.start(time.time())
    for row in rows:
        yield _filled(feed.requests[endpoint][row], values, ExampleMoment(row, row))


def _filled(request: Request, values: SlotValues, moment: ExampleMoment) -> Request:
    found = values.at(moment)

    def text(prepared: str) -> str:
        return filled(head_bytes(prepared), found).decode("latin-1")

    return Request(
        text(request.target),
        None if request.body is None else filled(request.body, found),
        {name: text(value) for name, value in request.headers.items()},
        request.is_signed,
    )
