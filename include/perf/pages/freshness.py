"""How old the state is that a page shows while a source of it does not answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from include.perf.pages.marks import age, minute


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleSource:
    """A source whose last known state is shown.

    Attributes:
        at: when this state was read.
        why: why there is no newer one, as a sentence that names the source.
    """

    at: datetime
    why: str


def stale_notices(stale: Iterable[StaleSource], *, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each reason, with the age of the oldest state that it concerns: ``as of …, 4 min ago``."""
    oldest: dict[str, datetime] = {}
    for source in stale:
        oldest[source.why] = min(source.at, oldest.get(source.why, source.at))
    return tuple(
        f"As of {minute(at)}, {age(at, now=now)}: {why}"
        for why, at in sorted(oldest.items(), key=lambda found: found[1])
    )
