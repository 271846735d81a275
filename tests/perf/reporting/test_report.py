"""The report: golden files by verdict, its content, and hostile text."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from include.perf.catalogue.scenario.arrival_rate import CurvePoint, Shape
from include.perf.model.metric import METRICS
from include.perf.model.numbers import format_value
from include.perf.reporting import markdown_text
from include.perf.reporting.report import run_document
from include.perf.runs.figures import ErrorGroup, JourneyFigures, Stall
from include.perf.runs.phrases import finding, headline, is_compared
from include.perf.runs.record import RunRecord, Severity, Shift, Verdict
from tests.golden_files import assert_golden
from tests.records import (
    BASELINE_METRICS,
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
    """Each verdict has a report that someone has read and approved."""
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
        (Verdict.OVER_LIMIT, "OVER_LIMIT · {} – Error rate is 8.00 %, above its limit of 5.00 % (mostly timeout)"),
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
def test_the_headline_is_one_sentence(verdict: Verdict, sentence: str) -> None:
    """It has the verdict, service, scenario and the most important figure."""
    assert headline(record_of(verdict)) == sentence.format("analysis-engine-service · market_open")


def test_headline_of_an_invalid_run_gives_the_first_reason_and_counts_the_others() -> None:
    """It names the problem and no change of the service."""
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
    """Of two equally severe metrics, latency comes before CPU, even where CPU changed more."""
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
def test_the_headline_uses_the_unit_that_people_use(name: str, baseline: float, value: float, expected: str) -> None:
    """Percentage points for ratios, units for a change from zero, "times" from tenfold."""
    record = regressed_record(deviation(name, value, baseline=baseline))
    assert headline(record).endswith(f"– {expected}")


def test_the_headline_says_when_there_is_no_reason() -> None:
    """An empty list of reasons is stated, not hidden."""
    assert headline(run_record(verdict=Verdict.REGRESSION, reasons=())).endswith("– no reason was recorded")
    assert headline(run_record(metrics={}, reasons=())).startswith("PASS ·")
    assert "p95" not in headline(run_record(verdict=Verdict.NO_BASELINE, metrics={}, baseline=None))


def test_every_metric_has_a_row_with_its_judgement() -> None:
    """The row has value, baseline, shift with interval, and judgement."""
    rows = _rows(render_report(regressed_record(), {}), "Metric")
    assert [row[0] for row in rows] == [metric.title for metric in METRICS.values()]
    assert rows[1] == ["Latency p95", "61.2 ms", "42.1 ms", "+45 % (+38 to +52 %)", "**worse, critical**"]
    assert rows[4] == ["Error rate", "0.03 %", "0.02 %", "+0.01 points", "unchanged"]


@pytest.mark.parametrize(
    ("p95_s", "judgement"),
    # minimum effects at 100 ms: 5 % = 5 ms, and 5 ms absolute
    [(0.105, "unchanged"), (0.1051, "within the noise")],
)
def test_a_change_below_the_minimum_effect_is_unchanged(p95_s: float, judgement: str) -> None:
    """A larger change without a deviation is within the noise."""
    baseline = baseline_reference(metrics={"latency_p95": 0.1})
    record = run_record(metrics=metric_values(latency_p95=p95_s), baseline=baseline)
    rows = _rows(render_report(record, {}), "Metric")
    assert rows[1][4] == judgement
    assert rows[0][4] == "no baseline"


@pytest.mark.parametrize(
    ("p95_s", "judgement"),
    # minimum effects at 100 ms: 5 ms, and 30 % after two nights
    [(0.105, "unchanged"), (0.1051, "too few nights of history"), (0.13, "too few nights of history")],
)
def test_after_few_nights_a_large_change_is_not_called_unchanged(p95_s: float, judgement: str) -> None:
    """It is below the threshold of a short history, which is a different judgement."""
    baseline = baseline_reference(metrics={"latency_p95": 0.1}, runs=2)
    record = run_record(metrics=metric_values(latency_p95=p95_s), baseline=baseline)
    assert _rows(render_report(record, {}), "Metric")[1][4] == judgement


def test_a_rerun_is_not_judged_separately() -> None:
    """Its deviations belong to the first run; a doubled latency is not called noise."""
    baseline = baseline_reference(metrics={"latency_p95": 0.1})
    record = run_record(metrics=metric_values(latency_p95=0.2), baseline=baseline, rerun_of="20260302T063900Z-7f3a")
    assert _rows(render_report(record, {}), "Metric")[1][4] == "judged with the first run"


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
    """The baseline is shown, but no change from it, even if the record has deviations."""
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
    """Lag, CPU demand, and why it stopped are in the report."""
    generator = generator_figures(ended="stop criterion: error rate", wanted_cores=None, schedule_lag_p99_s=2.5)
    text = render_report(run_record(generator=generator, load=load_summary(achieved_rate_rps=None)), {})
    rows = {row[0]: row[1] for row in _rows(text, "Load generator")}
    assert rows["Ended"] == "**stop criterion: error rate**"
    assert rows["CPU demand"] == "unknown"
    assert rows["Schedule lag p99"] == format_value(2.5, METRICS["latency_p95"].unit)
    assert "left no figures" in render_report(run_record(generator=None), {})


def test_what_the_connections_did() -> None:
    """Several addresses with their shares, and requests that were sent again; nothing where there is nothing."""
    generator = generator_figures(resent=12, requests_by_address={"10.0.0.2": 100, "10.0.0.1": 300})
    rows = {row[0]: row[1:] for row in _rows(render_report(run_record(generator=generator), {}), "Load generator")}
    assert rows["Resent"][0] == "12"
    assert rows["Sent to 10.0.0.1"] == ["300", "75.0% of all requests"]
    assert rows["Sent to 10.0.0.2"] == ["100", "25.0% of all requests"]
    plain = generator_figures(requests_by_address={"10.0.0.2": 100})
    text = render_report(run_record(generator=plain), {})
    assert "Resent" not in text
    assert "Sent to" not in text


def test_a_varying_rate_has_its_peak() -> None:
    """A decay from 1500/s to 500/s in the whole window: 1000/s / ln 3 on average; a constant load has one figure."""
    curve = (CurvePoint(at_s=0, rate_rps=1500), CurvePoint(at_s=960, rate_rps=500, by=Shape.DECAY))
    load = load_summary(requested_rate_rps=910.2, achieved_rate_rps=910.2, requested_curve=curve)
    for heading in ("Measured window", "Detail"):
        assert _requested(run_record(load=load), heading) == "910/s on average, 1500/s at its peak"
        assert _requested(run_record(), heading) == "500/s"


def _requested(record: RunRecord, heading: str) -> str:
    return {row[0]: row[1] for row in _rows(render_report(record, {}), heading)}["Requested rate"]


def test_hostile_text_is_escaped() -> None:
    """Names and error examples cannot end a cell or create HTML, headings, links or colours."""
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
    assert all(len(row) == 2 for row in _rows(text, "Detail"))
    outside_code = text.replace(markdown_text.code(HOSTILE), "")
    assert "<script" not in outside_code
    assert "[e](http" not in outside_code
    assert "\n# *d*" not in text
    assert r"- \# not a heading" in text
    assert r"- 1\. not a list" in text


@pytest.mark.parametrize(
    ("bounds", "shown"),
    [
        ({}, "+2.08 points"),  # an interval of the ratio would be misleading
        ({"absolute_low": 0.0196, "absolute_high": 0.022}, "+2.08 points (+1.96 to +2.20 points)"),
        ({"absolute_low": -0.001, "absolute_high": 0.0426}, "+2.08 points (−0.10 to +4.26 points)"),
    ],
)
def test_the_interval_of_points_is_in_points(bounds: dict[str, float], shown: str) -> None:
    """Where an interval is known."""
    shift = Shift(ratio=104.0, absolute=0.0208, low=80.0, high=120.0, **bounds)
    rows = _rows(render_report(regressed_record(deviation("error_rate", 0.021, shift=shift)), {}), "Metric")
    assert rows[4][3] == shown


@pytest.mark.parametrize(("is_worse", "words"), [(True, "suspicious"), (False, "better, not confirmed")])
def test_an_unconfirmed_deviation(is_worse: bool, words: str) -> None:
    """It is in the table of a pass, and not in its headline."""
    suspicion = deviation("latency_p95", 0.0612, is_worse=is_worse, is_confirmed=False, severity=Severity.DIGEST)
    record = run_record(deviations=(suspicion,), metrics=metric_values(latency_p95=0.0612))
    assert _rows(render_report(record, {}), "Metric")[1][3:] == ["+45 %", words]
    assert headline(record).endswith("Latency p95 is 61.2 ms, +45 % from its baseline (42.1 ms): not confirmed")


@pytest.mark.parametrize(
    ("baseline", "value", "words"),
    [
        (0.0421, 0.0424, "Latency p95 is 42.4 ms, in line with its baseline (42.1 ms)"),
        # 5.31 / 2.33 = 2.279; 2.98 ms is less than 5 ms
        (
            0.00233,
            0.00531,
            "Latency p95 is 5.31 ms, +128 % from its baseline (2.33 ms): below the minimum effect of 5.00 ms",
        ),
        (0.100, 0.108, "Latency p95 is 108 ms, +8.0 % from its baseline (100 ms): within the noise"),
    ],
)
def test_only_what_is_in_line_is_called_so(baseline: float, value: float, words: str) -> None:
    """A shown change that raises no alert says why, in the headline and in the table."""
    reference = baseline_reference(metrics=BASELINE_METRICS | {"latency_p95": baseline})
    record = run_record(metrics=metric_values(latency_p95=value), baseline=reference)
    assert finding(record) == words
    judged = _rows(render_report(record, {}), "Metric")[1][4]
    assert judged == (words.partition(": ")[2] or "unchanged")


def test_a_pass_shows_the_shifts_that_the_comparison_found() -> None:
    """With intervals; records of earlier versions have only the arithmetic change."""
    shift = Shift(ratio=0.021, absolute=0.0009, low=-0.043, high=0.089, absolute_low=-0.0018, absolute_high=0.0037)
    rows = _rows(render_report(run_record(shifts={"latency_p95": shift}), {}), "Metric")
    assert rows[1][3] == "+2.1 % (−4.3 to +8.9 %)"
    assert rows[0][3] == "+1.1 %"  # 18.5 / 18.3


def test_stalls_are_listed_in_order() -> None:
    """Start and length of each stall, and their number; of many, the ten longest."""
    stalls = (Stall(start_s=412.3, duration_s=8.25), Stall(start_s=600.0, duration_s=1.5))
    text = render_report(run_record(stalls=stalls), {})
    assert "## Stalls\n\n2 stalls in which the service answered nothing although requests were pending:\n" in text
    assert "- 8.2 s, 412 s after the start of the load\n- 1.5 s, 10 min after the start of the load\n" in text
    many = tuple(Stall(start_s=second, duration_s=1 + second / 10) for second in range(12))
    text = render_report(run_record(stalls=many), {})
    assert "12 stalls in which the service answered nothing although requests were pending; the 10 longest:" in text
    assert text.count(" after the start of the load") == 10
    assert ", 2 s after" in text
    assert ", 1 s after" not in text
    assert "## Stalls" not in render_report(run_record(), {})


def test_the_table_has_a_trend_of_earlier_nights() -> None:
    """From 37.1 to 47.1 ms, the baseline ± its minimum effect; a metric without history has a dash."""
    document = run_document(run_record(), charts={}, history={"latency_p95": (0.0371, 0.0471)})
    rows = _rows(markdown_text.render(document), "Metric")
    assert rows[1][5] == "▁█▅"  # 42.4 ms: 0.53 of the way
    assert rows[0][5] == "–"
    assert len(_rows(render_report(run_record(), {}), "Metric")[1]) == 5


def with_reruns() -> RunRecord:
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


def test_a_run_with_reruns() -> None:
    """The table has the median; the report names the re-runs, the deployed version and the nights of history."""
    text = render_report(with_reruns(), {})
    assert _rows(text, "Metric")[1][1] == "61.2 ms"
    assert "approved, 14 runs and 20 nights since" in text
    assert_golden("report_reruns.md", text)


def test_a_run_whose_reruns_are_all_invalid() -> None:
    """It is judged alone, and the table shows its own values."""
    text = render_report(replace(with_reruns(), judged={}), {})
    assert "No re-run is valid, so this run was judged alone." in text
    assert _rows(text, "Metric")[1][1] == "98.0 ms"


def test_a_rerun_names_the_first_run() -> None:
    """It shows its own values and the verdict of both."""
    reason = "judged together with run 20260302T063900Z-7f3a: Latency p95 +45 %"
    record = run_record(verdict=Verdict.REGRESSION, rerun_of="20260302T063900Z-7f3a", reasons=(reason,))
    text = render_report(record, {})
    assert "This is a re-run of `20260302T063900Z-7f3a`; the verdict covers both runs" in text
    assert headline(record).endswith(f"– {reason}")


@pytest.mark.parametrize("verdict", [Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE])
def test_a_run_that_becomes_the_baseline_proposes_no_other_one(verdict: Verdict) -> None:
    """Its report has no command to record a baseline."""
    record = record_of(verdict)
    assert "--update-baseline" in render_report(record, {})
    requested = replace(record, provenance=replace(record.provenance, update_baseline=True))
    text = render_report(requested, {})
    assert "Nothing: this run was requested to become the baseline." in text
    assert "--update-baseline" not in text


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


def test_journeys_have_a_table_of_their_own_with_the_reasons_of_those_that_were_abandoned() -> None:
    """Their steps stay in the table of endpoints; a record without journeys has no such section."""
    life = JourneyFigures(
        name="life",
        due=2_000,
        abandoned=25,
        latency_p50=1.25,
        latency_p95=2.5,
        latency_p99=None,
        reasons={"timeout": 5, "abandoned at life/place": 20},
    )
    text = render_report(replace(run_record(), journeys=(life,)), {})
    (row,) = [line for line in text.splitlines() if line.startswith("| life ")]
    assert [cell.strip() for cell in row.strip("|").split("|")] == [
        "life",
        "2 000",
        "25 (1.25 %)",
        "1250 ms",
        "2500 ms",
        "–",
    ]
    assert "- 20 × life: abandoned at life/place\n- 5 × life: timeout\n" in text
    assert "Journey" not in render_report(run_record(), {})
