"""Open problems and silences: who sees what, and who may do what."""

from datetime import timedelta
from typing import Any

from include.perf.alerts.book import AlertBook, ProblemKind, Silence
from include.perf.model.cell import CellName
from include.perf.pages.problems_page import MayDo, ProblemsPage, problems_page
from include.perf.runs.record import Severity
from tests.entries import CELL, NOW
from tests.perf.pages.problems import problem

HIDDEN = CellName("analysis-engine-service", "hidden")
EVERY = (CELL.scenario, HIDDEN.scenario)


def everything(_: str) -> bool:
    """Allow all."""
    return True


def silence(**changes: Any) -> Silence:
    """Return a silence of a week that began yesterday."""
    made: dict[str, Any] = {
        "id": "a1",
        "by": "mara",
        "reason": "incident 4711",
        "created_at": NOW - timedelta(days=1),
        "until": NOW + timedelta(days=6),
    }
    return Silence(**{**made, **changes})


def page_of(book: AlertBook, *, may_read: MayDo = everything, may_change: MayDo = everything) -> ProblemsPage:
    """Return the page for somebody who may do all, if not told otherwise."""
    names = tuple(cell for cell in (CELL, HIDDEN) if may_read(cell.scenario))
    return problems_page(book, names, every=EVERY, may_read=may_read, may_change=may_change, now=NOW)


def only(scenario: str) -> MayDo:
    """Allow one scenario."""
    return scenario.__eq__


def test_a_problem_in_words() -> None:
    """Slack's icon is left out, since the severity is said in a word."""
    (shown,) = page_of(AlertBook(problems=[problem()])).problems
    assert shown.title == "analysis-engine-service is slower at market_open: p95 61.2 ms, +45 %"
    assert (shown.look.word, shown.metrics, shown.age, shown.nights) == ("warning", "p95", "2 days ago", "2 nights")


def test_the_gravest_problem_is_first() -> None:
    """Before those that are newer."""
    grave = problem(id="grave", severity=Severity.CRITICAL, opened_at=NOW - timedelta(days=9))
    newer = problem(id="newer", opened_at=NOW)
    assert [each.id for each in page_of(AlertBook(problems=[problem(), newer, grave])).problems] == [
        "grave",
        "newer",
        "run-1",
    ]


def test_a_closed_problem_is_not_open() -> None:
    """What is over is not listed."""
    assert page_of(AlertBook(problems=[problem(closed_at=NOW)])).problems == ()


def test_a_title_may_name_what_is_hidden() -> None:
    """So a problem that other scenarios share shows neither its title nor their cells."""
    (shown,) = page_of(AlertBook(problems=[problem(cells=(CELL, HIDDEN))]), may_read=only("market_open")).problems
    assert shown.title == "A problem that other scenarios have, too"
    assert shown.cells == (CELL,)


def test_who_may_acknowledge() -> None:
    """Who may change all of its scenarios; and only what is about services."""
    shared = problem(cells=(CELL, HIDDEN))
    assert [each.may_acknowledge for each in page_of(AlertBook(problems=[shared])).problems] == [True]
    (refused,) = page_of(AlertBook(problems=[shared]), may_change=only("market_open")).problems
    assert not refused.may_acknowledge
    (of_pipeline,) = page_of(AlertBook(problems=[problem(kind=ProblemKind.OVERDUE, worst={})])).problems
    assert not of_pipeline.may_acknowledge


def test_a_problem_is_silenced_when_all_of_it_is() -> None:
    """One of two metrics is not enough."""
    book = AlertBook(problems=[problem(worst={"latency_p95": 0.4, "latency_p50": 0.3})])
    book.silences = [silence(metric="latency_p95")]
    assert [each.is_silenced for each in page_of(book).problems] == [False]
    book.silences.append(silence(metric="latency_p50"))
    assert [each.is_silenced for each in page_of(book).problems] == [True]


def test_silences_by_whether_they_hold() -> None:
    """Active ones apart from those that are over."""
    over = silence(id="b2", until=NOW - timedelta(hours=1))
    page = page_of(AlertBook(silences=[silence(scenario="market_open"), over]))
    assert [each.about for each in page.active] == ["every service, market_open, every metric"]
    assert [each.id for each in page.over] == ["b2"]


def test_a_silence_of_a_hidden_scenario_is_hidden() -> None:
    """One over every scenario is seen by all."""
    book = AlertBook(silences=[silence(id="a", scenario="hidden"), silence(id="b")])
    assert [each.id for each in page_of(book, may_read=only("market_open")).active] == ["b"]


def test_who_may_silence_every_scenario() -> None:
    """Only who may change them all, seen or not."""
    assert page_of(AlertBook()).may_silence_all
    page = page_of(AlertBook(silences=[silence()]), may_read=only("market_open"), may_change=only("market_open"))
    assert not page.may_silence_all
    assert [each.may_lift for each in page.active] == [False]
    assert page.scenarios == ("market_open",)
