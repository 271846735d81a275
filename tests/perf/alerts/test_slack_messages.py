"""Slack's messages: their wording, that a strict stand-in accepts them, and that no text can inject mentions."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.slack.limits import is_too_long, problems
from include.perf.alerts.book import Event, Links, Message, Problem, ProblemKind, Silence, UnreadableEntry
from include.perf.alerts.outbox import parts_of
from include.perf.alerts.slack_blocks import BUDGET, titled
from include.perf.alerts.slack_messages import SlackWords, acknowledged
from include.perf.alerts.slack_pipeline import SlackPipelineWords
from include.perf.model.cell import CellName, RunAddress
from include.perf.model.metric import METRICS, Unit
from include.perf.runs.dag_run import Absence, DagRunResults, MissingRun
from include.perf.runs.record import Cause, Collapse, Deviation, RunRecord, Severity, Verdict
from tests.fakes.clock import START
from tests.golden_files import assert_golden
from tests.records import (
    BASELINE_METRICS,
    baseline_reference,
    deviation,
    exceeded_limit,
    over_limit_record,
    record_of,
    regressed_record,
    run_record,
)

slack, pipeline = SlackWords(), SlackPipelineWords()

LINKS = Links(
    airflow_run="https://airflow.example/dags/market_open/runs/scheduled__2026-03-02",
    report="https://results.example/analysis-engine-service/market_open/20260302T063900Z-7f3a/report.md",
    prometheus="https://prometheus.example/graph?g0.expr=up&g0.tab=0",
)
NIGHT = datetime(2026, 3, 2, 7, tzinfo=UTC)
SINCE = datetime(2026, 2, 27, 6, 40, tzinfo=UTC)
GROUP = "S0123ABCD"
HOSTILE = "<!channel> <@U123> <https://evil.example|ok> @here & &lt;!here&gt; *b* _i_ ~s~ `c` https://evil.example"
HUGE = "&<*`_~:x:@here " * 2000
REASON = "Latency p95 +45 % (+38 to +52 %): 61.2 ms, was 42.1 ms over 10 nights; confirmed (t 8.1, threshold 4.5)"
EVIDENCE = "confirmed by the better of 2 runs"
NEWS = "analysis-engine-service is slower under market_open: p95 61.2 ms, +45 % (was 42.1 ms)"
TEN_NIGHTS = baseline_reference(nights=10, since=datetime(2026, 2, 16, 6, tzinfo=UTC))


def slower(value: float = 0.0612, **changes: Any) -> Deviation:
    """Return a p95 that is slower by 45 %, with an interval of 38 to 52 %."""
    found = deviation("latency_p95", value, reason=REASON, since=SINCE)
    given = {"evidence": EVIDENCE, "first_version": "2.4.1", "previous_version": "2.4.0"}
    return replace(found, **{"shift": replace(found.shift, low=0.38, high=0.52), **given, **changes})


def many_times() -> Deviation:
    """Return a p95 of 56 times its baseline, with an interval of 40 to 78 times."""
    found = deviation("latency_p95", 2.3576)
    return replace(found, shift=replace(found.shift, low=38.79, high=76.99), evidence=EVIDENCE)


def failing(**changes: Any) -> Deviation:
    """Return an error rate of 2.1 %, a warning: 2.08 points more, with an interval of 1.6 to 2.6."""
    found = deviation("error_rate", 0.021, severity=Severity.WARNING)
    return replace(found, **{"shift": replace(found.shift, absolute_low=0.016, absolute_high=0.026), **changes})


def regression(*found: Deviation, **changes: Any) -> RunRecord:
    return regressed_record(*(found or (slower(),)), **{"baseline": TEN_NIGHTS, "deploy_version": "2.4.1", **changes})


def night_of_the_platform() -> list[RunRecord]:
    """Return six services that changed together."""
    names = ("analysis-engine-service", "orders-service", "rates-service", "quotes-service", "ledger", "risk")
    evidence = "all 6 services of this night changed alike"
    found = slower(
        severity=Severity.WARNING,
        cause=Cause.PLATFORM,
        since=None,
        evidence=evidence,
        first_version=None,
        previous_version=None,
    )
    return [regression(found, service=name) for name in names]


def without_record(service: str, absence: Absence = Absence.NOT_FINISHED) -> MissingRun:
    """Return a run without a record."""
    address = RunAddress(service=service, scenario="market_open", run_id="r1")
    return MissingRun(address=address, reason="unknown", absence=absence)


def problem(**changes: Any) -> Problem:
    """Return a problem in its third night: its first alert had a p95 of 60.6 ms, +44 % from 42.1 ms."""
    given: dict[str, Any] = {
        "id": "20260227T063900Z-7f3a",
        "kind": ProblemKind.REGRESSION,
        "channel": "#performance",
        "cells": (CellName("analysis-engine-service", "market_open"),),
        "title": NEWS,
        "opened_at": SINCE,
        "last_seen_at": NIGHT,
        "severity": Severity.CRITICAL,
        "worst": {"latency_p95": 0.44},
        "levels": {"latency_p95": 0.0421},
        "values": {"latency_p95": 0.0606},
        "nights": 3,
    }
    return Problem(**(given | changes))


def silence(**changes: Any) -> Silence:
    until = datetime(2026, 3, 30, tzinfo=UTC)
    given: dict[str, Any] = {"id": "s", "by": "mara", "reason": "incident 4711", "created_at": NIGHT, "until": until}
    return Silence(**(given | changes))


def unmeasured_record(*reasons: str, verdict: Verdict = Verdict.INVALID, **changes: Any) -> RunRecord:
    validity = reasons if verdict is Verdict.INVALID else ()
    return run_record(verdict=verdict, validity=validity, reasons=reasons, **changes)


def shown(message: Message) -> str:
    """Return every text that Slack would show, in order, and check that it accepts the message."""
    assert problems(list(message.blocks)) == []
    assert not is_too_long(list(message.blocks))
    assert len(json.dumps(message.blocks, ensure_ascii=False)) <= BUDGET
    assert 0 < len(message.slack_text) <= 150
    assert not message.icon or message.icon not in message.text + message.plain
    texts: list[str] = []
    for block in message.blocks:
        parts = [block.get("text"), *block.get("fields", [])]
        parts += [] if block["type"] == "actions" else block.get("elements", [])
        texts += [part["text"] for part in parts if part]
    return "\n".join(texts)


def lines_of(message: Message) -> list[str]:
    return shown(message).splitlines()


def golden(name: str, message: Message) -> None:
    shown(message)
    parts = {
        "icon": message.icon,
        "text": message.text,
        "plain": message.plain,
        "image_alt": message.image_alt,
        "blocks": message.blocks,
    }
    assert_golden(name, json.dumps(parts, indent=2, ensure_ascii=False) + "\n")


def many() -> RunRecord:
    worse = {name: value * 1.3 for name, value in BASELINE_METRICS.items()}
    worse |= {"latency_p95": 0.1684, "latency_p99": 1.4, "throughput": 430.0, "error_rate": 0.021}
    return regressed_record(*(deviation(name, value) for name, value in worse.items()))


# A problem starts


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("slack_p95.json", [regression(slower(), failing())]),
        ("slack_error_rate_from_zero.json", [regression(deviation("error_rate", 0.021, baseline=0.0))]),
        ("slack_many.json", [many()]),
        ("slack_platform.json", night_of_the_platform()),
        ("slack_many_times.json", [regression(many_times())]),
    ],
)
def test_first_message_of_a_problem(name: str, records: list[RunRecord]) -> None:
    """Messages that someone has read and approved."""
    golden(name, slack.opened(records, links=LINKS, mention=GROUP))


def test_the_first_lines_have_all_that_on_call_needs() -> None:
    """What, how severe, since when, with which version, and the figures with their intervals."""
    message = slack.opened([regression(slower(), failing())], links=LINKS, mention=GROUP)
    assert lines_of(message)[:4] == [
        f":rotating_light: {NEWS}",
        "*Critical* · staging · since 27 Feb · first seen with 2.4.1 (before: 2.4.0) <!subteam^S0123ABCD>",
        "• *Latency p95* 61.2 ms, *+45 %* (+38 to +52 %), was 42.1 ms",
        "• *Error rate* 2.10 %, *+2.08 points* (+1.60 to +2.60 points), was 0.02 %, warning, new tonight",
    ]
    assert (message.icon, message.text) == (":rotating_light:", NEWS)


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (slower(severity=Severity.WARNING), f":warning: {NEWS}"),
        (
            deviation("error_rate", 0.021, baseline=0.0, severity=Severity.WARNING),
            ":warning: analysis-engine-service fails more often under market_open: "
            "error rate 2.10 %, +2.10 points (was 0.00 %)",
        ),
        (
            deviation("throughput", 430.0),
            ":rotating_light: analysis-engine-service handles less under market_open: "
            "throughput 430/s, −14 % (was 499/s)",
        ),
        (
            deviation("cpu_usage", 2.6),
            ":rotating_light: analysis-engine-service uses more CPU under market_open: "
            "CPU 2.60 cores, +41 % (was 1.84 cores)",
        ),
    ],
)
def test_the_first_line_is_the_news(found: Deviation, line: str) -> None:
    """The notification and the header are the same sentence."""
    message = slack.opened([regression(found)], links=Links(), mention=None)
    assert (message.slack_text, lines_of(message)[0]) == (line, line)


@pytest.mark.parametrize(
    ("running", "first", "previous", "shown"),
    [
        ("2.4.1", "2.4.1", "2.4.0", " · first seen with 2.4.1 (before: 2.4.0)"),
        ("2.4.10", "2.4.1", "2.4.0", " · first seen with 2.4.1 (before: 2.4.0), now 2.4.10"),
        ("2.4.1", "2.4.1", "2.4.1", " · version 2.4.1 (not a new deployment)"),
        ("2.4.2", "2.4.1", "2.4.1", " · version 2.4.1 (not a new deployment), now 2.4.2"),
        ("2.4.1", "2.4.1", None, " · first seen with 2.4.1"),
        (None, "2.4.1", "2.4.0", " · first seen with 2.4.1 (before: 2.4.0)"),
        ("2.4.1", None, None, " · version 2.4.1"),
        (None, None, None, ""),
    ],
)
def test_the_version_is_shown_where_it_is_known(
    running: str | None, first: str | None, previous: str | None, shown: str
) -> None:
    """The version that the deviation came with, else the running one."""
    found = slower(first_version=first, previous_version=previous, since=None)
    message = slack.opened([regression(found, deploy_version=running)], links=LINKS, mention=None)
    assert lines_of(message)[1] == f"*Critical* · staging · new tonight{shown}"


def test_why_it_is_significant_and_what_it_was_compared_with() -> None:
    """Without test statistics, which are in the report."""
    message = slack.opened([regression()], links=LINKS, mention=None)
    assert "*Why*\nconfirmed by the better of 2 runs\n" in shown(message)
    assert "8.1" not in shown(message)
    assert "*Compared with*\n10 nights since 16 Feb, baseline version 3 (approved)\n" in shown(message)
    without_nights = slack.opened([regression(baseline=baseline_reference())], links=LINKS, mention=None)
    assert "\nbaseline version 3 (approved) of 14 runs, approved on 14 Feb\n" in shown(without_nights)


def test_the_year_is_shown_where_it_is_not_the_current_one() -> None:
    """ "27 Feb" alone would mean the last one."""
    record = regression(slower(since=SINCE - timedelta(days=365)))
    assert " · since 27 Feb 2025 · " in shown(slack.opened([record], links=LINKS, mention=None))


def test_only_critical_problems_mention_anyone() -> None:
    """A warning can wait until people read the channel."""
    warning = regression(slower(severity=Severity.WARNING))
    assert "subteam" not in shown(slack.opened([warning], links=LINKS, mention=GROUP))
    assert "subteam" not in shown(slack.opened([regression()], links=LINKS, mention=None))
    assert shown(slack.opened([regression()], links=LINKS, mention=GROUP)).count("<!subteam^S0123ABCD>") == 1


def test_other_metrics_are_shown_even_without_a_significant_change() -> None:
    """CPU, memory and error rate help to find the cause; a metric among the deviations is not repeated."""
    lines = lines_of(slack.opened([regression()], links=LINKS, mention=None))
    start = lines.index("*Other metrics*")
    assert lines[start + 1 : start + 4] == [
        "• CPU 1.87 cores, +1.6 % (was 1.84 cores)",
        "• Memory 790.5 MiB, +1.1 % (was 782.0 MiB)",
        "• Error rate 0.03 %, +0.01 points (was 0.02 %)",
    ]
    assert "Other metrics" not in shown(slack.opened([many()], links=LINKS, mention=None))


def test_five_deviations_are_shown_and_the_rest_is_counted() -> None:
    """Eight metrics are worse: five lines and "… and 3 more"."""
    lines = lines_of(slack.opened([many()], links=LINKS, mention=None))
    assert len([line for line in lines if line.startswith("• *")]) == 5
    assert "… and 3 more" in lines


def test_the_small_print_and_the_links() -> None:
    """The window, the rates, the run; addresses are buttons, and lines of the plain text."""
    message = slack.opened([regression()], links=LINKS, mention=None)
    assert lines_of(message)[-3:] == [
        "2026-03-02 06:40:00–06:55:00 UTC",
        "achieved 500/s of 500/s requested",
        "run `20260302T063900Z-7f3a`",
    ]
    (buttons,) = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    assert [button["url"] for button in buttons] == [LINKS.report, LINKS.airflow_run, LINKS.prometheus]
    assert f"Airflow run: {LINKS.airflow_run}" in message.plain.splitlines()
    path = slack.opened([regression()], links=Links(report="file:///r.md"), mention=None)
    assert lines_of(path)[-1] == "Report: `file:///r.md`"


# Several cells with one cause


def test_a_platform_shift_is_one_message() -> None:
    """It says before any figure to check the platform; the other cells have one line each."""
    message = slack.opened(night_of_the_platform(), links=LINKS, mention=GROUP)
    lines = lines_of(message)
    assert message.text == (
        "6 services are slower under market_open: analysis-engine-service p95 61.2 ms, +45 % (was 42.1 ms)"
    )
    assert lines[2] == "All services changed together: check the platform or the test bed first."
    start = lines.index("*Also affected (5)*")
    assert lines[start + 1] == "• *orders-service*: p95 +45 % (61.2 ms, was 42.1 ms)"
    assert lines[start + 5].startswith("• *risk*: ")


def test_a_shift_of_one_service_names_its_scenarios() -> None:
    """The cause is the service, not a scenario."""
    found = slower(cause=Cause.SERVICE)
    records = [regression(found), regression(found, failing(), scenario="settlement")]
    message = slack.opened(records, links=LINKS, mention=None)
    assert message.text == (
        "analysis-engine-service is slower under 2 scenarios: market_open p95 61.2 ms, +45 % (was 42.1 ms)"
    )
    assert "check the service, not one scenario." in shown(message)
    assert "• *settlement*: p95 +45 % (61.2 ms, was 42.1 ms) and 1 more metric" in lines_of(message)


def test_cells_that_are_worse_in_different_ways_are_worse() -> None:
    """Two services are not "slower" when one of them fails more often."""
    both = [regression(), regression(failing(), service="orders", scenario="settlement")]
    message = slack.opened(both, links=LINKS, mention=None)
    assert message.text.startswith("2 services are worse: analysis-engine-service p95 61.2 ms, ")
    assert "• *orders under settlement*: error rate +2.08 points (2.10 %, was 0.02 %)" in lines_of(message)


def test_twelve_cells_are_shown_and_the_rest_is_counted() -> None:
    """Twelve lines are enough for a phone."""
    records = [regression(service=f"service-{number}") for number in range(40)]
    lines = lines_of(slack.opened(records, links=LINKS, mention=None))
    assert "• *service-12*: p95 +45 % (61.2 ms, was 42.1 ms)" in lines
    assert "… and 27 more" in lines


# A problem continues, gets worse, ends


def test_a_problem_that_continues_is_one_short_line() -> None:
    """With the change of the first alert: 60.6 / 42.1 = 1.44."""
    message = slack.continues([regression(slower(), failing())], problem())
    line = "still there, night 3: p95 +45 % (first alert: +44 %), error rate +2.08 points"
    assert (message.text, shown(message), message.plain) == (line, line, "")
    same = problem(values={"latency_p95": 0.0612})
    assert shown(slack.continues([regression()], same)) == "still there, night 3: p95 +45 %"


def test_of_several_cells_the_first_is_named_and_the_rest_counted() -> None:
    """The first alert had the figures of another cell, so they are not shown."""
    message = slack.continues([regression(service="orders"), regression()], problem())
    assert message.text == "still there, night 3: orders p95 +45 %; 1 more affected"


def test_a_problem_that_got_worse_shows_what_changed() -> None:
    """With the change of the first alert; a metric that was not in it is marked."""
    message = slack.worsened([regression(slower(), failing())], problem(), mention=GROUP)
    assert lines_of(message)[:4] == [
        f":rotating_light: worse, night 3: {NEWS}",
        "*Critical* · staging · since 27 Feb · first seen with 2.4.1 (before: 2.4.0) <!subteam^S0123ABCD>",
        "• *Latency p95* 61.2 ms, *+45 %* (+38 to +52 %), was 42.1 ms; first alert: +44 %",
        "• *Error rate* 2.10 %, *+2.08 points* (+1.60 to +2.60 points), was 0.02 %, warning, new tonight; "
        "*not in the first alert*",
    ]


def test_a_recovery_has_its_duration_and_the_values_now() -> None:
    """The metrics of the problem with their baselines."""
    message = slack.recovered(problem(), [run_record()])
    line = "back to normal after 3 nights: p95 42.4 ms (baseline 42.1 ms)"
    assert (message.text, shown(message)) == (line, f":white_check_mark: {line}")
    assert shown(slack.recovered(problem(nights=1), [])) == ":white_check_mark: back to normal after 1 night"


def test_an_accepted_level_has_the_version_of_the_baseline() -> None:
    """Nothing was fixed; the values are the new baseline."""
    line = ":white_check_mark: accepted as the new baseline after 3 nights (version 4)"
    assert shown(slack.accepted(problem(), 4)) == line


@pytest.mark.parametrize(
    ("given", "event", "line"),
    [
        (problem(), Event.RECOVERED, f":white_check_mark: Recovered after 3 nights: {NEWS}"),
        (
            problem(title=f":rotating_light: {NEWS}"),  # as stored by earlier versions
            Event.RECOVERED,
            f":white_check_mark: Recovered after 3 nights: {NEWS}",
        ),
        (problem(), Event.ACCEPTED, f":white_check_mark: Accepted as the new baseline after 3 nights: {NEWS}"),
        (
            problem(kind=ProblemKind.UNMEASURED, title="market_open: 1 of 6 services"),
            Event.RECOVERED,
            ":white_check_mark: Judged again after 3 nights: market_open: 1 of 6 services",
        ),
        (
            problem(kind=ProblemKind.OVERDUE, title="market_open did not run", nights=1),
            Event.RECOVERED,
            ":white_check_mark: Runs again: market_open did not run",
        ),
    ],
)
def test_the_first_message_is_replaced_once_the_problem_is_over(given: Problem, event: Event, line: str) -> None:
    """Everybody who reads the channel sees that nothing is left to do."""
    words = slack if given.kind is ProblemKind.REGRESSION else pipeline
    assert shown(words.mark(given, event)) == line


def test_an_acknowledgement() -> None:
    """Who, why, and until when it is silent."""
    line = ":no_bell: acknowledged by mara: incident 4711 (silent until 30 Mar)"
    assert shown(acknowledged(silence())) == line
    later = silence(until=datetime(2027, 1, 4, 8, 30, tzinfo=UTC), reason="x" * 500)
    message = acknowledged(later)
    assert message.text.endswith("… (silent until 4 Jan 2027, 08:30 UTC)")
    assert shown(message) == message.slack_text


# News that can wait


def test_the_digest_needs_no_action() -> None:
    """One line each: improvements, small changes and suspicions."""
    suspicious = deviation("latency_p99", 0.1, is_confirmed=False, severity=Severity.WARNING)
    small = deviation("memory_usage", 900.0 * 1024**2, severity=Severity.DIGEST)
    records = [
        record_of(Verdict.IMPROVEMENT),
        run_record(service="rates", deviations=(suspicious,)),
        regressed_record(small, service="orders"),
        run_record(service="quiet"),
    ]
    message = slack.digest(records, silenced=2, links=LINKS)
    assert lines_of(message) == [
        ":memo: market_open: 1 improvement, 1 small change, 1 suspicion, 2 silenced; no action needed",
        "• *analysis-engine-service* p95 30.0 ms, −29 % (was 42.1 ms): better",
        "• *orders* memory 900.0 MiB, +15 % (was 782.0 MiB): slightly worse",
        "• *rates* p99 100 ms, +14 % (was 87.6 ms): not confirmed",
    ]
    only_silenced = slack.digest([], silenced=1, links=Links())
    assert shown(only_silenced) == ":memo: 1 silenced; no action needed"


def test_the_summary_is_one_line() -> None:
    """A quiet night is reported as such; any other is counted."""
    healthy = slack.summary([run_record()] * 6, Links())
    assert shown(healthy) == "market_open: 6 services, no significant change"
    assert shown(slack.summary([run_record()], Links())) == "market_open: 1 service, no significant change"
    mixed = slack.summary([run_record(), *map(record_of, Verdict)], Links())
    assert shown(mixed) == (
        "market_open: 9 services: 1 over a limit, 1 worse, 2 unchanged, 1 better, 2 without a baseline, 2 not judged"
    )


# The pipeline


def test_runs_that_could_not_be_judged() -> None:
    """One line each, with the first reason and the number of others; also for runs without a record."""
    records = [
        unmeasured_record("the target is down", service="orders"),
        unmeasured_record("a", "b", "c", service="engine"),
        unmeasured_record("load is halted by ana: release", service="rates", verdict=Verdict.SKIPPED),
    ]
    message = pipeline.unmeasured(records, of=6, missing=[without_record("risk")], links=LINKS)
    line = (
        ":construction: market_open: 4 of 6 services could not be judged (a problem of the measurement, not of the "
        "services)"
    )
    lines = [
        "• *orders* INVALID: the target is down",
        "• *engine* INVALID: a (and 2 more reasons)",
        "• *rates* SKIPPED: load is halted by ana: release",
        "• *risk* left no record",
    ]
    assert lines_of(message) == [line, *lines]
    again = pipeline.unmeasured_continues(
        records, of=6, missing=[without_record("risk")], links=LINKS, problem=problem()
    )
    assert lines_of(again) == ["still not judged, night 3: 4 of 6 services", *lines]
    line = ":white_check_mark: all services can be judged again after 3 nights"
    assert shown(pipeline.measured_again(problem())) == line


def test_an_unreadable_record_is_not_called_missing() -> None:
    """Somebody has to look at the file, not at the run."""
    message = pipeline.unmeasured([], of=2, missing=[without_record("risk", Absence.UNREADABLE)], links=LINKS)
    assert lines_of(message)[1] == "• *risk* left a record that cannot be read"


def test_records_that_could_be_read_only_later() -> None:
    """One line in the thread of the problem that they share, with the largest change of each."""
    line = slack.joined([regression(slower(), service="orders"), regression(slower(), service="rates")], problem())
    assert shown(line) == "also affected in this night, reported now: orders p95 +45 %, rates p95 +45 %"


def test_the_end_of_a_late_dag_run() -> None:
    """With the verdicts if there are any; a failure says what can be done."""
    results = DagRunResults(
        dag_id="market_open",
        dag_run_id="r",
        records={f"memory://a/b/{number}": run_record() for number in range(2)},
        missing=(without_record("risk"),),
    )
    assert shown(pipeline.finished(results)) == ":white_check_mark: finished after all: 2 PASS, 1 without a record"
    assert shown(pipeline.finished(None)) == ":white_check_mark: finished after all"
    line = ":white_check_mark: a later run of this scenario has results: scheduled__2026-03-03"
    assert shown(pipeline.finished_later("scheduled__2026-03-03")) == line
    assert lines_of(pipeline.unreported("market_open", "scheduled__2026-03-02", LINKS)) == [
        ":construction: market_open failed before its results were reported",
        "Run `scheduled__2026-03-02` ended. To report what it measured, clear its task `alert`.",
    ]


def test_runs_without_a_record_or_reason_are_reported() -> None:
    """They must not be dropped silently."""
    alone = pipeline.unmeasured([], of=1, missing=[without_record("risk")], links=Links())
    assert alone.text.startswith("1 of 1 service could not be judged (")
    without = pipeline.unmeasured([unmeasured_record(service="orders")], of=1, missing=[], links=Links())
    assert lines_of(without)[1] == "• *orders* INVALID: no reason was recorded"


def test_problems_of_the_catalogue() -> None:
    """One line each, and what they cause."""
    assert lines_of(pipeline.catalogue_wrong(["services.yaml: orders: <x>"], is_usable=True)) == [
        ":construction: the catalogue has 1 problem: the wrong entries are left out",
        "• services.yaml: orders: &lt;x&gt;",
    ]
    lines = lines_of(pipeline.catalogue_wrong(["a"] * 10, is_usable=False))
    assert lines[0] == ":construction: the catalogue has 10 problems: no new run can start"
    assert lines[-1] == "… and 2 more; see `python -m include.perf check`"
    assert lines_of(pipeline.catalogue_right()) == [":white_check_mark: the catalogue has no problems any more"]


def test_a_failed_dag_run() -> None:
    """It has no result; with the reason."""
    assert lines_of(pipeline.failed("market_open", "guard: no <target>", LINKS)) == [
        ":construction: market_open failed: nothing was measured, so nothing is known about the services",
        "Reason: guard: no &lt;target&gt;",
    ]


def test_a_late_dag_run() -> None:
    """Which run, since when, and where to look; nothing about a service."""
    assert lines_of(pipeline.late("market_open", "scheduled__2026-03-02", NIGHT, LINKS)) == [
        ":hourglass: market_open is late: it should have finished by 2026-03-02 07:00:00 UTC",
        "Run `scheduled__2026-03-02` is still running. There are no results about the services yet.",
    ]


def test_a_scenario_that_did_not_run() -> None:
    """When it was due and when it ran last."""
    message = pipeline.overdue("market_open", SINCE, NIGHT, Links())
    assert lines_of(message)[:2] == [
        ":construction: market_open did not run: it was due at 2026-03-02 07:00:00 UTC",
        "It last ran at 2026-02-27 06:40:00 UTC.",
    ]
    assert "It has never run." in lines_of(pipeline.overdue("market_open", None, NIGHT, Links()))
    waiting = problem(kind=ProblemKind.OVERDUE, opened_at=NIGHT, last_seen_at=NIGHT + timedelta(hours=26, seconds=9))
    assert shown(pipeline.runs_again(waiting)) == ":white_check_mark: runs again, 26 h after this alert"


def test_changed_limits_have_a_line_per_baseline() -> None:
    """At most eight lines; the rest is counted."""
    assert lines_of(
        pipeline.limits_changed(["orders under calm (version 4 by ana: faster): p95 warning 61 ms → 58 ms"])
    ) == [
        ":bell: the limits of the alert rules changed for 1 baseline",
        "• orders under calm (version 4 by ana: faster): p95 warning 61 ms → 58 ms",
    ]
    assert lines_of(pipeline.limits_changed(["a"] * 9))[-1] == "… and 1 more; see `python -m include.perf rules show`"


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_the_pipelines_messages_never_read_like_a_regression(verdict: Verdict) -> None:
    """They must not make anybody look at a service."""
    record = record_of(verdict)
    for message in (
        pipeline.unmeasured([record], of=6, missing=[without_record("risk")], links=LINKS),
        pipeline.unmeasured_continues([record], of=6, missing=[], links=LINKS, problem=problem()),
        pipeline.failed("market_open", "x", LINKS),
        pipeline.late("market_open", "r", NIGHT, LINKS),
        pipeline.unreported("market_open", "r", LINKS),
        pipeline.overdue("market_open", None, NIGHT, LINKS),
        pipeline.limits_changed(["orders under calm: p95 warning 61 ms → 58 ms"]),
        pipeline.catalogue_wrong(["services.yaml: orders.base_url is missing"], is_usable=True),
        pipeline.catalogue_right(),
    ):
        everything = message.slack_text + shown(message) + message.plain
        for word in ("REGRESSION", "slower", "worse", ":rotating_light:", ":warning:"):
            assert word not in everything


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if not verdict.is_failure])
def test_other_verdicts_never_read_like_a_regression(verdict: Verdict) -> None:
    """A message about them does not mislead."""
    message = slack.opened([record_of(verdict)], links=LINKS, mention=GROUP)
    assert "slower" not in shown(message)
    assert "subteam" not in shown(message)


def test_a_run_beyond_its_limits() -> None:
    """What is beyond which limit comes first, without a word of a baseline; an endpoint is named."""
    slow = exceeded_limit(metric="latency_p99", unit=Unit.SECONDS, value=0.9, limit=0.5, endpoint="market")
    record = over_limit_record(replace(slow, severity=Severity.WARNING), exceeded_limit(), deploy_version="2.4.1")
    message = slack.opened([record], links=LINKS, mention=GROUP)
    assert message.slack_text == (
        ":rotating_light: analysis-engine-service is over its limit under market_open: error rate 8.00 % (limit 5.00 %)"
    )
    assert f"*Critical* · staging · version 2.4.1 <!subteam^{GROUP}>" in shown(message)
    assert "• *Error rate* *8.00 %*, limit 5.00 %\n" in shown(message)
    assert "• *Latency p99 of market* *900 ms*, limit 500 ms, warning" in shown(message)
    assert "confirmed by the median of 3 runs" in shown(message)
    seen = problem(
        worst={"limit:error_rate": 0.6}, levels={"limit:error_rate": 0.05}, values={"limit:error_rate": 0.08}
    )
    assert shown(slack.continues([record], seen)).endswith(
        "still there, night 3: error rate 8.00 % (limit 5.00 %), p99 of market 900 ms (limit 500 ms)"
    )
    assert "error rate 8.00 % (limit 5.00 %)" in slack.worsened([record], seen, mention=None).text
    assert shown(slack.recovered(seen, [run_record()])).endswith(
        "back to normal after 3 nights: error rate 0.03 % (baseline 0.02 %)"
    )


def test_a_standing_change_asks_to_accept_or_to_fix() -> None:
    """With the way to do either; failures cannot be accepted."""
    asked = shown(slack.standing([regression()], problem(nights=7)))
    assert asked.startswith("still there after 7 nights: p95 +45 %; accept or fix?")
    assert "trigger `baseline_approval` with run `20260302T063900Z-7f3a` and a reason" in asked
    failing = shown(slack.standing([over_limit_record()], problem(nights=7)))
    assert failing.startswith("still there after 7 nights: error rate 8.00 % (limit 5.00 %); accept or fix?")
    assert "baseline_approval" not in failing


def test_a_partial_recovery_names_what_recovered() -> None:
    """And how much is left."""
    reply = slack.partly_recovered(problem(), [run_record()], problem().cells)
    assert reply.text == "back to normal: analysis-engine-service under market_open; 1 cell still affected"


def test_a_service_that_did_not_survive() -> None:
    """What happened first is the news; the rest follows."""
    happened = ("could not be reached from 06:41:12 UTC on (434 requests)", "started a new process at 06:41:30 UTC")
    collapse = Collapse(happened=happened, severity=Severity.CRITICAL, evidence="in 2 of 3 runs")
    record = over_limit_record(collapse=collapse, exceeded=())
    message = slack.opened([record], links=LINKS, mention=GROUP)
    assert message.text.startswith(
        "analysis-engine-service failed under market_open: could not be reached from 06:41:12"
    )
    assert "• the service started a new process at 06:41:30 UTC" in shown(message)
    assert "in 2 of 3 runs" in shown(message)
    assert "it could not be reached from 06:41:12 UTC on" in shown(slack.continues([record], problem()))


# Text that Slack would refuse or interpret


def every_message(text: str) -> list[Message]:
    """Return every kind of message, with a text in each place for foreign text."""
    named = {"service": text, "scenario": text, "environment": text, "run_id": text, "deploy_version": text}
    found = slower(reason=text, evidence=text, first_version=text, previous_version=f"{text}0")
    unknown = replace(failing(), metric=text, reason=text, evidence=text)
    reference = replace(TEN_NIGHTS, state=text)
    metrics = {"cpu_usage": replace(run_record().metrics["cpu_usage"], value=None, reason=text)}
    record = replace(regression(found, **named, baseline=reference), deviations=(found, unknown), metrics=metrics)
    suspicious = run_record(**named, deviations=(replace(unknown, is_confirmed=False),))
    invalid = unmeasured_record(*[text] * 9, **named)
    links = Links(airflow_run=text, report=f"https://a.example/{text}", prometheus=text)
    open_problem = problem(title=f":warning: {text}", cells=(CellName(text, text),))
    others = [replace(record, service=f"{text}{number}") for number in range(20)]
    return [
        slack.opened([record], links=links, mention=text),
        slack.opened([record, *others], links=links, mention=GROUP),
        slack.opened([invalid], links=links, mention=text),
        slack.continues([record, *others], open_problem),
        slack.joined([record, *others], open_problem),
        slack.worsened([record, *others], open_problem, mention=text),
        slack.recovered(open_problem, [record]),
        slack.mark(open_problem, Event.RECOVERED),
        acknowledged(silence(by=text, reason=text)),
        slack.digest([suspicious] * 20, silenced=3, links=links),
        slack.summary([record], links),
        pipeline.unmeasured([invalid] * 20, of=20, missing=[without_record(text)] * 20, links=links),
        pipeline.unmeasured_continues(
            [invalid] * 20, of=20, missing=[without_record(text)], links=links, problem=open_problem
        ),
        pipeline.failed(text, text, links),
        pipeline.late(text, text, NIGHT, links),
        pipeline.unreported(text, text, links),
        pipeline.finished_later(text),
        pipeline.overdue(text, None, NIGHT, links),
        pipeline.limits_changed([text] * 9),
        pipeline.catalogue_wrong([text] * 9, is_usable=True),
    ]


@pytest.mark.parametrize("text", [HOSTILE, f"a {HOSTILE}\n> quote", "x" * 3 + "`" + HOSTILE])
def test_no_mention_link_or_formatting_can_be_injected(text: str) -> None:
    """Names, versions, reasons, ids and addresses are escaped wherever they appear."""
    for message in every_message(text):
        everything = "\n".join([message.slack_text, shown(message), message.plain, message.image_alt])
        everything = everything.replace(f"<!subteam^{GROUP}>", "")
        for injected in ("<", ">", "@here", "://evil", "*b*", "~s~", " _i_", "`c`"):
            assert injected not in everything.replace("https:/\u200b/", ""), injected
        for block in message.blocks:
            parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
            assert all(part["verbatim"] for part in parts if part and part["type"] == "mrkdwn")


@pytest.mark.parametrize("text", [HUGE, "&" * 20_000, "漢" * 20_000, '"\\' * 10_000, "x" * 63, ""])
def test_text_of_any_length_gives_a_message_that_slack_accepts(text: str) -> None:
    """No message is lost because of its length."""
    for message in every_message(text):
        shown(message)
        assert len(message.plain) <= BUDGET


def test_the_longest_possible_message_is_accepted() -> None:
    """Eight metrics in sixty cells with the longest names and addresses."""
    name = "m" * 60
    worse = [
        replace(deviation(metric, BASELINE_METRICS[metric] * 1.3), since=SINCE, evidence="r" * 900)
        for metric in METRICS
    ]
    records = [regressed_record(*worse, service=f"{name}{n:02}", scenario=f"{name}{n:02}") for n in range(60)]
    url = "https://a/" + "x" * 2990
    message = slack.opened(records, links=Links(airflow_run=url, report=url, prometheus=url), mention=GROUP)
    assert "… omitted, too long for Slack: links" in shown(message)
    assert "• *Latency p95* 54.7 ms" in shown(message)


@pytest.mark.parametrize("number", [1, 2])
def test_long_names_are_shortened_and_figures_never(number: int) -> None:
    """The header has 150 characters and always holds the figures."""
    records = [regression(service=f"{'s' * 62}{n}", scenario="m" * 63) for n in range(number)]
    for message in (
        slack.opened(records, links=Links(), mention=None),
        slack.worsened(records, problem(), mention=None),
    ):
        assert len(message.slack_text) <= 150
        assert message.text.endswith("p95 61.2 ms, +45 % (was 42.1 ms)")
        assert "s…" in message.text


def test_a_short_name_leaves_its_room_to_the_long_one() -> None:
    """A scenario of one letter leaves the service more than half of the line."""
    message = slack.opened([regression(service="s" * 200, scenario="m")], links=Links(), mention=None)
    assert len(message.slack_text) == 150


def test_a_header_of_exactly_150_characters_is_not_shortened() -> None:
    """One more character is too many."""
    fixed = len(slack.opened([regression(service="", scenario="m")], links=Links(), mention=None).slack_text)
    exact = slack.opened(
        [regression(service="s" * (150 - fixed), scenario="m")], links=Links(), mention=None
    ).slack_text
    assert (len(exact), "…" in exact) == (150, False)
    longer = slack.opened(
        [regression(service="s" * (151 - fixed), scenario="m")], links=Links(), mention=None
    ).slack_text
    assert (len(longer), "…" in longer) == (150, True)


def test_the_chart_has_a_description() -> None:
    """For those who cannot see the chart."""
    assert slack.opened([regression()], links=LINKS, mention=None).image_alt == (
        "Latency over time of analysis-engine-service under market_open: p50 18.5 ms, p95 61.2 ms, p99 88.2 ms; "
        "baseline p95 42.1 ms"
    )


def test_deliveries_that_were_set_aside_are_reported_with_their_reasons() -> None:
    """With the id for the command, the place and the text; a long list is cut off."""
    entries = parts_of(
        "d1", Event.DIGEST, Message(text="orders *is* slower", plain="", blocks=[]), channel="#x", now=START
    )
    aside = [replace(entry, reason="error invalid_blocks: orders *is* slower") for entry in entries]
    odd = [UnreadableEntry(section="silences", content=5, reason="silences[0] cannot be read")] * 9
    found = SlackPipelineWords().undeliverable([*aside, replace(aside[0], address="mailto://")], odd)
    assert found.text == "set aside, and not sent again: 3 messages and 9 items of the alert book that cannot be read"
    lines = found.plain.splitlines()
    assert lines[0] == "• d1 message to #x, orders ∗is∗ slower: error invalid_blocks"
    assert lines[2].startswith("• d1 message to mailto:")
    assert lines[3] == "• silences: silences[0] cannot be read"
    assert lines[-2:] == [
        "… and 1 more",
        "See python -m include.perf alerts list; then alerts retry or alerts drop.",
    ]


def test_a_reply_outside_its_thread_names_the_problem() -> None:
    """In the first line, and above its blocks."""
    said = titled(Message(text="back to normal", plain="", blocks=[{"type": "divider"}]), "orders <is> slower")
    assert (said.text, said.plain) == ("back to normal (orders <is> slower)", "orders <is> slower")
    assert [block["type"] for block in said.blocks] == ["context", "divider"]
    assert "orders &lt;is&gt; slower" in str(said.blocks[0])
