"""The comparison of two runs."""

from typing import Any

from include.perf.pages.compare_page import ComparedRun, ComparePage, compare_page
from include.perf.reporting.document import Mark, Tone
from include.perf.runs.record import RunRecord, Verdict
from tests.entries import entry
from tests.records import metric_values, record_of, run_record


def side(record: RunRecord, **files: Any) -> ComparedRun:
    """Return a run with the files of its charts."""
    return ComparedRun(entry=entry(record), record=record, series=files.get("series"), spread=files.get("spread"))


def compared(first: RunRecord, second: RunRecord) -> ComparePage:
    """Return two runs side by side, without files."""
    return compare_page(side(first), side(second))


def row_of(page: ComparePage, title: str) -> Any:
    """Return the row of a metric."""
    return next(row for row in page.metrics.rows if row[0] == title)


def test_a_metric_that_got_worse() -> None:
    """40 ms to 50 ms is +25 %, above the minimum effect of 5 %."""
    page = compared(
        run_record(metrics=metric_values(latency_p95=0.040)), run_record(metrics=metric_values(latency_p95=0.050))
    )
    assert row_of(page, "Latency p95") == (
        "Latency p95",
        "40.0 ms",
        "50.0 ms",
        ("+25 % ", Mark("worse", Tone.BAD)),
    )


def test_a_small_difference_is_not_marked() -> None:
    """40 ms to 41 ms is +2.5 %, below the minimum effect of 5 %."""
    page = compared(
        run_record(metrics=metric_values(latency_p95=0.040)), run_record(metrics=metric_values(latency_p95=0.041))
    )
    assert row_of(page, "Latency p95")[3] == "+2.5 %"


def test_more_throughput_is_better() -> None:
    """Every metric has a direction."""
    page = compared(
        run_record(metrics=metric_values(throughput=400.0)), run_record(metrics=metric_values(throughput=500.0))
    )
    assert row_of(page, "Throughput")[3] == ("+25 % ", Mark("better", Tone.GOOD))


def test_a_missing_value_has_no_change() -> None:
    """A metric that one run lacks is shown as missing, never as zero."""
    page = compared(run_record(metrics=metric_values(cpu_usage="no data")), run_record())
    assert row_of(page, "CPU")[1] == "–"
    assert row_of(page, "CPU")[3] == "–"


def test_two_runs_of_one_load_have_no_warning() -> None:
    """They are comparable, and nothing differs."""
    page = compared(run_record(), run_record(run_id="other"))
    assert page.warnings == ()
    assert page.differences.rows == ()


def test_warnings() -> None:
    """Another scenario, environment or load, and an invalid run."""
    other = record_of(Verdict.INVALID)
    page = compared(run_record(scenario="calm", environment="production", fingerprint={"load": "another"}), other)
    assert page.warnings == (
        "The runs are of different services or scenarios.",
        "The runs are from different environments: production and staging.",
        "Load, data or test bed differ, so the service may not be the cause of a change. See Differences below.",
        "Run B is INVALID: its figures are not reliable.",
    )


def test_differences_are_listed() -> None:
    """Equal properties are left out; a property that one run lacks is a dash."""
    page = compared(
        run_record(deploy_version="1.4.0", fingerprint={"load": "a", "data": "d"}),
        run_record(deploy_version="1.5.0", fingerprint={"load": "a"}),
    )
    assert page.differences.rows == (("Deployed version", "1.4.0", "1.5.0"), ("Fingerprint: data", "d", "–"))


def test_endpoints_of_both_runs() -> None:
    """An endpoint that only one run has is listed too."""
    page = compared(run_record(endpoints=run_record().endpoints[:1]), run_record())
    assert page.endpoints.rows == (
        ("market", "39.8 ms", "39.8 ms", "60", "60"),
        ("signals", "–", "44.7 ms", "–", "75"),
    )
