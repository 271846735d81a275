"""The content of the rules file; promtool tests its behaviour."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.metric import METRICS
from include.perf.monitoring.rule_alerts import alert_name, alerts
from include.perf.monitoring.rule_groups import DIGEST_RECORD, digest_of, rule_groups, rules_text
from include.perf.monitoring.rule_limits import CellLimits
from include.perf.monitoring.rule_tests import rule_tests
from tests.fakes.small_catalogue import small_catalogue, small_scenario, small_service
from tests.perf.monitoring.rules_in_tests import cell_limits

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """One service under two scenarios, one of them nightly."""
    nightly = small_scenario(name="nightly", schedule={"cron": "0 22 * * *"})
    small = small_catalogue(tmp_path)
    return replace(small, scenarios={**small.scenarios, "nightly": nightly})


def rules_of(catalogue: Catalogue) -> list[dict[str, Any]]:
    """Return all rules of the file."""
    document = yaml.safe_load(rules_text(rule_groups(catalogue, now=NOW)))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_metric_has_a_warning_and_a_critical_alert(catalogue: Catalogue) -> None:
    """Baselines, runs and limits have one alert each; all have annotations."""
    found = [rule for rule in rules_of(catalogue) if "alert" in rule]
    assert sorted((rule["alert"], rule["labels"]["severity"]) for rule in found) == sorted(
        [(alert_name(metric), severity) for metric in METRICS.values() for severity in ("warning", "critical")]
        + [(f"Bellwether{name}", "warning") for name in ("BaselineTooOld", "NoRun", "LimitsAbsent", "StateOld")]
    )
    assert {frozenset(rule["annotations"]) for rule in found} == {frozenset({"summary", "description", "runbook"})}
    assert (alert_name(METRICS["throughput"]), alert_name(METRICS["cpu_usage"])) == (
        "BellwetherThroughputLow",
        "BellwetherCpuUsageHigh",
    )


def test_rules_hold_no_limits(catalogue: Catalogue) -> None:
    """Limits are gauges; the rules depend only on the catalogue and the year."""
    groups = rule_groups(catalogue, now=NOW)
    assert rules_text(groups) == rules_text(rule_groups(catalogue, now=datetime(2026, 11, 30, tzinfo=UTC)))
    other = replace(catalogue, services={"orders-service": small_service(environment="lab")})
    assert digest_of(rule_groups(other, now=NOW)) != digest_of(groups)
    (info,) = (rule for rule in rules_of(catalogue) if rule.get("record") == DIGEST_RECORD)
    assert info["labels"] == {"digest": digest_of(groups)}


def test_only_scheduled_scenarios_have_a_longest_pause(catalogue: Catalogue) -> None:
    """26 h for the nightly scenario; manual ones have none."""
    pauses = [rule for rule in rules_of(catalogue) if rule.get("record") == "scenario:bellwether_longest_pause_seconds"]
    assert [(rule["labels"]["scenario"], rule["expr"]) for rule in pauses] == [("nightly", "vector(93600)")]


def fired_in(tests: bytes) -> set[tuple[str, str]]:
    """Return the alerts that any test expects to fire, with their severity."""
    samples = [
        sample["labels"]
        for test in yaml.safe_load(tests)["tests"]
        for query in test["promql_expr_test"]
        for sample in query["exp_samples"]
    ]
    return {
        (alert.name, alert.labels["severity"])
        for alert in alerts()
        for labels in samples
        if f'alertname="{alert.name}"' in labels
        and (f'severity="{alert.labels["severity"]}"' in labels or "severity=" not in labels)
    }


@pytest.mark.parametrize("cells", [(), (cell_limits(),)], ids=["no baseline", "one"])
def test_every_alert_has_a_test_in_which_it_fires(catalogue: Catalogue, cells: tuple[CellLimits, ...]) -> None:
    """With and without limits."""
    tests = rule_tests("rules.yaml", cells, rule_groups(catalogue, now=NOW))
    assert fired_in(tests) == {(alert.name, alert.labels["severity"]) for alert in alerts()}


def test_multi_line_text_is_written_as_a_block(catalogue: Catalogue) -> None:
    """People read and compare the file."""
    text = rules_text(rule_groups(catalogue, now=NOW)).decode()
    assert text.startswith("# Alert rules of Bellwether, written by `python -m include.perf rules write`")
    assert "expr: |-\n" in text
    assert "&id" not in text  # an alias
