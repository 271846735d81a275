"""The commands ``baselines list``, ``show``, ``review``, ``promote`` and ``rollback`` of the command line.

What the command line shows of baselines: all of them, one with its history, and what a review found.

The JSON Schemas of the files that other tools read; ``make schemas`` writes them.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from include.perf.baselines import file_format
from include.perf.baselines.baselines import Baselines, BaselineStore
from include.perf.baselines.entry import Approval, Baseline, percent
from include.perf.baselines.file_format import entry_document, format_baselines
from include.perf.baselines.history import MAX_NIGHTS, read_nights
from include.perf.baselines.promotion import promote, review_all, roll_back
from include.perf.baselines.review import Finding
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError
from include.perf.model.json_files import write_atomically
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.model.yaml_entries import PROJECT_FOLDER
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles, find_run

CountNights = Callable[[str, str, Baseline], str]


def print_baselines(console: Console, baselines: Baselines, *, now: datetime, nights_since: CountNights) -> None:
    """Print every baseline, a line each.

    Args:
        nights_since: says how many nights of a service and a scenario were measured since its baseline was approved.
    """
    table = Table(
        *("service", "scenario", "version", "state", "runs", "p95"),
        *("due for review", "nights since", "by", "when", "why"),
    )
    for service, scenarios in sorted(baselines.entries.items()):
        for scenario, entry in sorted(scenarios.items()):
            approval = entry.approval
            table.add_row(
                *(service, scenario, str(entry.version), entry.state_at(now).value, str(len(entry.runs))),
                format_value(entry.metrics.get("latency_p95"), Unit.SECONDS),
                *(_due(entry, now), nights_since(service, scenario, entry)),
                *(approval.by, _minute(approval.at), approval.reason),
            )
    console.print(table if table.row_count else "there are no baselines yet")


def _due(entry: Baseline, now: datetime) -> str:
    if now >= entry.expires_at:
        return f"expired {entry.expires_at:%Y-%m-%d}"
    return (
        f"overdue since {entry.review_by:%Y-%m-%d}" if entry.is_due_for_review(now) else f"{entry.review_by:%Y-%m-%d}"
    )


def print_baseline(console: Console, service: str, scenario: str, entry: Baseline, *, now: datetime) -> None:
    """Print one baseline: levels with their spread, the runs behind them, then who changed it when and why."""
    console.print(f"{service} in {scenario}: version {entry.version}, {entry.state_at(now)}, {_runs(entry)}")
    console.print(f"  review by {entry.review_by:%Y-%m-%d}, expires on {entry.expires_at:%Y-%m-%d}")
    frozen = "frozen" if entry.is_anchored else "follows the level until that is approved"
    console.print(f"  anchor from version {entry.anchor.version}, {frozen}")
    console.print(_levels(entry))
    console.print(_runs_table(entry))
    for version in (entry, *entry.previous):
        approval = version.approval
        told = f"{_runs(version)}, {_minute(approval.at)} by {approval.by}: {approval.reason}"
        console.print(f"  version {version.version}: {told}", markup=False, highlight=False)


def _levels(entry: Baseline) -> Table:
    table = Table("metric", "level", "own spread", "pooled spread", "anchor")
    for name, metric in METRICS.items():
        spread = entry.spread.get(name)
        table.add_row(
            *(metric.title, format_value(entry.metrics.get(name), metric.unit)),
            *(percent(spread.own if spread else None), percent(spread.pooled if spread else None)),
            format_value(entry.anchor.metrics.get(name), metric.unit),
        )
    return table


def _runs_table(entry: Baseline) -> Table:
    table = Table("run", "started", "p95", "error rate", "deployed")
    for run in entry.runs:
        table.add_row(
            *(run.run_id, _minute(run.at) if run.at else "–"),
            format_value(run.metrics.get("latency_p95"), Unit.SECONDS),
            format_value(run.metrics.get("error_rate"), Unit.RATIO),
            run.deploy_version or "–",
        )
    return table


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _runs(entry: Baseline) -> str:
    return counted(len(entry.runs), "run")


def print_findings(console: Console, findings: Iterable[Finding]) -> None:
    """Print what a review found, each with the command that does what it proposes."""
    is_any = False
    for finding in findings:
        is_any = True
        console.print(f"{finding.service} in {finding.scenario}: {finding.kind}", markup=False)
        console.print(f"  - {finding.text}", markup=False)
        if finding.command is not None:
            console.print(f"  - proposed: {finding.proposes}", markup=False)
            console.print(f"    {finding.command}", markup=False)
    if not is_any:
        console.print("nothing to review: every baseline is current, and its nights agree with it")


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCommands:
    """Looks at baselines and changes them.

    Attributes:
        baselines, results: give the file and the store that the environment names.
        user: says who is at the keyboard.
    """

    baselines: Callable[[], BaselineStore]
    results: Callable[[], ResultsStore]
    user: Callable[[], str]
    clock: Callable[[], datetime]

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add ``baselines`` with its actions to the commands there are."""
        baselines = commands.add_parser("baselines", help="look at baselines and change them")
        actions = baselines.add_subparsers(required=True, metavar="action")
        every = actions.add_parser("list", help="every baseline")
        show = actions.add_parser("show", help="one baseline with its history")
        actions.add_parser("review", help="what somebody should look at, and what could be promoted").set_defaults(
            command=self._review
        )
        actions.add_parser("schema", help="write the JSON Schemas of the files that other tools read").set_defaults(
            command=self._schema
        )
        promote = actions.add_parser("promote", help="make a finished run part of its baseline")
        promote.add_argument("run", help="a run id, or the address of its folder")
        promote.add_argument("--force", action="store_true", help="take it as a new level, also if it is a regression")
        rollback = actions.add_parser("rollback", help="make an earlier version the baseline again")
        rollback.add_argument("--version", type=int, required=True)
        for action in (show, rollback):
            action.add_argument("--service", required=True)
            action.add_argument("--scenario", required=True)
        for action in (promote, rollback):
            action.add_argument("--reason", required=True, help="kept with the baseline")
        for action in (every, show):
            action.add_argument("--json", action="store_true", help="as it stands in the file")
        every.set_defaults(command=self._list)
        show.set_defaults(command=self._show)
        promote.set_defaults(command=self._promote)
        rollback.set_defaults(command=self._rollback)

    def _list(self, options: argparse.Namespace, console: Console) -> int:
        baselines = self.baselines().read()
        if options.json:
            console.print(format_baselines(baselines).decode(), end="")
        else:
            print_baselines(console, baselines, now=self.clock(), nights_since=self._nights_since)
        return 0

    def _nights_since(self, service: str, scenario: str, entry: Baseline) -> str:
        nights = read_nights(self.results(), service=service, scenario=scenario)
        since = sum(night.run.at is not None and night.run.at > entry.approval.at for night in nights)
        return f"≥ {since}" if since >= MAX_NIGHTS else str(since)

    def _show(self, options: argparse.Namespace, console: Console) -> int:
        service = load_catalogue().service(options.service).name
        entry = self.baselines().read().get(service, options.scenario)
        if entry is None:
            raise BaselineError(
                f"there is no baseline of {service} under {options.scenario}; `baselines list` shows all"
            )
        if options.json:
            console.print(json.dumps(entry_document(entry), indent=2, ensure_ascii=False))
        else:
            print_baseline(console, service, options.scenario, entry, now=self.clock())
        return 0

    def _review(self, _: argparse.Namespace, console: Console) -> int:
        findings = review_all(store=self.results(), baselines=self.baselines(), now=self.clock())
        print_findings(console, findings)
        return 0

    def _approval(self, options: argparse.Namespace, run_id: str) -> Approval:
        return Approval(by=self.user(), at=self.clock(), reason=options.reason, run_id=run_id)

    def _promote(self, options: argparse.Namespace, console: Console) -> int:
        store = self.results()
        record = StageFiles(store, find_run(store, options.run)).read_record()
        approval = self._approval(options, record.run_id)
        entry = promote(
            record,
            approval=approval,
            force=options.force,
            store=store,
            baselines=self.baselines(),
        )
        print_baseline(console, record.service, record.scenario, entry, now=approval.at)
        return 0

    def _schema(self, _: argparse.Namespace, console: Console) -> int:
        write_schemas()
        console.print(f"wrote {', '.join(SCHEMAS)} in {FOLDER}")
        return 0

    def _rollback(self, options: argparse.Namespace, console: Console) -> int:
        service = load_catalogue().service(options.service).name
        approval = self._approval(options, run_id="")
        cell = CellName(service, options.scenario)
        entry = roll_back(cell, version=options.version, approval=approval, baselines=self.baselines())
        print_baseline(console, service, options.scenario, entry, now=approval.at)
        return 0


FOLDER = PROJECT_FOLDER

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "baselines.schema.json": file_format.json_schema,
}
"""By the name of the file below ``include/``."""


def schema_text(name: str) -> bytes:
    """Return the content of a schema's file."""
    return (json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n").encode()


def write_schemas(folder: Path = FOLDER) -> None:
    """Write every schema."""
    for name in SCHEMAS:
        write_atomically(folder / name, schema_text(name))
