"""Baselines, limits and drafts for tests of the alert rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Baseline, BaselineRun
from include.perf.baselines.spread import spread_of
from include.perf.model.errors import BellwetherError
from include.perf.monitoring.rule_limits import CellLimits, Limit, RuleLimits
from include.perf.monitoring.rule_writer import Draft
from tests.nights import SCENARIO, SERVICE, baseline_of, day

NOW = day(10) + timedelta(hours=1)


def baseline(runs: int | Sequence[BaselineRun] = 10, *, within_run: float | None = None, **changes: Any) -> Baseline:
    """Return a baseline with its spread: of ten varying nights, 3.04 % between runs, see `tests.nights`."""
    made = baseline_of(runs)
    spread = {name: replace(found, within_run=within_run) for name, found in spread_of(made.runs, others=()).items()}
    return replace(made, spread=spread, **changes)


def baselines(entry: Baseline) -> Baselines:
    """Return baselines with one cell."""
    return Baselines(entries={SERVICE: {SCENARIO: entry}})


def cell_limits(p95: float = 0.5, **changes: Any) -> CellLimits:
    """Return the limits of a cell for its p95 only: a warning, and a critical one 20 % above it."""
    limit = Limit(centre=0.4, warning=p95, critical=p95 * 1.2)
    cell = CellLimits(
        service=SERVICE,
        scenario=SCENARIO,
        environment="staging",
        baseline_version=3,
        metrics={"latency_p95": limit},
    )
    return replace(cell, **changes)


def draft_of(*cells: CellLimits, rules: str = "groups: []", digest: str = "new") -> Draft:
    """Return a draft with these limits."""
    return Draft(limits=RuleLimits(cells=cells), rules=rules.encode(), tests=b"tests", digest=digest)


@dataclass(slots=True)
class FakeChecker:
    """Accepts all rules, or refuses them."""

    problem: BellwetherError | None = None
    checked: list[tuple[bytes, bytes, str]] = field(default_factory=list)

    def check(self, rules: bytes, tests: bytes, *, name: str) -> None:
        self.checked.append((rules, tests, name))
        if self.problem is not None:
            raise self.problem
