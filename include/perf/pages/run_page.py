"""A run: its report, its files, the runs beside it, and what may be made of it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from include.perf.baselines.entry import Baseline
from include.perf.measure.production.comparison import ProductionComparison
from include.perf.model.metric import METRICS
from include.perf.reporting.document import Document
from include.perf.reporting.report import run_document
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import (
    CHARTS_FOLDER,
    DISTRIBUTION_FILE,
    JUNIT_FILE,
    PRODUCTION_FILE,
    RECORD_FILE,
    REPORT_FILE,
    REPORT_HTML_FILE,
    REQUESTS_FILE,
    SERVER_SERIES_FILE,
    TIMESERIES_FILE,
)
from include.perf.runs.run_index import RunEntry

FILES = {
    REPORT_HTML_FILE: "report as one page",
    REPORT_FILE: "report as Markdown",
    JUNIT_FILE: "JUnit, for CI",
    RECORD_FILE: "the record",
    TIMESERIES_FILE: "one row a second",
    DISTRIBUTION_FILE: "latency distribution",
    SERVER_SERIES_FILE: "CPU, memory and disk over time",
    PRODUCTION_FILE: "the comparison with production",
    REQUESTS_FILE: "one row a request",
}
"""The files of a run that can be had, and what each is; no other is ever given out."""

HISTORY = 30
"""So many nights before a run its report shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What it takes to make a run the baseline.

    Attributes:
        over: the present version, 0 for none.
        needs_force: why it only begins a new level; empty where it agrees with the present one.
    """

    over: int
    needs_force: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """A run.

    Attributes:
        files: those of `FILES` that are there.
        earlier, later: the runs of the cell before and after it.
        of_baseline: the latest run that the present baseline was made from, to compare it with.
        promotion: ``None`` where it cannot become the baseline.
        may_change: whether who looks on may promote it.
    """

    entry: RunEntry
    document: Document
    files: tuple[tuple[str, str], ...]
    earlier: RunEntry | None
    later: RunEntry | None
    of_baseline: RunEntry | None
    promotion: Promotion | None
    may_change: bool


def run_page(
    record: RunRecord,
    entry: RunEntry,
    *,
    history: Sequence[RunEntry],
    baseline: Baseline | None,
    files: Collection[str],
    may_change: bool,
    production: ProductionComparison | None = None,
) -> RunPage:
    """Return a run with all that belongs to it.

    Args:
        history: the runs of its cell, oldest first.
        files: paths within its folder.
        production: how it compares with production.
    """
    first_runs = [each for each in history if each.rerun_of is None or each.run_id == entry.run_id]
    at = next((at for at, each in enumerate(first_runs) if each.run_id == entry.run_id), len(first_runs))
    return RunPage(
        entry=entry,
        document=run_document(record, charts=_charts(files), history=_history(first_runs[:at]), production=production),
        files=tuple((name, what) for name, what in FILES.items() if name in files),
        earlier=first_runs[at - 1] if at > 0 else None,
        later=first_runs[at + 1] if at + 1 < len(first_runs) else None,
        of_baseline=_latest_of(baseline, history, but=entry),
        promotion=_promotion(record, baseline),
        may_change=may_change,
    )


def _charts(files: Collection[str]) -> dict[str, str]:
    found = sorted(path for path in files if path.startswith(f"{CHARTS_FOLDER}/") and path.endswith(".png"))
    return {path.removeprefix(f"{CHARTS_FOLDER}/").removesuffix(".png"): path for path in found}


def _history(before: Sequence[RunEntry]) -> dict[str, tuple[float, ...]]:
    measured = [each for each in before if each.verdict.is_measured][-HISTORY:]
    return {name: tuple(value for each in measured if (value := each.value_of(name)) is not None) for name in METRICS}


def _latest_of(baseline: Baseline | None, history: Sequence[RunEntry], *, but: RunEntry) -> RunEntry | None:
    behind = {run.run_id for run in baseline.runs} if baseline else set()
    return next((each for each in reversed(history) if each.run_id in behind and each.run_id != but.run_id), None)


def _promotion(record: RunRecord, baseline: Baseline | None) -> Promotion | None:
    """Return what a promotion takes; `include.perf.baselines.baselines` has the last word."""
    is_part = baseline is not None and baseline.has_run(record.run_id)
    if not record.verdict.is_measured or record.rerun_of is not None or is_part:
        return None
    return Promotion(over=baseline.version if baseline else 0, needs_force=_why_force(record, baseline))


def _why_force(record: RunRecord, baseline: Baseline | None) -> str:
    if record.verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE):
        return f"it is {record.verdict}"
    if any(deviation.is_suspicion for deviation in record.deviations):
        return "it looks worse than the baseline, if not surely so"
    if baseline is not None and baseline.was_not_compared(record):
        return "it was never compared with the present baseline"
    return ""
