"""The commands ``baselines`` of the command line, their tables, and the JSON Schemas of files that other tools read."""

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
from include.perf.catalogue.reading import read_catalogue
from include.perf.model.cell import CellName
from include.perf.model.errors import BaselineError
from include.perf.model.file_writer import write_atomically
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.model.yaml_entries import PROJECT_FOLDER
from include.perf.runs.results_store import ResultsStore
from include.perf.runs.stage_files import StageFiles, find_run

CountNights = Callable[[str, str, Baseline], str]

SCHEMAS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "baselines.schema.json": file_format.json_schema,
}
"""The schemas by the name of their file below ``include/``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCommands:
    """Shows and changes baselines.

    Attributes:
        baselines, results: return the stores that the environment names.
        user: returns the name of the current user.
    """

    baselines: Callable[[], BaselineStore]
    results: Callable[[], ResultsStore]
    user: Callable[[], str]
    clock: Callable[[], datetime]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Run the action of ``baselines``."""
        actions = {
            "list": self._list,
            "show": self._show,
            "review": self._review,
            "schema": self._schema,
            "promote": self._promote,
            "rollback": self._rollback,
        }
        return actions[options.action](options, console)

    def _list(self, options: argparse.Namespace, console: Console) -> int:
        baselines = self.baselines().read()
        if options.json:
            console.print(format_baselines(baselines).decode(), end="")
        else:
            print_baselines(console, baselines, now=self.clock(), nights_since=self._nights_since)
            for problem in baselines.odd.problems().values():
                console.print(f"left out: {problem}", markup=False, highlight=False, soft_wrap=True)
        return 0

    def _nights_since(self, service: str, scenario: str, entry: Baseline) -> str:
        nights = read_nights(self.results(), service=service, scenario=scenario)
        since = sum(night.run.at is not None and night.run.at > entry.approval.at for night in nights)
        return f"≥ {since}" if since >= MAX_NIGHTS else str(since)

    def _show(self, options: argparse.Namespace, console: Console) -> int:
        service = read_catalogue().service(options.service).name
        baselines = self.baselines().read()
        entry = baselines.get(service, options.scenario)
        if problem := baselines.problem_of(service, options.scenario):
            raise BaselineError(f"the baseline of {service} under {options.scenario} cannot be used: {problem}")
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
        console.print(f"wrote {', '.join(SCHEMAS)} in {PROJECT_FOLDER}")
        return 0

    def _rollback(self, options: argparse.Namespace, console: Console) -> int:
        service = read_catalogue().service(options.service).name
        approval = self._approval(options, run_id="")
        cell = CellName(service, options.scenario)
        entry = roll_back(cell, version=options.version, approval=approval, baselines=self.baselines())
        print_baseline(console, service, options.scenario, entry, now=approval.at)
        return 0


def print_baselines(console: Console, baselines: Baselines, *, now: datetime, nights_since: CountNights) -> None:
    """Print all baselines, one per line.

    Args:
        nights_since: returns how many nights a service was measured under a scenario since its baseline was approved.
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
    """Print one baseline: its metrics and their spread, its runs, and its versions with who, when and why."""
    console.print(f"{service} under {scenario}: version {entry.version}, {entry.state_at(now)}, {_runs(entry)}")
    console.print(f"  review by {entry.review_by:%Y-%m-%d}, expires on {entry.expires_at:%Y-%m-%d}")
    frozen = "frozen" if entry.is_anchored else "follows the baseline until that is approved"
    console.print(f"  anchor from version {entry.anchor.version}, {frozen}")
    console.print(_levels(entry))
    console.print(_runs_table(entry))
    for version in (entry, *entry.previous):
        approval = version.approval
        line = f"{_runs(version)}, {_minute(approval.at)} by {approval.by}: {approval.reason}"
        console.print(f"  version {version.version}: {line}", markup=False, highlight=False)


def _levels(entry: Baseline) -> Table:
    table = Table("metric", "baseline", "own spread", "pooled spread", "anchor")
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
    """Print the findings of a review, each with the command that applies its proposal."""
    is_any = False
    for finding in findings:
        is_any = True
        console.print(f"{finding.service} under {finding.scenario}: {finding.kind}", markup=False)
        console.print(f"  - {finding.text}", markup=False)
        if finding.command is not None:
            console.print(f"  - proposed: {finding.proposes}", markup=False)
            console.print(f"    {finding.command}", markup=False)
    if not is_any:
        console.print("nothing to review: all baselines are current and match their recent nights")


def schema_text(name: str) -> bytes:
    """Return the content of the file of a schema."""
    return (json.dumps(SCHEMAS[name](), indent=2, ensure_ascii=False) + "\n").encode()


def write_schemas(folder: Path = PROJECT_FOLDER) -> None:
    """Write all schemas to a folder."""
    for name in SCHEMAS:
        write_atomically(folder / name, schema_text(name))
