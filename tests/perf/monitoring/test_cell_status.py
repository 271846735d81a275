"""Statuses of cells, and the command that prints Bellwether's metrics."""

import io
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.adapters.files.alert_file import AlertFile
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.load_locks import LoadLocks
from include.perf.adapters.files.load_log import LoadLog
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.catalogue.reading import load_catalogue
from include.perf.cli.arguments import argument_parser
from include.perf.cli.inspect_commands import MetricsCommands
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError
from include.perf.model.json_files import to_json
from include.perf.monitoring.cell_status import CellStatus, Sources
from include.perf.monitoring.rule_limits import CellLimits, RuleLimits
from include.perf.runs.record import RunRecord, Severity, Verdict
from tests.baselines import approval
from tests.catalogues import catalogue_folder
from tests.fakes.clock import START, FixedClock
from tests.loads import sent_load
from tests.perf.monitoring.cell_statuses import samples_in
from tests.perf.pages.problems import problem
from tests.records import record_of, run_record

CALM, STORM = CellName("engine", "calm"), CellName("engine", "storm")
LIMITS = CellLimits(service="engine", scenario="calm", environment="staging", baseline_version=1, metrics={})


class World:
    """All sources of metrics in a folder: two services under calm, one of them also under storm."""

    def __init__(self, folder: Path) -> None:
        self.clock = FixedClock(START + timedelta(days=1))
        self.store = FolderStore(str(folder / "results"))
        self.catalogue = catalogue_folder(folder)
        self.loads = LoadLog(folder / "load-log", locks=LoadLocks(folder / "locks"))
        self.sources = Sources(
            catalogue=lambda: load_catalogue(self.catalogue),
            index=SqliteIndex(folder / "index.sqlite", store=self.store, clock=self.clock),
            baselines=BaselineFile(folder / "baselines.json"),
            alerts=AlertFile(folder / "alerts.json"),
            loads=self.loads,
            limits=lambda: RuleLimits(cells=(LIMITS,)),
            clock=self.clock,
        )

    def add(self, day: float, record: RunRecord | None = None, **changes: object) -> RunRecord:
        """Store a finished run of the engine under calm."""
        at = START + timedelta(days=day)
        made = replace(record or run_record(), service="engine", scenario="calm", **changes)  # type: ignore[arg-type]
        made = replace(made, run_id=f"{at:%Y%m%dT%H%M%SZ}", started_at=at)
        uri = self.store.create(service=made.service, scenario=made.scenario, run_id=made.run_id)
        self.store.write(uri, "run.json", to_json(made))
        return made

    def status(self, cell: CellName = CALM) -> CellStatus:
        """Return the status of a cell two seconds later."""
        self.clock.move(2)
        (found,) = (status for status in self.sources.statuses() if status.cell == cell)
        return found


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Sources without runs."""
    return World(tmp_path)


def test_every_cell_of_the_catalogue_has_a_status(world: World) -> None:
    """In the order of the catalogue, even without data; removed services have none."""
    world.store.create(service="gone-service", scenario="calm", run_id="r1")
    found = world.sources.statuses()
    assert [status.cell for status in found] == [CellName("orders-service", "calm"), CALM, STORM]
    assert {status.environment for status in found} == {"staging"}
    assert [(status.latest, status.measured, status.baseline, status.load) for status in found] == [(None,) * 4] * 3


def test_only_readable_scenarios_are_shown(world: World) -> None:
    """A user sees the scenarios that they may see in Airflow."""
    found = world.sources.statuses(may_read=lambda scenario: scenario == "storm")
    assert [status.cell for status in found] == [STORM]


def test_the_latest_run_and_the_latest_measured_one(world: World) -> None:
    """However many invalid runs came later."""
    measured = world.add(0)
    for day in (0.1, 0.2, 0.3):
        world.add(day, record_of(Verdict.INVALID))
    skipped = world.add(0.4, record_of(Verdict.SKIPPED))
    status = world.status()
    assert status.latest is not None
    assert status.measured is not None
    assert (status.latest.run_id, status.measured.run_id) == (skipped.run_id, measured.run_id)
    assert status.loaded == status.measured


def test_baseline_load_and_limits_of_a_cell(world: World) -> None:
    """Other cells do not have them."""
    run = world.add(0, verdict=Verdict.NO_BASELINE, baseline=None)
    world.sources.baselines.update(lambda baselines: baselines.promote(run, approval=approval()))
    load = sent_load(service="engine", scenario="calm", ends_by=START + timedelta(days=2))
    world.loads.load_began(load)
    status = world.status()
    assert status.baseline is not None
    assert (status.baseline.version, status.load, status.is_loaded) == (1, load, True)
    assert status.limits == LIMITS
    other = world.status(STORM)
    assert (other.baseline, other.load, other.is_loaded, other.limits) == (None, None, False, None)


def test_open_problems_are_counted_in_each_of_their_cells(world: World) -> None:
    """Problems of the pipeline count in all cells of their scenario; closed problems do not count."""
    found = [
        problem(id="a", cells=(CALM, STORM), severity=Severity.CRITICAL),
        problem(id="b", cells=(CALM,)),
        problem(id="c", cells=(CALM,), closed_at=START),
        problem(id="d", cells=(CellName("", "storm"),), severity=Severity.DIGEST),
    ]
    world.sources.alerts.update(lambda book: book.problems.extend(found))
    assert world.status().problems == {Severity.DIGEST: 0, Severity.WARNING: 1, Severity.CRITICAL: 1}
    assert world.status(STORM).problems == {Severity.DIGEST: 1, Severity.WARNING: 0, Severity.CRITICAL: 1}


def typed(world: World, *arguments: str) -> str:
    """Run a command and return its output."""
    options = argument_parser().parse_args(["metrics", *arguments])
    out = io.StringIO()
    assert MetricsCommands(sources=lambda: world.sources).execute(options, Console(file=out, width=40)) == 0
    return out.getvalue()


def test_the_command_prints_the_metrics(world: World) -> None:
    """Unwrapped, on a terminal of any width."""
    world.add(0)
    found = samples_in(typed(world))
    place = frozenset({("service", "engine"), ("scenario", "calm"), ("environment", "staging")})
    assert found["bellwether_run_latency_p95_seconds"][place - {("environment", "staging")}] == 0.0424


def test_the_command_writes_a_file(world: World, tmp_path: Path) -> None:
    """Atomically, so that the textfile collector of node_exporter never reads half a file."""
    path = tmp_path / "bellwether.prom"
    path.write_text("old", encoding="utf-8")
    assert typed(world, "--output", str(path)) == ""
    assert "bellwether_load_running" in path.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.glob("*.prom*")] == ["bellwether.prom"]
    with pytest.raises(ConfigurationError, match=r"^cannot write .*/missing/x\.prom: No such file"):
        typed(world, "--output", str(tmp_path / "missing" / "x.prom"))
