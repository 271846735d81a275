"""The report: golden files by verdict, what it must say, and text that tries to break out."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, Shape
from include.perf.model.metric import METRICS
from include.perf.model.numbers import format_value
from include.perf.reporting import markdown_text
from include.perf.reporting.report import run_document
from include.perf.runs.figures import ErrorGroup, Stall
from include.perf.runs.phrases import headline, is_compared
from include.perf.runs.record import RunRecord, Severity, Shift, Verdict
from tests.golden_files import assert_golden
from tests.records import (
    baseline_reference,
    deviation,
    endpoint_figures,
    generator_figures,
    load_summary,
    metric_values,
    record_of,
    regressed_record,
    run_record,
)

CHARTS = {
    "latency": "charts/latency.png",
    "throughput": "charts/throughput.png",
    "comparison": "charts/comparison.png",
}
HOSTILE = "a|b `c` <script>alert(1)</script>\n# *d* [e](http://f) \x1b[31m__g__"


def render_report(record: RunRecord, charts: Mapping[str, str]) -> str:
    """Return a run's report in Markdown."""
    return markdown_text.render(run_document(record, charts=charts))


@pytest.mark.parametrize("verdict", Verdict)
def test_report_of_each_verdict(verdict: Verdict) -> None:
    """Each verdict has a report that someone has read and found right."""
    record = record_of(verdict)
    drawn = {name: path for name, path in CHARTS.items() if name != "comparison" or is_compared(record)}
    shown = {} if verdict is Verdict.SKIPPED else drawn
    assert_golden(f"report_{verdict.lower()}.md", render_report(record, shown))


@pytest.mark.parametrize(
    ("verdict", "sentence"),
    [
        (Verdict.PASS, "PASS · {} – Latency p95 is 42.4 ms, in line with its baseline (42.1 ms)"),
        (  # 61.2 / 42.1 = 1.4537
            Verdict.REGRESSION,
            "REGRESSION · {} – Latency p95 is 45 % above its baseline (61.2 ms, was 42.1 ms)",
        ),
        (  # 30.0 / 42.1 = 0.7126
            Verdict.IMPROVEMENT,
            "IMPROVEMENT · {} – Latency p95 is 29 % below its baseline (30.0 ms, was 42.1 ms)",
        ),
        (
            Verdict.NO_BASELINE,
            "NO_BASELINE · {} – Latency p95 is 42.4 ms; there is no baseline to compare it with yet",
        ),
        (
            Verdict.NOT_COMPARABLE,
            "NOT_COMPARABLE · {} – not comparable with its baseline: the data differs from the baseline's: "
            "run 41aa07be, baseline 9d00c3f1",
        ),
        (
            Verdict.SKIPPED,
            "SKIPPED · {} – nothing was measured: the market opens in 4 min, and the run needs 16; the next "
            "chance is tomorrow at 06:30 UTC",
        ),
    ],
)
def test_headline_tells_the_run_in_one_sentence(verdict: Verdict, sentence: str) -> None:
    """The headline holds the verdict, who, where, and the figure that matters."""
    assert headline(record_of(verdict)) == sentence.format("analysis-engine-service · market_open")


def test_headline_of_an_invalid_run_gives_the_first_reason_and_counts_the_others() -> None:
    """INVALID names what went wrong and never a change of the service."""
    line = headline(record_of(Verdict.INVALID))
    assert "the figures cannot be trusted: the load generator could not keep up" in line
    assert line.endswith("(and 1 more reason)")
    assert "p95" not in line


def test_headline_leads_with_the_most_severe() -> None:
    """A critical +45 % comes before a warning of +60 %, and the rest is counted."""
    memory = deviation("memory_usage", 1251.2 * 1024**2, severity=Severity.WARNING)  # 782.0 × 1.6
    p95 = deviation("latency_p95", 0.0612)
    line = headline(regressed_record(memory, p95))
    assert "Latency p95 is 45 % above its baseline" in line
    assert line.endswith("; 1 more metric is worse")


def test_headline_leads_with_what_users_feel() -> None:
    """Of two equally severe, latency comes before CPU, even where CPU moved more."""
    cpu, p95 = deviation("cpu_usage", 5.0), deviation("latency_p95", 0.0612)
    assert "Latency p95 is 45 % above" in headline(regressed_record(cpu, p95))


@pytest.mark.parametrize(
    ("name", "baseline", "value", "expected"),
    [
        ("error_rate", 0.0, 0.021, "Error rate is 2.10 percentage points above its baseline (2.10 %, was 0.00 %)"),
        ("cpu_usage", 0.0, 0.5, "CPU is 0.500 cores above its baseline (0.500 cores, was 0 cores)"),
        ("latency_p95", 0.040, 0.400, "Latency p95 is 10 times its baseline (400 ms, was 40.0 ms)"),
        ("latency_p95", 0.040, 0.396, "Latency p95 is 890 % above its baseline (396 ms, was 40.0 ms)"),
        ("throughput", 500.0, 430.0, "Throughput is 14 % below its baseline (430/s, was 500/s)"),
    ],
)
def test_headline_says_a_change_as_people_do(name: str, baseline: float, value: float, expected: str) -> None:
    """Points for ratios, units from zero, times from tenfold on."""
    record = regressed_record(deviation(name, value, baseline=baseline))
    assert headline(record).endswith(f"– {expected}")


def test_headline_without_any_reason_still_says_so() -> None:
    """An empty list of reasons is told, not hidden."""
    assert headline(run_record(verdict=Verdict.REGRESSION, reasons=())).endswith("– no reason was recorded")
    assert headline(run_record(metrics={}, reasons=())).startswith("PASS ·")
    assert "p95" not in headline(run_record(verdict=Verdict.NO_BASELINE, metrics={}, baseline=None))


def test_every_metric_has_a_row_with_its_judgement() -> None:
    """The row shows value, baseline, shift with interval, and what it means."""
    rows = _rows(render_report(regressed_record(), {}), "Metric")
    assert [row[0] for row in rows] == [metric.title for metric in METRICS.values()]
    assert rows[1] == ["Latency p95", "61.2 ms", "42.1 ms", "+45 % (+38 … +52 %)", "**worse, critical**"]
    assert rows[4] == ["Error rate", "0.03 %", "0.02 %", "+0.01 points", "unchanged"]


@pytest.mark.parametrize(
    ("p95_s", "judgement"),
    # floors of 100 ms: 5 % = 5 ms, and 5 ms absolute
    [(0.105, "unchanged"), (0.1051, "within the noise")],
)
def test_a_change_within_its_floors_is_unchanged(p95_s: float, judgement: str) -> None:
    """At the floor nothing moved; beyond it, but without a deviation, it is no more than runs differ by."""
    baseline = baseline_reference(metrics={"latency_p95": 0.1})
    record = run_record(metrics=metric_values(latency_p95=p95_s), baseline=baseline)
    rows = _rows(render_report(record, {}), "Metric")
    assert rows[1][4] == judgement
    assert rows[0][4] == "no baseline"


@pytest.mark.parametrize(
    ("p95_s", "judgement"),
    # floors of 100 ms: 5 ms, and 30 % after two nights
    [(0.105, "unchanged"), (0.1051, "too few nights to tell"), (0.13, "too few nights to tell")],
)
def test_after_few_nights_a_large_change_is_not_called_none(p95_s: float, judgement: str) -> None:
    """It is not told, because nobody knows how far nights differ; that is another thing."""
    baseline = baseline_reference(metrics={"latency_p95": 0.1}, runs=2)
    record = run_record(metrics=metric_values(latency_p95=p95_s), baseline=baseline)
    assert _rows(render_report(record, {}), "Metric")[1][4] == judgement


def test_a_rerun_is_not_judged_by_itself() -> None:
    """Its deviations stand with the run that it was done again for; twice as slow is no noise all the same."""
    baseline = baseline_reference(metrics={"latency_p95": 0.1})
    record = run_record(metrics=metric_values(latency_p95=0.2), baseline=baseline, rerun_of="20260302T063900Z-7f3a")
    assert _rows(render_report(record, {}), "Metric")[1][4] == "judged with its run"


def test_a_missing_value_gives_its_reason_below_the_table() -> None:
    """No data is never zero."""
    record = run_record(metrics=metric_values(cpu_usage="Prometheus does not | answer"))
    text = render_report(record, {})
    assert _rows(text, "Metric")[5] == ["CPU", "–", "1.84 cores", "–", "no value, see below"]
    assert r"- CPU has no value: Prometheus does not \| answer" in text
    without = {name: value for name, value in metric_values().items() if name != "cpu_usage"}
    assert "- CPU has no value: it was not measured" in render_report(run_record(metrics=without), {})


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.NOT_COMPARABLE])
def test_no_shift_is_shown_where_nothing_was_compared(verdict: Verdict) -> None:
    """A baseline beside a figure is shown, a change from it is not, not even where deviations are left."""
    record = run_record(verdict=verdict, deviations=(deviation("latency_p95", 0.0612),))
    rows = _rows(render_report(record, {}), "Metric")
    assert {row[3] for row in rows} == {"–"}
    assert not any("worse" in row[4] for row in rows)


def test_skipped_report_has_no_figures() -> None:
    """Nothing was measured, so nothing is shown."""
    text = render_report(record_of(Verdict.SKIPPED), CHARTS)
    for heading in ("Metrics", "Charts", "Endpoints", "Errors", "Load"):
        assert f"## {heading}" not in text
    assert format_value(0.0424, METRICS["latency_p95"].unit) not in text


def test_charts_are_relative_images_in_reading_order() -> None:
    """The comparison comes first; unknown charts follow; paths are quoted."""
    text = render_report(run_record(), {**CHARTS, "heat map": "charts/heat map.png"})
    images = [line for line in text.splitlines() if line.startswith("![")]
    assert images == [
        "![The eight metrics against their baseline](charts/comparison.png)",
        "![Latency over time](charts/latency.png)",
        "![Throughput over time, requested and achieved](charts/throughput.png)",
        "![heat map](charts/heat%20map.png)",
    ]
    assert "## Charts" not in render_report(run_record(), {})


def test_a_generator_that_fell_behind_shows() -> None:
    """Lag, wanted cores, and why it stopped are in the report."""
    generator = generator_figures(ended="stop criterion: error rate", wanted_cores=None, schedule_lag_p99_s=2.5)
    text = render_report(run_record(generator=generator, load=load_summary(achieved_rate_rps=None)), {})
    rows = {row[0]: row[1] for row in _rows(text, "How the generator fared")}
    assert rows["Ended"] == "**stop criterion: error rate**"
    assert rows["CPU wanted"] == "unknown"
    assert rows["Schedule lag p99"] == format_value(2.5, METRICS["latency_p95"].unit)
    assert "left no figures" in render_report(run_record(generator=None), {})


def test_a_rate_that_varies_is_told_with_its_peak() -> None:
    """A decay from 1500/s to 500/s in the whole window: 1000/s / ln 3 on average; a plain load has one figure."""
    curve = (CurvePoint(at_s=0, rate_rps=1500), CurvePoint(at_s=960, rate_rps=500, by=Shape.DECAY))
    load = load_summary(requested_rate_rps=910.2, achieved_rate_rps=910.2, requested_curve=curve)
    for heading in ("Measured window", "What"):
        assert _requested(run_record(load=load), heading) == "910/s on average, 1500/s at its peak"
        assert _requested(run_record(), heading) == "500/s"


def _requested(record: RunRecord, heading: str) -> str:
    return {row[0]: row[1] for row in _rows(render_report(record, {}), heading)}["Requested rate"]


def test_hostile_text_stays_text() -> None:
    """Names and error examples cannot end a cell, open HTML, make a heading, a link or a colour."""
    record = run_record(
        service=HOSTILE,
        environment=HOSTILE,
        reasons=(HOSTILE, "# not a heading", "1. not a list"),
        notes=(HOSTILE,),
        endpoints=(endpoint_figures(name=HOSTILE),),
        errors=(ErrorGroup(kind=HOSTILE, endpoint=HOSTILE, count=3, example=HOSTILE),),
        fingerprint={HOSTILE: HOSTILE},
    )
    text = render_report(record, {})
    assert "\x1b" not in text
    assert all(len(row) == 7 for row in _rows(text, "Endpoint"))
    assert all(len(row) == 2 for row in _rows(text, "What"))
    outside_code = text.replace(markdown_text.code(HOSTILE), "")
    assert "<script" not in outside_code
    assert "[e](http" not in outside_code
    assert "\n# *d*" not in text
    assert r"- \# not a heading" in text
    assert r"- 1\. not a list" in text


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [
        ({}, "+2.08 points"),  # an interval of the ratio would read wrong beside points
        ({"absolute_low": 0.0196, "absolute_high": 0.022}, "+2.08 points (+1.96 … +2.20)"),
        ({"absolute_low": -0.001, "absolute_high": 0.0426}, "+2.08 points (−0.10 … +4.26)"),
    ],
)
def test_the_interval_of_points_is_in_points(bounds: dict[str, float], shown: str) -> None:
    """Where it is known."""
    shift = Shift(ratio=104.0, absolute=0.0208, low=80.0, high=120.0, **bounds)
    rows = _rows(render_report(regressed_record(deviation("error_rate", 0.021, shift=shift)), {}), "Metric")
    assert rows[4][3] == shown


@pytest.mark.parametrize(("is_worse", "words"), [(True, "suspicious"), (False, "better, not sure yet")])
def test_a_deviation_that_is_not_sure(is_worse: bool, words: str) -> None:
    """It is in the table of a pass, and in no headline."""
    doubt = deviation("latency_p95", 0.0612, is_worse=is_worse, is_confirmed=False, severity=Severity.DIGEST)
    record = run_record(deviations=(doubt,), metrics=metric_values(latency_p95=0.0612))
    assert _rows(render_report(record, {}), "Metric")[1][3:] == ["+45 %", words]
    assert "in line with its baseline" in headline(record)


def test_a_pass_shows_the_shifts_that_the_comparison_found() -> None:
    """With their intervals, and not the plain arithmetic of earlier records."""
    shift = Shift(ratio=0.021, absolute=0.0009, low=-0.043, high=0.089, absolute_low=-0.0018, absolute_high=0.0037)
    rows = _rows(render_report(run_record(shifts={"latency_p95": shift}), {}), "Metric")
    assert rows[1][3] == "+2.1 % (−4.3 … +8.9 %)"
    assert rows[0][3] == "+1.1 %"  # 18.5 / 18.3


def test_stalls_are_told_in_order() -> None:
    """When each began, how long it took, and how many there were; of many the longest ten."""
    stalls = (Stall(start_s=412.3, duration_s=8.25), Stall(start_s=600.0, duration_s=1.5))
    text = render_report(run_record(stalls=stalls), {})
    assert "## Stalls\n\n2 times the service answered nothing although requests were waiting:\n" in text
    assert "- 8.2 s from 412 s after the load began\n- 1.5 s from 10 min after the load began\n" in text
    many = tuple(Stall(start_s=second, duration_s=1 + second / 10) for second in range(12))
    text = render_report(run_record(stalls=many), {})
    assert "12 times the service answered nothing although requests were waiting; the 10 longest:" in text
    assert text.count(" after the load began") == 10
    assert "from 2 s after" in text
    assert "from 1 s after" not in text
    assert "## Stalls" not in render_report(run_record(), {})


def test_the_nights_before_stand_beside_the_metrics() -> None:
    """From 37.1 to 47.1 ms, which is the level and its floor; a metric without any has a dash."""
    document = run_document(run_record(), charts={}, history={"latency_p95": (0.0371, 0.0471)})
    rows = _rows(markdown_text.render(document), "Metric")
    assert rows[1][5] == "▁█▅"  # 42.4 ms: 0.53 of the way
    assert rows[0][5] == "–"
    assert len(_rows(render_report(run_record(), {}), "Metric")[1]) == 5


def reran() -> RunRecord:
    """Return a run of 98 ms whose median with its re-runs, 61.2 ms, was judged."""
    found = regressed_record()
    return replace(
        found,
        metrics=metric_values(latency_p95=0.098),
        judged={"latency_p95": 0.0612},
        reruns=("20260302T070000Z-aa01", "20260302T071700Z-bb02"),
        deploy_version="2.4.1",
        baseline=replace(found.baseline, nights=34),
    )


def test_a_run_that_was_run_again() -> None:
    """The median is in the table; which runs they were, what is deployed and how many nights it rests on are told."""
    text = render_report(reran(), {})
    assert _rows(text, "Metric")[1][1] == "61.2 ms"
    assert "approved, 14 runs and 20 nights since" in text
    assert_golden("report_reruns.md", text)


def test_a_run_whose_re_runs_were_all_invalid() -> None:
    """It was judged alone, and the table shows its own values."""
    text = render_report(replace(reran(), judged={}), {})
    assert "None of the re-runs is valid, so this run was judged alone." in text
    assert _rows(text, "Metric")[1][1] == "98.0 ms"


def test_a_re_run_points_to_the_run_it_was_done_for() -> None:
    """Its own values, the verdict of both."""
    reason = "judged together with run 20260302T063900Z-7f3a: Latency p95 +45 %"
    record = run_record(verdict=Verdict.REGRESSION, rerun_of="20260302T063900Z-7f3a", reasons=(reason,))
    text = render_report(record, {})
    assert "This is a re-run of `20260302T063900Z-7f3a`; the verdict is about both" in text
    assert headline(record).endswith(f"– {reason}")


def _rows(text: str, first_column: str) -> list[list[str]]:
    """Return the cells of the table whose first column has that title."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.startswith(f"| {first_column} "):
            break
    next(lines)
    rows = []
    for line in lines:
        if not line.startswith("|"):
            break
        cells = line.replace(r"\|", "\0").strip("|").split("|")
        rows.append([cell.strip() for cell in cells])
    return rows
