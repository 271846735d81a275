"""Announcing a load to observers: that it begins, and that it is over. A failing observer never stops a load.

`annotation_of` describes a load for dashboards, in the format of Grafana's HTTP API.

Source: Grafana documentation, "Annotations HTTP API": ``POST /api/annotations``, ``PATCH /api/annotations/:id``.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from include.perf.catalogue.service import Service
from include.perf.model.bounds import Amount, Moment
from include.perf.model.errors import BellwetherError
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import Clock
from include.perf.runs.spec import RunSpec

log = logging.getLogger(__name__)

GRACE = timedelta(minutes=1)
"""How much later than planned a load may end: its processes have to start and to end."""

Annotation = Mapping[str, int | str | list[str]]

TAG = "bellwether"


@dataclass(frozen=True, slots=True, kw_only=True)
class SentLoad:
    """A load that is running, or ran.

    Attributes:
        rate_rps: its peak.
        ends_by: the latest moment at which it was planned to end.
        ended_at: ``None`` while it runs, and forever when its sender was killed.
    """

    run_id: str
    service: str
    scenario: str
    environment: str
    rate_rps: Amount
    started_at: Moment
    ends_by: Moment
    ended_at: Moment | None = None

    def is_running(self, now: datetime, *, held: Set[str] | None) -> bool:
        """Return whether it is still running.

        A killed load does not record its end, so it counts as running until its planned end at most, and only as long
        as it holds a lock, where the locks are known.

        Args:
            held: the runs that hold a lock for their load; ``None`` when unknown.
        """
        if self.ended_at is not None or now > self.ends_by + GRACE:
            return False
        return held is None or self.run_id in held


class LoadObserver(Protocol):
    """Is notified when a load begins and when it is over."""

    def load_began(self, load: SentLoad) -> None:
        """Handle the begin of a load; must not delay it.

        Raises:
            BellwetherError: it could not be passed on.
        """

    def load_ended(self, load: SentLoad) -> None:
        """Handle the end of a load, however it ended.

        Raises:
            BellwetherError: it could not be passed on.
        """


def load_of(spec: RunSpec, service: Service, *, clock: Clock) -> SentLoad:
    """Return the load of a run that begins now."""
    now = clock()
    return SentLoad(
        run_id=spec.run_id,
        service=spec.service,
        scenario=spec.scenario,
        environment=spec.environment,
        rate_rps=spec.load.peak_rate_rps,
        started_at=now,
        ends_by=now + timedelta(seconds=service.longest_s(spec.load)),
    )


@contextmanager
def announced(load: SentLoad, observers: Sequence[LoadObserver], *, clock: Clock) -> Iterator[None]:
    """Notify the observers when the block begins and when it ends."""
    _notify([observer.load_began for observer in observers], load)
    try:
        yield
    finally:
        _notify([observer.load_ended for observer in observers], replace(load, ended_at=clock()))


def _notify(handlers: Sequence[Callable[[SentLoad], None]], load: SentLoad) -> None:
    for handle in handlers:
        try:
            handle(load)
        except BellwetherError as err:
            log.warning("%s %s %s: its load was not announced: %s", load.service, load.scenario, load.run_id, err)


def annotation_of(load: SentLoad) -> Annotation:
    """Return the annotation of a load: a moment while it runs, a region once it is over."""
    peak = format_value(load.rate_rps, Unit.REQUESTS_PER_SECOND)
    annotation: dict[str, int | str | list[str]] = {
        "time": _milliseconds(load.started_at),
        "tags": [TAG, load.service, load.scenario, load.environment],
        "text": f"Load test {load.scenario} on {load.service} ({load.environment}), up to {peak}: run {load.run_id}",
    }
    return annotation if load.ended_at is None else annotation | {"timeEnd": _milliseconds(load.ended_at)}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
