"""The page of a run: its neighbours, its files, and whether it may be promoted."""

from typing import Any

from include.perf.baselines.entry import Baseline
from include.perf.pages.run_page import RunPage, run_page
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.run_index import RunEntry
from tests.baselines import entry_of, with_runs
from tests.entries import entry, night
from tests.records import record_of, regressed_record, run_record


def page_of(record: RunRecord | None = None, **changes: Any) -> RunPage:
    """Return the page of a run that the viewer may promote."""
    record = record or run_record()
    given: dict[str, Any] = {"history": (), "baseline": None, "files": (), "may_change": True}
    return run_page(record, entry(record), **{**given, **changes})


def around(record: RunRecord) -> tuple[RunEntry, ...]:
    """Return a history with the run in the middle, and a re-run after it."""
    return (night(1), entry(record), night(2, rerun_of=record.run_id), night(3))


def test_the_previous_and_next_run() -> None:
    """Re-runs are skipped."""
    page = page_of(history=around(run_record()))
    assert page.earlier is not None
    assert page.later is not None
    assert (page.earlier.run_id, page.later.run_id) == ("night-0001", "night-0003")


def test_the_only_run_has_no_neighbours() -> None:
    """Neither a previous nor a next run."""
    page = page_of(history=(entry(run_record()),))
    assert (page.earlier, page.later) == (None, None)


def test_only_downloadable_files_are_listed() -> None:
    """Stage files and other files in the folder are not."""
    page = page_of(files={"report.md", "run.json", "stage-draft.json", ".hidden", "charts/latency.png"})
    assert [name for name, _ in page.files] == ["report.md", "run.json"]


def test_the_report_has_the_charts_that_exist() -> None:
    """It names their PNG; rendering finds the SVG next to it."""
    page = page_of(files={"charts/latency.png", "charts/latency.svg", "charts/latency.dark.svg"})
    assert "charts/latency.png" in repr(page.document)


def test_a_run_of_the_baseline_to_compare_with() -> None:
    """The latest in the index other than the run itself."""
    baseline = entry_of(with_runs(3))  # from the runs r1, r2, r3
    page = page_of(history=(night(1, run_id="r1"), night(2, run_id="r2"), entry(run_record())), baseline=baseline)
    assert page.of_baseline is not None
    assert page.of_baseline.run_id == "r2"


def promotion_of(record: RunRecord, baseline: Baseline | None = None) -> tuple[int, str] | None:
    """Return which version a run may be promoted over, and why that takes force."""
    promotion = page_of(record, baseline=baseline).promotion
    return None if promotion is None else (promotion.over, promotion.needs_force)


def test_a_first_run_may_become_the_baseline() -> None:
    """There is no version yet: 0."""
    assert promotion_of(record_of(Verdict.NO_BASELINE)) == (0, "")


def test_a_regression_takes_force() -> None:
    """Like on the command line."""
    baseline = entry_of(with_runs(3))
    assert promotion_of(regressed_record(fingerprint=baseline.fingerprint), baseline) == (
        3,
        "its verdict is REGRESSION",
    )


def test_a_run_of_another_load_takes_force() -> None:
    """It was not compared with the baseline that it would replace."""
    baseline = entry_of(with_runs(3))
    assert promotion_of(run_record(fingerprint={"load": "other"}), baseline) == (
        3,
        "it was not compared with the current baseline",
    )


def test_runs_that_cannot_be_promoted() -> None:
    """An invalid run, a re-run, and a run that is already part of the baseline."""
    assert promotion_of(record_of(Verdict.INVALID)) is None
    assert promotion_of(run_record(rerun_of="first")) is None
    assert promotion_of(run_record(run_id="r2"), entry_of(with_runs(3))) is None
