"""Which scenarios should have run by now."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.perf.model.json_files import to_json
from include.perf.pipeline.planning.overdue import overdue
from include.perf.runs.dag_run import Overdue
from include.perf.runs.record import Verdict
from tests.fakes.small_catalogue import small_scenario
from tests.fakes.small_platform import Platform
from tests.records import record_of

LONG_AGO = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
NIGHTLY = {"cron": "0 22 * * *", "timezone": "UTC"}
DUE = datetime.fromisoformat("2026-03-02T22:00:00+00:00")
# 2 h of patience, and (15 s of load + 10 s drain + 60 s) × 3 for a run and its two re-runs: 2 h 4 min 15 s
MISSED_AT = DUE + timedelta(hours=2, minutes=4, seconds=15)


def found(platform: Platform, now: datetime, *, since: datetime = LONG_AGO, **scenario: Any) -> Overdue | None:
    """Look at a nightly scenario."""
    made = small_scenario(**({"schedule": NIGHTLY} | scenario))
    platform.catalogue = replace(platform.catalogue, scenarios={made.name: made})
    return overdue(made, platform.catalogue, platform.store, since=since, now=now)


def ran(platform: Platform, at: datetime, verdict: Verdict = Verdict.PASS) -> None:
    """Leave the record of a run."""
    uri = platform.store.create(service="orders-service", scenario="brief", run_id=f"{at:%Y%m%dT%H%M%SZ}-aaaaaa")
    platform.store.write(uri, "run.json", to_json(replace(record_of(verdict), started_at=at)))


def test_a_night_that_did_not_come(platform: Platform) -> None:
    """At the last moment it may still come; a second later it is missed."""
    ran(platform, DUE - timedelta(days=1))
    assert found(platform, MISSED_AT - timedelta(seconds=1)) is None
    assert found(platform, MISSED_AT) == Overdue(due_at=DUE, last_run_at=DUE - timedelta(days=1))


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.INVALID, Verdict.SKIPPED])
def test_a_night_that_came(platform: Platform, verdict: Verdict) -> None:
    """Whatever came of it is told elsewhere."""
    ran(platform, DUE + timedelta(minutes=1), verdict)
    assert found(platform, MISSED_AT) is None


def test_a_run_without_a_record_is_no_run(platform: Platform) -> None:
    """It was planned, and never came to its end."""
    platform.store.create(service="orders-service", scenario="brief", run_id=f"{DUE:%Y%m%dT%H%M%SZ}-bbbbbb")
    ran(platform, DUE - timedelta(days=1))
    assert found(platform, MISSED_AT) == Overdue(due_at=DUE, last_run_at=DUE - timedelta(days=1))


def test_before_anybody_looked_nothing_was_missed(platform: Platform) -> None:
    """A pipeline that was installed today has no nights behind it."""
    assert found(platform, MISSED_AT, since=DUE + timedelta(seconds=1)) is None
    assert found(platform, MISSED_AT, since=DUE) == Overdue(due_at=DUE, last_run_at=None)


def test_what_runs_only_when_triggered_is_never_missed(platform: Platform) -> None:
    """Nobody expects it."""
    assert found(platform, MISSED_AT, schedule=None) is None
