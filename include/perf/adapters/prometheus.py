"""Prometheus over its HTTP API.

Of prometheus-api-client ``custom_query`` and ``custom_query_range`` are used, on a session of our own: it has no
time-out by default, and its other range functions freeze their times at import and duplicate samples. All of them
round start and end to whole seconds, so those are handed over as plain parameters.
"""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import requests
from urllib3.util import Retry

from include.perf.errors import NoData, PrometheusUnavailable, QueryRejected
from include.perf.ports import Sample

TIMEOUT_S = 10.0
RETRIES = Retry(total=2, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504), allowed_methods=None)


class _TimedSession(requests.Session):
    """A session whose requests end."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__()
        self._timeout_s = timeout_s

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request with a default time-out."""
        kwargs["timeout"] = kwargs.get("timeout") or self._timeout_s
        return super().request(*args, **kwargs)


class Prometheus:
    """Asks a Prometheus server for single values, and for one over time.

    Args:
        auth: user and password, where the server wants a login.
        verify_tls: refuse a certificate that cannot be verified.
    """

    def __init__(
        self,
        url: str,
        *,
        auth: tuple[str, str] | None = None,
        headers: dict[str, str] | None = None,
        verify_tls: bool = True,
        timeout_s: float = TIMEOUT_S,
        retries: Retry = RETRIES,
    ) -> None:
        self._url = url.rstrip("/")
        session = _TimedSession(timeout_s)
        session.auth = auth
        session.headers.update(headers or {})
        session.verify = verify_tls
        self._session = session
        self._retries = retries

    @cached_property
    def _client(self) -> Any:
        """The client, made when first asked: importing it takes pandas and seconds, and many stages never ask."""
        from prometheus_api_client import PrometheusConnect

        return PrometheusConnect(url=self._url, session=self._session, retry=self._retries)

    def value(self, query: str, *, at: datetime) -> float:
        """Return the single value of an instant query.

        Raises:
            PrometheusUnavailable: down, slow or answering nonsense: worth a retry.
            QueryRejected: the query is wrong.
            NoData: empty, NaN, infinite, or not exactly one series.
        """
        value = float(self._single(query, at=at)["value"][1])
        if not math.isfinite(value):
            raise NoData(f"the value of {query} is {value}")
        return value

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """Return a label of the single series of an instant query.

        Raises:
            PrometheusError: as `value`; ``NoData`` also where the series has no such label.
        """
        labels = self._single(query, at=at).get("metric", {})
        if not labels.get(label):
            raise NoData(f"the series of {query} has no label {label!r}; it has {', '.join(sorted(labels)) or 'none'}")
        return str(labels[label])

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the value of a query at every step from ``start`` to ``end``, in order.

        Raises:
            PrometheusError: as `value`; ``NoData`` where there is no finite value at all.
        """
        exact = {"start": f"{start.timestamp():.3f}", "end": f"{end.timestamp():.3f}"}
        found = self._only(
            query, lambda: self._client.custom_query_range(query, start, end, f"{step_s:g}", params=exact), "values"
        )
        samples = [
            Sample(at=datetime.fromtimestamp(unix_s, tz=UTC), value=float(value))
            for unix_s, value in found["values"]
            if math.isfinite(float(value))
        ]
        if not samples:
            raise NoData(f"no value of {query} is finite")
        return tuple(samples)

    def _single(self, query: str, *, at: datetime) -> dict[str, Any]:
        params = {"time": f"{at.timestamp():.3f}"}
        return self._only(query, lambda: self._client.custom_query(query, params=params), "value")

    def _only(self, query: str, ask: Callable[[], Any], key: str) -> dict[str, Any]:
        """Return the one series that a query has."""
        series = self._answered(query, ask, key)
        if len(series) != 1:
            found = "no data" if not series else f"{len(series)} series instead of one"
            raise NoData(f"{found} for {query}")
        return series[0]

    def _answered(self, query: str, ask: Callable[[], Any], key: str) -> list[dict[str, Any]]:
        """Return the series of a query, each with its ``value`` or its ``values``."""
        from prometheus_api_client.exceptions import PrometheusApiClientException

        try:
            answer = ask()
        except PrometheusApiClientException as err:
            raise self._explained(err, query) from err
        except (requests.RequestException, json.JSONDecodeError, KeyError, TypeError, UnicodeDecodeError) as err:
            raise PrometheusUnavailable(
                f"Prometheus at {self._url} cannot be asked ({type(err).__name__}); check that it runs and the address "
                "in the connection prometheus_default (PROMETHEUS_URL on the command line)"
            ) from err
        if not isinstance(answer, list) or not all(isinstance(each, dict) and key in each for each in answer):
            raise QueryRejected(f"{query} does not return a vector")
        return answer

    def _explained(self, err: Exception, query: str) -> PrometheusUnavailable | QueryRejected:
        """Tell a wrong query from a wrong address; the client has only one exception for both."""
        text = str(err)
        if "HTTP Status Code 400" in text or "HTTP Status Code 422" in text:
            return QueryRejected(f"Prometheus refused {query}: {text}")
        return PrometheusUnavailable(f"Prometheus at {self._url} answered {text[:200]}")
