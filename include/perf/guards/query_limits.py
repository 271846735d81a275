"""Checks the stop criteria about the target by repeated queries to Prometheus."""

import logging
from collections.abc import Sequence
from datetime import datetime, timedelta

from include.perf.catalogue.scenario.stop_criterion import STOPPED_OTHERWISE, StopCriterion
from include.perf.catalogue.service import Service
from include.perf.guards.watch import Inquiry
from include.perf.measure.metrics_source import MetricsSource
from include.perf.model.errors import NoData, PrometheusError, QueryRejected
from include.perf.model.text import Clock

log = logging.getLogger(__name__)

MAX_PAUSE_S = 2.0
"""Pause between two queries, at most half the window."""


def inquiries_of(
    criteria: Sequence[StopCriterion], service: Service, metrics: MetricsSource, clock: Clock
) -> list[Inquiry]:
    """Return an inquiry for each criterion with a query."""
    return [
        Inquiry(
            QueryLimit(criterion, service, metrics, clock).reached,
            name=f"the stop criterion {criterion.describe()}",
            every_s=min(MAX_PAUSE_S, criterion.window_s / 2),
        )
        for criterion in criteria
        if criterion.query is not None
    ]


class QueryLimit:
    """Follows one criterion with a query."""

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
        """Query once; return how the limit is exceeded, or ``None`` if it is not, or not yet for a full window.

        Raises:
            PrometheusUnavailable, PartialAnswer: there is no result, or an incomplete one.
        """
        now = self._clock()
        try:
            value = self._metrics.value(self._query, at=now)
        except QueryRejected as err:
            return f"{self._criterion.subject} cannot be watched: {err}; correct the query {STOPPED_OTHERWISE}"
        except NoData as err:
            self._miss(now)
            if not self._had_no_data:
                self._had_no_data = True
                log.warning("the stop criterion %s has no effect at the moment: %s", self._criterion.describe(), err)
            return None
        except PrometheusError:
            self._miss(now)
            raise
        self._answered = now
        return self._reason(value, now)

    def _miss(self, now: datetime) -> None:
        """Forget how long the limit has been exceeded, after a full window without a result."""
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
            f"{criterion.window_s} s, it is {criterion.format_beyond(value)} {criterion.mark}"
        )
