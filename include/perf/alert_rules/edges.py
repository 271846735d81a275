"""The upper bounds of a service's latency histogram, between which nobody knows where a quantile lies."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.perf.alert_rules.live_figures import counting_of
from include.perf.errors import PrometheusError
from include.perf.ports import Clock, MetricsSource
from include.perf.service import Service

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramEdges:
    """Asks Prometheus for the bounds; where it cannot tell them they are those that were known before.

    A limit must not change because Prometheus was away for a moment.
    """

    source: MetricsSource
    clock: Clock
    before: Mapping[str, Sequence[float]]

    def __call__(self, service: Service) -> Sequence[float]:
        """Return the bounds in seconds, ascending; none where nobody knows them."""
        counting, selector = counting_of(service)
        try:
            found = self.source.values(counting.buckets_query(selector, window="5m"), at=self.clock())
        except PrometheusError as err:
            log.info("%s: the bounds of its histogram are those known before: %s", service.name, err)
            return self.before.get(service.name, ())
        bounds = (float(each.labels.get("le", "inf")) for each in found)
        return sorted(bound for bound in bounds if math.isfinite(bound))
