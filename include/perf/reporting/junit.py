"""JUnit XML for CI servers: a suite for each run, a case for each metric.

A confirmed regression and an exceeded hard limit are failures with their figures; a limit of an endpoint has a case of
its own. An invalid run is an error in every case. A metric that could not be compared is skipped, with the reason.

Source: the schema of Jenkins' xUnit plugin, junit-10.xsd, to which the output conforms.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC
from xml.etree import ElementTree

from include.perf.model.metric import METRICS, Metric
from include.perf.model.text import one_line
from include.perf.reporting.metric_table import missing_reason, shown_change, shown_value
from include.perf.runs.phrases import collapse_sentence, distance, is_compared, limit_sentence
from include.perf.runs.record import Collapse, Deviation, ExceededLimit, RunRecord, Verdict

_INDENT = "  "


def junit(records: Iterable[RunRecord]) -> bytes:
    """Return runs as a JUnit document."""
    suites = ElementTree.Element("testsuites", name="bellwether")
    for record in records:
        suites.append(_suite(record))
    for name in ("tests", "failures", "errors"):
        suites.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ElementTree.indent(suites, _INDENT)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'.encode()


def _suite(record: RunRecord) -> ElementTree.Element:
    cases = [_case(record, metric) for metric in METRICS.values()]
    cases += [_case_of_collapse(record, record.collapse)] if record.collapse else []
    cases += [_case_of_endpoint(record, exceeded) for exceeded in record.exceeded if exceeded.endpoint]
    suite = ElementTree.Element(
        "testsuite",
        name=_class_of(record),
        tests=str(len(cases)),
        failures=_count(cases, "failure"),
        errors=_count(cases, "error"),
        skipped=_count(cases, "skipped"),
        time=f"{record.load.duration_s:.3f}",
        timestamp=f"{record.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}",
    )
    suite.append(_properties(record))
    suite.extend(cases)
    return suite


def _count(cases: Iterable[ElementTree.Element], outcome: str) -> str:
    return str(sum(case.find(outcome) is not None for case in cases))


def _properties(record: RunRecord) -> ElementTree.Element:
    properties = ElementTree.Element("properties")
    for name, value in _facts(record):
        ElementTree.SubElement(properties, "property", name=one_line(name), value=one_line(value))
    return properties


def _facts(record: RunRecord) -> Iterator[tuple[str, str]]:
    yield "run_id", record.run_id
    yield "verdict", record.verdict.value
    yield "environment", record.environment
    if record.deploy_version is not None:
        yield "deploy_version", record.deploy_version
    if record.baseline is not None:
        yield "baseline_version", str(record.baseline.version)
    for name, version in sorted(record.provenance.versions.items()):
        yield f"version.{name}", version
    for name, part in sorted(record.fingerprint.items()):
        yield f"fingerprint.{name}", part


def _case(record: RunRecord, metric: Metric) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_class_of(record), name=metric.name, time="0")
    outcome = _outcome(record, metric)
    if outcome is not None:
        case.append(outcome)
    if record.value_of(metric.name) is not None:
        change = f", {shown_change(record, metric)} from its baseline" if is_compared(record) else ""
        ElementTree.SubElement(case, "system-out").text = f"{metric.title}: {shown_value(record, metric)}{change}"
    return case


def _case_of_endpoint(record: RunRecord, exceeded: ExceededLimit) -> ElementTree.Element:
    name = f"{exceeded.metric} of {one_line(exceeded.endpoint)}"
    case = ElementTree.Element("testcase", classname=_class_of(record), name=name, time="0")
    case.append(_over_limit(exceeded))
    return case


def _case_of_collapse(record: RunRecord, collapse: Collapse) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=_class_of(record), name="survives_the_load", time="0")
    failure = _element("failure", collapse_sentence(collapse), kind=collapse.severity.value)
    failure.text = one_line(collapse.evidence)
    case.append(failure)
    return case


def _outcome(record: RunRecord, metric: Metric) -> ElementTree.Element | None:
    """Return the failure, error or skip of a metric; ``None`` for a pass."""
    if record.verdict is Verdict.INVALID:
        return _element("error", "; ".join(record.validity or record.reasons), kind="invalid run")
    beyond = next((known for known in record.exceeded if known.metric == metric.name and not known.endpoint), None)
    if beyond is not None:
        return _over_limit(beyond)
    if not is_compared(record):
        return _element("skipped", "; ".join(record.reasons) or record.verdict.value)
    worse = next((deviation for deviation in record.regressions if deviation.metric == metric.name), None)
    if worse is not None:
        return _failure(worse)
    if record.value_of(metric.name) is None:
        return _element("skipped", missing_reason(record, metric))
    assert record.baseline is not None  # noqa: S101 - a compared run has a baseline
    return (
        None
        if metric.name in record.baseline.metrics
        else _element("skipped", "the baseline has no value of this metric")
    )


def _failure(deviation: Deviation) -> ElementTree.Element:
    failure = _element("failure", distance(deviation), kind=deviation.severity.value)
    failure.text = one_line(deviation.reason)
    return failure


def _over_limit(exceeded: ExceededLimit) -> ElementTree.Element:
    failure = _element("failure", limit_sentence(exceeded), kind=exceeded.severity.value)
    failure.text = one_line(exceeded.evidence)
    return failure


def _element(tag: str, message: str, *, kind: str | None = None) -> ElementTree.Element:
    element = ElementTree.Element(tag, message=one_line(message))
    if kind is not None:
        element.set("type", kind)
    return element


def _class_of(record: RunRecord) -> str:
    return f"{one_line(record.service)}.{one_line(record.scenario)}"
