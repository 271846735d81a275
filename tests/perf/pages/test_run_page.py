"""A run's page: what is beside it, which files it has, whether it may become the baseline."""

from typing import Any

from include.perf.baselines.baselines import Baseline
from include.perf.pages.run_page import RunPage, run_page
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.run_index import RunEntry
from tests.baselines import entry_of, with_runs
from tests.entries import entry, night
from tests.records import record_of, regressed_record, run_record


def page_of(record: RunRecord | None = None, **changes: Any) -> RunPage:
    """Return the page of a run that somebody may change."""
    record = record or run_record()
    given: dict[str, Any] = {"history": (), "baseline": None, "files": (), "may_change": True}
    return run_page(record, entry(record), **{**given, **changes})


def around(record: RunRecord) -> tuple[RunEntry, ...]:
    """Return a history with the run in the middle, and a re-run after it."""
    return (night(1), entry(record), night(2, rerun_of=record.run_id), night(3))


def test_the_runs_before_and_after() -> None:
    """Re-runs are passed over."""
    page = page_of(history=around(run_record()))
    assert page.earlier is not None
    assert page.later is not None
    assert (page.earlier.run_id, page.later.run_id) == ("night-0001", "night-0003")


def test_the_latest_run_has_none_after_it() -> None:
    """And the only one has neither."""
    page = page_of(history=(entry(run_record()),))
    assert (page.earlier, page.later) == (None, None)


def test_only_files_that_may_be_had() -> None:
    """Stage files and whatever else lies in the folder are not listed."""
    page = page_of(files={"report.md", "run.json", "stage-draft.json", ".hidden", "charts/latency.png"})
    assert [name for name, _ in page.files] == ["report.md", "run.json"]


def test_the_report_has_the_charts_that_are_there() -> None:
    """By the PNG of each; the page finds the SVGs beside it."""
    page = page_of(files={"charts/latency.png", "charts/latency.svg", "charts/latency.dark.svg"})
    assert "charts/latency.png" in repr(page.document)


def test_a_run_of_the_baseline_to_compare_with() -> None:
    """The latest that is in the index, and not the run itself."""
    baseline = entry_of(with_runs(3))  # from the runs r1, r2, r3
    page = page_of(history=(night(1, run_id="r1"), night(2, run_id="r2"), entry(run_record())), baseline=baseline)
    assert page.of_baseline is not None
    assert page.of_baseline.run_id == "r2"


def promotion_of(record: RunRecord, baseline: Baseline | None = None) -> tuple[int, str] | None:
    """Return over which version a run may be promoted, and why only by force."""
    promotion = page_of(record, baseline=baseline).promotion
    return None if promotion is None else (promotion.over, promotion.needs_force)


def test_a_first_run_may_become_the_baseline() -> None:
    """Over none: version 0."""
    assert promotion_of(record_of(Verdict.NO_BASELINE)) == (0, "")


def test_a_regression_takes_force() -> None:
    """As on the command line."""
    baseline = entry_of(with_runs(3))
    assert promotion_of(regressed_record(fingerprint=baseline.fingerprint), baseline) == (3, "it is REGRESSION")


def test_a_run_of_another_load_takes_force() -> None:
    """It was never compared with what it would replace."""
    baseline = entry_of(with_runs(3))
    assert promotion_of(run_record(fingerprint={"load": "other"}), baseline) == (
        3,
        "it was never compared with the present baseline",
    )


def test_what_can_never_be_a_baseline() -> None:
    """An invalid run, a re-run, and one that is part of it already."""
    assert promotion_of(record_of(Verdict.INVALID)) is None
    assert promotion_of(run_record(rerun_of="first")) is None
    assert promotion_of(run_record(run_id="r2"), entry_of(with_runs(3))) is None
