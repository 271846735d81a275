"""The metrics of a service: values, not only names."""

import asyncio
import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from demo.platform.endpoint import ApiEndpoint
from demo.platform.metrics import EXPECTED_STATUSES, ServiceMetrics, duration_buckets
from demo.platform.middleware import RECEIVED_AT, Observation

PATH = "/api/v1/orders"
ORDER = {"instrument": "EUR_USD", "order_type": "market", "side": "buy", "quantity": 1000}


def test_buckets_grow_by_a_quarter_from_1_ms_to_10_s() -> None:
    buckets = duration_buckets()
    assert (buckets[0], buckets[-1], len(buckets)) == (0.001, 10.0, 43)
    ratios = [b / a for a, b in pairwise(buckets[:-1])]
    assert ratios == pytest.approx([1.25] * 41, rel=1e-5)


def test_requests_are_counted_by_endpoint_method_and_status(start: Callable[..., Any]) -> None:
    service = start("trading-gateway-service")
    for _ in range(3):
        service.ask("POST", PATH, json=ORDER)
    service.ask("POST", PATH, json={})
    labels = {"endpoint": PATH, "method": "POST"}
    assert service.metric("http_requests_total", **labels, status="200") == 3
    assert service.metric("http_requests_total", **labels, status="422") == 1
    assert service.metric("http_request_duration_seconds_count", **labels) == 4
    assert service.metric("http_request_duration_seconds_bucket", **labels, le="+Inf") == 4
    assert 0 < service.metric("http_request_duration_seconds_sum", **labels) < 4


def test_every_series_exists_before_the_first_request(start: Callable[..., Any]) -> None:
    service = start("trading-gateway-service")
    for path, method in ((PATH, "POST"), ("/api/v1/positions", "GET")):
        for status in EXPECTED_STATUSES:
            labels = {"endpoint": path, "method": method, "status": str(status)}
            assert service.metric("http_requests_total", **labels) == 0
        assert service.metric("http_request_duration_seconds_count", endpoint=path, method=method) == 0


def test_only_the_api_is_counted(start: Callable[..., Any]) -> None:
    service = start("trading-gateway-service")
    for path in ("/healthz", "/metrics", "/docs", "/nothing"):
        service.ask("GET", path)
    service.ask("GET", PATH)  # the path of another method
    text = service.ask("GET", "/metrics").text
    counts = [line for line in text.splitlines() if line.startswith("http_requests_total")]
    assert len(counts) == 7 * len(EXPECTED_STATUSES)
    assert all(line.endswith(" 0.0") for line in counts)


def test_the_data_volume_is_measured_when_scraped(
    start: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start("trading-gateway-service")
    assert service.metric("data_volume_size_bytes") == shutil.disk_usage(tmp_path).total
    usage = shutil.disk_usage(tmp_path)._replace(total=1000, free=250)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage if folder == tmp_path else None)
    assert service.metric("data_volume_size_bytes") == 1000
    assert service.metric("data_volume_avail_bytes") == 250


def test_build_and_process_metrics_exist(start: Callable[..., Any]) -> None:
    service = start("trading-gateway-service")
    assert service.metric("service_build_info", version="2.4.0") == 1
    assert service.metric("process_cpu_seconds_total") > 0
    assert service.metric("process_resident_memory_bytes") > 10_000_000
    assert 'service="' not in service.ask("GET", "/metrics").text


def test_health_names_the_service(start: Callable[..., Any]) -> None:
    assert start("feature-store-service").ask("GET", "/healthz").json() == {
        "status": "ok",
        "service": "feature-store-service",
        "version": "2.4.0",
        "environment": "staging",
    }


async def _unused(*_: Any) -> Any:
    raise AssertionError("not called here")


ENDPOINT = ApiEndpoint(method="GET", path="/x", handler=_unused)
SCOPE: Scope = {"type": "http", "method": "GET", "path": "/x"}


def observe(app: Any, clock: Callable[[], float], scope: Scope, metrics: ServiceMetrics) -> None:
    async def receive() -> Any:
        return {"type": "http.request"}

    async def send(message: Any) -> None:
        """Accept a response."""

    asyncio.run(Observation(app, series=metrics.series, clock=clock)(scope, receive, send))


def test_the_duration_runs_from_when_the_server_read_the_request(clock: Any, tmp_path: Path) -> None:
    """Read at 0 s, started at 0.5 s, finished at 2 s: 2 s, in the buckets from 2.47 s on."""
    metrics = ServiceMetrics([ENDPOINT], version="1", data_dir=tmp_path)
    read_at_s = clock.now_s
    clock.now_s += 0.5

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        clock.now_s += 1.5
        await send({"type": "http.response.start", "status": 418})

    observe(app, clock, {**SCOPE, RECEIVED_AT: read_at_s}, metrics)
    text = metrics.exposition().decode()
    assert 'http_request_duration_seconds_sum{endpoint="/x",method="GET"} 2.0' in text
    assert 'le="1.97215",method="GET"} 0.0' in text
    assert 'le="2.46519",method="GET"} 1.0' in text
    assert 'http_requests_total{endpoint="/x",method="GET",status="418"} 1.0' in text


def test_an_endpoint_that_breaks_counts_as_500(clock: Any, tmp_path: Path) -> None:
    metrics = ServiceMetrics([ENDPOINT], version="1", data_dir=tmp_path)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        observe(app, clock, SCOPE, metrics)
    assert 'http_requests_total{endpoint="/x",method="GET",status="500"} 1.0' in metrics.exposition().decode()
