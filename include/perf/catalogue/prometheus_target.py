"""The Prometheus queries for a service, under test and in production: labels, scrape interval and PromQL.

Each query is evaluated at the end of a window and covers the complete window. A rate over the complete window has the
smallest bias, and it is correct across restarts, because `rate()` handles counter resets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from include.perf.model.metric import METRICS, Source
from include.perf.model.yaml_entries import Entry, matching

SERVER_METRICS = tuple(name for name, metric in METRICS.items() if metric.source is Source.PROMETHEUS)

COVERAGE = "coverage"
"""The query for the number of scrapes in a window, for the target with the fewest."""

Kind = Literal["process", "container", "node"]

Selector = Annotated[
    str, Field(min_length=1), matching(r"[^{}]+", 'must be label matchers without braces, such as service="orders"')
]
MetricName = Annotated[
    str,
    matching(r"[a-zA-Z_:][a-zA-Z0-9_:]*", "must be a metric name: letters, digits, _ and :, not starting with a digit"),
]
LabelName = Annotated[
    str, matching(r"[a-zA-Z_][a-zA-Z0-9_]*", "must be a label name: letters, digits and _, not starting with a digit")
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """The PromQL queries for a kind of target, with the placeholders ``$selector`` and ``$window``.

    Attributes:
        present: the number of targets that are up.
        started: the start time of the youngest process as Unix time; ``None`` if it is not exported.
        queries: one for each of `SERVER_METRICS`, and `COVERAGE`.
    """

    present: str
    started: str | None = None
    queries: Mapping[str, str]


_ROOT_DISK = (
    '1 - min(avg_over_time(node_filesystem_avail_bytes{$selector,mountpoint="/"}[$window])'
    ' / avg_over_time(node_filesystem_size_bytes{$selector,mountpoint="/"}[$window]))'
)

_CONTAINER = '{$selector,image!="",container!="POD"}'
"""Excludes the series for complete pods, which have no image, and the network container, which is called POD."""

DEFAULTS: Mapping[Kind, Questions] = {
    "process": Questions(
        present="count(up{$selector} == 1)",
        started="max(max_over_time(process_start_time_seconds{$selector}[$window]))",
        queries={
            "cpu_usage": "sum(rate(process_cpu_seconds_total{$selector}[$window]))",
            "memory_usage": "sum(avg_over_time(process_resident_memory_bytes{$selector}[$window]))",
            "disk_usage": _ROOT_DISK,
            COVERAGE: "min(sum_over_time(up{$selector}[$window]))",
        },
    ),
    "container": Questions(
        present=f"count(container_memory_working_set_bytes{_CONTAINER})",
        queries={
            "cpu_usage": f"sum(rate(container_cpu_usage_seconds_total{_CONTAINER}[$window]))",
            "memory_usage": f"sum(avg_over_time(container_memory_working_set_bytes{_CONTAINER}[$window]))",
            "disk_usage": (
                f"max(avg_over_time(container_fs_usage_bytes{_CONTAINER}[$window])"
                f" / (avg_over_time(container_fs_limit_bytes{_CONTAINER}[$window]) > 0))"
            ),
            COVERAGE: f"min(count_over_time(container_memory_working_set_bytes{_CONTAINER}[$window]))",
        },
    ),
    "node": Questions(
        present="count(node_memory_MemTotal_bytes{$selector})",
        queries={
            "cpu_usage": 'sum(rate(node_cpu_seconds_total{$selector,mode!~"idle|iowait|steal"}[$window]))',
            "memory_usage": (
                "sum(avg_over_time(node_memory_MemTotal_bytes{$selector}[$window])"
                " - avg_over_time(node_memory_MemAvailable_bytes{$selector}[$window]))"
            ),
            "disk_usage": _ROOT_DISK,
            COVERAGE: "min(count_over_time(node_memory_MemTotal_bytes{$selector}[$window]))",
        },
    ),
}
"""The queries by kind: a process exports its own figures, a container has those of cAdvisor, a node those of
node_exporter.

The labels of a container differ from those of the scraped target, so its own series are counted instead of ``up``. Its
memory is the working set, which the kernel counts against the limit; it excludes reclaimable page cache. The CPU usage
of a node excludes ``idle``, ``iowait`` (idle, too) and ``steal`` (given to other machines by the hypervisor); ``user``
already includes guests."""


class PrometheusTarget(Entry):
    """The service under test in Prometheus.

    Attributes:
        kind: the source of the figures: ``process``, ``container`` (cAdvisor) or ``node`` (node_exporter).
        selector: label matchers for this service in this environment, without braces.
        scrape_interval_s: the scrape interval, from which the expected coverage follows.
        queries: PromQL for server-side metrics and for ``coverage``, to replace the defaults of the kind.
    """

    kind: Kind = "process"
    selector: Selector
    scrape_interval_s: Annotated[float, Field(ge=0.1, le=300)] = 15.0
    queries: dict[str, str] = Field(default_factory=dict)

    @field_validator("queries")
    @classmethod
    def _known_metrics(cls, queries: dict[str, str]) -> dict[str, str]:
        for name, query in queries.items():
            if name not in (*SERVER_METRICS, COVERAGE):
                known = ", ".join(SERVER_METRICS)
                raise ValueError(f"{name!r} is not a server-side metric; known: {known}, and {COVERAGE}")
            if "$window" not in query:
                does = "count over" if name == COVERAGE else "average over"
                raise ValueError(f"the query of {name} must {does} [$window], but is {query!r}")
        return queries

    def query(self, name: str, *, window: str) -> str:
        """Return the query for a metric, or for `COVERAGE`, in a window such as ``60008ms``."""
        return self._filled(self.queries.get(name) or DEFAULTS[self.kind].queries[name], window=window)

    @property
    def present(self) -> str:
        """The query for the number of targets that are up."""
        return self._filled(DEFAULTS[self.kind].present)

    def started(self, *, window: str) -> str | None:
        """Return the query for the start time of the youngest process; ``None`` if it is not exported."""
        query = DEFAULTS[self.kind].started
        return None if query is None else self._filled(query, window=window)

    def _filled(self, query: str, *, window: str = "") -> str:
        return query.replace("$selector", self.selector).replace("$window", window)


BUSIEST_S = 300
"""The rate of a scenario is compared with the busiest five minutes of production."""

_BUSIEST_STEP = "1m"


def _over_window(query: str) -> str:
    if "$window" not in query:
        raise ValueError(f"must be a rate over [$window], but is {query!r}")
    return query


def _of_either_side(query: str) -> str:
    if "$selector" not in query:
        raise ValueError(f"must select by {{$selector}}, because it is used for both sides, but is {query!r}")
    return _over_window(query)


OwnQuery = Annotated[str, AfterValidator(_over_window)]

SharedQuery = Annotated[str, AfterValidator(_of_either_side)]


class ProductionReference(Entry):
    """The service in production, in Prometheus.

    Attributes:
        selector: label matchers for the service in production, without braces.
        own_selector: label matchers for the request metrics of the service under test, if ``prometheus.selector``
            does not match them (that of a container, for example).
        only: further matchers for the requests that count, such as ``endpoint!="/healthz"``.
        scrape_interval_s: the scrape interval of production, from which the expected coverage follows.
        latency_histogram: name of the histogram of request durations in seconds, without ``_bucket``.
        endpoint_labels: its labels that identify an endpoint.
        requests: PromQL for requests per second; by default the count of the histogram.
        errors: PromQL for failed requests per second; by default ``http_requests_total`` with a status of 500 to 599.
        cpu: PromQL for the cores used in production, if the query of the service under test does not fit.
        days: the number of trading days to compare with.
    """

    selector: Selector
    own_selector: Selector | None = None
    only: Selector | None = None
    scrape_interval_s: Annotated[float, Field(ge=0.1, le=300)] = 15.0
    latency_histogram: MetricName = "http_request_duration_seconds"
    endpoint_labels: Annotated[tuple[LabelName, ...], Field(min_length=1)] = ("method", "endpoint")
    requests: SharedQuery | None = None
    errors: SharedQuery | None = None
    cpu: OwnQuery | None = None
    days: Annotated[int, Field(ge=1, le=20)] = 5

    def problems_with(self, target: PrometheusTarget) -> list[str]:
        """Return the problems in combination with the settings of the service under test."""
        problems = []
        own = self.own_selector or target.selector
        if _matchers(own) == _matchers(self.selector):
            problems.append(
                "production.selector must differ from that of the service under test, which would otherwise be "
                f"compared with itself, but is {self.selector!r} as well"
            )
        cpu = target.queries.get("cpu_usage", "$selector")
        if self.cpu is None and "$selector" not in cpu:
            problems.append(
                f"production.cpu is needed, because the query of cpu_usage covers the service under test only: {cpu!r}"
            )
        return problems

    def requests_query(self, selector: str, *, window: str) -> str:
        """Return the query for requests per second."""
        template = self.requests or f"sum(rate({self.latency_histogram}_count{{$selector}}[$window]))"
        return self._filled(template, selector, window=window)

    def busiest_query(self, selector: str, *, window_s: float) -> str:
        """Return the query for requests per second in the busiest five minutes of a window."""
        if window_s <= BUSIEST_S:
            return self.requests_query(selector, window=milliseconds(window_s))
        begins = milliseconds(window_s - BUSIEST_S)
        return f"max_over_time({self.requests_query(selector, window=f'{BUSIEST_S}s')}[{begins}:{_BUSIEST_STEP}])"

    def errors_query(self, selector: str, *, window: str) -> str:
        """Return the query for failed requests per second; its result is 0 if there are requests but no failures."""
        template = self.errors or (
            'sum(rate(http_requests_total{$selector,status=~"5.."}[$window]))'
            " or 0 * sum(rate(http_requests_total{$selector}[$window]))"
        )
        return self._filled(template, selector, window=window)

    def buckets_query(self, selector: str, *, window: str) -> str:
        """Return the query for the number of requests in each bucket of the histogram."""
        template = f"sum by (le) (increase({self.latency_histogram}_bucket{{$selector}}[$window]))"
        return self._filled(template, selector, window=window)

    def mix_query(self, selector: str, *, window: str) -> str:
        """Return the query for requests per second of each endpoint."""
        labels = ", ".join(self.endpoint_labels)
        template = f"sum by ({labels}) (rate({self.latency_histogram}_count{{$selector}}[$window]))"
        return self._filled(template, selector, window=window)

    def cpu_query(self, target: PrometheusTarget, *, window: str) -> str:
        """Return the query for the cores used in production."""
        if self.cpu is not None:
            return self.cpu.replace("$selector", self.selector).replace("$window", window)
        return target.model_copy(update={"selector": self.selector}).query("cpu_usage", window=window)

    def coverage_query(self, *, window: str) -> str:
        """Return the query for the number of steps, of two scrape intervals each, in which any instance was up.

        Instances change with each deployment, so scrapes are not counted per instance.
        """
        step = milliseconds(2 * self.scrape_interval_s)
        return f"sum_over_time(max(max_over_time(up{{{self.selector}}}[{step}]))[{window}:{step}])"

    def _filled(self, template: str, selector: str, *, window: str) -> str:
        matchers = ",".join(part.strip(" ,") for part in (selector, self.only) if part)
        return template.replace("$selector", matchers).replace("$window", window)


def milliseconds(seconds: float) -> str:
    """Format a duration for PromQL: ``60008ms``."""
    return f"{round(seconds * 1000)}ms"


def _matchers(selector: str) -> frozenset[str]:
    return frozenset(filter(None, (matcher.strip() for matcher in selector.split(","))))
