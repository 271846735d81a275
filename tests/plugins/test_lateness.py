"""Late DAG runs: their deadline and their alert."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DeadlineReference, SyncCallback
from bellwether.lateness import alert_late, deadline_of, moment_of, tell_late

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import DeliveryError
from tests.plugins.conftest import StandIn

RUN = "scheduled__2026-03-02T03:50:00+00:00"
LATE = datetime(2026, 3, 2, 8, 30, tzinfo=UTC)
LINE = ":hourglass: market_open is late: it should have finished by 2026-03-02 08:30:00 UTC"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's catalogue."""
    return load_catalogue()


def context(deadline: datetime | str = LATE) -> dict[str, Any]:
    """Return the context that Airflow passes to a callback when a deadline has passed."""
    return {
        "dag_run": {"dag_id": "market_open", "dag_run_id": RUN, "state": "running"},
        "deadline": {"id": "0196", "deadline_time": deadline},
    }


# a run: warm-up, measured part, a timeout of 10 s and one minute more; six services, four of them re-run twice
@pytest.mark.parametrize(
    ("scenario", "run_s", "rounds"),
    [
        ("market_open", 60 + 900 + 10 + 60, 6 + 8),  # one after another
        ("normal_trading", 60 + 1800 + 10 + 60, 6 + 8),
        ("overnight_processing", 60 + 3600 + 10 + 60, 2 + 2),  # four at a time
    ],
)
def test_the_deadline_is_the_longest_duration(catalogue: Catalogue, scenario: str, run_s: int, rounds: int) -> None:
    """All runs and re-runs and 20 minutes, counted from when the DAG run was queued."""
    alert = deadline_of(catalogue.scenario(scenario), catalogue)
    assert alert.interval == timedelta(seconds=rounds * run_s) + timedelta(minutes=20)
    assert alert.reference is DeadlineReference.DAGRUN_QUEUED_AT
    assert alert.name == "expected end"


def test_airflow_finds_the_callback(catalogue: Catalogue) -> None:
    """By its path, in another process; also by the path that earlier versions stored."""
    callback = deadline_of(catalogue.scenario("market_open"), catalogue).callback
    assert isinstance(callback, SyncCallback)
    assert (callback.path, callback.kwargs) == ("bellwether.lateness.alert_late", {"scenario": "market_open"})
    assert tell_late is alert_late


@pytest.mark.parametrize("given", [LATE, "2026-03-02T08:30:00Z", "2026-03-02T09:30:00+01:00"])
def test_the_alert_goes_into_the_operators_channel(
    bot: StandIn, monkeypatch: pytest.MonkeyPatch, given: datetime | str
) -> None:
    """One message with a link to the run, in no channel of a service."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    alert_late(context(given), scenario="market_open")
    (message,) = bot.messages()
    assert (message["channel_name"], message["text"]) == ("performance-ops", LINE)
    shown = str(message["blocks"])
    assert "is still running. There are no results about the services yet." in shown
    assert f"https://airflow.example/dags/market_open/runs/{RUN}" in shown


@pytest.mark.parametrize("state", ["failed", "success"])
def test_a_run_that_has_ended_is_not_late(bot: StandIn, state: str) -> None:
    """Airflow keeps the deadline of a run that failed; at the deadline it is long over."""
    given = context()
    alert_late(given | {"dag_run": given["dag_run"] | {"state": state}}, scenario="market_open")
    assert bot.messages() == []


def test_a_repeated_callback_alerts_once(bot: StandIn) -> None:
    """Airflow may call it again after a crash."""
    alert_late(context(), scenario="market_open")
    alert_late(context(), scenario="market_open")
    assert len(bot.messages()) == 1


def test_a_requested_duration_has_no_deadline(bot: StandIn) -> None:
    """Somebody requested a longer load and watches it."""
    given = context()
    alert_late(given | {"dag_run": given["dag_run"] | {"conf": {"duration": 14_400}}}, scenario="market_open")
    assert bot.messages() == []


def test_a_message_that_cannot_be_delivered_is_an_error(bot: StandIn) -> None:
    """Airflow logs it; the run continues."""
    bot.fail(kind="slack_error", error="invalid_auth", times=100)
    with pytest.raises(DeliveryError, match=r"^Slack cannot be used \(error invalid_auth\)"):
        alert_late(context(), scenario="market_open")


def test_moments_are_datetimes_or_text() -> None:
    """Text comes from Airflow's database."""
    assert moment_of(LATE) is LATE
    assert moment_of("2026-03-02T08:30:00+00:00") == LATE
