"""The pool that Airflow's own processes create when they start."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from airflow.jobs.job import Job
from airflow.models.base import Base  # noqa: TID251 - a pool has no public interface
from airflow.models.pool import Pool  # noqa: TID251 - a pool has no public interface
from airflow.models.team import Team  # noqa: TID251 - a pool has no public interface
from bellwether import load_pool, schedule_pause
from sqlalchemy import create_engine, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from include.perf.catalogue.operations import LOAD_POOL, LOAD_POOL_DESCRIPTION, slots_of
from tests.catalogues import SCENARIOS, catalogue_folder

Pools = Callable[[], dict[str, tuple[int, str, bool]]]


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Pools]:
    """A database with only the table of pools; it returns the content of the table."""
    engine = create_engine(f"sqlite:///{tmp_path / 'airflow.db'}")
    Base.metadata.create_all(engine, tables=[Team.__table__, Pool.__table__])

    @contextmanager
    def session() -> Iterator[Session]:
        with Session(engine) as made:
            yield made
            made.commit()

    monkeypatch.setattr("airflow.utils.session.create_session", session)

    def found() -> dict[str, tuple[int, str, bool]]:
        with Session(engine) as made:
            return {
                str(pool.pool): (pool.slots, str(pool.description), pool.include_deferred)
                for pool in made.scalars(select(Pool))
            }

    yield found
    engine.dispose()


@pytest.fixture
def capacity(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Give the catalogue a capacity; its loads are of 100/s."""

    def give(text: str) -> None:
        (tmp_path / "catalogue").mkdir(exist_ok=True)
        scenarios = SCENARIOS.replace("defaults:\n", f"capacity_rps: {text}\ndefaults:\n", 1)
        catalogue_folder(tmp_path / "catalogue", scenarios=scenarios)
        monkeypatch.setenv("BELLWETHER_CATALOGUE", str(tmp_path / "catalogue"))

    return give


def job() -> Job:
    """Return a job like that of a scheduler, without a database."""
    return Job.__new__(Job)


def test_a_starting_job_creates_the_pool(pools: Pools, capacity: Callable[[str], None]) -> None:
    """With the size from the catalogue; a deferred load sends nothing and takes no slot."""
    capacity("240")
    load_pool.on_starting(job())
    assert pools() == {LOAD_POOL: (240, LOAD_POOL_DESCRIPTION, False)}


def test_the_next_start_resizes_the_pool(pools: Pools, capacity: Callable[[str], None]) -> None:
    """Also a pool that was changed by hand; the catalogue counts."""
    capacity("240")
    load_pool.make_pool()
    capacity("300.5")
    load_pool.make_pool()
    load_pool.make_pool()
    assert pools() == {LOAD_POOL: (301, LOAD_POOL_DESCRIPTION, False)}


def test_the_projects_own_size(pools: Pools, monkeypatch: pytest.MonkeyPatch) -> None:
    """600 requests per second."""
    monkeypatch.delenv("BELLWETHER_CATALOGUE", raising=False)
    load_pool.make_pool()
    assert pools()[LOAD_POOL][0] == 600


def test_a_task_creates_no_pool(pools: Pools) -> None:
    """It has no database, although its start is reported in the same way."""
    load_pool.on_starting(object())
    assert pools() == {}


def test_a_broken_catalogue_stops_nothing(
    pools: Pools, capacity: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The scheduler must start, so that the DAGs can report the problem; the pool keeps its size."""
    capacity("240")
    load_pool.make_pool()
    capacity("lots")
    with caplog.at_level(logging.ERROR, logger="bellwether.load_pool"):
        load_pool.on_starting(job())
    assert pools()[LOAD_POOL][0] == 240
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith("the pool bellwether_load is not changed, because the catalogue cannot be read: ")
    assert "capacity_rps" in message


def test_two_processes_that_start_at_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The pool of the other one is just as good."""

    @contextmanager
    def session() -> Iterator[Session]:
        with Session(create_engine("sqlite://")) as made:
            monkeypatch.setattr(made, "scalar", lambda _: None)
            yield made
            raise IntegrityError("INSERT INTO slot_pool", {}, Exception("UNIQUE constraint failed"))

    monkeypatch.setattr("airflow.utils.session.create_session", session)
    with caplog.at_level(logging.INFO, logger="bellwether.load_pool"):
        load_pool.make_pool()
    assert [record.getMessage() for record in caplog.records if record.name == "bellwether.load_pool"] == [
        "another process created the pool bellwether_load at the same time"
    ]


def test_the_plugin_registers_the_listener() -> None:
    """And Airflow calls its hook when a process starts."""
    from airflow._shared.listeners.spec import lifecycle
    from bellwether_plugin import BellwetherPlugin

    assert BellwetherPlugin.listeners == [load_pool, schedule_pause]
    assert hasattr(lifecycle, "on_starting")
    assert hasattr(load_pool.on_starting, "airflow_impl")


@pytest.mark.parametrize(
    ("rate_rps", "slots"), [(0.1, 1), (1, 1), (1.01, 2), (100, 100), (499.5, 500), (600, 600), (24_000, 24_000)]
)
def test_a_slot_is_a_request_per_second(rate_rps: float, slots: int) -> None:
    """Rounded up, so that the loads together never exceed the pool."""
    assert slots_of(rate_rps) == slots
