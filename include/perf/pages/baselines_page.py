"""Baselines: the approved values of every cell, and their previous versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline, State, percent
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.pages.marks import STATE_MARKS, MarkStyle, age, day, minute


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineVersion:
    """A version of a cell's baseline.

    Attributes:
        due: the date of the next review, or when the baseline expired.
        is_due: whether the review is overdue.
    """

    cell: CellName
    version: int
    mark: MarkStyle
    p95: str
    runs: str
    age: str
    moment: str
    by: str
    reason: str
    due: str
    is_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineMetric:
    """The baseline of one metric.

    Attributes:
        spread: the variation between runs.
        anchor: the value that slow drift is measured against.
    """

    title: str
    value: str
    spread: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinePage:
    """The baseline of a cell and its previous versions, latest first."""

    cell: CellName
    current: BaselineVersion
    metrics: tuple[BaselineMetric, ...]
    run_ids: tuple[str, ...]
    previous: tuple[BaselineVersion, ...]
    may_change: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinesPage:
    """All baselines that the viewer may see, and the cells without one.

    Attributes:
        left_out: why parts of the file cannot be used, in sentences that name them.
    """

    baselines: tuple[BaselineVersion, ...]
    without: tuple[CellName, ...]
    left_out: tuple[str, ...] = ()


def baselines_page(baselines: Baselines, names: Sequence[CellName], *, now: datetime) -> BaselinesPage:
    """Return the baselines of cells.

    Args:
        names: the cells that the viewer may see.
    """
    found = {name: baselines.get(*_key(name)) for name in names}
    return BaselinesPage(
        baselines=tuple(baseline_version(name, entry, now=now) for name, entry in found.items() if entry is not None),
        without=tuple(name for name, entry in found.items() if entry is None and not baselines.problem_of(*_key(name))),
        left_out=tuple(problem for cell, problem in baselines.odd.problems().items() if _is_seen(cell, names)),
    )


def _key(cell: CellName) -> tuple[str, str]:
    return cell.service, cell.scenario


def _is_seen(cell: CellName, names: Sequence[CellName]) -> bool:
    """Return whether a cell, or any cell of a service if it has no scenario, is among the names."""
    return any(name.service == cell.service and cell.scenario in ("", name.scenario) for name in names)


def baseline_page(cell: CellName, entry: Baseline, *, may_change: bool, now: datetime) -> BaselinePage:
    """Return the baseline of a cell and its previous versions."""
    return BaselinePage(
        cell=cell,
        current=baseline_version(cell, entry, now=now),
        metrics=tuple(_metrics(entry)),
        run_ids=tuple(run.run_id for run in reversed(entry.runs)),
        previous=tuple(baseline_version(cell, version, now=now) for version in entry.previous),
        may_change=may_change,
    )


def baseline_version(cell: CellName, entry: Baseline, *, now: datetime) -> BaselineVersion:
    """Return a version of a baseline with its current state."""
    state = entry.state if entry.state is State.SUPERSEDED else entry.state_at(now)
    return BaselineVersion(
        cell=cell,
        version=entry.version,
        mark=STATE_MARKS[state],
        p95=format_value(entry.metrics.get("latency_p95"), Unit.SECONDS),
        runs=counted(len(entry.runs), "run"),
        age=age(entry.approval.at, now=now),
        moment=minute(entry.approval.at),
        by=entry.approval.by,
        reason=entry.approval.reason,
        due=f"expired {day(entry.expires_at)}" if now >= entry.expires_at else day(entry.review_by),
        is_due=entry.is_due_for_review(now),
    )


def _metrics(entry: Baseline) -> list[BaselineMetric]:
    found = []
    for name, metric in METRICS.items():
        spread = entry.spread.get(name)
        found.append(
            BaselineMetric(
                title=metric.title,
                value=format_value(entry.metrics.get(name), metric.unit),
                spread=percent(spread.own if spread else None),
                anchor=format_value(entry.anchor.metrics.get(name), metric.unit),
            )
        )
    return found
