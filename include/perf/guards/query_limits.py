"""What the target must not exceed while a load runs, asked of Prometheus again and again."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from include.perf.catalogue.scenario.stop_criterion import StopCriterion
from include.perf.catalogue.service import Service
from include.perf.guards.watch import Inquiry
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import NoData, PrometheusError, QueryRejected
from include.perf.model.text import Clock

log = logging.getLogger(__name__)

MOST_BETWEEN_S = 2.0
"""Pause between two questions; half the window where that is shorter."""


def inquiries_of(
    criteria: Sequence[StopCriterion], service: Service, metrics: MetricsSource, clock: Clock
) -> list[Inquiry]:
    """Return who asks for the criteria that are about the target."""
    return [
        Inquiry(
            QueryLimit(criterion, service, metrics, clock).reached,
            name=f"the stop criterion {criterion.describe()}",
            every_s=min(MOST_BETWEEN_S, criterion.window_s / 2),
        )
        for criterion in criteria
        if criterion.query is not None
    ]


class QueryLimit:
    """Follows one query."""

    def __init__(self, criterion: StopCriterion, service: Service, metrics: MetricsSource, clock: Clock) -> None:
        self._criterion = criterion
        self._query = (criterion.query or "").replace("$selector", service.prometheus.selector)
        self._metrics = metrics
        self._clock = clock
        self._window = timedelta(seconds=criterion.window_s)
        self._answered: datetime | None = None
        self._since: datetime | None = None
        self._had_no_data = False

    def reached(self) -> str | None:
        """Ask once; return how the limit is passed, ``None`` while it is not or has not been for long enough.

        Raises:
            PrometheusUnavailable, PartialAnswer: there is no answer, or not a whole one.
        """
        now = self._clock()
        try:
            value = self._metrics.value(self._query, at=now)
        except QueryRejected as err:
            return f"{self._criterion.subject} cannot be watched: {err}; correct the query (stop_when)"
        except NoData as err:
            self._lose_sight(now)
            if not self._had_no_data:
                self._had_no_data = True
                log.warning("the stop criterion %s stops nothing meanwhile: %s", self._criterion.describe(), err)
            return None
        except PrometheusError:
            self._lose_sight(now)
            raise
        self._answered = now
        return self._reason(value, now)

    def _lose_sight(self, now: datetime) -> None:
        """Forget how long it has been beyond the limit, once nothing was seen of it for a whole window."""
        if self._answered is not None and now - self._answered >= self._window:
            self._since = None

    def _reason(self, value: float, now: datetime) -> str | None:
        criterion = self._criterion
        if not criterion.is_beyond(value):
            self._since = None
            return None
        self._since = self._since or now
        if now - self._since < self._window:
            return None
        return (
            f"{criterion.subject} has been {criterion.side} {criterion.amount(criterion.limit)} for "
            f"{criterion.window_s} s, it is {criterion.told(value)} (stop_when)"
        )
