"""The matrix: which cells it has, and what a cell shows."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from include.perf.alerts.book import AlertBook, Silence
from include.perf.model.cell import CellName
from include.perf.pages.matrix_page import MatrixPage, matrix_page
from include.perf.runs.record import Shift, Verdict
from include.perf.runs.run_index import RunEntry
from tests.entries import CELL, NOW, night, regressed
from tests.perf.pages.problems import problem

OTHER = CellName("analysis-engine-service", "overnight_processing")


def page_of(
    runs: Mapping[CellName, Sequence[RunEntry]], *, book: AlertBook | None = None, wanted: Verdict | None = None
) -> MatrixPage:
    """Return the page of two cells."""
    return matrix_page((CELL, OTHER), runs, book=book or AlertBook(), now=NOW, wanted=wanted)


def test_the_summary_lists_the_most_severe_verdict_first() -> None:
    """Two cells: one regressed, the other never ran; then both regressed."""
    assert page_of({CELL: [night(1), regressed(2)]}).summary == "2 cells: 1 regression, 1 not run yet"
    assert page_of({CELL: [regressed(2)], OTHER: [regressed(2)]}).summary == "2 cells: 2 regressions"


def test_a_cell_shows_its_latest_run() -> None:
    """Verdict and age are those of the last run; the sparkline has all runs."""
    (row,) = page_of({CELL: [night(97), regressed(98, shifts={"latency_p95": Shift(ratio=0.45, absolute=0.019)})]}).rows
    cell = row.cells[0]
    assert cell is not None
    assert (cell.mark.word, cell.age, cell.figure) == ("regression", "2 days ago", "p95 61.0 ms +45 %")
    assert cell.trend is not None
    assert cell.trend.values == (0.042, 0.061)


def test_a_regression_shows_the_metric_that_got_worse() -> None:
    """The error rate, not p95, which did not change."""
    from tests.entries import deviating

    worse = regressed(
        1, deviations=(deviating("error_rate"),), shifts={"error_rate": Shift(ratio=None, absolute=0.021)}
    )
    (row,) = page_of({CELL: [worse]}).rows
    assert row.cells[0] is not None
    assert row.cells[0].figure == "error rate 0.03 % +2.10 points"


def test_an_invalid_run_shows_no_figure() -> None:
    """Unreliable figures are not shown next to reliable ones."""
    (row,) = page_of({CELL: [night(1), night(2, verdict=Verdict.INVALID)]}).rows
    assert row.cells[0] is not None
    assert row.cells[0].figure == ""


def test_the_sparkline_leaves_out_invalid_runs() -> None:
    """An invalid night is not a point."""
    (row,) = page_of({CELL: [night(1, 0.040), night(2, 9.9, verdict=Verdict.INVALID), night(3, 0.041)]}).rows
    assert row.cells[0] is not None
    assert row.cells[0].trend is not None
    assert row.cells[0].trend.values == (0.040, 0.041)


def test_the_matrix_can_be_filtered_by_verdict() -> None:
    """Only the cells with that verdict are shown; the counts still cover all."""
    page = page_of({CELL: [night(1)], OTHER: [regressed(2)]}, wanted=Verdict.REGRESSION)
    (row,) = page.rows
    assert [cell is not None for cell in row.cells] == [False, True]
    assert page.summary == "2 cells: 1 regression, 1 pass"


def test_a_verdict_that_no_cell_has() -> None:
    """There are no rows; the filter stays in the list, with a count of zero."""
    page = page_of({CELL: [night(1)]}, wanted=Verdict.INVALID)
    assert page.rows == ()
    assert [(count.verdict, count.cells) for count in page.counts] == [(Verdict.INVALID, 0), (Verdict.PASS, 1)]


def test_open_problems_and_silences_are_marked() -> None:
    """A cell shows its number of open problems, and the silenced metrics."""
    silence = Silence(
        id="1",
        by="ana",
        reason="known",
        created_at=NOW - timedelta(days=1),
        until=NOW + timedelta(days=1),
        scenario=OTHER.scenario,
        metric="disk_usage",
    )
    book = AlertBook(problems=[problem(cells=(CELL,))], silences=[silence])
    (row,) = page_of({CELL: [night(1)]}, book=book).rows
    assert [(cell.problems, cell.silenced) for cell in row.cells if cell] == [(1, ""), (0, "disk used")]


def test_a_skipped_run_hides_no_problem() -> None:
    """Halted after a regression: the heading starts with the problem, and the cell shows the previous verdict."""
    runs = {CELL: [night(1), regressed(2), night(3, verdict=Verdict.INVALID), night(4, verdict=Verdict.SKIPPED)]}
    page = page_of(runs, book=AlertBook(problems=[problem(cells=(CELL,))]))
    assert page.summary == "1 open problem · 2 cells: 1 skipped, 1 not run yet"
    (row,) = page.rows
    assert [cell.before.run_id if cell and cell.before else None for cell in row.cells] == ["night-0002", None]


def test_a_problem_of_hidden_cells_is_left_out() -> None:
    """A problem does not reveal a scenario that the viewer may not see."""
    book = AlertBook(problems=[problem(cells=(CellName("secret-service", "hidden"),))])
    assert page_of({}, book=book).problems == ()


def test_without_any_cell() -> None:
    """A viewer without permissions gets a message, not an empty table."""
    page = matrix_page((), {}, book=AlertBook(), now=NOW)
    assert (page.total, page.rows, page.summary) == (0, (), "no cells")
