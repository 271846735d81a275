"""Starts of a schedule while the scheduler is away, on a production stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
import yaml

from include.perf.catalogue.catalogue import SCENARIOS_FILE
from tests.faults.production import SCHEDULERS, Production
from tests.integration.conftest import NEW_SCENARIO, NEW_SERVICE, replace_at_once
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(7200)]

SERVICE = "feature-store-service"
SCHEDULED_S = 1800.0
ENDED = ("success", "failed")
MEASURED = ("NO_BASELINE", "INVALID")
"""The verdicts of a load that was sent; on a busy machine it is invalid."""
TOO_LATE = "the next start of its schedule has come, and only that one is made up for"
MODEL = NEW_SCENARIO
NOTHING_RUNS = ("dag-processor", *SCHEDULERS)
"""While none of them runs, nothing starts and nothing changes the next start of a DAG."""


@contextmanager
def catalogue_with(production: Production, **scenarios: dict[str, Any] | None) -> Iterator[None]:
    """Add scenarios to the catalogue, or remove some with ``None``, until the end of the block.

    Args:
        scenarios: by name, what differs from a short scenario.
    """
    platform = production.platform
    path = platform.stack.catalogue / SCENARIOS_FILE
    before = path.read_bytes()
    document = yaml.safe_load(before)
    entries = document["scenarios"]
    for name, changes in scenarios.items():
        model = entries[MODEL]
        entries.pop(name, None)
        if changes is not None:
            entries[name] = model | {"title": name} | changes
    added = {name for name, changes in scenarios.items() if changes is not None}
    removed = set(scenarios) - added
    replace_at_once(path, yaml.safe_dump(document, sort_keys=False).encode())
    try:
        platform.await_dags(lambda dags: added <= set(dags) and not removed & set(dags), what="the DAGs change")
        yield
    finally:
        replace_at_once(path, before)
        platform.await_dags(lambda dags: not added & set(dags) and removed <= set(dags), what="the DAGs are as before")


def runs_of(production: Production, dag_id: str) -> list[dict[str, Any]]:
    """Return the DAG runs of a scenario, by their start."""
    found: list[dict[str, Any]] = production.platform.api.call(
        "GET", f"/dags/{dag_id}/dagRuns?order_by=run_after&limit=100"
    )["dag_runs"]
    return found


def records_of(production: Production, dag_id: str) -> dict[str, dict[str, Any]]:
    """Return the records of a scenario by DAG run."""
    found = (record for record in production.platform.records() if record["scenario"] == dag_id)
    return {record["provenance"]["dag_run_id"]: record for record in found}


def scheduled(production: Production, dag_id: str) -> list[dict[str, Any]]:
    """Return the runs that the schedule started, oldest first."""
    return [run for run in runs_of(production, dag_id) if run["run_type"] == "scheduled"]


def await_scheduled(production: Production, dag_id: str, *, number: int) -> None:
    """Wait until so many scheduled runs have ended."""

    def is_so() -> bool:
        runs = scheduled(production, dag_id)
        return len(runs) == number and all(run["state"] in ENDED for run in runs)

    until(is_so, within_s=SCHEDULED_S, every_s=1.0, what=f"{number} scheduled runs of {dag_id} end")


@contextmanager
def without(production: Production, *names: str) -> Iterator[None]:
    """Stop parts of the stack until the end of the block."""
    for name in names:
        production.servers[name].stop()
    try:
        yield
    finally:
        for name in reversed(names):
            production.servers[name].start()


def execute(production: Production, query: str, *values: Any) -> list[tuple[Any, ...]]:
    """Execute a query in Airflow's database."""
    connection = psycopg2.connect(production.database)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def set_next_start(production: Production, dag_id: str, at: datetime) -> None:
    """Set the next start of a DAG that Airflow has computed; the DAG processor would compute it again."""
    execute(
        production,
        "UPDATE dag SET next_dagrun = %s, next_dagrun_data_interval_start = %s, next_dagrun_data_interval_end = %s, "
        "next_dagrun_create_after = %s WHERE dag_id = %s",
        *(4 * [at]),
        dag_id,
    )


def daily(*starts: datetime) -> dict[str, str]:
    """Return a schedule with these full hours of each day."""
    return {"cron": f"0 {','.join(str(start.hour) for start in starts)} * * *", "timezone": "UTC"}


def last_hours(number: int) -> list[datetime]:
    """Return the last full hours, oldest first."""
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    return [hour - timedelta(hours=back) for back in reversed(range(number))]


def test_the_scheduler_is_away_across_a_start(production: Production) -> None:
    """One missed start is made up for with one load; of two, the earlier is skipped with the reason."""
    earlier, later = last_hours(2)
    entries = {
        "one_start": {"services": [SERVICE], "schedule": daily(later)},
        "two_starts": {"services": [NEW_SERVICE], "schedule": daily(earlier, later)},
    }
    with catalogue_with(production, **entries):
        with without(production, *NOTHING_RUNS):
            set_next_start(production, "one_start", later)
            set_next_start(production, "two_starts", earlier)
        await_scheduled(production, "one_start", number=1)
        await_scheduled(production, "two_starts", number=2)
        (only,) = records_of(production, "one_start").values()
        assert only["verdict"] in MEASURED
        skipped, made_up = sorted(
            records_of(production, "two_starts").values(), key=lambda record: str(record["provenance"]["dag_run_id"])
        )
        assert skipped["verdict"] == "SKIPPED"
        assert TOO_LATE in skipped["reasons"][0]
        assert made_up["verdict"] in MEASURED
