"""How Prometheus knows a service: its labels, how often it is scraped, and what is asked for its own figures.

Method: each figure is an average over the whole window, asked at the window's end. A rate over the whole window is the
least biased one, and right over a restart of the service: `rate()` knows that a counter begins anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, field_validator

from include.perf.entry import Entry
from include.perf.metric import METRICS, Source

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
