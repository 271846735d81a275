"""Measure how the cost of the product grows with services, scenarios and years, up to 200 services.

Run from the project's root::

    python -m benchmarks.scale [--sizes 20x52 50x52 200x13] [--scenarios 10] [--quick] [--json scale.json]

Method. A size is a number of services, and a number of runs of each cell (one service under one scenario). For each
size, a catalogue (`benchmarks.synthetic_catalogue`), records and baselines (`benchmarks.synthetic_years`) are written
to a temporary folder. The default sizes share either the runs or the cells, which separates the cost per run from the
cost per cell; docs/scale.md extrapolates from them. Figures are CPU time, which other processes do not influence. DAG
files are parsed in a process of their own with the imports of Airflow's DAG processor. A scenario's night is judged for
all services together, as in the task ``compare``.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.history import Years
from benchmarks.options import notes_of, parse, parser_of
from benchmarks.pages import views
from benchmarks.synthetic_catalogue import write_catalogue
from benchmarks.synthetic_years import SyntheticYears
from benchmarks.tables import Row, Table
from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.metrics.prometheus_rules import Promtool
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.file_format import format_baselines
from include.perf.baselines.history import read_nights
from include.perf.baselines.promotion import referenced_runs
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import RulesError
from include.perf.monitoring.rule_groups import RULES_FILE
from include.perf.monitoring.rule_writer import Draft, draft
from include.perf.pipeline.planning.time_plan import time_plan
from include.perf.runs.record import RunRecord
from include.perf.runs.retention import clear, retention_of
from include.perf.runs.stage_files import StageFiles
from include.perf.verdict.comparison import compare_night
from include.perf.verdict.contender import CellOfNight, Contender, MeasuredRun

ROOT = Path(__file__).parents[1]
SIZES = ("20x52", "50x52", "200x13")
KIB, MIB = 1024, 1024**2
PATIENCE_S = 60.0

PARSE = """
import json, sys, time
import airflow.sdk, airflow.dag_processing.dagbag, airflow.dag_processing.processor
from airflow.sdk import DAG, CronTriggerTimetable, Param, TriggerRule, dag, task, task_group
from airflow.serialization.serialized_objects import DagSerialization
import importlib.util

started = time.process_time()
spec = importlib.util.spec_from_file_location("parsed", "dags/scenarios.py")
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
parsed = time.process_time() - started
started = time.process_time()
dags = [value for value in vars(module).values() if isinstance(value, DAG)]
sizes = [len(json.dumps(DagSerialization.to_dict(dag))) for dag in dags]
one = dags[0]
mapped = sum(task.is_mapped or task.get_closest_mapped_task_group() is not None for task in one.tasks)
print(json.dumps({
    "parse_s": parsed, "serialise_s": time.process_time() - started, "dags": len(sizes), "bytes": max(sizes),
    "mapped": mapped, "single": len(one.tasks) - mapped,
}))
"""


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a synthetic platform.

    Attributes:
        nights: runs of each cell.
    """

    services: int
    nights: int

    def __str__(self) -> str:
        return f"{self.services} × {self.nights}"


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A catalogue with its baselines and results."""

    catalogue: Catalogue
    baselines: Baselines
    years: Years
    runs: int


Figures = Iterator[tuple[str, float]]


def measured(size: Size, *, scenarios: int, folder: Path) -> Figures:
    """Yield every figure of a size by its name, with its unit."""
    catalogue = load_catalogue(write_catalogue(folder / "catalogue", services=size.services, scenarios=scenarios))
    drawn = SyntheticYears(nights=size.nights, services=size.services, scenarios=scenarios, catalogue=catalogue)
    runs = drawn.write(folder)
    world = World(catalogue=catalogue, baselines=drawn.baselines, years=Years.in_folder(folder), runs=runs)
    yield "services", size.services
    yield "cells", size.services * scenarios
    yield "runs", runs
    for part in (_of_catalogue, _of_dags, _of_index, _of_pages, _of_baselines, _of_rules, _of_judging, _of_clearing):
        yield from part(world)


def _of_catalogue(world: World) -> Figures:
    yield "catalogue, CPU s", _cpu_s(lambda: load_catalogue(world.catalogue.folder))
    scenario = next(iter(world.catalogue.scenarios.values()))
    for parallel in (1, 10):
        plan = time_plan(scenario.model_copy(update={"parallel": parallel}), world.catalogue)
        yield f"a night with parallel: {parallel}, h", plan.needed / timedelta(hours=1)


def _of_dags(world: World) -> Figures:
    with tempfile.TemporaryDirectory(prefix="bellwether-airflow-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
        environment |= {
            "AIRFLOW_HOME": home,
            "BELLWETHER_CATALOGUE": str(world.catalogue.folder),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
        }
        done = subprocess.run(
            [sys.executable, "-c", PARSE], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
    found = json.loads(done.stdout.splitlines()[-1])
    yield "scenarios.py, CPU s", found["parse_s"]
    yield "serialised again, CPU s", found["serialise_s"]
    yield "a DAG serialised, KiB", found["bytes"] / KIB
    services = len(world.catalogue.services)
    yield "task instances of a DAG run", found["mapped"] * services + found["single"]


def _of_index(world: World) -> Figures:
    index = world.years.index
    yield "index: first build, CPU s", _cpu_s(index.sync)
    yield "index, MiB", (world.years.folder / "index.sqlite").stat().st_size / MIB
    yield "index: sync, nothing new, CPU s", _cpu_s(index.sync)


def _of_pages(world: World) -> Figures:
    years = world.years
    os.environ["BELLWETHER_CATALOGUE"] = str(world.catalogue.folder)
    for name, view in views(years.folder, store=years.store, index=years.index, cell=years.cell):
        yield f"{name}, KiB", view() / KIB  # this first call also warms up caches
        yield f"{name}, CPU s", _cpu_s(view)


def _of_baselines(world: World) -> Figures:
    path = world.years.folder / "baselines.json"
    yield "baselines.json, MiB", path.stat().st_size / MIB
    yield "baselines.json: read, CPU s", _cpu_s(BaselineFile(path).read)
    yield "baselines.json: format, CPU s", _cpu_s(lambda: format_baselines(world.baselines))


def _of_rules(world: World) -> Figures:
    drafts = []
    now = datetime.now(UTC)
    yield (
        "alert rules: made, CPU s",
        _cpu_s(lambda: drafts.append(draft(world.baselines, world.catalogue, edges=_no_edges, now=now))),
    )
    (made,) = drafts
    yield "alert rules", made.rules.count(b"alert:")
    yield "limits", len(made.limits.cells)
    yield "alert rules, KiB", len(made.rules) / KIB
    yield "tests of the rules, KiB", len(made.tests) / KIB
    yield "promtool, CPU s", _promtool_s(made)


def _promtool_s(made: Draft) -> float:
    """Return the CPU time of promtool; NaN when it is missing or takes longer than `PATIENCE_S`."""
    before = os.times().children_user + os.times().children_system
    try:
        Promtool(timeout_s=PATIENCE_S).check(made.rules, made.tests, name=RULES_FILE)
    except RulesError:
        return math.nan
    return os.times().children_user + os.times().children_system - before


def _no_edges(*_: object) -> tuple[float, ...]:
    """Return no buckets; there is no Prometheus here."""
    return ()


def _of_judging(world: World) -> Figures:
    scenario = next(iter(world.catalogue.scenarios))
    cells: list[CellOfNight] = []
    yield "a night: nights of all cells read, CPU s", _cpu_s(lambda: cells.extend(_cells(world)))
    tonight = [_contender(world, cell) for cell in cells if cell.scenario == scenario]
    others = tuple(cell for cell in cells if cell.scenario != scenario)
    now = datetime.now(UTC)
    yield "a night: judged, CPU s", _cpu_s(lambda: compare_night(tonight, others, now=now))


def _cells(world: World) -> Iterator[CellOfNight]:
    for cell in world.catalogue.cells():
        nights = read_nights(world.years.store, service=cell.service, scenario=cell.scenario)
        baseline = world.baselines.get(cell.service, cell.scenario)
        yield CellOfNight(service=cell.service, scenario=cell.scenario, baseline=baseline, nights=nights)


def _contender(world: World, cell: CellOfNight) -> Contender:
    """Return the last night of a cell, as if it were tonight's."""
    record = _last_measured(world, cell)
    return Contender(
        service=cell.service,
        scenario=cell.scenario,
        baseline=cell.baseline,
        nights=cell.nights,
        at=record.started_at,
        fingerprint=record.fingerprint,
        runs=(
            MeasuredRun(run_id=record.run_id, metrics=record.metrics, due=record.load.due, failed=record.load.failed),
        ),
        deploy_version=record.deploy_version,
        no_rerun=None,
    )


def _last_measured(world: World, cell: CellOfNight) -> RunRecord:
    store = world.years.store
    latest = store.latest(service=cell.service, scenario=cell.scenario)
    records = (StageFiles(store, uri).read_record() for uri in latest)
    record = next(record for record in records if record.verdict.is_measured)
    return replace(record, started_at=record.started_at + timedelta(minutes=1))


def _of_clearing(world: World) -> Figures:
    keep = retention_of(world.catalogue.operations)
    referenced = referenced_runs(world.baselines)
    store, now = world.years.store, datetime.now(UTC)
    yield (
        "maintenance, CPU s",
        _cpu_s(lambda: clear(store, retention=keep, referenced=referenced, now=now, is_dry_run=True)),
    )


def _cpu_s(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started


def _size(text: str) -> Size:
    services, _, nights = text.partition("x")
    return Size(int(services), int(nights))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each size, log each figure as it comes, and print a table."""
    options = _options(arguments)
    rows: dict[str, dict[str, float | str]] = {}
    for size in options.sizes:
        with tempfile.TemporaryDirectory(prefix="bellwether-scale-") as folder:
            for name, value in measured(size, scenarios=options.scenarios, folder=Path(folder)):
                sys.stderr.write(f"{size}  {name}: {value:,.4g}\n")
                rows.setdefault(name, {"what": name})[f"{size}"] = value
    table: list[Row] = list(rows.values())
    title = f"scale: services × runs of each cell, {options.scenarios} scenarios"
    sys.stdout.write(Table(title=title, rows=table, notes=notes_of(options)).text())
    if options.json:
        options.json.write_text(json.dumps(table, indent=2) + "\n", encoding="utf-8")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("scale", __doc__)
    sizes = [_size(text) for text in SIZES]
    parser.add_argument("--sizes", nargs="+", type=_size, default=sizes, metavar="SxN", help="services x runs per cell")
    parser.add_argument("--scenarios", type=int, default=10, help="number of scenarios")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    return parse(parser, arguments, quick={"sizes": [Size(1, 12)], "scenarios": 1})


if __name__ == "__main__":
    main()
