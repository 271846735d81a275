"""The commands ``history list``, ``rebuild`` and ``prune`` of the command line."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import TypeAdapter
from rich.console import Console
from rich.table import Table
from rich.text import Text

from include.perf.baselines.baselines import BaselineStore
from include.perf.baselines.promotion import referenced_runs
from include.perf.catalogue.reading import read_catalogue
from include.perf.cli.console import VERDICT_STYLES
from include.perf.model.cell import CellName
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.runs.phrases import change_of
from include.perf.runs.retention import Archive, clear, retention_of
from include.perf.runs.run_index import RunEntry, RunIndex

SHOWN_METRIC = "latency_p95"
INCOMPLETE = 3
"""Exit code if something was left out or not removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryCommands:
    """Shows the history of a cell (one service under one scenario), and maintains it.

    Attributes:
        index, results, baselines: return the stores that the environment names.
    """

    index: Callable[[], RunIndex]
    results: Callable[[], Archive]
    baselines: Callable[[], BaselineStore]
    clock: Callable[[], datetime]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run the action of ``history``."""
        actions = {"list": self._list, "rebuild": self._rebuild, "prune": self._prune}
        return actions[options.action](options, console)

    def _list(self, options: argparse.Namespace, console: Console) -> int:
        service = read_catalogue().service(options.service).name
        index = self.index()
        index.sync()
        cell = CellName(service, options.scenario)
        runs = [run for run in index.history(cell) if run.rerun_of is None]
        latest = runs[-options.runs :] if options.runs > 0 else []
        if options.json:
            console.print(TypeAdapter(list[RunEntry]).dump_json(latest, indent=2).decode())
        elif latest:
            console.print(_table(latest))
        else:
            console.print(f"there are no finished runs of {service} under {options.scenario}")
        for problem in index.left_out([cell]).values() if not options.json else ():
            console.print(f"left out: {problem}", markup=False, highlight=False, soft_wrap=True)
        return 0

    def _rebuild(self, _: argparse.Namespace, console: Console) -> int:
        contents = self.index().rebuild()
        console.print(f"rebuilt the index: {counted(contents.runs, 'run')}")
        for problem in contents.left_out.values():
            console.print(f"  - left out: {problem}", markup=False, highlight=False, soft_wrap=True)
        return INCOMPLETE if contents.left_out else 0

    def _prune(self, options: argparse.Namespace, console: Console) -> int:
        clearance = clear(
            self.results(),
            retention=retention_of(read_catalogue().operations),
            referenced=referenced_runs(self.baselines().read()),
            now=self.clock(),
            is_dry_run=options.dry_run,
        )
        for removal in clearance.removed:
            console.print(removal.describe())
        console.print(f"{'would remove' if options.dry_run else 'removed'} {clearance.describe()}")
        for problem in clearance.failed.values():
            console.print(f"  - not removed: {problem}")
        return INCOMPLETE if clearance.failed else 0


def _table(runs: Sequence[RunEntry]) -> Table:
    table = Table("when", "verdict", "p95", "change", "re-runs", "deployed", "run")
    for run in runs:
        value = run.value_of(SHOWN_METRIC)
        shift = run.shifts.get(SHOWN_METRIC)
        table.add_row(
            f"{run.started_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            Text(run.verdict.value, style=VERDICT_STYLES.get(run.verdict, "bold")),
            format_value(value, Unit.SECONDS),
            change_of(SHOWN_METRIC, shift) if shift else "–",
            *(str(len(run.reruns)), run.deploy_version or "–", run.run_id),
        )
    return table
