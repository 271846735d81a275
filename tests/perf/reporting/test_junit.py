"""JUnit XML for CI servers."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from include.perf.model.metric import METRICS
from include.perf.reporting.junit import junit
from include.perf.runs.record import Collapse, RunRecord, Severity, Verdict
from tests.records import (
    BASELINE_METRICS,
    baseline_reference,
    deviation,
    exceeded_limit,
    metric_values,
    over_limit_record,
    record_of,
    regressed_record,
    run_record,
)


def read(*records: RunRecord) -> ElementTree.Element:
    return ElementTree.fromstring(junit(records))  # noqa: S314 - our own


def case(record: RunRecord, metric: str) -> ElementTree.Element:
    (found,) = (element for element in read(record).iter("testcase") if element.get("name") == metric)
    return found


@pytest.mark.parametrize("verdict", Verdict)
def test_each_run_is_a_suite_with_a_case_for_each_metric(verdict: Verdict) -> None:
    """For every verdict; the counts match the cases."""
    (suite,) = read(record_of(verdict))
    cases = suite.findall("testcase")
    assert [element.get("name") for element in cases] == list(METRICS)
    assert {element.get("classname") for element in cases} == {"analysis-engine-service.market_open"}
    assert suite.get("tests") == "8"
    for attribute, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(len(suite.findall(f"testcase/{outcome}")))


@pytest.mark.parametrize(
    ("verdict", "failures", "errors", "skipped"),
    [
        (Verdict.PASS, 0, 0, 0),
        (Verdict.REGRESSION, 1, 0, 0),
        (Verdict.OVER_LIMIT, 1, 0, 0),
        (Verdict.IMPROVEMENT, 0, 0, 0),
        (Verdict.NO_BASELINE, 0, 0, 8),
        (Verdict.NOT_COMPARABLE, 0, 0, 8),
        (Verdict.INVALID, 0, 8, 0),
        (Verdict.SKIPPED, 0, 0, 8),
    ],
)
def test_the_outcome_of_each_verdict(verdict: Verdict, failures: int, errors: int, skipped: int) -> None:
    """A confirmed regression fails, an invalid run is an error, and a metric without a comparison is skipped."""
    (suite,) = read(record_of(verdict))
    assert [suite.get(name) for name in ("failures", "errors", "skipped")] == [str(failures), str(errors), str(skipped)]


def test_a_failure_has_its_numbers() -> None:
    """In the message that CI shows; the text has the reason."""
    (failure,) = case(regressed_record(), "latency_p95").findall("failure")
    assert failure.get("message") == "Latency p95 is 45 % above its baseline (61.2 ms, was 42.1 ms)"
    assert failure.get("type") == "critical"
    assert failure.text == "Latency p95 is beyond both thresholds and confirmed"


def test_a_limit_fails_without_a_baseline() -> None:
    """Its case has the value and the limit; one of an endpoint is a case of its own."""
    of_endpoint = exceeded_limit(metric="latency_p99", unit=METRICS["latency_p99"].unit, value=0.9, limit=0.5)
    record = over_limit_record(exceeded_limit(), replace(of_endpoint, endpoint="market"), baseline=None, shifts={})
    (failure,) = case(record, "error_rate").findall("failure")
    assert failure.get("message") == "Error rate is 8.00 %, above its limit of 5.00 %"
    assert failure.get("type") == "critical"
    (failure,) = case(record, "latency_p99 of market").findall("failure")
    assert failure.get("message") == "Latency p99 of market is 900 ms, above its limit of 500 ms"
    (suite,) = read(record)
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("9", "2", "7")


def test_a_service_that_did_not_survive_fails_a_case() -> None:
    """With everything that happened."""
    happened = ("could not be reached from 06:41:12 UTC on (434 requests)", "started a new process at 06:41:30 UTC")
    collapse = Collapse(happened=happened, severity=Severity.WARNING, evidence="in 1 of 3 runs")
    (failure,) = case(over_limit_record(collapse=collapse, exceeded=()), "survives_the_load").findall("failure")
    assert failure.get("message") == f"the service {happened[0]}; then it {happened[1]}"
    assert (failure.get("type"), failure.text) == ("warning", "in 1 of 3 runs")


def test_a_suspicion_does_not_fail() -> None:
    """The output has the measured value."""
    suspicion = deviation("latency_p95", 0.0612, is_confirmed=False, severity=Severity.DIGEST)
    found = case(run_record(deviations=(suspicion,), metrics=metric_values(latency_p95=0.0612)), "latency_p95")
    assert [child.tag for child in found] == ["system-out"]
    assert found.findtext("system-out") == "Latency p95: 61.2 ms, +45 % from its baseline"


def test_a_metric_without_a_value_or_a_baseline_is_skipped() -> None:
    """Missing data is not a pass; the message says why."""
    record = run_record(
        metrics=metric_values(cpu_usage="Prometheus did not answer"),
        baseline=baseline_reference(metrics={k: v for k, v in BASELINE_METRICS.items() if k != "disk_usage"}),
    )
    (skipped,) = case(record, "cpu_usage")
    assert (skipped.tag, skipped.get("message")) == ("skipped", "Prometheus did not answer")
    assert case(record, "disk_usage")[0].get("message") == "the baseline has no value of this metric"


def test_properties_describe_the_run() -> None:
    """Run, verdict, versions and fingerprint; unknown values are omitted."""
    found = {element.get("name"): element.get("value") for element in read(run_record()).iter("property")}
    assert found == {
        "run_id": "20260302T063900Z-7f3a",
        "verdict": "PASS",
        "environment": "staging",
        "baseline_version": "3",
        "version.bellwether": "1.0.0",
        "version.locust": "2.47.1",
        "version.python": "3.11.9",
        "fingerprint.data": "41aa07be",
        "fingerprint.environment": "c3d90e55",
        "fingerprint.generator": "0b7712fe",
        "fingerprint.load": "9f2c61d0",
    }
    plain = run_record(deploy_version="2.4.1", baseline=None, verdict=Verdict.NO_BASELINE)
    shown = {element.get("name"): element.get("value") for element in read(plain).iter("property")}
    assert shown["deploy_version"] == "2.4.1"
    assert "baseline_version" not in shown


def test_several_runs_are_one_document() -> None:
    """Its counts are sums: 8 + 8 tests, one failure, eight errors."""
    suites = read(regressed_record(), record_of(Verdict.INVALID))
    assert suites.tag == "testsuites"
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("16", "1", "8")
    assert len(suites) == 2


def test_it_conforms_to_the_schema() -> None:
    """Elements, attributes, order and time formats are those of Jenkins' schema."""
    suites = read(regressed_record())
    (suite,) = suites
    assert [child.tag for child in suite] == ["properties", *["testcase"] * 8]
    assert suite.get("timestamp") == "2026-03-02T06:38:57"
    assert suite.get("time") == "900.000"
    allowed = {
        "testsuites": {"name", "tests", "failures", "errors"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        "properties": set(),
        "property": {"name", "value"},
        "testcase": {"classname", "name", "time"},
        "failure": {"message", "type"},
        "system-out": set(),
    }
    assert {element.tag: set(element.keys()) for element in suites.iter()} == allowed


def test_hostile_text_gives_valid_xml() -> None:
    """Control characters that XML forbids are removed; markup is escaped."""
    hostile = "<b>&\x00\x1b\ufffe\ud800]]>\n'\"x"
    record = run_record(verdict=Verdict.INVALID, service=hostile, validity=(hostile,), fingerprint={hostile: hostile})
    (suite,) = read(record)
    assert suite.get("name") == "<b>& ]]> '\"x.market_open"
    error = suite.find("testcase/error")
    assert error is not None
    assert error.get("message") == "<b>& ]]> '\"x"
