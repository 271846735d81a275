"""The summary of a DAG run: the matrix, the verdicts, what was run again and what is missing."""

from dataclasses import replace

import pytest

from include.perf.model.cell import RunAddress
from include.perf.reporting import markdown_text
from include.perf.reporting.document import Mark, Table, Tone
from include.perf.reporting.summary import GRAVEST_FIRST, dag_run_document
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


def test_a_night_of_every_kind() -> None:
    """The whole of it, as someone has read it and found right."""
    again = replace(
        regressed_record(service="feature-store-service"),
        judged={"latency_p95": 0.0612},
        reruns=("20260302T070000Z-aa01", "20260302T071700Z-bb02"),
    )
    records = (
        run_record(service="trading-gateway-service"),
        again,
        replace(record_of(Verdict.INVALID), service="ml-integration-service"),
        replace(record_of(Verdict.NO_BASELINE), service="strategy-execution-engine"),
    )
    document = dag_run_document(
        results(*records, missing=(LOST,)), report_of=lambda record: f"../{record.service}/report.html"
    )
    assert_golden("summary_night.md", markdown_text.render(document))


def test_several_scenarios_begin_with_all_verdicts() -> None:
    """Services against scenarios; a run without a record is told, and a dash stands for what was not planned."""
    worse = regressed_record(scenario="normal_trading")
    made = table(run_record(), worse, missing=(LOST,))
    assert [column.title for column in made.columns] == ["Service", "market_open", "normal_trading"]
    assert made.rows == (
        ("analysis-engine-service", Mark("PASS", Tone.GOOD), Mark("REGRESSION", Tone.BAD)),
        ("data-pipeline-service", Mark("NO RECORD", Tone.DOUBT), "–"),
    )


def test_services_down_and_metrics_across() -> None:
    """Each cell has its value and its change; what is worse is marked, a suspicion too."""
    doubt = deviation("cpu_usage", 2.6, is_confirmed=False, severity=Severity.DIGEST)
    worse = regressed_record(deviation("latency_p95", 0.0612), doubt)
    (row,) = table(worse).rows
    assert row[:2] == ("analysis-engine-service", Mark("REGRESSION", Tone.BAD))
    assert row[2] == ("18.5 ms ", "(+1.1 %)")
    assert row[3] == ("61.2 ms ", Mark("+45 %", Tone.BAD))
    assert row[7] == ("2.60 cores ", Mark("+41 %", Tone.DOUBT))


def test_without_a_comparison_there_is_the_value_alone() -> None:
    """And without a value a dash, which is no zero."""
    record = replace(record_of(Verdict.NO_BASELINE), metrics=metric_values(cpu_usage="no data"))
    (row,) = table(record).rows
    assert row[2] == "18.5 ms"
    assert row[7] == "–"


def test_each_scenario_has_a_matrix_of_its_own() -> None:
    """In the order in which they were planned."""
    records = (
        run_record(scenario="market_open"),
        run_record(scenario="calm"),
        run_record(service="orders", scenario="calm"),
    )
    sections = dag_run_document(results(*records)).sections
    assert [section.title for section in sections] == ["All verdicts", "market_open", "calm", "What was found"]
    assert [len(section.blocks[0].rows) for section in sections[:3]] == [2, 1, 2]  # type: ignore[union-attr]


def test_a_run_without_a_record_has_a_row() -> None:
    """A gap could be read as fine."""
    rows = table(run_record(), missing=(LOST,)).rows
    assert rows[1] == ("data-pipeline-service", Mark("NO RECORD", Tone.DOUBT), *["–"] * 8)


@pytest.mark.parametrize("gravest", GRAVEST_FIRST)
def test_the_gravest_verdict_is_that_of_all(gravest: Verdict) -> None:
    """Of a night with it and all that is less grave."""
    less = GRAVEST_FIRST[GRAVEST_FIRST.index(gravest) :]
    assert dag_run_document(results(*map(record_of, less))).mark.text == gravest.value


def test_every_verdict_has_its_place() -> None:
    """A new one would be left out of the counts."""
    assert set(GRAVEST_FIRST) == set(Verdict)


@pytest.mark.parametrize(
    ("verdict", "mark"),
    [(Verdict.PASS, "NO RECORD"), (Verdict.INVALID, "NO RECORD"), (Verdict.REGRESSION, "REGRESSION")],
)
def test_a_missing_run_keeps_a_night_from_being_good(verdict: Verdict, mark: str) -> None:
    """Only a regression is graver."""
    document = dag_run_document(results(record_of(verdict), missing=(LOST,)))
    assert document.mark.text == mark
    assert document.finding == f"2 runs: 1 {verdict}, 1 without a record"


def test_nothing_at_all_is_told() -> None:
    """As long as nothing was planned."""
    document = dag_run_document(results())
    assert document.title.endswith("– nothing was planned")
    assert document.sections == ()


def test_re_runs_that_were_all_invalid() -> None:
    """The first run was judged alone, and that is told."""
    text = markdown_text.render(dag_run_document(results(run_record(reruns=("aa",)))))
    assert "`aa`; none of them is valid, so the first run was judged alone" in text
