"""What the command line shows of baselines: all of them, one with its history, and what a review found."""

from collections.abc import Callable, Iterable
from datetime import datetime

from rich.console import Console
from rich.table import Table

from include.perf.baseline import Baseline, Baselines
from include.perf.baseline_entry import percent
from include.perf.metric import METRICS, Unit, format_value
from include.perf.phrase import counted
from include.perf.review import Finding

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
