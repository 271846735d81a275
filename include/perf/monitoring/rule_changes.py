"""Changes of limits by a promotion, and their description."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS, SHORT_NAMES, Metric
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.monitoring.rule_limits import CellLimits, RuleLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A changed limit.

    Attributes:
        before, after: in base units; ``None`` for no limit.
    """

    cell: CellName
    metric: Metric
    severity: str
    before: float | None
    after: float | None

    @property
    def words(self) -> str:
        """The change in a few words: ``warning 61.2 ms → 58 ms``, or a new limit: ``warning 58 ms``."""
        before, after = (format_value(value, self.metric.unit) for value in (self.before, self.after))
        return f"{self.severity} {after}" if self.before is None else f"{self.severity} {before} → {after}"


def changes_between(before: RuleLimits, after: RuleLimits) -> tuple[Change, ...]:
    """Return all limits that differ, by cell."""
    cells = sorted({found.cell for limits in (before, after) for found in limits.cells})
    return tuple(change for cell in cells for change in _changes_of(cell, before.of(cell), after.of(cell)))


def _changes_of(cell: CellName, before: CellLimits | None, after: CellLimits | None) -> Iterator[Change]:
    for name, metric in METRICS.items():
        old, new = (_by_severity(limits, name) for limits in (before, after))
        for severity in dict.fromkeys([*old, *new]):
            if old.get(severity) != new.get(severity):
                yield Change(
                    cell=cell, metric=metric, severity=severity, before=old.get(severity), after=new.get(severity)
                )


def _by_severity(limits: CellLimits | None, metric: str) -> dict[str, float]:
    found = None if limits is None else limits.metrics.get(metric)
    return {} if found is None else found.by_severity


def describe_changes(changes: Iterable[Change], baselines: Baselines) -> Iterator[str]:
    """Return a line for each cell, with the origin of its baseline.

    ``orders-service under calm (baseline version 4 by ana: faster): p95 warning 61.2 ms → 58 ms, critical …; p99 …``
    """
    for cell, of_cell in groupby(changes, key=attrgetter("cell")):
        origin = _origin(baselines.get(cell.service, cell.scenario))
        yield f"{cell.service} under {cell.scenario} ({origin}): {_all_of(tuple(of_cell))}"


def _all_of(changes: tuple[Change, ...]) -> str:
    """Write the changes of a cell, metric by metric."""
    if all(change.after is None for change in changes):
        return f"{counted(len(changes), 'limit')} no longer in force"
    is_new = all(change.before is None for change in changes)
    metrics = groupby(changes, key=attrgetter("metric"))
    words = (f"{SHORT_NAMES[metric.name]} {', '.join(change.words for change in found)}" for metric, found in metrics)
    return f"{'new limits: ' * is_new}{'; '.join(words)}"


def _origin(entry: Baseline | None) -> str:
    if entry is None:
        return "without a baseline"
    return f"baseline version {entry.version} by {entry.approval.by}: {entry.approval.reason}"
