"""The sources of Bellwether's own metrics, and the observers of loads."""

from pathlib import Path

import pytest

from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.http.annotation_webhook import AnnotationWebhook
from include.perf.adapters.wiring.environment import build_outside, metrics_sources
from include.perf.adapters.wiring.storage import Storage
from include.perf.monitoring.rule_limits import LIMITS_FILE, CellLimits, RuleLimits, format_limits
from tests.fakes.metrics import FakeMetrics
from tests.loads import sent_load

LIMITS = RuleLimits(
    cells=(CellLimits(service="a", scenario="b", environment="staging", baseline_version=1, metrics={}),)
)


@pytest.fixture(autouse=True)
def _in_a_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Give the test its own results and baselines."""
    for name in ("ALERTS", "INDEX", "LOAD_LOCKS", "RULES", "ANNOTATIONS_URL"):
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))


def test_loads_are_logged_next_to_the_results(tmp_path: Path) -> None:
    """Processes that share the results see them; the folder does not count as a run."""
    Storage().load_log().load_began(sent_load())
    assert Storage().load_log().latest() == (sent_load(),)
    assert [path.name for path in (tmp_path / "results").iterdir()] == [".load-log"]
    assert metrics_sources(Storage()).loads.latest() == (sent_load(),)


def test_every_load_is_logged_and_announced() -> None:
    """By the command line as well as by Airflow."""
    log, webhook = build_outside(FakeMetrics({}), storage=Storage()).observers
    assert (type(log), type(webhook)) == (LoadLog, AnnotationWebhook)


@pytest.mark.parametrize("named", [True, False])
def test_the_limits_are_those_of_the_rules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, named: bool) -> None:
    """In the configured folder or next to the baselines; without rules there are none."""
    folder = tmp_path / ("named" if named else "rules")
    if named:
        monkeypatch.setenv("BELLWETHER_RULES", str(folder))
    assert metrics_sources(Storage()).limits() is None
    folder.mkdir()
    (folder / LIMITS_FILE).write_bytes(format_limits(LIMITS))
    assert metrics_sources(Storage()).limits() == LIMITS
