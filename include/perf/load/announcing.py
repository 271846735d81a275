"""Saying that a load begins and that it is over; whatever comes of that, the load is sent.

A load as others see it: of what, from when, and until when.

A load as an annotation of dashboards, in the shape of Grafana's HTTP API.

Source: Grafana documentation, "Annotations HTTP API": ``POST /api/annotations``, ``PATCH /api/annotations/:id``.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from include.perf.catalogue.service import Service
from include.perf.model.errors import BellwetherError
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import Clock
from include.perf.runs.spec import RunSpec

GRACE = timedelta(minutes=1)
"""A load may end so much later than planned: its processes have to start, and to be ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLoad:
    """A load that goes out, or went out.

    Attributes:
        rate_rps: its peak.
        ends_by: the latest moment at which it was planned to be over.
        ended_at: ``None`` while it goes out, and for ever when whoever sent it was killed.
    """

    run_id: str
    service: str
    scenario: str
    environment: str
    rate_rps: float
    started_at: datetime
    ends_by: datetime
    ended_at: datetime | None = None

    def is_running(self, now: datetime, *, held: Set[str] | None) -> bool:
        """Return whether it still goes out.

        A load that was killed leaves no word of its end, so that nothing is believed for longer than was planned, and
        less where locks tell more.

        Args:
            held: the runs that hold a lock for their load; ``None`` where nobody can tell.
        """
        if self.ended_at is not None or now > self.ends_by + GRACE:
            return False
        return held is None or self.run_id in held


log = logging.getLogger(__name__)


class LoadObserver(Protocol):
    """Is told when a load begins and when it is over."""

    def load_began(self, load: SentLoad) -> None:
        """Hear that a load goes out from now on; must not keep it waiting.

        Raises:
            BellwetherError: it could not be passed on.
        """

    def load_ended(self, load: SentLoad) -> None:
        """Hear that a load is over, however it ended.

        Raises:
            BellwetherError: it could not be passed on.
        """


def load_of(spec: RunSpec, service: Service, *, clock: Clock) -> SentLoad:
    """Return the load of a run that is sent now."""
    now = clock()
    return SentLoad(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        environment=spec.environment,
        rate_rps=spec.load.peak_rate_rps,
        started_at=now,
        ends_by=now + timedelta(seconds=spec.load.longest_s(service.timeout_s)),
    )


@contextmanager
def announced(load: SentLoad, observers: Sequence[LoadObserver], *, clock: Clock) -> Iterator[None]:
    """Tell observers that a load goes out as long as the block lasts."""
    _tell([observer.load_began for observer in observers], load)
    try:
        yield
    finally:
        _tell([observer.load_ended for observer in observers], replace(load, ended_at=clock()))


def _tell(listeners: Sequence[Callable[[SentLoad], None]], load: SentLoad) -> None:
    for listen in listeners:
        try:
            listen(load)
        except BellwetherError as err:
            log.warning("%s %s %s: others were not told of its load: %s", load.service, load.scenario, load.run_id, err)


Annotation = Mapping[str, int | str | list[str]]

TAG = "bellwether"


def annotation_of(load: SentLoad) -> Annotation:
    """Return the annotation of a load: a moment while it goes out, a region once it is over."""
    peak = format_value(load.rate_rps, Unit.REQUESTS_PER_SECOND)
    annotation: dict[str, int | str | list[str]] = {
        "time": _milliseconds(load.started_at),
        "tags": [TAG, load.service, load.scenario, load.environment],
        "text": f"Load test {load.scenario} on {load.service} ({load.environment}), up to {peak}: run {load.run_id}",
    }
    return annotation if load.ended_at is None else annotation | {"timeEnd": _milliseconds(load.ended_at)}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
