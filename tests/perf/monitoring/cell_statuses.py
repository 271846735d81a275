"""Statuses of cells for tests of metrics."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from include.perf.monitoring.cell_status import CellStatus
from include.perf.monitoring.families import exposition_of
from include.perf.monitoring.rule_limits import CellLimits, Limit
from include.perf.runs.record import Severity
from tests.baselines import entry_of, with_runs
from tests.entries import CELL, entry
from tests.fakes.clock import START
from tests.loads import sent_load

Labels = frozenset[tuple[str, str]]
PLACE = {"service": CELL.service, "scenario": CELL.scenario, "environment": "staging"}


def status(**changes: Any) -> CellStatus:
    """Return a complete status: a healthy run one day after a baseline of ten runs, and a running load."""
    run = entry()
    limits = {"latency_p95": Limit(centre=0.042, warning=0.05, critical=0.055)}
    made: dict[str, Any] = {
        "cell": CELL,
        "environment": "staging",
        "now": START + timedelta(days=1),
        "latest": run,
        "measured": run,
        "baseline": entry_of(with_runs(10)),
        "load": sent_load(),
        "is_loaded": True,
        "limits": CellLimits(
            service=CELL.service, scenario=CELL.scenario, environment="staging", baseline_version=10, metrics=limits
        ),
        "problems": {Severity.DIGEST: 0, Severity.WARNING: 1, Severity.CRITICAL: 0},
    }
    return CellStatus(**{**made, **changes})


def samples_of(*statuses: CellStatus) -> Mapping[str, Mapping[Labels, float]]:
    """Return the samples by family and labels, parsed like Prometheus; labels of the one cell are omitted."""
    return samples_in(exposition_of(statuses, as_of=START).content.decode())


def samples_in(text: str) -> Mapping[str, Mapping[Labels, float]]:
    """Return the samples of a text by family and labels."""
    return {
        family.name: {
            frozenset((name, value) for name, value in sample.labels.items() if PLACE.get(name) != value): sample.value
            for sample in family.samples
        }
        for family in text_string_to_metric_families(text)
    }


def labels(**given: str) -> Labels:
    """Return labels in addition to those of the cell."""
    return frozenset(given.items())
