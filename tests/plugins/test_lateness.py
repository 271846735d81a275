"""A DAG that is late: from when on, and whom it is told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DeadlineReference, SyncCallback
from bellwether.lateness import deadline_of, moment_of, tell_late

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import DeliveryError
from tests.plugins.conftest import StandIn

RUN = "scheduled__2026-03-02T03:50:00+00:00"
LATE = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
LINE = ":hourglass: market_open is late: it should have been over by 2026-03-02 08:30:00 UTC"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's own catalogue."""
    return load_catalogue()


def context(deadline: datetime | str = LATE) -> dict[str, Any]:
    """Return what Airflow gives a callback when a deadline has passed."""
    return {
        "dag_run": {"dag_id": "market_open", "dag_run_id": RUN, "state": "running"},
        "deadline": {"id": "0196", "deadline_time": deadline},
    }


# a run: warm-up, measured part, a time-out of 10 s, a minute beside it; six services, and four of them twice more
@pytest.mark.parametrize(
    ("scenario", "run_s", "rounds"),
    [
        ("market_open", 60 + 900 + 10 + 60, 6 + 8),  # one after another
        ("normal_trading", 60 + 1800 + 10 + 60, 6 + 8),
        ("overnight_processing", 60 + 3600 + 10 + 60, 2 + 2),  # four at a time
    ],
)
def test_it_is_late_when_it_takes_longer_than_it_may(
    catalogue: Catalogue, scenario: str, run_s: int, rounds: int
) -> None:
    """All runs and all re-runs, and 20 minutes for the rest; since it was queued."""
    alert = deadline_of(catalogue.scenario(scenario), catalogue)
    assert alert.interval == timedelta(seconds=rounds * run_s) + timedelta(minutes=20)
    assert alert.reference is DeadlineReference.DAGRUN_QUEUED_AT
    assert alert.name == "late"


def test_airflow_can_find_what_it_is_to_call(catalogue: Catalogue) -> None:
    """By its path, in another process, with the scenario beside the context."""
    callback = deadline_of(catalogue.scenario("market_open"), catalogue).callback
    assert isinstance(callback, SyncCallback)
    assert (callback.path, callback.kwargs) == ("bellwether.lateness.tell_late", {"scenario": "market_open"})


@pytest.mark.parametrize("given", [LATE, "2026-03-02T08:30:00Z", "2026-03-02T09:30:00+01:00"])
def test_it_is_told_in_the_pipelines_own_channel(
    bot: StandIn, monkeypatch: pytest.MonkeyPatch, given: datetime | str
) -> None:
    """One message, with a link to the run; nobody who owns a service is woken."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    tell_late(context(given), scenario="market_open")
    (message,) = bot.messages()
    assert (message["channel_name"], message["text"]) == ("performance-ops", LINE)
    shown = str(message["blocks"])
    assert "is still going. Nothing is known about the services yet." in shown
    assert f"https://airflow.example/dags/market_open/runs/{RUN}" in shown


def test_another_duration_is_nobodys_deadline(bot: StandIn) -> None:
    """Somebody asked for a longer load and looks on."""
    asked = context()
    tell_late(asked | {"dag_run": asked["dag_run"] | {"conf": {"duration": 14_400}}}, scenario="market_open")
    assert bot.messages() == []


def test_a_message_that_cannot_be_delivered_is_an_error(bot: StandIn) -> None:
    """Airflow logs it; the run itself goes on."""
    bot.fail(kind="slack_error", error="invalid_auth", times=100)
    with pytest.raises(DeliveryError, match=r"^Slack did not take the message \(error invalid_auth\)"):
        tell_late(context(), scenario="market_open")


def test_moments_as_they_come() -> None:
    """As they are, or as text."""
    assert moment_of(LATE) is LATE
    assert moment_of("2026-03-02T08:30:00+00:00") == LATE
