"""Examples of requests, with their slots filled as in a load that starts now."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from include.perf.load.feed import Feed, Request
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import SlotForm, filled, head_bytes


class NamedVariables(dict[tuple[str, SlotForm], bytes]):
    """Shows variables that no answer has given yet by their names, such as ``<order_id>``."""

    def __missing__(self, key: tuple[str, SlotForm]) -> bytes:
        """Return what is shown of a variable."""
        name, form = key
        return f'"<{name}>"'.encode() if form == "value" else f"<{name}>".encode()


@dataclass(frozen=True, slots=True)
class ExampleMoment:
    """The moment of an example: it is due at once."""

    number: int
    ordinal: int
    due_s: float = 0.0
    captured: Mapping[tuple[str, SlotForm], bytes] = field(default_factory=NamedVariables)


def example_requests(
    feed: Feed,
    endpoint: int,
    rows: Iterable[int],
    *,
    captured: Mapping[tuple[str, SlotForm], bytes] | None = None,
) -> Iterator[Request]:
    """Yield requests of an endpoint as they would be sent now.

    Args:
        endpoint: its index in the feed.
        rows: which of its prepared requests.
        captured: the variables of its journey; by default they are shown by their names.
    """
    known = feed.endpoints[endpoint]
    if not known.slots:
        yield from (feed.requests[endpoint][row] for row in rows)
        return
    values = SlotValues(known.slots, feed.rows_of(known), Draw(endpoint=endpoint, journey=known.journey))
    values.start(time.time())
    for row in rows:
        moment = ExampleMoment(row, row, captured=NamedVariables() if captured is None else captured)
        yield _filled(feed.requests[endpoint][row], values, moment)


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
