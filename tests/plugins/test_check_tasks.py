"""The tasks of a dry run and of a smoke run: what they return, log and refuse."""

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
from bellwether import check_tasks
from bellwether.params import dry_run_params, smoke_params

from include.perf.catalogue.reading import load_catalogue
from include.perf.load.wire import Answered
from tests.catalogues import SERVICES, catalogue_folder
from tests.fakes.small_platform import Platform

Context = Callable[..., dict[str, Any]]

DRY_RUN = {"scenario": "all", "service": "all", "duration": None, "rate": None}


@pytest.fixture
def platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Give the tasks fakes for the outside world."""
    made = Platform(tmp_path)
    monkeypatch.setattr("bellwether.wiring.airflow_outside", lambda: made.outside)
    return made


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Context:
    """Set the Airflow context of a dry run or a smoke run."""
    catalogue = load_catalogue()

    def given(*, dag_id: str = "dry_run", **params: Any) -> dict[str, Any]:
        known = dry_run_params(catalogue) if dag_id == "dry_run" else smoke_params(catalogue)
        defaults = DRY_RUN if dag_id == "dry_run" else {"service": "all"}
        made = {
            "params": defaults | params,
            "dag": SimpleNamespace(dag_id=dag_id, params=known),
            "dag_run": SimpleNamespace(run_id="manual__1", run_type="manual", triggering_user_name="alice"),
        }
        monkeypatch.setattr(check_tasks, "task_context", lambda: made)
        return made

    return given


# A dry run


def shown() -> str:
    return str(check_tasks.preview.function())


def test_a_dry_run_returns_and_logs_what_would_be_sent(
    platform: Platform, context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    """Both contain the full text; nothing is sent or stored."""
    context(scenario="brief", service="orders", duration=20, rate=8.0)
    with caplog.at_level(logging.INFO, logger="bellwether.check_tasks"):
        text = shown()
    assert text.startswith("brief · orders-service (staging): would be sent\n")
    assert "\n  load     8/s for 20 s after 5 s of warm-up: 200 requests\n" in text
    assert [record.getMessage() for record in caplog.records] == [f"A run would send:\n{text}"]
    assert (platform.target.asked, platform.generator.orders, platform.store.runs_by_uri) == ([], [], {})


def test_a_refused_load_is_shown_and_the_task_succeeds(platform: Platform, context: Context) -> None:
    """The question is answered."""
    platform.halt_reason = "load is halted by ana: release"
    context()
    assert "would NOT be sent\n  refused: load is halted by ana: release\n" in shown()


def test_a_wrong_request_fails(platform: Platform, context: Context) -> None:
    """With all of its problems, like the plan."""
    context(rate=700, duration=5)
    with pytest.raises(AirflowFailException) as caught:
        shown()
    assert "duration_s: should be greater than or equal to 10, but is 5" in str(caught.value)


def test_a_misspelt_parameter_of_a_dry_run_fails(platform: Platform, context: Context) -> None:
    """As in every DAG."""
    context(durations=10)
    with pytest.raises(AirflowFailException) as caught:
        shown()
    assert str(caught.value) == "parameter 'durations' is unknown; known: scenario, service, duration, rate"


# A smoke run


def chosen() -> list[str]:
    found: list[str] = check_tasks.services.function()
    return found


def test_every_service_is_tried_or_only_one(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the order of the catalogue; a short name becomes the full name."""
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path)))
    context(dag_id="smoke")
    assert chosen() == ["orders-service", "engine"]
    context(dag_id="smoke", service="orders")
    assert chosen() == ["orders-service"]


def test_a_misspelt_parameter_of_a_smoke_run_fails(context: Context) -> None:
    """``servise: x`` would try all services."""
    context(dag_id="smoke", servise="orders")
    with pytest.raises(AirflowFailException, match=r"^parameter 'servise' is unknown; known: service$"):
        chosen()


def test_a_wrong_entry_fails(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the message of the catalogue. If all services are tried, the wrong one is among them, so its task fails."""
    folder = catalogue_folder(tmp_path, services=SERVICES.replace("method: GET", "method: FETCH"))
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    context(dag_id="smoke")
    assert chosen() == ["orders-service", "engine"]
    context(dag_id="smoke", service="engine")
    with pytest.raises(AirflowFailException, match=r"services\.yaml: engine"):
        chosen()


def test_a_wrong_file_fails(context: Context, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the message of the catalogue."""
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path, services="services: [")))
    context(dag_id="smoke")
    with pytest.raises(AirflowFailException, match=r"^services\.yaml: not valid YAML"):
        chosen()


def test_a_healthy_service_succeeds(platform: Platform, context: Context, caplog: pytest.LogCaptureFixture) -> None:
    """With a table in the log; the mapped task is labelled with the service."""
    given = context(dag_id="smoke")
    with caplog.at_level(logging.INFO, logger="bellwether.check_tasks"):
        check_tasks.try_service.function("orders-service")
    assert given["service_name"] == "orders-service"
    (message,) = (record.getMessage() for record in caplog.records)
    assert message.startswith("Every endpoint of orders-service answers as it should:\n| service ")
    assert "| orders-service | positions | good " in message
    assert len(platform.target.sent) == 6  # three to each of two endpoints


def test_a_failing_service_fails(platform: Platform, context: Context) -> None:
    """The last line of the log has the endpoint, the request and the answer; the task is not retried."""
    context(dag_id="smoke")
    platform.target.answers["/orders"] = Answered(status=503, body=b"maintenance")
    with pytest.raises(AirflowFailException) as caught:
        check_tasks.try_service.function("orders-service")
    message = str(caught.value)
    assert message.startswith("not every endpoint of orders-service answers as it should:\n| service ")
    assert "| orders-service | place     | 3 of 3 failed |" in message
    assert message.endswith("\nPOST /orders: HTTP 503: maintenance")


def test_a_halted_smoke_run_is_skipped(platform: Platform, context: Context) -> None:
    """The service may be fine."""
    context(dag_id="smoke")
    platform.halt_reason = "load is halted by ana: release"
    with pytest.raises(AirflowSkipException, match=r"^load is halted by ana: release$"):
        check_tasks.try_service.function("orders-service")
    assert platform.target.sent == []


def test_a_refused_host_fails(platform: Platform, context: Context) -> None:
    """Its entry in the catalogue is wrong, or its name server."""
    context(dag_id="smoke")
    platform.resolve.answers["orders-service"] = [["203.0.113.7"]]
    with pytest.raises(AirflowFailException, match=r"^load on orders-service is refused: "):
        check_tasks.try_service.function("orders-service")
    assert platform.target.sent == []
