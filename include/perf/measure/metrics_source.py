"""The port to Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The value of a query at a moment."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledValue:
    """The value of one series of several."""

    labels: Mapping[str, str]
    value: float


class MetricsSource(Protocol):
    """Prometheus, asked for one number at a time, for one of each series, or for one over time."""

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: worth a retry.
            QueryRejected: the query is wrong.
            PartialAnswer: something is missing in the answer.
            NoData: empty, NaN, or not exactly one series.
        """

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the value of each series of an instant query; those that are not finite are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` where not one is left.
        """

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also where the series has no such label.
        """

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the value of a query at every step from ``start`` to ``end``, in order.

        Steps at which there is none, or none that is finite, are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` where not one is left.
        """
