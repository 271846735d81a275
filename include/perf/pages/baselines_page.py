"""Baselines: what every cell is held to, and how that came about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline, State, percent
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.pages.marks import STATE_LOOKS, MarkStyle, age, day, minute


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownBaseline:
    """A version of a cell's baseline.

    Attributes:
        due: when somebody should look at it again, and whether that is over.
    """

    cell: CellName
    version: int
    look: MarkStyle
    p95: str
    runs: str
    age: str
    moment: str
    by: str
    reason: str
    due: str
    is_due: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineLevel:
    """What one metric is held to."""

    title: str
    level: str
    spread: str
    anchor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinePage:
    """The baseline of a cell with the versions before it, latest first."""

    cell: CellName
    current: ShownBaseline
    levels: tuple[BaselineLevel, ...]
    run_ids: tuple[str, ...]
    previous: tuple[ShownBaseline, ...]
    may_change: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselinesPage:
    """Every baseline that somebody may see, and the cells that have none yet."""

    baselines: tuple[ShownBaseline, ...]
    without: tuple[CellName, ...]


def baselines_page(baselines: Baselines, names: Sequence[CellName], *, now: datetime) -> BaselinesPage:
    """Return the baselines of cells.

    Args:
        names: the cells that somebody may see.
    """
    found = {name: baselines.get(name.service, name.scenario) for name in names}
    return BaselinesPage(
        baselines=tuple(shown_baseline(name, entry, now=now) for name, entry in found.items() if entry is not None),
        without=tuple(name for name, entry in found.items() if entry is None),
    )


def baseline_page(cell: CellName, entry: Baseline, *, may_change: bool, now: datetime) -> BaselinePage:
    """Return the baseline of a cell with its history."""
    return BaselinePage(
        cell=cell,
        current=shown_baseline(cell, entry, now=now),
        levels=tuple(_levels(entry)),
        run_ids=tuple(run.run_id for run in reversed(entry.runs)),
        previous=tuple(shown_baseline(cell, version, now=now) for version in entry.previous),
        may_change=may_change,
    )


def shown_baseline(cell: CellName, entry: Baseline, *, now: datetime) -> ShownBaseline:
    """Return a version of a baseline as it stands now."""
    state = entry.state if entry.state is State.SUPERSEDED else entry.state_at(now)
    return ShownBaseline(
        cell=cell,
        version=entry.version,
        look=STATE_LOOKS[state],
        p95=format_value(entry.metrics.get("latency_p95"), Unit.SECONDS),
        runs=counted(len(entry.runs), "run"),
        age=age(entry.approval.at, now=now),
        moment=minute(entry.approval.at),
        by=entry.approval.by,
        reason=entry.approval.reason,
        due=f"expired {day(entry.expires_at)}" if now >= entry.expires_at else day(entry.review_by),
        is_due=entry.is_due_for_review(now),
    )


def _levels(entry: Baseline) -> list[BaselineLevel]:
    found = []
    for name, metric in METRICS.items():
        spread = entry.spread.get(name)
        found.append(
            BaselineLevel(
                title=metric.title,
                level=format_value(entry.metrics.get(name), metric.unit),
                spread=percent(spread.own if spread else None),
                anchor=format_value(entry.anchor.metrics.get(name), metric.unit),
            )
        )
    return found
