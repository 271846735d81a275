"""The alert rules evaluated by Prometheus itself.

promtool evaluates rules and alerts on given series over simulated time; a running server loads and reloads the files.
"""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client import CollectorRegistry, Gauge, Histogram, start_http_server

from include.perf.adapters.files.rules_folder import RulesFolder
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.metrics.prometheus_rules import PrometheusRules, Promtool
from include.perf.baselines.baselines import Baselines
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import RulesRefused
from include.perf.monitoring.derivation import HistogramEdges
from include.perf.monitoring.live_figures import LONG, SHORT, live
from include.perf.monitoring.names import NAMESPACE, family
from include.perf.monitoring.rule_groups import RULES_FILE, rule_groups, rules_text
from include.perf.monitoring.rule_writer import Draft, Publisher, draft
from tests.perf.monitoring.rules_in_tests import baseline
from tests.socket_servers import PROJECT, child, eventually, free_port, prometheus_with

pytestmark = pytest.mark.integration

TOKEN = "metrics-token-of-this-test"
NOW = datetime(2026, 3, 2, tzinfo=UTC)
SERVICE = "trading-gateway-service"
OWN = f'service="{SERVICE}",environment="staging"'
P95 = family("alert_limit", "latency_p95")
HIGH = "BellwetherLatencyP95High"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's catalogue with one service only: the time that promtool takes depends on the number of rules."""
    shipped = load_catalogue()
    return replace(shipped, services={SERVICE: shipped.services[SERVICE]})


@pytest.fixture(scope="module")
def complete() -> Draft:
    """The rules of the project with limits of every kind: approved, candidate, capped by a hard limit, omitted."""
    catalogue = load_catalogue()
    services = dict(catalogue.services)
    services[SERVICE] = services[SERVICE].model_copy(update={"hard_limits": {"latency_p95": 0.3, "error_rate": 0.02}})
    scenarios = dict.fromkeys(catalogue.scenarios, baseline())
    entries = {name: scenarios | {"market_open": baseline(3), "overnight_processing": baseline(1)} for name in services}
    return draft(Baselines(entries=entries), replace(catalogue, services=services), edges=lambda _: (), now=NOW)


def test_the_rules_of_the_project_pass_promtool_and_their_own_tests(complete: Draft) -> None:
    """All services have realistic limits; one baseline is beyond its hard limit."""
    Promtool().check(complete.rules, complete.tests, name=RULES_FILE)
    assert len(complete.limits.cells) == 6 * 3


def test_without_any_baseline_the_rules_pass_as_well(catalogue: Catalogue) -> None:
    """The rules exist before the first promotion, and are tested with made-up limits only."""
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
    ids=["reversed", "any environment", "too soon", "too late", "too patient"],
)
def test_the_tests_of_the_rules_find_mistakes(catalogue: Catalogue, right: str, wrong: str) -> None:
    """Otherwise passing tests would prove nothing."""
    empty = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    changed = empty.rules.replace(right.encode(), wrong.encode())
    assert changed != empty.rules
    with pytest.raises(RulesRefused, match="a test of the rules fails"):
        Promtool().check(changed, empty.tests, name=RULES_FILE)


def evaluate(
    catalogue: Catalogue, series: Mapping[str, str], expected: Mapping[str, Mapping[str, float]], *, at: int
) -> None:
    """Let promtool evaluate the rules on raw series and check queries.

    Args:
        expected: the complete results of the queries: values by labels, by query.
        at: when the queries are evaluated, in minutes.
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
    """Return the counters of a service.

    Args:
        per_minute: requests per minute up to each bucket bound.
        failed: failed requests per minute.
    """
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
    """Return a limit of the service as our own metrics export it, with the labels that a scrape adds."""
    labels = f'{OWN},scenario="{scenario}",severity="{severity}",instance="airflow:8080",job="bellwether"'
    return f"{family('alert_limit', metric)}{{{labels}}}", f"{value}+0x70"


def own(metric: str, scenario: str, values: str) -> tuple[str, str]:
    """Return another of our own metrics."""
    return f'{NAMESPACE}_{metric}{{{OWN},scenario="{scenario}",job="bellwether"}}', values


def applicable(metric: str = "latency_p95") -> str:
    """Return the query of the applicable limits by severity."""
    return f"sum by (severity) (service_environment:{family('alert_limit', metric)}:applicable)"


FIGURES = {"0.1": 300, "0.2": 540, "0.4": 600, "+Inf": 600}
"""600 requests per minute: 50 % within 0.1 s, 90 % within 0.2 s; the p95 is in the middle of 0.2 … 0.4 s."""


def test_figures_are_recorded_from_the_metrics_of_services(catalogue: Catalogue) -> None:
    """600 requests per minute with a p95 of 0.3 s, of which 12 fail: 9.8/s succeed, and 2 % fail."""
    series = requests_of(FIGURES, failed=12)
    evaluate(
        catalogue,
        series,
        {f"round({live('latency_p95', window)}, 0.0001)": {f"{{{OWN}}}": 0.3} for window in (SHORT, LONG)}
        | {
            f"round({live('throughput', SHORT)}, 0.0001)": {f"{{{OWN}}}": 9.8},
            f"round({live('error_rate', LONG)}, 0.0001)": {f"{{{OWN}}}": 0.02},
        },
        at=40,
    )


def test_too_few_requests_give_no_figure(catalogue: Catalogue) -> None:
    """At 15 requests per minute, five minutes have too few for a p95 (75), thirty minutes have enough (450)."""
    series = requests_of({"0.1": 0, "0.2": 15, "0.4": 15, "+Inf": 15})
    expected = {
        live("latency_p95", SHORT): {},
        f"count({live('latency_p95', LONG)})": {"{}": 1.0},
        live("error_rate", SHORT): {},
        f"count({live('throughput', SHORT)})": {"{}": 1.0},
    }
    evaluate(catalogue, series, expected, at=40)


def test_without_a_load_the_most_lenient_limit_applies(catalogue: Catalogue) -> None:
    """It is unknown which scenario the traffic resembles."""
    series = dict([limit(0.2, "market_open"), limit(0.5, "high_volatility")])
    evaluate(catalogue, series, {applicable(): {'{severity="warning"}': 0.5}}, at=5)


def test_while_a_load_runs_its_limit_applies(catalogue: Catalogue) -> None:
    """From minute 10 to 20, the load of market_open runs, and only its limit applies."""
    series = dict([limit(0.2, "market_open"), limit(0.5, "high_volatility")])
    series |= dict(
        [own("load_running", "market_open", "0x9 1+0x9 0x20"), own("load_running", "high_volatility", "0x60")]
    )
    for minute, limit_s in ((9, 0.5), (15, 0.2), (25, 0.5)):
        evaluate(catalogue, series, {applicable(): {'{severity="warning"}': limit_s}}, at=minute)


def test_a_load_without_limits_fires_no_alert(catalogue: Catalogue) -> None:
    """The first run of a heavy scenario is not compared with the limit of a light one."""
    series = dict([limit(0.2, "market_open"), own("load_running", "high_volatility", "1+0x60")])
    evaluate(catalogue, series, {applicable(): {}}, at=5)


def test_an_expired_baseline_has_no_critical_limit(catalogue: Catalogue) -> None:
    """It expires at minute 10; its warning limit remains."""
    series = dict([limit(0.2, "market_open"), limit(0.3, "market_open", "critical")])
    series |= dict([own("baseline_expiry_timestamp_seconds", "market_open", "600+0x60")])
    evaluate(catalogue, series, {applicable(): {'{severity="warning"}': 0.2, '{severity="critical"}': 0.3}}, at=9)
    evaluate(catalogue, series, {applicable(): {'{severity="warning"}': 0.2}}, at=11)


def test_throughput_has_a_limit_only_while_a_load_fills_the_window(catalogue: Catalogue) -> None:
    """There is little traffic without a load, and in the first five minutes of a load."""
    series = dict([limit(400, "market_open", metric="throughput")])
    series |= dict([own("load_running", "market_open", "0x9 1+0x9 0x40")])
    series |= dict([own("load_start_timestamp_seconds", "market_open", "600+0x60")])
    for minute, limits in ((5, {}), (12, {}), (16, {'{severity="warning"}': 400.0}), (25, {})):
        evaluate(catalogue, series, {applicable("throughput"): limits}, at=minute)


def test_raw_series_lead_to_an_alert_after_ten_minutes(catalogue: Catalogue) -> None:
    """A p95 of 0.3 s is above its limit of 0.25 s: the alert is pending at once, and fires after ten minutes."""
    series = requests_of(FIGURES) | dict([limit(0.25, "market_open")])
    alert = f'alertname="{HIGH}",severity="warning",{OWN}'
    pending = f'ALERTS{{{alert},alertstate="pending"}}'
    firing = f'ALERTS{{{alert},alertstate="firing"}}'
    evaluate(catalogue, series, {f'ALERTS{{alertname="{HIGH}"}}': {pending: 1.0}}, at=8)
    evaluate(catalogue, series, {f'ALERTS{{alertname="{HIGH}"}}': {firing: 1.0}}, at=15)


def test_limits_of_staging_do_not_apply_to_production(catalogue: Catalogue) -> None:
    """The service is slow in production: there is no figure of it and no alert."""
    series = {name.replace('"staging"', '"production"'): values for name, values in requests_of(FIGURES).items()}
    evaluate(
        catalogue, series | dict([limit(0.1, "market_open")]), {"ALERTS": {}, live("latency_p95", SHORT): {}}, at=30
    )


# A running Prometheus


class Exporter:
    """Exports the metrics of a slow service and our own."""

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
        """Count requests of 0.3 s."""
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
    """Run a Prometheus that scrapes the exporter and loads the rules in a folder."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "rule_files": [str(folder / "rules" / "*.yaml")],
        "scrape_configs": [
            {"job_name": "all", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        ],
    }
    with prometheus_with(folder, config, options=options) as url:
        yield url


@contextlib.contextmanager
def started_as_in_production(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Run a Prometheus as the production stack starts it; yield its URL and the process of the script."""
    rules = folder / "rules"
    rules.mkdir()
    config = {"rule_files": [f"{rules}/*.yaml"], "scrape_configs": []}
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")
    own = free_port()
    arguments = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    arguments += [f"--web.listen-address=127.0.0.1:{own}"]
    command = ["sh", str(PROJECT / "compose/prometheus/start.sh"), str(rules), str(folder / "token"), "prometheus"]
    environment = os.environ | {"BELLWETHER_METRICS_TOKEN": TOKEN}
    with child(*command, *arguments, env=environment, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{own}"
        try:
            eventually(lambda: is_ready(url), within_s=60)
            yield url, process
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):  # the script has ended, and Prometheus with it
                for own in psutil.Process(process.pid).children(recursive=True):
                    own.kill()


def is_ready(url: str) -> bool:
    """Whether a Prometheus answers."""
    try:
        return requests.get(f"{url}/-/ready", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def publish(url: str, folder: Path, made: Draft) -> None:
    """Write the rules and reload Prometheus."""
    publisher = Publisher(
        store=RulesFolder(folder / "rules"), checker=Promtool(), server=PrometheusRules(url), wait=time.sleep
    )
    publisher.publish(lambda _: made)


def answered(url: str, path: str) -> Any:
    """Return a response of Prometheus' API."""
    return requests.get(f"{url}/api/v1/{path}", timeout=10).json()["data"]


def test_loaded_rules_alert_to_a_slow_service(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """All rules are loaded and evaluated without errors, and the pending alert shows values with units."""
    exporter.limit.labels(SERVICE, "market_open", "staging", "warning").set(0.25)
    exporter.slow_requests(1)  # rate() ignores the first value of a series
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
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}  # some groups may not have been evaluated yet
        assert [rule for rule in rules if rule.get("lastError")] == []


def test_bounds_come_from_the_running_service(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """Prometheus is queried for the buckets."""
    exporter.slow_requests(1)
    with running(tmp_path, port=exporter.port) as url:
        edges = HistogramEdges(source=Prometheus(url), clock=lambda: datetime.now(UTC), before={})
        service = catalogue.services[SERVICE]
        assert eventually(lambda: edges(service), within_s=20) == [0.1, 0.2, 0.4]


def test_a_refused_reload_changes_nothing(tmp_path: Path, exporter: Exporter, catalogue: Catalogue) -> None:
    """Prometheus refuses to reload because another file is broken, and our previous file is restored."""
    first = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    second = replace(first, rules=first.rules + b"# another version\n")
    with running(tmp_path, port=exporter.port) as url:
        publish(url, tmp_path, first)
        (tmp_path / "rules" / "other.yaml").write_text("groups: [{name: broken, rules: [{record: 1x}]}]", "utf-8")
        with pytest.raises(RulesRefused, match="rejected its configuration: 500: failed to reload"):
            publish(url, tmp_path, second)
        assert (tmp_path / "rules" / RULES_FILE).read_bytes() == first.rules


def test_a_prometheus_that_loads_rules_on_its_own(tmp_path: Path, catalogue: Catalogue) -> None:
    """Started by the script of the production stack, it takes no orders over HTTP, and has the new rules in seconds."""
    made = draft(Baselines(), catalogue, edges=lambda _: (), now=NOW)
    with started_as_in_production(tmp_path) as (url, process):
        assert (tmp_path / "token").read_text(encoding="utf-8") == TOKEN
        (server,) = (own for own in psutil.Process(process.pid).children() if own.name() == "prometheus")
        assert TOKEN not in Path(f"/proc/{server.pid}/environ").read_text(encoding="utf-8")
        for order in ("reload", "quit"):
            assert requests.post(f"{url}/-/{order}", timeout=10).status_code == 403
        publish(url, tmp_path, made)
        changed = replace(made, rules=made.rules.replace(b"for: 10m", b"for: 11m"))
        (tmp_path / "rules" / RULES_FILE).write_bytes(changed.rules)
        eventually(lambda: '"duration":660' in requests.get(f"{url}/api/v1/rules", timeout=10).text, within_s=60)
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert (tmp_path / "rules" / RULES_FILE).read_bytes() == changed.rules
