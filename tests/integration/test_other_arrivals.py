"""Journeys and a locustfile, from the plan to the record, against a real service that a real Prometheus scrapes."""

import shutil
from pathlib import Path

import pytest
import yaml

from include.perf.runs.record import Verdict
from tests.integration.measured_service import DUE, measured_service, run, without_noise
from tests.socket_servers import PROJECT

pytestmark = [pytest.mark.integration, pytest.mark.alone]


def test_journeys_are_measured(tmp_path: Path) -> None:
    """One arrival in four is a journey of the docs: log in, quote, order, poll until it is filled, cancel the rest."""
    _, _, text = (PROJECT / "docs" / "journeys.md").read_text(encoding="utf-8").partition("```yaml\n")
    entry = yaml.safe_load(text.partition("```")[0]) | {"keep_alive": True}
    entry["endpoints"][0]["weight"], entry["endpoints"][1]["weight"] = 3, 1
    with measured_service(tmp_path, entry) as platform:
        measured = run(platform)
    record = measured.record
    assert without_noise(record) == []
    assert record.verdict is (Verdict.INVALID if record.validity else Verdict.NO_BASELINE)
    (journey,) = record.journeys
    assert (journey.name, journey.due) == ("order-life", DUE // 4)
    by_name = {endpoint.name: endpoint.due for endpoint in record.endpoints}
    assert by_name["positions"] == 3 * DUE // 4
    assert by_name["order-life/place"] == by_name["order-life/cancel"] == DUE // 4
    assert by_name["order-life/poll"] > DUE // 4
    assert record.load.achieved_rate_rps == pytest.approx(50, rel=0.001)
    assert record.load.failed == 0
    counted = measured.counted.observed
    assert counted["POST", "/api/v1/orders"] == DUE // 4
    assert record.metrics["cpu_usage"].value is not None


def test_a_locustfile_is_measured(tmp_path: Path) -> None:
    """The example of the docs, unchanged: every request that it reports is in the record, and reached the service."""
    shutil.copytree(PROJECT / "docs" / "examples" / "locustfiles", tmp_path / "locustfiles")
    with measured_service(tmp_path, {"locustfile": "locustfiles/gateway.py"}) as platform:
        measured = run(platform)
    record = measured.record
    assert without_noise(record) == []
    assert record.verdict is (Verdict.INVALID if record.validity else Verdict.NO_BASELINE)
    assert record.load.achieved_rate_rps == pytest.approx(50, rel=0.001)
    assert {endpoint.name for endpoint in record.endpoints} == {
        "GET quote",
        "POST order",
        "GET position",
        "GET executions",
    }
    assert record.load.failed == 0
    assert sum(measured.counted.observed.values()) == len(measured.rows) == record.load.due > DUE
    assert record.metrics["cpu_usage"].value is not None
    assert "locustfile" in record.fingerprint
