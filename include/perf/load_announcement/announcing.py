"""Saying that a load begins and that it is over; whatever comes of that, the load is sent."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from include.perf.errors import BellwetherError
from include.perf.load_announcement.sent_load import SentLoad
from include.perf.ports import Clock
from include.perf.run import RunSpec
from include.perf.service import Service

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
