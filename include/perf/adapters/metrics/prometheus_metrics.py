"""Queries to Prometheus over its HTTP API.

Only ``custom_query`` and ``custom_query_range`` of prometheus-api-client are used, because its other range functions
fix their times at import and duplicate samples. The client has no default timeout and checks only the status of a
response, so it runs on `include.perf.adapters.metrics.prometheus_session`. It also rounds start and end to whole
seconds, so the exact times are passed as plain parameters.
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
    raise_on_status=False,  # the last response says more than "too many retries"
    respect_retry_after_header=False,  # it may be an hour
)


class Prometheus:
    """Queries a Prometheus server for single values and for time series.

    Args:
        url: without credentials.
        set_in: where a person sets the URL and the credentials, for messages.
        headers: sent with every request, including credentials.
        verify_tls: refuse a certificate that cannot be verified.
        ca_file: PEM bundle to verify the certificate with, instead of the machine's own.
        timeout_s: of one attempt.
        retries: how failed requests are repeated.
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
        """The client, created for the first query: importing it loads pandas, which takes seconds."""
        from prometheus_api_client import PrometheusConnect

        return PrometheusConnect(url=self._url, session=self._session, retry=self._retries)

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: it is down or slow, rejects the credentials or returns garbage; worth a retry.
            QueryRejected: the query is invalid.
            PartialAnswer: the response is incomplete.
            NoData: the value is missing, NaN or infinite, or there is not exactly one series.
        """
        value = float(self._single(query, at=at)["value"][1])
        if not math.isfinite(value):
            raise NoData(f"the value of {query} is {value}")
        return value

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the value of every series of an instant query, without values that are not finite.

        Raises:
            PrometheusError: as `value`; ``NoData`` if no value is left.
        """
        found = [
            LabelledValue(labels=dict(series.get("metric", {})), value=value)
            for series in self._instant(query, at=at)
            if math.isfinite(value := float(series["value"][1]))
        ]
        if not found:
            raise NoData(f"no data for {query}")
        return tuple(found)

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also if the series has no such label.
        """
        labels = self._single(query, at=at).get("metric", {})
        if not labels.get(label):
            raise NoData(f"the series of {query} has no label {label!r}; it has {', '.join(sorted(labels)) or 'none'}")
        return self._session.masked(str(labels[label]))

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the value of a query at every step from ``start`` to ``end``, in order.

        Raises:
            PrometheusError: as `value`; ``NoData`` if no value is finite.
        """
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        response = self._series(
            query, lambda: self._client.custom_query_range(query, start, end, f"{step_s:g}", params=exact), "values"
        )
        samples = [
            Sample(at=datetime.fromtimestamp(unix_s, tz=UTC), value=float(value))
            for unix_s, value in _only(query, response)["values"]
            if math.isfinite(float(value))
        ]
        if not samples:
            raise NoData(f"no value of {query} is finite")
        return tuple(samples)

    def _single(self, query: str, *, at: datetime) -> dict[str, Any]:
        return _only(query, self._instant(query, at=at))

    def _instant(self, query: str, *, at: datetime) -> list[dict[str, Any]]:
        params = {"time": f"{at.timestamp():.3f}"}
        return self._series(query, lambda: self._client.custom_query(query, params=params), "value")

    def _series(self, query: str, send: Callable[[], Any], key: str) -> list[dict[str, Any]]:
        """Return the series of a query; every one has the key ``value`` or ``values``."""
        found = send()
        if not all(isinstance(series, dict) and key in series for series in found):
            raise QueryRejected(f"{query} does not return a vector")
        return list(found)


def _only(query: str, series: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the only series of a query.

    Raises:
        NoData: there is not exactly one series.
    """
    if len(series) != 1:
        found = "no data" if not series else f"{len(series)} series instead of one"
        raise NoData(f"{found} for {query}")
    return series[0]
