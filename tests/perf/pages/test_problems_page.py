"""Open problems and silences: who sees them, and who may change them."""

from datetime import timedelta
from typing import Any

from include.perf.alerts.book import AlertBook, ProblemKind, Silence
from include.perf.model.cell import CellName
from include.perf.pages.problems_page import MayDo, ProblemsPage, problems_page
from include.perf.runs.record import Severity
from tests.entries import CELL, NOW
from tests.perf.pages.problems import problem

HIDDEN = CellName("analysis-engine-service", "hidden")
SCENARIOS = (CELL.scenario, HIDDEN.scenario)


def everything(_: str) -> bool:
    """Allow all."""
    return True


def silence(**changes: Any) -> Silence:
    """Return a silence of one week that started yesterday."""
    made: dict[str, Any] = {
        "id": "a1",
        "by": "mara",
        "reason": "incident 4711",
        "created_at": NOW - timedelta(days=1),
        "until": NOW + timedelta(days=6),
    }
    return Silence(**{**made, **changes})


def page_of(book: AlertBook, *, may_read: MayDo = everything, may_change: MayDo = everything) -> ProblemsPage:
    """Return the page, by default for a viewer with all permissions."""
    names = tuple(cell for cell in (CELL, HIDDEN) if may_read(cell.scenario))
    return problems_page(book, names, all_scenarios=SCENARIOS, may_read=may_read, may_change=may_change, now=NOW)


def only(scenario: str) -> MayDo:
    """Allow one scenario."""
    return scenario.__eq__


def test_an_open_problem() -> None:
    """Slack's icon is removed from the title; the severity is a word."""
    (shown,) = page_of(AlertBook(problems=[problem()])).problems
    assert shown.title == "analysis-engine-service is slower under market_open: p95 61.2 ms, +45 %"
    assert (shown.mark.word, shown.metrics, shown.age, shown.nights) == ("warning", "p95", "2 days ago", "2 nights")


def test_the_most_severe_problem_is_first() -> None:
    """Even before newer ones."""
    critical = problem(id="critical", severity=Severity.CRITICAL, opened_at=NOW - timedelta(days=9))
    newer = problem(id="newer", opened_at=NOW)
    assert [shown.id for shown in page_of(AlertBook(problems=[problem(), newer, critical])).problems] == [
        "critical",
        "newer",
        "run-1",
    ]


def test_a_closed_problem_is_not_open() -> None:
    """It is not listed."""
    assert page_of(AlertBook(problems=[problem(closed_at=NOW)])).problems == ()


def test_a_problem_shared_with_hidden_cells_hides_its_title() -> None:
    """The title may name cells that the viewer may not see."""
    (shown,) = page_of(AlertBook(problems=[problem(cells=(CELL, HIDDEN))]), may_read=only("market_open")).problems
    assert shown.title == "A problem shared with scenarios that you may not view"
    assert shown.cells == (CELL,)


def test_who_may_acknowledge() -> None:
    """A viewer who may change all of its scenarios; and only regressions."""
    shared = problem(cells=(CELL, HIDDEN))
    assert [shown.may_acknowledge for shown in page_of(AlertBook(problems=[shared])).problems] == [True]
    (refused,) = page_of(AlertBook(problems=[shared]), may_change=only("market_open")).problems
    assert not refused.may_acknowledge
    (of_pipeline,) = page_of(AlertBook(problems=[problem(kind=ProblemKind.OVERDUE, worst={})])).problems
    assert not of_pipeline.may_acknowledge


def test_a_problem_is_silenced_when_all_its_metrics_are() -> None:
    """One of two metrics is not enough."""
    book = AlertBook(problems=[problem(worst={"latency_p95": 0.4, "latency_p50": 0.3})])
    book.silences = [silence(metric="latency_p95")]
    assert [shown.is_silenced for shown in page_of(book).problems] == [False]
    book.silences.append(silence(metric="latency_p50"))
    assert [shown.is_silenced for shown in page_of(book).problems] == [True]


def test_active_and_expired_silences() -> None:
    """They are listed separately."""
    expired = silence(id="b2", until=NOW - timedelta(hours=1))
    page = page_of(AlertBook(silences=[silence(scenario="market_open"), expired]))
    assert [shown.scope for shown in page.active] == ["every service, market_open, every metric"]
    assert [shown.id for shown in page.expired] == ["b2"]


def test_a_silence_of_a_hidden_scenario_is_hidden() -> None:
    """A silence of every scenario is visible to all."""
    book = AlertBook(silences=[silence(id="a", scenario="hidden"), silence(id="b")])
    assert [shown.id for shown in page_of(book, may_read=only("market_open")).active] == ["b"]


def test_who_may_silence_every_scenario() -> None:
    """Only a viewer who may change all scenarios, including hidden ones."""
    assert page_of(AlertBook()).may_silence_all
    page = page_of(AlertBook(silences=[silence()]), may_read=only("market_open"), may_change=only("market_open"))
    assert not page.may_silence_all
    assert [shown.may_lift for shown in page.active] == [False]
    assert page.scenarios == ("market_open",)
