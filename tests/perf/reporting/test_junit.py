"""JUnit XML: what CI shows of a run."""

from xml.etree import ElementTree

import pytest

from include.perf.model.metric import METRICS
from include.perf.reporting.junit import junit
from include.perf.runs.record import RunRecord, Severity, Verdict
from tests.records import (
    BASELINE_METRICS,
    baseline_reference,
    deviation,
    metric_values,
    record_of,
    regressed_record,
    run_record,
)


def read(*records: RunRecord) -> ElementTree.Element:
    return ElementTree.fromstring(junit(records))  # noqa: S314 - our own


def case(record: RunRecord, metric: str) -> ElementTree.Element:
    (found,) = (each for each in read(record).iter("testcase") if each.get("name") == metric)
    return found


@pytest.mark.parametrize("verdict", Verdict)
def test_each_run_is_a_suite_with_a_case_for_each_metric(verdict: Verdict) -> None:
    """Whatever its verdict; the counts are those of the cases."""
    (suite,) = read(record_of(verdict))
    cases = suite.findall("testcase")
    assert [each.get("name") for each in cases] == list(METRICS)
    assert {each.get("classname") for each in cases} == {"analysis-engine-service.market_open"}
    assert suite.get("tests") == "8"
    for attribute, outcome in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert suite.get(attribute) == str(len(suite.findall(f"testcase/{outcome}")))


@pytest.mark.parametrize(
    ("verdict", "failures", "errors", "skipped"),
    [
        (Verdict.PASS, 0, 0, 0),
        (Verdict.REGRESSION, 1, 0, 0),
        (Verdict.IMPROVEMENT, 0, 0, 0),
        (Verdict.NO_BASELINE, 0, 0, 8),
        (Verdict.NOT_COMPARABLE, 0, 0, 8),
        (Verdict.INVALID, 0, 8, 0),
        (Verdict.SKIPPED, 0, 0, 8),
    ],
)
def test_what_each_verdict_is_for_ci(verdict: Verdict, failures: int, errors: int, skipped: int) -> None:
    """Only what is surely worse fails; what cannot be trusted is an error, what was not compared is skipped."""
    (suite,) = read(record_of(verdict))
    assert [suite.get(name) for name in ("failures", "errors", "skipped")] == [str(failures), str(errors), str(skipped)]


def test_a_failure_has_its_numbers() -> None:
    """In the message, which CI shows, and the reason below."""
    (failure,) = case(regressed_record(), "latency_p95").findall("failure")
    assert failure.get("message") == "Latency p95 is 45 % above its baseline (61.2 ms, was 42.1 ms)"
    assert failure.get("type") == "critical"
    assert failure.text == "Latency p95 is beyond both floors and confirmed"


def test_what_is_only_suspicious_does_not_fail() -> None:
    """It is told as it was measured."""
    doubt = deviation("latency_p95", 0.0612, is_confirmed=False, severity=Severity.DIGEST)
    found = case(run_record(deviations=(doubt,), metrics=metric_values(latency_p95=0.0612)), "latency_p95")
    assert [child.tag for child in found] == ["system-out"]
    assert found.findtext("system-out") == "Latency p95: 61.2 ms, +45 % from its baseline"


def test_a_metric_without_a_value_or_a_baseline_is_skipped() -> None:
    """No data is no pass; says why."""
    record = run_record(
        metrics=metric_values(cpu_usage="Prometheus did not answer"),
        baseline=baseline_reference(metrics={k: v for k, v in BASELINE_METRICS.items() if k != "disk_usage"}),
    )
    (skipped,) = case(record, "cpu_usage")
    assert (skipped.tag, skipped.get("message")) == ("skipped", "Prometheus did not answer")
    assert case(record, "disk_usage")[0].get("message") == "its baseline has no value of it"


def test_properties_say_what_ran() -> None:
    """Run, verdict, versions, fingerprint; what is not known is left out."""
    found = {each.get("name"): each.get("value") for each in read(run_record()).iter("property")}
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
    shown = {each.get("name"): each.get("value") for each in read(plain).iter("property")}
    assert shown["deploy_version"] == "2.4.1"
    assert "baseline_version" not in shown


def test_many_runs_are_one_document() -> None:
    """Its counts are the sums: 8 + 8 tests, one failure, eight errors."""
    suites = read(regressed_record(), record_of(Verdict.INVALID))
    assert suites.tag == "testsuites"
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("16", "1", "8")
    assert len(suites) == 2


def test_it_has_the_shape_that_ci_servers_read() -> None:
    """The elements and attributes of Jenkins' schema, in its order; the times as it wants them."""
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
    assert {each.tag: set(each.keys()) for each in suites.iter()} == allowed


def test_hostile_text_is_still_xml() -> None:
    """Control characters, which XML cannot hold, are gone; markup is escaped."""
    hostile = "<b>&\x00\x1b\ufffe\ud800]]>\n'\"x"
    record = run_record(verdict=Verdict.INVALID, service=hostile, validity=(hostile,), fingerprint={hostile: hostile})
    (suite,) = read(record)
    assert suite.get("name") == "<b>& ]]> '\"x.market_open"
    error = suite.find("testcase/error")
    assert error is not None
    assert error.get("message") == "<b>& ]]> '\"x"
