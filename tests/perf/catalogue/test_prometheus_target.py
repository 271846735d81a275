"""The Prometheus queries for each kind of target."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.prometheus_target import COVERAGE, DEFAULTS, SERVER_METRICS, Kind, PrometheusTarget

SELECTOR = 'service="orders"'
GIB = 1024**3


def target(**settings: Any) -> PrometheusTarget:
    return PrometheusTarget.model_validate({"selector": SELECTOR} | settings)


@pytest.mark.parametrize("kind", DEFAULTS)
def test_every_kind_has_a_query_for_every_figure(kind: Kind) -> None:
    """It also has one for the coverage; no placeholder is left."""
    known = target(kind=kind)
    for name in (*SERVER_METRICS, COVERAGE):
        query = known.query(name, window="60008ms")
        assert "[60008ms]" in query
        assert SELECTOR in query
        assert "$" not in query
    assert SELECTOR in known.present


def test_a_process_is_the_default() -> None:
    """Its client library exports the figures."""
    assert target().kind == "process"
    assert target().query("cpu_usage", window="1m") == f"sum(rate(process_cpu_seconds_total{{{SELECTOR}}}[1m]))"
    assert target().started(window="1m") == f"max(max_over_time(process_start_time_seconds{{{SELECTOR}}}[1m]))"


@pytest.mark.parametrize("kind", ["container", "node"])
def test_only_a_process_has_a_start_time(kind: str) -> None:
    """The boot of a node is not a restart of the service, so there is no query."""
    assert target(kind=kind).started(window="1m") is None


def test_each_query_can_be_replaced() -> None:
    """The other queries of the kind are kept."""
    own = target(kind="node", queries={"coverage": "count_over_time(mine{$selector}[$window])"})
    assert own.query("coverage", window="9s") == f"count_over_time(mine{{{SELECTOR}}}[9s])"
    assert own.query("cpu_usage", window="9s") == target(kind="node").query("cpu_usage", window="9s")


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "pod"}, "Input should be 'process', 'container' or 'node'"),
        ({"queries": {"coverage": "up{$selector}"}}, r"the query of coverage must count over \[\$window\], but is 'up"),
        ({"queries": {"cpu_usage": "rate(x[5m])"}}, r"the query of cpu_usage must average over \[\$window\], but is"),
        ({"queries": {"latency": "x[$window]"}}, "'latency' is not a server-side metric; known: cpu_usage, "),
    ],
)
def test_invalid_settings_are_reported(settings: dict[str, Any], problem: str) -> None:
    """The message contains the rule and the value."""
    with pytest.raises(ValidationError, match=problem):
        target(**settings)


CONTAINER = 'service="orders",image="orders:1",container="orders"'
POD = 'service="orders",image="",container=""'
PAUSE = 'service="orders",image="pause:3",container="POD"'
NODE = 'service="orders",instance="n1"'
ROOT = f'{NODE},mountpoint="/"'

SERIES = {
    # A container of 0.5 cores on two processors, what Kubernetes sums over its pod, and the pod's network.
    f'container_cpu_usage_seconds_total{{{CONTAINER},cpu="cpu00"}}': "0+1.5x120",  # each 5 s
    f'container_cpu_usage_seconds_total{{{CONTAINER},cpu="cpu01"}}': "0+1x120",
    f"container_cpu_usage_seconds_total{{{POD}}}": "0+2.6x120",
    f"container_cpu_usage_seconds_total{{{PAUSE}}}": "0+0.1x120",
    f"container_memory_working_set_bytes{{{CONTAINER}}}": f"{GIB}x120",
    f"container_memory_working_set_bytes{{{POD}}}": f"{2 * GIB}x120",
    f"container_memory_working_set_bytes{{{PAUSE}}}": "1000x120",
    f'container_fs_usage_bytes{{{CONTAINER},device="a"}}': "30x120",
    f'container_fs_limit_bytes{{{CONTAINER},device="a"}}': "100x120",
    f'container_fs_usage_bytes{{{CONTAINER},device="b"}}': "90x120",
    f'container_fs_limit_bytes{{{CONTAINER},device="b"}}': "0x120",  # no limit
    # A node of two processors: 0.2 + 0.1 + 0.05 cores busy, the rest idle, waiting or given away.
    f'node_cpu_seconds_total{{{NODE},cpu="0",mode="user"}}': "0+1x120",
    f'node_cpu_seconds_total{{{NODE},cpu="1",mode="system"}}': "0+0.5x120",
    f'node_cpu_seconds_total{{{NODE},cpu="1",mode="softirq"}}': "0+0.25x120",
    f'node_cpu_seconds_total{{{NODE},cpu="0",mode="idle"}}': "0+3x120",
    f'node_cpu_seconds_total{{{NODE},cpu="0",mode="iowait"}}': "0+0.5x120",
    f'node_cpu_seconds_total{{{NODE},cpu="1",mode="steal"}}': "0+2x120",
    f"node_memory_MemTotal_bytes{{{NODE}}}": f"{8 * GIB}x120",
    f"node_memory_MemAvailable_bytes{{{NODE}}}": f"{6 * GIB}x120",
    f"node_filesystem_avail_bytes{{{ROOT}}}": "25x120",
    f"node_filesystem_size_bytes{{{ROOT}}}": "100x120",
    f'node_filesystem_avail_bytes{{{NODE},mountpoint="/boot"}}': "1x120",
    f'node_filesystem_size_bytes{{{NODE},mountpoint="/boot"}}': "100x120",
}

TRUTHS = [
    ("container", "cpu_usage", 0.5),
    ("container", "memory_usage", GIB),
    ("container", "disk_usage", 0.3),
    ("container", COVERAGE, 60),  # a sample each 5 s of 299.999 s
    ("node", "cpu_usage", 0.35),
    ("node", "memory_usage", 2 * GIB),
    ("node", "disk_usage", 0.75),
    ("node", COVERAGE, 60),
]


@pytest.mark.integration
def test_the_queries_have_correct_results(tmp_path: Path) -> None:
    """Prometheus' own engine evaluates them for known series, including duplicates and other mounts."""
    checks = [
        {
            "expr": f"abs({target(kind=kind).query(name, window='299999ms')} - {value}) < bool 1e-9",
            "eval_time": "10m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for kind, name, value in TRUTHS
    ]
    series = [{"series": name, "values": values} for name, values in SERIES.items()]
    document = {"tests": [{"interval": "5s", "input_series": series, "promql_expr_test": checks}]}
    (tmp_path / "tests.yml").write_text(json.dumps(document), encoding="utf-8")  # JSON is valid YAML
    done = subprocess.run(
        ["promtool", "test", "rules", "tests.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
