"""Overdue scenarios."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.perf.model.errors import ItemError, StoreError
from include.perf.model.json_files import to_json
from include.perf.pipeline.planning.overdue import overdue
from include.perf.runs.dag_run import Overdue
from include.perf.runs.record import Verdict
from tests.fakes.failing import raising
from tests.fakes.small_catalogue import small_scenario
from tests.fakes.small_platform import Platform
from tests.records import record_of

LONG_AGO = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
NIGHTLY = {"cron": "0 22 * * *", "timezone": "UTC"}
DUE = datetime.fromisoformat("2026-03-02T22:00:00+00:00")
# 2 h of patience, and (15 s of load + 10 s drain + 60 s) × 3 for a run and its two re-runs: 2 h 4 min 15 s
MISSED_AT = DUE + timedelta(hours=2, minutes=4, seconds=15)


def found(platform: Platform, now: datetime, *, since: datetime = LONG_AGO, **scenario: Any) -> Overdue | None:
    """Check a nightly scenario."""
    made = small_scenario(**({"schedule": NIGHTLY} | scenario))
    platform.catalogue = replace(platform.catalogue, scenarios={made.name: made})
    return overdue(made, platform.catalogue, platform.store, since=since, now=now)


def ran(platform: Platform, at: datetime, verdict: Verdict = Verdict.PASS) -> None:
    """Store the record of a run."""
    where = {"service": "orders-service", "scenario": "brief", "run_id": f"{at:%Y%m%dT%H%M%SZ}-aaaaaa"}
    uri = platform.store.create(**where)
    platform.store.write(uri, "run.json", to_json(replace(record_of(verdict), **where, started_at=at)))


def test_a_missed_night_is_overdue(platform: Platform) -> None:
    """Not until the last moment at which it may still come."""
    ran(platform, DUE - timedelta(days=1))
    assert found(platform, MISSED_AT - timedelta(seconds=1)) is None
    assert found(platform, MISSED_AT) == Overdue(due_at=DUE, last_run_at=DUE - timedelta(days=1))


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.INVALID, Verdict.SKIPPED])
def test_a_night_with_a_record_is_not_overdue(platform: Platform, verdict: Verdict) -> None:
    """Its verdict does not matter."""
    ran(platform, DUE + timedelta(minutes=1), verdict)
    assert found(platform, MISSED_AT) is None


def test_a_run_without_a_record_does_not_count(platform: Platform) -> None:
    """It was planned, but never finished."""
    platform.store.create(service="orders-service", scenario="brief", run_id=f"{DUE:%Y%m%dT%H%M%SZ}-bbbbbb")
    ran(platform, DUE - timedelta(days=1))
    assert found(platform, MISSED_AT) == Overdue(due_at=DUE, last_run_at=DUE - timedelta(days=1))


def test_starts_before_the_deployment_are_ignored(platform: Platform) -> None:
    """A pipeline that was installed today has no nights behind it."""
    assert found(platform, MISSED_AT, since=DUE + timedelta(seconds=1)) is None
    assert found(platform, MISSED_AT, since=DUE) == Overdue(due_at=DUE, last_run_at=None)


def test_a_scenario_without_a_schedule_is_never_overdue(platform: Platform) -> None:
    """It has no expected start."""
    assert found(platform, MISSED_AT, schedule=None) is None


def test_an_unreadable_record_shows_that_the_scenario_ran(platform: Platform) -> None:
    """Its id says when; the record of an earlier night would say that tonight is missing."""
    ran(platform, DUE - timedelta(days=1))
    ran(platform, DUE)
    uri = platform.store.uri_of(service="orders-service", scenario="brief", run_id=f"{DUE:%Y%m%dT%H%M%SZ}-aaaaaa")
    platform.store.write(uri, "run.json", b"{")
    assert found(platform, MISSED_AT) is None


def test_a_folder_that_is_no_run_shows_nothing(platform: Platform) -> None:
    """Its record cannot be read, and its name has no time."""
    uri = platform.store.create(service="orders-service", scenario="brief", run_id="copy-of-run")
    platform.store.write(uri, "run.json", b"{")
    assert found(platform, MISSED_AT) == Overdue(due_at=DUE, last_run_at=None)


@pytest.mark.parametrize("error", [StoreError("stale file handle"), ItemError("cannot read the cell")])
@pytest.mark.parametrize("place", ["latest", "read"])
def test_what_cannot_be_read_is_neither_overdue_nor_on_time(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, error: StoreError, place: str
) -> None:
    """Only for a damaged record the time in its id counts."""
    ran(platform, DUE)
    monkeypatch.setattr(platform.store, place, raising(error))
    if place == "read" and isinstance(error, ItemError):
        assert found(platform, MISSED_AT) is None
        return
    with pytest.raises(type(error), match=str(error)):
        found(platform, MISSED_AT)
