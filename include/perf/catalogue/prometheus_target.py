"""How Prometheus knows a service: its labels, how often it is scraped, and what is asked for its own figures.

Method: each figure is an average over the whole window, asked at the window's end. A rate over the whole window is
the
least biased one, and right over a restart of the service: `rate()` knows that a counter begins anew.

How Prometheus knows production, and what both sides of the comparison are asked.

Every query is asked at the end of a window for the whole of it, of production and of the service under test alike. A
rate over the whole window is the least biased one, and right over restarts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from include.perf.model.metric import METRICS, Source
from include.perf.model.yaml_entries import Entry

SERVER_METRICS = tuple(name for name, metric in METRICS.items() if metric.source is Source.PROMETHEUS)

COVERAGE = "coverage"
"""The query that counts the scrapes of a window, of the target that has the fewest."""

Kind = Literal["process", "container", "node"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked of a kind of target, as PromQL; ``$selector`` and ``$window`` are filled in.

    Attributes:
        present: how many targets are seen now.
        started: when the youngest process began, as Unix time; ``None`` where nothing tells it.
        queries: `SERVER_METRICS` and `COVERAGE`.
    """

    present: str
    started: str | None = None
    queries: Mapping[str, str]


_ROOT_DISK = (
    '1 - min(avg_over_time(node_filesystem_avail_bytes{$selector,mountpoint="/"}[$window])'
    ' / avg_over_time(node_filesystem_size_bytes{$selector,mountpoint="/"}[$window]))'
)

_CONTAINER = '{$selector,image!="",container!="POD"}'
"""Kubernetes' sums over a pod have no image, and the container that holds a pod's network is called POD."""

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
"""By kind: of a process what its own client library exports, of a container what cAdvisor does, of a node what
node_exporter does.

A container's labels are not those of the target that is scraped, so its own series are counted instead of ``up``. Its
memory is the working set, which the kernel counts against its limit; page cache that can be dropped is not in it. A
node's cores are busy unless they are idle, wait for a disk (``iowait``: idle as well) or were given to other machines
by the hypervisor (``steal``); guests are part of ``user`` already."""


class PrometheusTarget(Entry):
    """How Prometheus knows the service.

    Attributes:
        kind: whose figures are taken: the process' own, its container's (cAdvisor), its node's (node_exporter).
        selector: label matchers that pick out this service in this environment, without braces.
        scrape_interval_s: how often it is scraped; coverage is checked against it.
        queries: PromQL for server-side metrics and for ``coverage``, where the defaults of the kind do not fit.
    """

    kind: Kind = "process"
    selector: Annotated[str, Field(min_length=1, pattern=r"^[^{}]+$")]
    scrape_interval_s: Annotated[float, Field(ge=0.1, le=300)] = 15.0
    queries: dict[str, str] = Field(default_factory=dict)

    @field_validator("queries")
    @classmethod
    def _known_metrics(cls, queries: dict[str, str]) -> dict[str, str]:
        for name, query in queries.items():
            if name not in (*SERVER_METRICS, COVERAGE):
                known = ", ".join(SERVER_METRICS)
                raise ValueError(f"{name!r} is not a server-side metric; there are {known}, and {COVERAGE}")
            if "$window" not in query:
                does = "count over" if name == COVERAGE else "average over"
                raise ValueError(f"the query of {name} must {does} [$window], but is {query!r}")
        return queries

    def query(self, name: str, *, window: str) -> str:
        """Return the PromQL of a metric, or of `COVERAGE`, for a window such as ``60008ms``."""
        return self._filled(self.queries.get(name) or DEFAULTS[self.kind].queries[name], window=window)

    @property
    def present(self) -> str:
        """The PromQL of how many targets are seen now."""
        return self._filled(DEFAULTS[self.kind].present)

    def started(self, *, window: str) -> str | None:
        """Return the PromQL of when the youngest process began; ``None`` where nothing tells it."""
        query = DEFAULTS[self.kind].started
        return None if query is None else self._filled(query, window=window)

    def _filled(self, query: str, *, window: str = "") -> str:
        return query.replace("$selector", self.selector).replace("$window", window)


BUSIEST_S = 300
"""Production's busiest five minutes are what a scenario's rate is held beside."""

_BUSIEST_STEP = "1m"

Selector = Annotated[str, Field(min_length=1, pattern=r"^[^{}]+$")]

MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]


def _over_window(query: str) -> str:
    if "$window" not in query:
        raise ValueError(f"must be a rate over [$window], but is {query!r}")
    return query


def _of_either_side(query: str) -> str:
    if "$selector" not in query:
        raise ValueError(f"must select by {{$selector}}, as both sides are asked, but is {query!r}")
    return _over_window(query)


OwnQuery = Annotated[str, AfterValidator(_over_window)]

SharedQuery = Annotated[str, AfterValidator(_of_either_side)]


class ProductionReference(Entry):
    """How Prometheus knows a service in production.

    Attributes:
        selector: label matchers that pick out the service in production, without braces.
        own_selector: the same of the service under test, where ``prometheus.selector`` does not pick out what it tells
            of its requests, as that of a container does not.
        only: further matchers of the requests that count, such as ``endpoint!="/healthz"``.
        scrape_interval_s: how often production is scraped; coverage is checked against it.
        latency_histogram: name of the histogram of request durations in seconds, without ``_bucket``.
        endpoint_labels: the labels of it that tell one kind of request from another.
        requests: PromQL of the requests a second; by default what the histogram counts.
        errors: PromQL of the failed requests a second; by default ``http_requests_total`` with a status of 500 to 599.
        cpu: PromQL of the cores that production uses, where the query of the service under test does not fit.
        days: so many trading days are looked at.
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

    def problems_beside(self, target: PrometheusTarget) -> list[str]:
        """Return what is wrong with it in view of how Prometheus knows the service under test."""
        problems = []
        own = self.own_selector or target.selector
        if _matchers(own) == _matchers(self.selector):
            problems.append(
                "production.selector must differ from that of the service under test, which would be compared with "
                f"itself, but is {self.selector!r} as well"
            )
        cpu = target.queries.get("cpu_usage", "$selector")
        if self.cpu is None and "$selector" not in cpu:
            problems.append(
                f"production.cpu is needed, as the query of cpu_usage is about the service under test only: {cpu!r}"
            )
        return problems

    def requests_query(self, selector: str, *, window: str) -> str:
        """Return how the requests a second are asked for."""
        template = self.requests or f"sum(rate({self.latency_histogram}_count{{$selector}}[$window]))"
        return self._filled(template, selector, window=window)

    def busiest_query(self, selector: str, *, window_s: float) -> str:
        """Return how the requests a second of the busiest five minutes within a window are asked for."""
        if window_s <= BUSIEST_S:
            return self.requests_query(selector, window=milliseconds(window_s))
        begins = milliseconds(window_s - BUSIEST_S)
        return f"max_over_time({self.requests_query(selector, window=f'{BUSIEST_S}s')}[{begins}:{_BUSIEST_STEP}])"

    def errors_query(self, selector: str, *, window: str) -> str:
        """Return how the failed requests a second are asked for; 0 where requests are counted and none has failed."""
        template = self.errors or (
            'sum(rate(http_requests_total{$selector,status=~"5.."}[$window]))'
            " or 0 * sum(rate(http_requests_total{$selector}[$window]))"
        )
        return self._filled(template, selector, window=window)

    def buckets_query(self, selector: str, *, window: str) -> str:
        """Return how many requests each bucket of the histogram counted."""
        template = f"sum by (le) (increase({self.latency_histogram}_bucket{{$selector}}[$window]))"
        return self._filled(template, selector, window=window)

    def mix_query(self, selector: str, *, window: str) -> str:
        """Return how the requests a second of each endpoint are asked for."""
        labels = ", ".join(self.endpoint_labels)
        template = f"sum by ({labels}) (rate({self.latency_histogram}_count{{$selector}}[$window]))"
        return self._filled(template, selector, window=window)

    def cpu_query(self, target: PrometheusTarget, *, window: str) -> str:
        """Return how the cores that production uses are asked for."""
        if self.cpu is not None:
            return self.cpu.replace("$selector", self.selector).replace("$window", window)
        return target.model_copy(update={"selector": self.selector}).query("cpu_usage", window=window)

    def coverage_query(self, *, window: str) -> str:
        """Return how many scrapes of production succeeded, of any of its instances, in steps of two intervals.

        Instances come and go with each deployment, so it is not asked of each how often it was scraped.
        """
        step = milliseconds(2 * self.scrape_interval_s)
        return f"sum_over_time(max(max_over_time(up{{{self.selector}}}[{step}]))[{window}:{step}])"

    def _filled(self, template: str, selector: str, *, window: str) -> str:
        matchers = ",".join(each.strip(" ,") for each in (selector, self.only) if each)
        return template.replace("$selector", matchers).replace("$window", window)


def milliseconds(seconds: float) -> str:
    """Write a length of time as PromQL has it: ``60008ms``."""
    return f"{round(seconds * 1000)}ms"


def _matchers(selector: str) -> frozenset[str]:
    return frozenset(filter(None, (each.strip() for each in selector.split(","))))
