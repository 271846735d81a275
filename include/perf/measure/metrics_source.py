"""The port to Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The value of a query at a point in time."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledValue:
    """The value of one of several series."""

    labels: Mapping[str, str]
    value: float


class MetricsSource(Protocol):
    """Answers queries: a single value, one value per series, or a value over time."""

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: it cannot be reached; a retry may help.
            QueryRejected: the query is wrong.
            PartialAnswer: the answer is incomplete.
            NoData: the answer is empty, NaN, or not exactly one series.
        """

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the value of every series of an instant query; values that are not finite are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` when none is left.
        """

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also when the series has no such label.
        """

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the value of a query at every step from ``start`` to ``end``, in order.

        Steps without a finite value are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` when none is left.
        """
