"""The metrics of a service.

- `http_request_duration_seconds{endpoint,method}`: histogram; its buckets grow by a quarter, which keeps a
  quantile computed from them within a few per cent of the truth.
- `http_requests_total{endpoint,method,status}`: counter; every plausible status starts at 0,
  because rate() misses the first error of a series that begins with it.
- `process_*`: CPU, resident memory, file descriptors.
- `data_volume_size_bytes`, `data_volume_avail_bytes`: the file system of the data folder at scrape time.
- `service_build_info{version}`: 1.

The scrape configuration adds the labels service and environment.
"""

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from demo.platform.endpoint import ApiEndpoint

_FIRST_BUCKET_S = 0.001
_LAST_BUCKET_S = 10.0
_BUCKET_GROWTH = 1.25
_LABELS = ("endpoint", "method")
EXPECTED_STATUSES = (200, 400, 404, 405, 422, 500, 503)


def duration_buckets() -> tuple[float, ...]:
    """List the histogram's upper bounds in seconds: 1 ms · 1.25**k below 10 s, then 10 s."""
    steps = math.ceil(math.log(_LAST_BUCKET_S / _FIRST_BUCKET_S, _BUCKET_GROWTH))
    grown = (float(f"{_FIRST_BUCKET_S * _BUCKET_GROWTH**k:.6g}") for k in range(steps))
    return (*grown, _LAST_BUCKET_S)


class EndpointSeries:
    """The series of one endpoint."""

    def __init__(self, *, requests: Counter, durations: Histogram, endpoint: ApiEndpoint) -> None:
        self._requests = requests
        self._labels = (endpoint.path, endpoint.method)
        self._duration = durations.labels(*self._labels)
        self._by_status = {status: requests.labels(*self._labels, str(status)) for status in EXPECTED_STATUSES}

    def record(self, *, status: int, duration_s: float) -> None:
        """Count one finished request."""
        self._duration.observe(duration_s)
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._by_status[status] = self._requests.labels(*self._labels, str(status))
        counter.inc()


class DataVolume(Collector):
    """Measures the file system of a folder at every scrape."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the size, and the space available to ordinary users, in bytes."""
        usage = shutil.disk_usage(self._folder)
        yield GaugeMetricFamily("data_volume_size_bytes", "Size of the data volume", value=usage.total)
        yield GaugeMetricFamily("data_volume_avail_bytes", "Space left on the data volume", value=usage.free)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Describe nothing, so that registering does not measure."""
        return ()


class ServiceMetrics:
    """All series of one service, in a registry of its own.

    Args:
        endpoints: the service's API.
        version: of the service.
        data_dir: folder whose file system is measured; must exist.
    """

    def __init__(self, endpoints: Sequence[ApiEndpoint], *, version: str, data_dir: Path) -> None:
        self._registry = CollectorRegistry()
        requests = Counter("http_requests", "Finished API requests", (*_LABELS, "status"), registry=self._registry)
        durations = Histogram(
            "http_request_duration_seconds",
            "Time from a request's arrival to the end of its answer",
            _LABELS,
            buckets=duration_buckets(),
            registry=self._registry,
        )
        self.series = {
            (e.method, e.path): EndpointSeries(requests=requests, durations=durations, endpoint=e) for e in endpoints
        }
        ProcessCollector(registry=self._registry)
        self._registry.register(DataVolume(data_dir))
        Info("service_build", "The running build", registry=self._registry).info({"version": version})

    def exposition(self) -> bytes:
        """Write all series in Prometheus' text format."""
        return generate_latest(self._registry)
