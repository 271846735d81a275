"""A run: its report, its files, the previous and next run, and the form that promotes it."""

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
    REPORT_HTML_FILE: "report (HTML)",
    REPORT_FILE: "report (Markdown)",
    JUNIT_FILE: "test results for CI (JUnit XML)",
    RECORD_FILE: "run record (JSON)",
    TIMESERIES_FILE: "load and latency, one row per second",
    DISTRIBUTION_FILE: "latency distribution",
    SERVER_SERIES_FILE: "CPU, memory and disk over time",
    PRODUCTION_FILE: "comparison with production",
    REQUESTS_FILE: "raw data, one row per request",
}
"""The files of a run that can be downloaded, with a description. No other file is served."""

HISTORY = 30
"""How many earlier runs the sparklines of a report show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """How a run can be promoted to baseline.

    Attributes:
        over: the current baseline version, 0 for none.
        needs_force: why the run can only start a new baseline; empty where it can join the current one.
    """

    over: int
    needs_force: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """A run.

    Attributes:
        files: those of `FILES` that exist.
        earlier, later: the previous and the next run of the cell.
        of_baseline: the latest run that the current baseline is made of, to compare with.
        promotion: ``None`` where the run cannot become the baseline.
        may_change: whether the viewer may promote it.
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
    left_out: Sequence[str] = (),
) -> RunPage:
    """Return the page of a run.

    Args:
        history: the runs of its cell, oldest first.
        files: paths in the folder of the run.
        production: the comparison with production.
        left_out: a sentence for each file of the run that cannot be used.
    """
    first_runs = [run for run in history if run.rerun_of is None or run.run_id == entry.run_id]
    index = next((index for index, run in enumerate(first_runs) if run.run_id == entry.run_id), len(first_runs))
    return RunPage(
        entry=entry,
        document=run_document(
            record,
            charts=_charts(files),
            history=_history(first_runs[:index]),
            production=production,
            left_out=left_out,
        ),
        files=tuple((name, description) for name, description in FILES.items() if name in files),
        earlier=first_runs[index - 1] if index > 0 else None,
        later=first_runs[index + 1] if index + 1 < len(first_runs) else None,
        of_baseline=_latest_of(baseline, history, other_than=entry),
        promotion=_promotion(record, baseline),
        may_change=may_change,
    )


def _charts(files: Collection[str]) -> dict[str, str]:
    found = sorted(path for path in files if path.startswith(f"{CHARTS_FOLDER}/") and path.endswith(".png"))
    return {path.removeprefix(f"{CHARTS_FOLDER}/").removesuffix(".png"): path for path in found}


def _history(before: Sequence[RunEntry]) -> dict[str, tuple[float, ...]]:
    measured = [run for run in before if run.verdict.is_measured][-HISTORY:]
    return {name: tuple(value for run in measured if (value := run.value_of(name)) is not None) for name in METRICS}


def _latest_of(baseline: Baseline | None, history: Sequence[RunEntry], *, other_than: RunEntry) -> RunEntry | None:
    run_ids = {run.run_id for run in baseline.runs} if baseline else set()
    return next((run for run in reversed(history) if run.run_id in run_ids - {other_than.run_id}), None)


def _promotion(record: RunRecord, baseline: Baseline | None) -> Promotion | None:
    """Return how a run can be promoted; `include.perf.baselines.baselines` checks again on promotion."""
    is_part = baseline is not None and baseline.has_run(record.run_id)
    if not record.verdict.is_measured or record.rerun_of is not None or is_part or record.is_failing:
        return None
    return Promotion(over=baseline.version if baseline else 0, needs_force=_why_force(record, baseline))


def _why_force(record: RunRecord, baseline: Baseline | None) -> str:
    if record.verdict.is_failure or record.verdict is Verdict.NOT_COMPARABLE:
        return f"its verdict is {record.verdict}"
    if any(deviation.is_suspicion for deviation in record.deviations):
        return "it looks worse than the baseline, although the change is not confirmed"
    if baseline is not None and baseline.was_not_compared(record):
        return "it was not compared with the current baseline"
    return ""
