"""Slack's messages: what they say, that a strict stand-in takes them, and text that tries to mention someone."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demo.slack.limits import is_too_long, problems
from include.perf.alerts import slack_messages as slack
from include.perf.alerts.book import Event, Links, Message, Problem, ProblemKind, Silence
from include.perf.alerts.slack_blocks import BUDGET
from include.perf.model.cell import CellName
from include.perf.model.metric import METRICS
from include.perf.runs.record import Cause, Deviation, RunRecord, Severity, Verdict
from tests.golden_files import assert_golden
from tests.records import BASELINE_METRICS, baseline_reference, deviation, record_of, regressed_record, run_record

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
REASON = (
    "Latency p95 +45 % (+38 % … +52 %): 61.2 ms, was 42.1 ms over 10 nights; confirmed by the better of 2 runs "
    "(t 8.1, sure from 4.5 on)"
)
FIRST_SEEN = "; first seen on 2026-02-27 with 2.4.1 (before: 2.4.0)"
STORY = "analysis-engine-service is slower at market_open: p95 61.2 ms, +45 % (was 42.1 ms)"
TEN_NIGHTS = baseline_reference(nights=10, since=datetime(2026, 2, 16, 6, tzinfo=UTC))


def slower(value: float = 0.0612, **changes: Any) -> Deviation:
    """Return a p95 that is slower by 45 %, sure to lie between 38 and 52 %."""
    found = deviation("latency_p95", value, reason=REASON + FIRST_SEEN, since=SINCE)
    return replace(found, **{"shift": replace(found.shift, low=0.38, high=0.52), **changes})


def failing(**changes: Any) -> Deviation:
    """Return an error rate of 2.1 %, a warning: 2.08 points more, sure to lie between 1.6 and 2.6."""
    found = deviation("error_rate", 0.021, severity=Severity.WARNING)
    return replace(found, **{"shift": replace(found.shift, absolute_low=0.016, absolute_high=0.026), **changes})


def regression(*found: Deviation, **changes: Any) -> RunRecord:
    return regressed_record(*(found or (slower(),)), **{"baseline": TEN_NIGHTS, "deploy_version": "2.4.1", **changes})


def night_of_the_platform() -> list[RunRecord]:
    """Return six services that moved together."""
    names = ("analysis-engine-service", "orders-service", "rates-service", "quotes-service", "ledger", "risk")
    why = "Latency p95 +40 %: x; all 6 services of this night moved alike (z 7.1): look at the platform first"
    moved = slower(severity=Severity.WARNING, cause=Cause.PLATFORM, since=None, reason=f"{why}; first seen")
    return [regression(moved, service=name) for name in names]


def problem(**changes: Any) -> Problem:
    """Return a problem in its third night: p95 was told as 42.1 to 60.6 ms, +44 %."""
    given: dict[str, Any] = {
        "id": "20260227T063900Z-7f3a",
        "kind": ProblemKind.REGRESSION,
        "channel": "#performance",
        "cells": (CellName("analysis-engine-service", "market_open"),),
        "title": f":rotating_light: {STORY}",
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
    """Return every text that Slack would show, in order, and check that it takes the message."""
    assert problems(list(message.blocks)) == []
    assert not is_too_long(list(message.blocks))
    assert len(json.dumps(message.blocks, ensure_ascii=False)) <= BUDGET
    assert 0 < len(message.text) <= 150
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
    told = {"text": message.text, "plain": message.plain, "image_alt": message.image_alt, "blocks": message.blocks}
    assert_golden(name, json.dumps(told, indent=2, ensure_ascii=False) + "\n")


def many() -> RunRecord:
    worse = {name: value * 1.3 for name, value in BASELINE_METRICS.items()}
    worse |= {"latency_p95": 0.1684, "latency_p99": 1.4, "throughput": 430.0, "error_rate": 0.021}
    return regressed_record(*(deviation(name, value) for name, value in worse.items()))


# A problem begins


@pytest.mark.parametrize(
    ("name", "records"),
    [
        ("slack_p95.json", [regression(slower(), failing())]),
        ("slack_error_rate_from_zero.json", [regression(deviation("error_rate", 0.021, baseline=0.0))]),
        ("slack_many.json", [many()]),
        ("slack_platform.json", night_of_the_platform()),
    ],
)
def test_message_of_a_problem(name: str, records: list[RunRecord]) -> None:
    """Messages that someone has read and found right."""
    golden(name, slack.opened(records, links=LINKS, mention=GROUP))


def test_the_first_lines_tell_on_call_all_they_need() -> None:
    """What, how grave, since when, with which version, and the figures with their intervals."""
    message = slack.opened([regression(slower(), failing())], links=LINKS, mention=GROUP)
    assert lines_of(message)[:4] == [
        f":rotating_light: {STORY}",
        "*Critical* · staging · since 27 Feb · first seen with 2.4.1 (before: 2.4.0) <!subteam^S0123ABCD>",
        "• *Latency p95* 61.2 ms, *+45 %* (+38 to +52 %), was 42.1 ms",
        "• *Error rate* 2.10 %, *+2.08 points* (+1.60 to +2.60 points), was 0.02 %, warning, new tonight",
    ]
    assert message.text == f":rotating_light: {STORY}"


@pytest.mark.parametrize(
    ("found", "line"),
    [
        (slower(severity=Severity.WARNING), f":warning: {STORY}"),
        (
            deviation("error_rate", 0.021, baseline=0.0, severity=Severity.WARNING),
            ":warning: analysis-engine-service fails more often at market_open: "
            "error rate 2.10 %, +2.10 points (was 0.00 %)",
        ),
        (
            deviation("throughput", 430.0),
            ":rotating_light: analysis-engine-service handles less at market_open: throughput 430/s, −14 % (was 499/s)",
        ),
        (
            deviation("cpu_usage", 2.6),
            ":rotating_light: analysis-engine-service uses more CPU at market_open: "
            "CPU 2.60 cores, +41 % (was 1.84 cores)",
        ),
    ],
)
def test_first_line_tells_the_story(found: Deviation, line: str) -> None:
    """The notification and the header are the same sentence."""
    message = slack.opened([regression(found)], links=Links(), mention=None)
    assert (message.text, lines_of(message)[0]) == (line, line)


@pytest.mark.parametrize(
    ("running", "seen", "told"),
    [
        ("2.4.1", FIRST_SEEN, " · first seen with 2.4.1 (before: 2.4.0)"),
        ("2.4.10", FIRST_SEEN, " · first seen with 2.4.1 (before: 2.4.0), now 2.4.10"),
        (
            "2.4.1",
            "; first seen with 2.4.1, deployed before already",
            " · first seen with 2.4.1, deployed before already",
        ),
        (None, FIRST_SEEN, " · first seen with 2.4.1 (before: 2.4.0)"),
        ("2.4.1", "; first seen on 2026-02-27", " · version 2.4.1"),
        ("2.4.1", "", " · version 2.4.1"),
        (None, "", ""),
    ],
)
def test_the_version_is_told_where_it_is_known(running: str | None, seen: str, told: str) -> None:
    """That which it began with, that which runs, or none."""
    record = regression(slower(reason=REASON + seen, since=None), deploy_version=running)
    assert lines_of(slack.opened([record], links=LINKS, mention=None))[1] == f"*Critical* · staging · new tonight{told}"


def test_why_it_is_sure_and_what_it_was_held_to() -> None:
    """The figures of the reason and its version are told above already."""
    message = slack.opened([regression()], links=LINKS, mention=None)
    assert "*Why*\nconfirmed by the better of 2 runs (t 8.1, sure from 4.5 on)\n" in shown(message)
    assert "*Compared with*\n10 nights since 16 Feb, baseline version 3 (approved)\n" in shown(message)
    without_nights = slack.opened([regression(baseline=baseline_reference())], links=LINKS, mention=None)
    assert "\nbaseline version 3 (approved) of 14 runs, approved on 14 Feb\n" in shown(without_nights)


def test_another_year_is_told() -> None:
    """ "27 Feb" alone would be taken for the last one."""
    record = regression(slower(since=SINCE - timedelta(days=365)))
    assert " · since 27 Feb 2025 · " in shown(slack.opened([record], links=LINKS, mention=None))


def test_only_what_is_critical_mentions_anyone() -> None:
    """A warning can wait until somebody reads the channel."""
    warning = regression(slower(severity=Severity.WARNING))
    assert "subteam" not in shown(slack.opened([warning], links=LINKS, mention=GROUP))
    assert "subteam" not in shown(slack.opened([regression()], links=LINKS, mention=None))
    assert shown(slack.opened([regression()], links=LINKS, mention=GROUP)).count("<!subteam^S0123ABCD>") == 1


def test_what_moved_beside_is_shown_even_within_its_floors() -> None:
    """CPU, memory and error rate help to tell the cause; what is told above is not told twice."""
    lines = lines_of(slack.opened([regression()], links=LINKS, mention=None))
    start = lines.index("*Beside it*")
    assert lines[start + 1 : start + 4] == [
        "• CPU 1.87 cores, +1.6 % (was 1.84 cores)",
        "• Memory 790.5 MiB, +1.1 % (was 782.0 MiB)",
        "• Error rate 0.03 %, +0.01 points (was 0.02 %)",
    ]
    assert "Beside it" not in shown(slack.opened([many()], links=LINKS, mention=None))


def test_five_deviations_are_shown_and_the_rest_is_counted() -> None:
    """Eight are worse: five lines and "… and 3 more"."""
    lines = lines_of(slack.opened([many()], links=LINKS, mention=None))
    assert len([line for line in lines if line.startswith("• *")]) == 5
    assert "… and 3 more" in lines


def test_the_small_print_and_the_links() -> None:
    """The window, what was sent, the run; addresses as buttons, and as lines of the plain text."""
    message = slack.opened([regression()], links=LINKS, mention=None)
    assert lines_of(message)[-3:] == [
        "2026-03-02 06:40:00–06:55:00 UTC",
        "sent 500/s of 500/s requested",
        "run `20260302T063900Z-7f3a`",
    ]
    (buttons,) = [block["elements"] for block in message.blocks if block["type"] == "actions"]
    assert [each["url"] for each in buttons] == [LINKS.report, LINKS.airflow_run, LINKS.prometheus]
    assert f"Airflow run: {LINKS.airflow_run}" in message.plain.splitlines()
    path = slack.opened([regression()], links=Links(report="file:///r.md"), mention=None)
    assert lines_of(path)[-1] == "Report: `file:///r.md`"


# Several cells of one cause


def test_a_platform_shift_is_one_message_that_says_so() -> None:
    """Before any figure: nobody is to look for it in one service; the other cells are a line each."""
    message = slack.opened(night_of_the_platform(), links=LINKS, mention=GROUP)
    lines = lines_of(message)
    assert message.text == (
        ":warning: 6 services are slower at market_open: analysis-engine-service p95 61.2 ms, +45 % (was 42.1 ms)"
    )
    assert lines[2] == "The services moved together: look at the platform or the test bed first, not at one service."
    start = lines.index("*With it: 5 more cells*")
    assert lines[start + 1] == "• *orders-service*: p95 +45 % (61.2 ms, was 42.1 ms)"
    assert lines[start + 5].startswith("• *risk*: ")


def test_a_shift_of_one_service_names_its_scenarios() -> None:
    """It is one service's matter, whatever the scenario."""
    moved = slower(cause=Cause.SERVICE)
    records = [regression(moved), regression(moved, failing(), scenario="settlement")]
    message = slack.opened(records, links=LINKS, mention=None)
    assert message.text == (
        ":rotating_light: analysis-engine-service is slower in 2 scenarios: market_open p95 61.2 ms, +45 % "
        "(was 42.1 ms)"
    )
    assert "look at the service, not at one scenario." in shown(message)
    assert "• *settlement*: p95 +45 % (61.2 ms, was 42.1 ms) and 1 more metric" in lines_of(message)


def test_cells_that_are_worse_in_different_ways_are_worse() -> None:
    """Six services are not slower when one of them fails more often."""
    both = [regression(), regression(failing(), service="orders", scenario="settlement")]
    message = slack.opened(both, links=LINKS, mention=None)
    assert message.text.startswith(":rotating_light: 2 services are worse: analysis-engine-service p95 61.2 ms, ")
    assert "• *orders at settlement*: error rate +2.08 points (2.10 %, was 0.02 %)" in lines_of(message)


def test_of_very_many_cells_the_rest_is_counted() -> None:
    """Twelve lines are enough for a phone."""
    records = [regression(service=f"service-{number}") for number in range(40)]
    lines = lines_of(slack.opened(records, links=LINKS, mention=None))
    assert "• *service-12*: p95 +45 % (61.2 ms, was 42.1 ms)" in lines
    assert "… and 27 more" in lines


# It goes on, gets worse, ends


def test_a_problem_that_is_still_there_is_one_short_line() -> None:
    """With what was told at first: 60.6 / 42.1 = 1.44."""
    message = slack.continues([regression(slower(), failing())], problem())
    line = "still there, night 3: p95 +45 % (was +44 % at first), error rate +2.08 points"
    assert (message.text, shown(message), message.plain) == (line, line, "")
    same = problem(values={"latency_p95": 0.0612})
    assert shown(slack.continues([regression()], same)) == "still there, night 3: p95 +45 %"


def test_of_several_cells_the_first_is_told_and_the_rest_counted() -> None:
    """What was told of another cell is not compared with."""
    message = slack.continues([regression(service="orders"), regression()], problem())
    assert message.text == "still there, night 3: orders p95 +45 %; 1 more cell with it"


def test_a_problem_that_got_worse_says_in_what() -> None:
    """What was told at first stands beside it; what was not told before is named so."""
    message = slack.worsened([regression(slower(), failing())], problem(), mention=GROUP)
    assert lines_of(message)[:4] == [
        f":rotating_light: worse, night 3: {STORY}",
        "*Critical* · staging · since 27 Feb · first seen with 2.4.1 (before: 2.4.0) <!subteam^S0123ABCD>",
        "• *Latency p95* 61.2 ms, *+45 %* (+38 to +52 %), was 42.1 ms; told first: +44 %",
        "• *Error rate* 2.10 %, *+2.08 points* (+1.60 to +2.60 points), was 0.02 %, warning, new tonight; "
        "*not told before*",
    ]


def test_a_problem_that_is_gone_says_after_how_long_and_where_it_is_now() -> None:
    """The figures of what was told of."""
    message = slack.recovered(problem(), [run_record()])
    line = ":white_check_mark: back to normal after 3 nights: p95 42.4 ms (baseline 42.1 ms)"
    assert (message.text, shown(message)) == (line, line)
    assert shown(slack.recovered(problem(nights=1), [])) == ":white_check_mark: back to normal after 1 night"


def test_a_level_that_was_accepted_names_its_version() -> None:
    """Nobody put it right; it is the level from now on."""
    line = ":white_check_mark: accepted as the new level after 3 nights (baseline version 4)"
    assert shown(slack.accepted(problem(), 4)) == line


@pytest.mark.parametrize(
    ("given", "event", "line"),
    [
        (problem(), Event.RECOVERED, f":white_check_mark: Recovered after 3 nights: {STORY}"),
        (problem(), Event.ACCEPTED, f":white_check_mark: Accepted as the new level after 3 nights: {STORY}"),
        (
            problem(kind=ProblemKind.UNMEASURED, title=":construction: market_open: 1 of 6 services"),
            Event.RECOVERED,
            ":white_check_mark: Measured again after 3 nights: market_open: 1 of 6 services",
        ),
        (
            problem(kind=ProblemKind.OVERDUE, title=":construction: market_open did not run", nights=1),
            Event.RECOVERED,
            ":white_check_mark: Runs again: market_open did not run",
        ),
    ],
)
def test_the_first_message_is_replaced_once_it_is_over(given: Problem, event: Event, line: str) -> None:
    """Whoever scrolls by sees that nothing is left to do."""
    assert shown(slack.mark(given, event)) == line


def test_somebody_knows() -> None:
    """Who, why, and until when nobody hears of it."""
    assert shown(slack.acknowledged(silence())) == ":no_bell: mara knows: incident 4711 (silent until 30 Mar)"
    later = silence(until=datetime(2027, 1, 4, 8, 30, tzinfo=UTC), reason="x" * 500)
    message = slack.acknowledged(later)
    assert message.text.endswith("… (silent until 4 Jan 2027, 08:30 UTC)")
    assert shown(message) == message.text


# What can wait


def test_the_digest_alarms_nobody() -> None:
    """One line each: what is better, what is small, what is not sure."""
    doubtful = deviation("latency_p99", 0.1, is_confirmed=False, severity=Severity.WARNING)
    small = deviation("memory_usage", 900.0 * 1024**2, severity=Severity.DIGEST)
    records = [
        record_of(Verdict.IMPROVEMENT),
        run_record(service="rates", deviations=(doubtful,)),
        regressed_record(small, service="orders"),
        run_record(service="quiet"),
    ]
    message = slack.digest(records, silenced=2, links=LINKS)
    assert lines_of(message) == [
        ":memo: market_open: 1 improvement, 1 small change, 1 suspicion, 2 deviations silenced; nothing to do tonight",
        "• *analysis-engine-service* p95 30.0 ms, −29 % (was 42.1 ms): better",
        "• *orders* memory 900.0 MiB, +15 % (was 782.0 MiB): a little worse",
        "• *rates* p99 100 ms, +14 % (was 87.6 ms): not sure yet",
    ]
    only_silenced = slack.digest([], silenced=1, links=Links())
    assert shown(only_silenced) == ":memo: 1 deviation silenced; nothing to do tonight"


def test_the_summary_is_one_line() -> None:
    """A night without anything is told as such; any other is counted."""
    healthy = slack.summary([run_record()] * 6, Links())
    assert shown(healthy) == "market_open: 6 services, all in line with their baselines"
    assert shown(slack.summary([run_record()], Links())) == "market_open: 1 service, in line with its baseline"
    mixed = slack.summary([run_record(), *map(record_of, Verdict)], Links())
    assert shown(mixed) == "market_open: 8 services: 1 worse, 2 in line, 1 better, 2 without a baseline, 2 not judged"


# The pipeline itself


def test_runs_that_could_not_be_judged() -> None:
    """One line each, with the first reason and how many more there are; those without a record too."""
    records = [
        unmeasured_record("the target is down", service="orders"),
        unmeasured_record("a", "b", "c", service="engine"),
        unmeasured_record("load is halted by ana: release", service="rates", verdict=Verdict.SKIPPED),
    ]
    message = slack.unmeasured(records, of=6, missing=["risk"], links=LINKS)
    line = (
        ":construction: market_open: 4 of 6 services could not be judged; this is about the measurement, not about the "
        "services"
    )
    lines = [
        "• *orders* INVALID: the target is down",
        "• *engine* INVALID: a (and 2 reasons more)",
        "• *rates* SKIPPED: load is halted by ana: release",
        "• *risk* left no record",
    ]
    assert lines_of(message) == [line, *lines]
    again = slack.unmeasured_continues(records, of=6, missing=["risk"], links=LINKS, problem=problem())
    assert lines_of(again) == ["still not measured, night 3: 4 of 6 services", *lines]
    assert shown(slack.measured_again(problem())) == ":white_check_mark: measured again after 3 nights"


def test_runs_without_any_record_or_reason_are_told_all_the_same() -> None:
    """They must not fall silent."""
    alone = slack.unmeasured([], of=1, missing=["risk"], links=Links())
    assert alone.text.startswith(":construction: 1 of 1 service could not be judged; ")
    without = slack.unmeasured([unmeasured_record(service="orders")], of=1, missing=[], links=Links())
    assert lines_of(without)[1] == "• *orders* INVALID: no reason was kept"


def test_a_run_of_a_dag_that_failed() -> None:
    """Nothing came of it, and why."""
    assert lines_of(slack.failed("market_open", "guard: no <target>", LINKS)) == [
        ":construction: market_open failed: nothing was measured; this says nothing about the services",
        "Reason: guard: no &lt;target&gt;",
    ]


def test_a_run_that_is_late() -> None:
    """Which, since when, and where to look; it says nothing of any service."""
    assert lines_of(slack.late("market_open", "scheduled__2026-03-02", NIGHT, LINKS)) == [
        ":hourglass: market_open is late: it should have been over by 2026-03-02 07:00:00 UTC",
        "Run `scheduled__2026-03-02` is still going. Nothing is known about the services yet.",
    ]


def test_a_scenario_that_did_not_run() -> None:
    """When it was due, when it ran last, and that nobody knows anything since."""
    message = slack.overdue("market_open", SINCE, NIGHT, Links())
    assert lines_of(message)[:2] == [
        ":construction: market_open did not run: it was due at 2026-03-02 07:00:00 UTC",
        "It last ran at 2026-02-27 06:40:00 UTC.",
    ]
    assert "It never ran before." in lines_of(slack.overdue("market_open", None, NIGHT, Links()))
    waiting = problem(kind=ProblemKind.OVERDUE, opened_at=NIGHT, last_seen_at=NIGHT + timedelta(hours=26, seconds=9))
    assert shown(slack.runs_again(waiting)) == ":white_check_mark: runs again, 26 h after this was told"


def test_changed_limits_are_told_by_baseline() -> None:
    """A line for each, and so many that nobody has to scroll for long."""
    assert lines_of(slack.limits_changed(["orders in calm (version 4 by ana: faster): p95 warning 61 ms → 58 ms"])) == [
        ":bell: limits of the alert rules changed for 1 baseline",
        "• orders in calm (version 4 by ana: faster): p95 warning 61 ms → 58 ms",
    ]
    assert lines_of(slack.limits_changed(["a"] * 9))[-1] == "… and 1 more; python -m include.perf rules show"


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED])
def test_the_pipelines_messages_never_read_like_a_regression(verdict: Verdict) -> None:
    """Nobody is to look at a service for them."""
    record = record_of(verdict)
    for message in (
        slack.unmeasured([record], of=6, missing=["risk"], links=LINKS),
        slack.unmeasured_continues([record], of=6, missing=[], links=LINKS, problem=problem()),
        slack.failed("market_open", "x", LINKS),
        slack.late("market_open", "r", NIGHT, LINKS),
        slack.overdue("market_open", None, NIGHT, LINKS),
        slack.limits_changed(["orders in calm: p95 warning 61 ms → 58 ms"]),
    ):
        everything = message.text + shown(message) + message.plain
        for word in ("REGRESSION", "slower", "worse", ":rotating_light:", ":warning:"):
            assert word not in everything


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict is not Verdict.REGRESSION])
def test_other_verdicts_never_say_that_a_service_got_worse(verdict: Verdict) -> None:
    """Whoever asks for such a message is not misled by it."""
    message = slack.opened([record_of(verdict)], links=LINKS, mention=GROUP)
    assert "slower" not in shown(message)
    assert "subteam" not in shown(message)


# What Slack would refuse, or read in another way


def every_message(text: str) -> list[Message]:
    """Return every kind of message with a text wherever one comes from elsewhere."""
    named = {"service": text, "scenario": text, "environment": text, "run_id": text, "deploy_version": text}
    found = slower(reason=f"a; {text}; first seen on 2026-02-27 with {text}")
    unknown = replace(failing(), metric=text, reason=text)
    held = replace(TEN_NIGHTS, state=text)
    metrics = {"cpu_usage": replace(run_record().metrics["cpu_usage"], value=None, reason=text)}
    record = replace(regression(found, **named, baseline=held), deviations=(found, unknown), metrics=metrics)
    doubtful = run_record(**named, deviations=(replace(unknown, is_confirmed=False),))
    invalid = unmeasured_record(*[text] * 9, **named)
    links = Links(airflow_run=text, report=f"https://a.example/{text}", prometheus=text)
    open_problem = problem(title=f":warning: {text}", cells=(CellName(text, text),))
    others = [replace(record, service=f"{text}{number}") for number in range(20)]
    return [
        slack.opened([record], links=links, mention=text),
        slack.opened([record, *others], links=links, mention=GROUP),
        slack.opened([invalid], links=links, mention=text),
        slack.continues([record, *others], open_problem),
        slack.worsened([record, *others], open_problem, mention=text),
        slack.recovered(open_problem, [record]),
        slack.mark(open_problem, Event.RECOVERED),
        slack.acknowledged(silence(by=text, reason=text)),
        slack.digest([doubtful] * 20, silenced=3, links=links),
        slack.summary([record], links),
        slack.unmeasured([invalid] * 20, of=20, missing=[text] * 20, links=links),
        slack.unmeasured_continues([invalid] * 20, of=20, missing=[text], links=links, problem=open_problem),
        slack.failed(text, text, links),
        slack.late(text, text, NIGHT, links),
        slack.overdue(text, None, NIGHT, links),
        slack.limits_changed([text] * 9),
    ]


@pytest.mark.parametrize("text", [HOSTILE, f"a {HOSTILE}\n> quote", "x" * 3 + "`" + HOSTILE])
def test_no_mention_link_or_formatting_can_be_smuggled_in(text: str) -> None:
    """Names, versions, reasons, ids and addresses are escaped wherever they appear."""
    for message in every_message(text):
        everything = "\n".join([message.text, shown(message), message.plain, message.image_alt])
        everything = everything.replace(f"<!subteam^{GROUP}>", "")
        for smuggled in ("<", ">", "@here", "://evil", "*b*", "~s~", " _i_", "`c`"):
            assert smuggled not in everything.replace("https:/\u200b/", ""), smuggled
        for block in message.blocks:
            parts = [block.get("text"), *block.get("fields", []), *block.get("elements", [])]
            assert all(part["verbatim"] for part in parts if part and part["type"] == "mrkdwn")


@pytest.mark.parametrize("text", [HUGE, "&" * 20_000, "漢" * 20_000, '"\\' * 10_000, "x" * 63, ""])
def test_text_of_any_length_gives_a_message_that_slack_takes(text: str) -> None:
    """No message is lost for its length."""
    for message in every_message(text):
        shown(message)
        assert len(message.plain) <= BUDGET


def test_every_metric_at_once_with_every_cell_is_taken() -> None:
    """The most that a night can bring: eight metrics in sixty cells with the longest names and addresses."""
    name = "m" * 60
    worse = [replace(deviation(each, BASELINE_METRICS[each] * 1.3), since=SINCE, reason="r" * 900) for each in METRICS]
    records = [regressed_record(*worse, service=f"{name}{n:02}", scenario=f"{name}{n:02}") for n in range(60)]
    url = "https://a/" + "x" * 2990
    message = slack.opened(records, links=Links(airflow_run=url, report=url, prometheus=url), mention=GROUP)
    assert "… left out, too long for Slack: links" in shown(message)
    assert "• *Latency p95* 54.7 ms" in shown(message)


@pytest.mark.parametrize("number", [1, 2])
def test_long_names_are_cut_before_the_figures(number: int) -> None:
    """The header has 150 characters; the figures are always among them."""
    records = [regression(service=f"{'s' * 62}{n}", scenario="m" * 63) for n in range(number)]
    for message in (
        slack.opened(records, links=Links(), mention=None),
        slack.worsened(records, problem(), mention=None),
    ):
        assert len(message.text) <= 150
        assert message.text.endswith("p95 61.2 ms, +45 % (was 42.1 ms)")
        assert "s…" in message.text


def test_a_short_name_leaves_its_room_to_the_long_one() -> None:
    """A scenario of one letter does not cost the service half of the line."""
    message = slack.opened([regression(service="s" * 200, scenario="m")], links=Links(), mention=None)
    assert len(message.text) == 150


def test_header_of_exactly_150_characters_is_whole() -> None:
    """N fits, n + 1 does not."""
    fixed = len(slack.opened([regression(service="", scenario="m")], links=Links(), mention=None).text)
    exact = slack.opened([regression(service="s" * (150 - fixed), scenario="m")], links=Links(), mention=None).text
    assert (len(exact), "…" in exact) == (150, False)
    longer = slack.opened([regression(service="s" * (151 - fixed), scenario="m")], links=Links(), mention=None).text
    assert (len(longer), "…" in longer) == (150, True)


def test_the_picture_has_words_too() -> None:
    """For those who cannot see the chart."""
    assert slack.opened([regression()], links=LINKS, mention=None).image_alt == (
        "Latency over time of analysis-engine-service at market_open: p50 18.5 ms, p95 61.2 ms, p99 88.2 ms; "
        "baseline p95 42.1 ms"
    )
