"""The task write_rules."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from bellwether import upkeep_tasks
from bellwether.wiring import airflow_rule_writer

from include.perf.adapters.metrics.prometheus_rules import PrometheusRules
from include.perf.adapters.wiring.storage import Storage
from include.perf.alerts.book import Event
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.perf.monitoring.rules_in_tests import baseline
from tests.plugins.conftest import StandIn
from tests.socket_servers import free_port


@pytest.fixture(autouse=True)
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for rules, an approved baseline, a promtool that accepts everything, and no Prometheus."""
    (tmp_path / "catalogue").mkdir()
    promtool = tmp_path / "promtool"
    promtool.write_text("#!/bin/sh\n", encoding="utf-8")
    promtool.chmod(0o755)
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path / "catalogue")))
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    monkeypatch.setenv("BELLWETHER_RULES", str(tmp_path / "rules"))
    monkeypatch.setenv("BELLWETHER_PROMTOOL", str(promtool))
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", f"http://127.0.0.1:{free_port()}")
    entry = replace(baseline(), expires_at=datetime(2126, 1, 1, tzinfo=UTC))
    Storage().baselines().update(lambda baselines: baselines.entries.update({"orders-service": {"calm": entry}}))
    return tmp_path / "rules"


def test_rules_are_written_and_changed_limits_reported_once(rules: Path, bot: StandIn) -> None:
    """In the operators' channel; the next run has nothing to write or report."""
    (line,) = upkeep_tasks.write_rules.function()
    assert line.startswith("orders-service under calm (baseline version 3 by ana: agreed): new limits: p50 warning ")
    assert sorted(path.name for path in rules.iterdir() if not path.name.startswith(".")) == [
        "bellwether-rules.yaml",
        "limits.json",
    ]
    (message,) = bot.messages()
    assert message["text"] == ":bell: the limits of the alert rules changed for 1 baseline"
    assert message["channel_name"] == "performance-ops"
    assert "p95 warning 477 ms, critical 500 ms" in str(message["blocks"])
    with pytest.raises(AirflowSkipException, match="the alert rules are up to date"):
        upkeep_tasks.write_rules.function()
    assert len(bot.messages()) == 1


def test_without_a_folder_nothing_is_written(monkeypatch: pytest.MonkeyPatch, rules: Path) -> None:
    """The alert rules are optional."""
    monkeypatch.delenv("BELLWETHER_RULES")
    with pytest.raises(AirflowSkipException, match="BELLWETHER_RULES is not set"):
        upkeep_tasks.write_rules.function()
    assert not rules.exists()


def test_a_wrong_entry_leaves_the_rules_as_they_are(tmp_path: Path, rules: Path, bot: StandIn) -> None:
    """Otherwise Prometheus would lose the rules of a service with a typing error in its entry."""
    upkeep_tasks.write_rules.function()
    before = (rules / "bellwether-rules.yaml").read_bytes()
    catalogue_folder(tmp_path / "catalogue", services=SERVICES.replace("$price", "$prise"))
    with pytest.raises(AirflowSkipException, match=r"^the alert rules stay as they are .*: services.yaml: orders-serv"):
        upkeep_tasks.write_rules.function()
    assert (rules / "bellwether-rules.yaml").read_bytes() == before


def test_rules_that_are_refused_fail_the_task(tmp_path: Path, rules: Path) -> None:
    """Nothing is written or reported, and the task says why."""
    (tmp_path / "promtool").write_text("#!/bin/sh\necho 'line 4: parse error'\nexit 1\n", encoding="utf-8")
    with pytest.raises(AirflowFailException, match="line 4: parse error"):
        upkeep_tasks.write_rules.function()
    assert not (rules / "limits.json").exists()
    assert [
        delivery.event for delivery in Storage().alerts().read().outbox if delivery.event is Event.LIMITS_CHANGED
    ] == []


@pytest.mark.parametrize(("setting", "loads"), [("", False), ("reload_rules: true\n", True)])
def test_prometheus_is_reloaded_if_the_catalogue_says_so(tmp_path: Path, setting: str, loads: bool) -> None:
    """With the credentials of its connection."""
    catalogue_folder(tmp_path / "catalogue", services=SERVICES, scenarios=SCENARIOS + setting)
    server = airflow_rule_writer().publisher.server
    assert isinstance(server, PrometheusRules) is loads
