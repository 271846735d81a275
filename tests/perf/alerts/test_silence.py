"""Silences: requested, acknowledged and lifted."""

from datetime import timedelta
from typing import Any

import pytest

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, Event, Problem, ProblemKind, Silence
from include.perf.alerts.silence import SilenceRequest, about, acknowledge, lift, silence_of
from include.perf.model.cell import CellName
from include.perf.model.errors import ConfigurationError
from include.perf.runs.record import Severity
from tests.fakes.clock import START
from tests.fakes.small_platform import Platform
from tests.perf.alert_words import message


def requested(platform: Platform, **changes: Any) -> Silence:
    """Request a week of silence about the p99 of a service."""
    made: dict[str, Any] = {
        "by": "mara",
        "reason": "release 2.5",
        "days": 7,
        "service": "orders",
        "metric": "latency_p99",
    }
    return silence_of(SilenceRequest(**(made | changes)), platform.catalogue, now=START)


def test_a_silence_has_scope_author_reason_and_end(platform: Platform) -> None:
    """A short service name is resolved; the silence ends on its own."""
    silence = requested(platform)
    assert (silence.by, silence.reason, silence.service) == ("mara", "release 2.5", "orders-service")
    assert silence.until == START + timedelta(days=7)
    assert silence.is_active(START)
    assert not silence.is_active(silence.until)
    assert silence.covers(CellName("orders-service", "any"), "latency_p99")
    assert not silence.covers(CellName("orders-service", "any"), "latency_p95")


def test_every_problem_of_a_request_is_reported(platform: Platform) -> None:
    """Five mistakes, five sentences."""
    with pytest.raises(ConfigurationError) as caught:
        requested(platform, service="x", scenario="y", metric="z", days=91, reason=" ")
    assert [problem.split(";")[0].split(",")[0] for problem in caught.value.problems] == [
        "service 'x' is not in the catalogue",
        "scenario 'y' is not in the catalogue",
        "metric 'z' is unknown",
        "days must be more than 0 and at most 90",
        "a silence needs a reason",
    ]


def test_a_silence_of_everything_is_refused(platform: Platform) -> None:
    """A halt is the way to stop everything."""
    with pytest.raises(ConfigurationError, match="name at least one"):
        requested(platform, service=None, metric=None)


def test_a_silence_can_be_lifted(platform: Platform) -> None:
    """By its id; an expired silence is unknown."""
    silence = requested(platform)
    book = AlertBook(silences=[silence])
    with pytest.raises(ConfigurationError, match=f"there is no active silence 'zz'; active silences: {silence.id}"):
        lift(book, "zz", now=START)
    with pytest.raises(ConfigurationError, match="active silences: none"):
        lift(book, silence.id, now=silence.until)
    assert lift(book, silence.id, now=START) == silence
    assert book.silences == []


def acknowledged(*cells: CellName, reason: str = "release 2.5") -> AlertBook:
    """Acknowledge a problem of two metrics and return the book."""
    problem = Problem(
        id="run-1",
        kind=ProblemKind.REGRESSION,
        channel="#trading",
        cells=cells,
        title="gateway is slower",
        opened_at=START,
        last_seen_at=START,
        severity=Severity.WARNING,
        worst={"latency_p50": 0.3, "latency_p95": 0.45},
    )
    book = AlertBook(problems=[problem])
    request = SilenceRequest(by="mara", reason=reason, days=7)
    acknowledge(AlertWriter(book=book, now=START), problem, request, lambda silence: message(silence.by))
    return book


def test_acknowledging_silences_all_of_a_problem() -> None:
    """Each metric of its cell, for the requested time; one reply in the thread."""
    book = acknowledged(CellName("engine", "storm"))
    assert [about(silence) for silence in book.silences] == ["engine, storm, latency_p50", "engine, storm, latency_p95"]
    assert {silence.until for silence in book.silences} == {START + timedelta(days=7)}
    assert [(entry.event, entry.problem_id) for entry in book.outbox] == [(Event.ACKNOWLEDGED, "run-1")]


def test_acknowledging_a_problem_of_several_services() -> None:
    """They changed together, so their scenario is silenced for every service."""
    book = acknowledged(CellName("engine", "storm"), CellName("orders-service", "storm"))
    assert [about(silence) for silence in book.silences] == [
        "every service, storm, latency_p50",
        "every service, storm, latency_p95",
    ]


def test_acknowledging_needs_a_reason() -> None:
    """Like every silence."""
    with pytest.raises(ConfigurationError, match="a silence needs a reason"):
        acknowledged(CellName("engine", "storm"), reason=" ")
