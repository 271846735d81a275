"""The summary of a DAG run: metrics, verdicts, re-runs and missing runs."""

from dataclasses import replace

import pytest

from include.perf.model.cell import RunAddress
from include.perf.reporting import markdown_text
from include.perf.reporting.document import Mark, Table, Tone
from include.perf.reporting.summary import MOST_SEVERE_FIRST, dag_run_document
from include.perf.runs.dag_run import DagRunResults, MissingRun
from include.perf.runs.record import RunRecord, Severity, Verdict
from tests.golden_files import assert_golden
from tests.records import deviation, metric_values, record_of, regressed_record, run_record

LOST = MissingRun(
    address=RunAddress(service="data-pipeline-service", scenario="market_open", run_id="lost"),
    reason="the load left no record",
)


def results(*records: RunRecord, missing: tuple[MissingRun, ...] = ()) -> DagRunResults:
    return DagRunResults(
        dag_id="market_open",
        dag_run_id="scheduled__2026-03-02T06:30:00+00:00",
        records={
            f"memory://{number}/{record.service}/{record.scenario}/{record.run_id}": record
            for number, record in enumerate(records)
        },
        missing=missing,
    )


def table(*records: RunRecord, missing: tuple[MissingRun, ...] = ()) -> Table:
    (made,) = dag_run_document(results(*records, missing=missing)).sections[0].blocks
    assert isinstance(made, Table)
    return made


def test_a_night_with_every_kind_of_run() -> None:
    """The complete summary, as someone has read and approved it."""
    rerun = replace(
        regressed_record(service="feature-store-service"),
        judged={"latency_p95": 0.0612},
        reruns=("20260302T070000Z-aa01", "20260302T071700Z-bb02"),
    )
    records = (
        run_record(service="trading-gateway-service"),
        rerun,
        replace(record_of(Verdict.INVALID), service="ml-integration-service"),
        replace(record_of(Verdict.NO_BASELINE), service="strategy-execution-engine"),
    )
    document = dag_run_document(
        results(*records, missing=(LOST,)), report_of=lambda record: f"../{record.service}/report.html"
    )
    assert_golden("summary_night.md", markdown_text.render(document))


def test_several_scenarios_start_with_all_verdicts() -> None:
    """Services by scenario; a run without a record is shown, and a dash means that no run was planned."""
    worse = regressed_record(scenario="normal_trading")
    made = table(run_record(), worse, missing=(LOST,))
    assert [column.title for column in made.columns] == ["Service", "market_open", "normal_trading"]
    assert made.rows == (
        ("analysis-engine-service", Mark("PASS", Tone.GOOD), Mark("REGRESSION", Tone.BAD)),
        ("data-pipeline-service", Mark("NO RECORD", Tone.DOUBT), "–"),
    )


def test_rows_are_services_and_columns_are_metrics() -> None:
    """Each cell has a value and its change; regressions and suspicions are marked."""
    suspicion = deviation("cpu_usage", 2.6, is_confirmed=False, severity=Severity.DIGEST)
    worse = regressed_record(deviation("latency_p95", 0.0612), suspicion)
    (row,) = table(worse).rows
    assert row[:2] == ("analysis-engine-service", Mark("REGRESSION", Tone.BAD))
    assert row[2] == ("18.5 ms ", "(+1.1 %)")
    assert row[3] == ("61.2 ms ", Mark("+45 %", Tone.BAD))
    assert row[7] == ("2.60 cores ", Mark("+41 %", Tone.DOUBT))


def test_without_a_comparison_there_is_only_the_value() -> None:
    """Without a value there is a dash, not a zero."""
    record = replace(record_of(Verdict.NO_BASELINE), metrics=metric_values(cpu_usage="no data"))
    (row,) = table(record).rows
    assert row[2] == "18.5 ms"
    assert row[7] == "–"


def test_each_scenario_has_its_own_table() -> None:
    """In the order in which they were planned."""
    records = (
        run_record(scenario="market_open"),
        run_record(scenario="calm"),
        run_record(service="orders", scenario="calm"),
    )
    sections = dag_run_document(results(*records)).sections
    assert [section.title for section in sections] == ["All verdicts", "market_open", "calm", "Findings"]
    assert [len(section.blocks[0].rows) for section in sections[:3]] == [2, 1, 2]  # type: ignore[union-attr]


def test_a_run_without_a_record_has_a_row() -> None:
    """A missing row could be read as a pass."""
    rows = table(run_record(), missing=(LOST,)).rows
    assert rows[1] == ("data-pipeline-service", Mark("NO RECORD", Tone.DOUBT), *["–"] * 8)


@pytest.mark.parametrize("most_severe", MOST_SEVERE_FIRST)
def test_the_summary_has_the_most_severe_verdict(most_severe: Verdict) -> None:
    """Of a night with this verdict and all less severe ones."""
    verdicts = MOST_SEVERE_FIRST[MOST_SEVERE_FIRST.index(most_severe) :]
    assert dag_run_document(results(*map(record_of, verdicts))).mark.text == most_severe.value


def test_every_verdict_has_a_rank() -> None:
    """A new verdict without a rank would be missing in the counts."""
    assert set(MOST_SEVERE_FIRST) == set(Verdict)


@pytest.mark.parametrize(
    ("verdict", "mark"),
    [
        (Verdict.PASS, "NO RECORD"),
        (Verdict.INVALID, "NO RECORD"),
        (Verdict.REGRESSION, "REGRESSION"),
        (Verdict.OVER_LIMIT, "OVER_LIMIT"),
    ],
)
def test_a_missing_run_keeps_a_night_from_being_good(verdict: Verdict, mark: str) -> None:
    """Only a problem of a service is more severe."""
    document = dag_run_document(results(record_of(verdict), missing=(LOST,)))
    assert document.mark.text == mark
    assert document.finding == f"2 runs: 1 {verdict}, 1 without a record"


def test_a_dag_run_without_runs() -> None:
    """Nothing was planned yet."""
    document = dag_run_document(results())
    assert document.title.endswith("– nothing was planned")
    assert document.sections == ()


def test_reruns_that_are_all_invalid() -> None:
    """The summary says that the first run was judged alone."""
    text = markdown_text.render(dag_run_document(results(run_record(reruns=("aa",)))))
    assert "`aa`; no re-run is valid, so the first run was judged alone" in text
