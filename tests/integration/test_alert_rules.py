"""The alert rules in Prometheus' own hands: promtool for what takes time, a running server for what is loaded.

Recorded figures and alerts are asked of promtool with series as a service exports them; its time costs nothing.
"""

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server

from include.perf.adapters.files.rules_folder import RulesFolder
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.metrics.prometheus_rules import PrometheusRules, Promtool
from include.perf.baselines.baselines import Baselines
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import RulesError, RulesRefused
from include.perf.monitoring.derivation import HistogramEdges
from include.perf.monitoring.live_figures import LONG, SHORT, live
from include.perf.monitoring.names import NAMESPACE, family
from include.perf.monitoring.rule_groups import RULES_FILE, rule_groups, rules_text
from include.perf.monitoring.rule_writer import Draft, Publisher, draft
from tests.perf.monitoring.rules_in_tests import baseline
from tests.socket_servers import eventually, free_port, prometheus_with

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SERVICE = "trading-gateway-service"
OWN = f'service="{SERVICE}",environment="staging"'
P95 = family("alert_limit", "latency_p95")
HIGH = "BellwetherLatencyP95High"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's own with one service: what promtool takes depends on the number of rules."""
    whole = load_catalogue()
    return replace(whole, services={SERVICE: whole.services[SERVICE]})


@pytest.fixture(scope="module")
def whole() -> Draft:
    """The rules of the project with limits of every kind: approved, candidate, capped by a hard limit, left out."""
    catalogue = load_catalogue()
    services = dict(catalogue.services)
    services[SERVICE] = services[SERVICE].model_copy(update={"hard_limits": {"latency_p95": 0.3, "error_rate": 0.02}})
    scenarios = dict.fromkeys(catalogue.scenarios, baseline())
    entries = {name: scenarios | {"market_open": baseline(3), "overnight_processing": baseline(1)} for name in services}
    return draft(Baselines(entries=entries), replace(catalogue, services=services), edges=lambda _: (), now=NOW)


def test_the_rules_of_the_project_pass_promtool_and_their_own_tests(whole: Draft) -> None:
    """All services with their real limits, also a baseline that lies beyond its hard limit."""
    Promtool().check(whole.rules, whole.tests, name=RULES_FILE)
    assert len(whole.limits.cells) == 6 * 3


def test_without_any_baseline_they_pass_as_well(catalogue: Catalogue) -> None:
    """The rules are there before the first promotion, and are tested with made-up limits alone."""
    empty = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    Promtool().check(empty.rules, empty.tests, name=RULES_FILE)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("  > on (service, environment)", "  < on (service, environment)"),
        ("  > on (service, environment)", "  > on (service) group_left ()"),
        ("for: 10m", "for: 0s"),
        ("for: 2m", "for: 20m"),
        ("vector(93600)", "vector(100000)"),
    ],
    ids=["turned around", "any environment", "too soon", "too late", "too patient"],
)
def test_the_tests_of_the_rules_find_what_is_wrong(catalogue: Catalogue, right: str, wrong: str) -> None:
    """A test that passes whatever the rules say would be worth nothing."""
    empty = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    changed = empty.rules.replace(right.encode(), wrong.encode())
    assert changed != empty.rules
    with pytest.raises(RulesRefused, match="a test of the rules fails"):
        Promtool().check(changed, empty.tests, name=RULES_FILE)


def ask(
    catalogue: Catalogue, series: Mapping[str, str], expected: Mapping[str, Mapping[str, float]], *, at: int
) -> None:
    """Have promtool evaluate the rules on raw series, and compare queries at a minute with what they must be.

    Args:
        expected: by query, the values by labels; all of them.
    """
    tests = {
        "rule_files": [RULES_FILE],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": query,
                        "eval_time": f"{at}m",
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in values.items()],
                    }
                    for query, values in expected.items()
                ],
            }
        ],
    }
    Promtool().check(rules_text(rule_groups(catalogue, now=NOW)), json.dumps(tests).encode(), name=RULES_FILE)


def requests_of(per_minute: Mapping[str, int], *, failed: int = 0, more: str = "") -> dict[str, str]:
    """Return the counters of a service: requests a minute up to each bound, and failed ones."""
    labels = f'{OWN},endpoint="/api/v1/orders",method="POST"{more}'
    buckets = {f'http_request_duration_seconds_bucket{{{labels},le="{le}"}}': n for le, n in per_minute.items()}
    total = per_minute["+Inf"]
    counters = {
        **buckets,
        f"http_request_duration_seconds_count{{{labels}}}": total,
        f'http_requests_total{{{labels},status="200"}}': total - failed,
        f'http_requests_total{{{labels},status="503"}}': failed,
    }
    return {name: f"0+{per_minute}x70" for name, per_minute in counters.items()}


def limit(value: float, scenario: str, severity: str = "warning", metric: str = "latency_p95") -> tuple[str, str]:
    """Return a limit of the service as our own metrics tell it, with the labels of a scrape."""
    labels = f'{OWN},scenario="{scenario}",severity="{severity}",instance="airflow:8080",job="bellwether"'
    return f"{family('alert_limit', metric)}{{{labels}}}", f"{value}+0x70"


def own(metric: str, scenario: str, values: str) -> tuple[str, str]:
    """Return another one of our own metrics."""
    return f'{NAMESPACE}_{metric}{{{OWN},scenario="{scenario}",job="bellwether"}}', values


def applicable(metric: str = "latency_p95") -> str:
    """Return the query of the limits that hold, by severity."""
    return f"sum by (severity) (service_environment:{family('alert_limit', metric)}:applicable)"


FIGURES = {"0.1": 300, "0.2": 540, "0.4": 600, "+Inf": 600}
"""600 a minute: half of them up to 0.1 s, 90 % up to 0.2 s; the p95 lies in the middle of 0.2 … 0.4 s."""


def test_figures_are_recorded_of_what_services_export(catalogue: Catalogue) -> None:
    """600 requests a minute, p95 0.3 s, 12 of them failed: 9.8/s succeed and 2 % fail."""
    series = requests_of(FIGURES, failed=12)
    ask(
        catalogue,
        series,
        {f"round({live('latency_p95', window)}, 0.0001)": {f"{{{OWN}}}": 0.3} for window in (SHORT, LONG)}
        | {
            f"round({live('throughput', SHORT)}, 0.0001)": {f"{{{OWN}}}": 9.8},
            f"round({live('error_rate', LONG)}, 0.0001)": {f"{{{OWN}}}": 0.02},
        },
        at=40,
    )


def test_next_to_nothing_is_no_figure(catalogue: Catalogue) -> None:
    """Of 15 requests a minute, 75 in five minutes are too few for a p95 and 450 in thirty are not; and none failed."""
    series = requests_of({"0.1": 0, "0.2": 15, "0.4": 15, "+Inf": 15})
    expected = {
        live("latency_p95", SHORT): {},
        f"count({live('latency_p95', LONG)})": {"{}": 1.0},
        live("error_rate", SHORT): {},
        f"count({live('throughput', SHORT)})": {"{}": 1.0},
    }
    ask(catalogue, series, expected, at=40)


def test_without_a_load_the_most_lenient_limit_holds(catalogue: Catalogue) -> None:
    """Nobody knows which of the scenarios the traffic is like."""
    series = dict([limit(0.2, "market_open"), limit(0.5, "high_volatility")])
    ask(catalogue, series, {applicable(): {'{severity="warning"}': 0.5}}, at=5)


def test_while_a_load_runs_its_limit_holds(catalogue: Catalogue) -> None:
    """From minute 10 to minute 20 the load of market_open runs, and its limit holds and no other."""
    series = dict([limit(0.2, "market_open"), limit(0.5, "high_volatility")])
    series |= dict(
        [own("load_running", "market_open", "0x9 1+0x9 0x20"), own("load_running", "high_volatility", "0x60")]
    )
    for minute, holds in ((9, 0.5), (15, 0.2), (25, 0.5)):
        ask(catalogue, series, {applicable(): {'{severity="warning"}': holds}}, at=minute)


def test_a_load_without_limits_wakes_nobody(catalogue: Catalogue) -> None:
    """The first run of a heavy scenario is not held to what a light one was like."""
    series = dict([limit(0.2, "market_open"), own("load_running", "high_volatility", "1+0x60")])
    ask(catalogue, series, {applicable(): {}}, at=5)


def test_an_expired_baseline_is_not_critical_any_more(catalogue: Catalogue) -> None:
    """It expires at minute 10; its warning stays."""
    series = dict([limit(0.2, "market_open"), limit(0.3, "market_open", "critical")])
    series |= dict([own("baseline_expiry_timestamp_seconds", "market_open", "600+0x60")])
    ask(catalogue, series, {applicable(): {'{severity="warning"}': 0.2, '{severity="critical"}': 0.3}}, at=9)
    ask(catalogue, series, {applicable(): {'{severity="warning"}': 0.2}}, at=11)


def test_throughput_is_told_only_while_a_load_fills_the_window(catalogue: Catalogue) -> None:
    """At night there is little traffic, and in the first five minutes of a load there is not enough yet."""
    series = dict([limit(400, "market_open", metric="throughput")])
    series |= dict([own("load_running", "market_open", "0x9 1+0x9 0x40")])
    series |= dict([own("load_start_timestamp_seconds", "market_open", "600+0x60")])
    for minute, holds in ((5, {}), (12, {}), (16, {'{severity="warning"}': 400.0}), (25, {})):
        ask(catalogue, series, {applicable("throughput"): holds}, at=minute)


def test_raw_series_lead_to_an_alert_after_ten_minutes(catalogue: Catalogue) -> None:
    """A p95 of 0.3 s above a limit of 0.25 s: pending at once, firing after ten minutes, with the service's labels."""
    series = requests_of(FIGURES) | dict([limit(0.25, "market_open")])
    alert = f'alertname="{HIGH}",severity="warning",{OWN}'
    pending = f'ALERTS{{{alert},alertstate="pending"}}'
    firing = f'ALERTS{{{alert},alertstate="firing"}}'
    ask(catalogue, series, {f'ALERTS{{alertname="{HIGH}"}}': {pending: 1.0}}, at=8)
    ask(catalogue, series, {f'ALERTS{{alertname="{HIGH}"}}': {firing: 1.0}}, at=15)


def test_production_is_held_to_no_limit_of_staging(catalogue: Catalogue) -> None:
    """The same service, slow in production: nothing is recorded of it, and nothing told."""
    series = {name.replace('"staging"', '"production"'): values for name, values in requests_of(FIGURES).items()}
    ask(catalogue, series | dict([limit(0.1, "market_open")]), {"ALERTS": {}, live("latency_p95", SHORT): {}}, at=30)


# A running Prometheus


class Exporter:
    """A slow service and our own metrics, as Prometheus scrapes them."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        labels = ("service", "scenario", "environment", "severity")
        self.limit = Gauge(P95, "limit", labels, registry=registry)
        self.duration = Histogram(
            "http_request_duration_seconds", "d", ("service", "environment"), buckets=(0.1, 0.2, 0.4), registry=registry
        )
        self.port = free_port()
        self._server, self._thread = start_http_server(self.port, addr="127.0.0.1", registry=registry)

    def slow_requests(self, count: int) -> None:
        """Count so many requests of 0.3 s."""
        for _ in range(count):
            self.duration.labels(SERVICE, "staging").observe(0.3)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    """An exporter that ends with the test."""
    with contextlib.closing(Exporter()) as running:
        yield running


@contextlib.contextmanager
def running(folder: Path, *, port: int, options: tuple[str, ...] = ("--web.enable-lifecycle",)) -> Iterator[str]:
    """Lend a Prometheus that scrapes the exporter and reads the rules in a folder."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(folder / "rules" / "*.yaml")],
        "scrape_configs": [
            {"job_name": "all", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    with prometheus_with(folder, config, options=options) as url:
        yield url


def publish(url: str, folder: Path, made: Draft) -> None:
    """Put a draft in place and have it loaded."""
    publisher = Publisher(
        store=RulesFolder(folder / "rules"), checker=Promtool(), server=PrometheusRules(url), wait=time.sleep
    )
    publisher.publish(lambda _: made)


def answered(url: str, path: str) -> Any:
    """Return what Prometheus answers to a question about rules or alerts."""
    return requests.get(f"{url}/api/v1/{path}", timeout=10).json()["data"]


def test_rules_are_loaded_and_tell_of_a_slow_service(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """Seen to be loaded, every rule evaluated without an error, and the alert pending with its words in human units."""
    exporter.limit.labels(SERVICE, "market_open", "staging", "warning").set(0.25)
    exporter.slow_requests(1)  # a histogram that begins with its requests would hide them from rate()
    with running(tmp_path, port=exporter.port) as url:
        eventually(lambda: answered(url, f"query?query={P95}")["result"])
        exporter.slow_requests(1000)
        publish(url, tmp_path, draft(Baselines(), catalogue, edges=lambda _: (), now=NOW))
        alert = eventually(lambda: answered(url, "alerts")["alerts"], within_s=120, every_s=0.5)[0]
        assert (alert["state"], alert["labels"]) == (
            "pending",
            {"alertname": HIGH, "severity": "warning", "service": SERVICE, "environment": "staging"},
        )
        assert alert["annotations"]["summary"] == f"Latency p95 of {SERVICE} (staging) is 390ms"
        assert alert["annotations"]["description"].startswith(
            "It is above its warning limit of 250ms over the last 5m."
        )
        rules = [rule for group in answered(url, "rules")["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # not every group had its turn yet
        assert [rule for rule in rules if rule.get("lastError")] == []


def test_bounds_are_those_of_the_running_service(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """Prometheus is asked which buckets there are."""
    exporter.slow_requests(1)
    with running(tmp_path, port=exporter.port) as url:
        edges = HistogramEdges(source=Prometheus(url), clock=lambda: datetime.now(UTC), before={})
        service = catalogue.services[SERVICE]
        assert eventually(lambda: edges(service), within_s=20) == [0.1, 0.2, 0.4]


def test_a_refused_reload_leaves_all_as_it_was(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """Another file of the same Prometheus is broken: it refuses everything, and our old file is back in its place."""
    first = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    second = replace(first, rules=first.rules + b"# another version\n")
    with running(tmp_path, port=exporter.port) as url:
        publish(url, tmp_path, first)
        (tmp_path / "rules" / "other.yaml").write_text("groups: [{name: broken, rules: [{record: 1x}]}]", "utf-8")
        with pytest.raises(RulesRefused, match="rejected its configuration: 500: failed to reload"):
            publish(url, tmp_path, second)
        assert (tmp_path / "rules" / RULES_FILE).read_bytes() == first.rules


def test_a_prometheus_that_may_not_be_reloaded(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """Without the option the rules are in place, and it is said what is missing."""
    made = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    with (
        running(tmp_path, port=exporter.port, options=()) as url,
        pytest.raises(RulesError, match=r"start it with --web\.enable-lifecycle"),
    ):
        publish(url, tmp_path, made)
    assert (tmp_path / "rules" / RULES_FILE).read_bytes() == made.rules
