"""Prometheus over its HTTP API.

Of prometheus-api-client ``custom_query`` and ``custom_query_range`` are used, on a session of our own that looks at
every answer before the client does (`include.perf.adapters.metrics.prometheus_session`): the client has no time-out
by default,
and its other range functions freeze their times at import and duplicate samples. All of them round start and end to
whole seconds, so those are handed over as plain parameters.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from urllib3.util import Retry

from include.perf.adapters.metrics.prometheus_session import PrometheusSession
from include.perf.measure.metrics_source import LabelledValue, Sample
from include.perf.model.errors import NoData, QueryRejected

TIMEOUT_S = 10.0
RETRIES = Retry(
    total=2,
    backoff_factor=0.5,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=None,
    raise_on_status=False,  # the last answer says more than that there were too many
    respect_retry_after_header=False,  # it may say an hour
)


class Prometheus:
    """Asks a Prometheus server for single values, and for one over time.

    Args:
        url: its address, without a login in it.
        set_in: where a person sets the address and the credentials; messages name it.
        headers: sent with every question; credentials among them.
        verify_tls: refuse a certificate that cannot be verified.
        ca_file: PEM bundle that the certificate is verified with, instead of the machine's own.
        timeout_s: how long it may say nothing; it is asked again as ``retries`` say.
    """

    def __init__(
        self,
        url: str,
        *,
        set_in: str = "PROMETHEUS_URL",
        headers: Mapping[str, str] | None = None,
        verify_tls: bool = True,
        ca_file: Path | None = None,
        timeout_s: float = TIMEOUT_S,
        retries: Retry = RETRIES,
    ) -> None:
        self._url = url.rstrip("/")
        self._session = PrometheusSession(
            self._url,
            set_in=set_in,
            headers=headers or {},
            verify_tls=verify_tls,
            ca_file=ca_file,
            timeout_s=timeout_s,
        )
        self._retries = retries

    @cached_property
    def _client(self) -> Any:
        """The client, made when first asked: importing it takes pandas and seconds, and many stages never ask."""
        from prometheus_api_client import PrometheusConnect

        return PrometheusConnect(url=self._url, session=self._session, retry=self._retries)

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: down, slow, refusing the login or answering nonsense: worth a retry.
            QueryRejected: the query is wrong.
            PartialAnswer: something is missing in the answer.
            NoData: empty, NaN, infinite, or not exactly one series.
        """
        value = float(self._single(query, at=at)["value"][1])
        if not math.isfinite(value):
            raise NoData(f"the value of {query} is {value}")
        return value

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the value of each series of an instant query; those that are not finite are left out.

        Raises:
            PrometheusError: as `value`; ``NoData`` where not one is left.
        """
        found = [
            LabelledValue(labels=dict(each.get("metric", {})), value=value)
            for each in self._instant(query, at=at)
            if math.isfinite(value := float(each["value"][1]))
        ]
        if not found:
            raise NoData(f"no data for {query}")
        return tuple(found)

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also where the series has no such label.
        """
        labels = self._single(query, at=at).get("metric", {})
        if not labels.get(label):
            raise NoData(f"the series of {query} has no label {label!r}; it has {', '.join(sorted(labels)) or 'none'}")
        return self._session.masked(str(labels[label]))

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the value of a query at every step from ``start`` to ``end``, in order.

        Raises:
            PrometheusError: as `value`; ``NoData`` where there is no finite value at all.
        """
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        answer = self._answered(
            query, lambda: self._client.custom_query_range(query, start, end, f"{step_s:g}", params=exact), "values"
        )
        samples = [
            Sample(at=datetime.fromtimestamp(unix_s, tz=UTC), value=float(value))
            for unix_s, value in _only(query, answer)["values"]
            if math.isfinite(float(value))
        ]
        if not samples:
            raise NoData(f"no value of {query} is finite")
        return tuple(samples)

    def _single(self, query: str, *, at: datetime) -> dict[str, Any]:
        return _only(query, self._instant(query, at=at))

    def _instant(self, query: str, *, at: datetime) -> list[dict[str, Any]]:
        params = {"time": f"{at.timestamp():.3f}"}
        return self._answered(query, lambda: self._client.custom_query(query, params=params), "value")

    def _answered(self, query: str, ask: Callable[[], Any], key: str) -> list[dict[str, Any]]:
        """Return the series of a query, each with its ``value`` or its ``values``."""
        answer = ask()
        if not all(isinstance(each, dict) and key in each for each in answer):
            raise QueryRejected(f"{query} does not return a vector")
        return list(answer)


def _only(query: str, series: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the one series that a query has."""
    if len(series) != 1:
        found = "no data" if not series else f"{len(series)} series instead of one"
        raise NoData(f"{found} for {query}")
    return series[0]
