"""The history of a cell: its heading, table and ranges."""

from datetime import timedelta
from typing import Any

from include.perf.alerts.book import AlertBook
from include.perf.model.cell import CellName
from include.perf.pages.history_page import HistoryPage, history_page, since_of
from include.perf.runs.record import Shift, Verdict
from include.perf.runs.run_index import RunEntry
from tests.baselines import entry_of, with_runs
from tests.entries import CELL, NOW, night
from tests.perf.pages.problems import problem


def page_of(*entries: RunEntry, **changes: Any) -> HistoryPage:
    """Return the page of a cell without a baseline."""
    given: dict[str, Any] = {"baseline": None, "book": AlertBook(), "chosen": "all", "page": 1, "now": NOW}
    return history_page(CELL, entries, **{**given, **changes})


def test_the_heading_shows_the_latest_run() -> None:
    """Its verdict and finding, without the names that the page shows elsewhere."""
    page = page_of(night(98), night(99, headline="PASS · engine · market_open – Latency p95 is 42.1 ms"))
    assert page.mark is not None
    assert (page.mark.word, page.finding, page.age) == ("pass", "Latency p95 is 42.1 ms", "24 h ago")


def test_a_re_run_is_not_the_latest() -> None:
    """The first run has the verdict."""
    page = page_of(night(98, verdict=Verdict.REGRESSION), night(99, rerun_of="night-0098"))
    assert page.mark is not None
    assert page.mark.word == "regression"


def test_the_table_lists_the_latest_first() -> None:
    """With values and changes."""
    shifts = {"latency_p95": Shift(ratio=0.02, absolute=0.001)}
    page = page_of(night(1), night(2, 0.043, shifts=shifts))
    assert [row.entry.run_id for row in page.rows] == ["night-0002", "night-0001"]
    assert page.rows[0].figures[0] == ("43.0 ms", "+2.0 %")


def test_a_long_table_has_pages() -> None:
    """120 runs, 50 on a page: 50, 50 and 20; other page numbers are clamped."""
    nights = [night(number) for number in range(120)]
    assert [len(page_of(*nights, page=number).rows) for number in (1, 2, 3)] == [50, 50, 20]
    assert [page_of(*nights, page=number).page for number in (-3, 99)] == [1, 3]


def test_an_empty_range() -> None:
    """There is no verdict to show, and no error."""
    page = page_of()
    assert (page.mark, page.runs, page.rows, page.pages) == (None, 0, (), 1)


def test_the_current_baseline_is_shown() -> None:
    """With its version, runs and approver."""
    page = page_of(night(1), baseline=entry_of(with_runs(3)))
    assert page.baseline is not None
    assert (page.baseline.version, page.baseline.runs, page.baseline.by) == (3, "3 runs", "ana")


def test_only_problems_of_the_cell() -> None:
    """Problems of another service under the same scenario are left out."""
    other = problem(id="other", cells=(CellName("orders-service", "market_open"),))
    page = page_of(night(1), book=AlertBook(problems=[problem(), other]))
    assert [problem.id for problem in page.problems] == ["run-1"]


def test_where_a_range_starts() -> None:
    """30 days back; the range of all runs has no start."""
    assert since_of("month", now=NOW) == NOW - timedelta(days=30)
    assert since_of("all", now=NOW) is None
