"""Baselines: states, ages, versions."""

from include.perf.baselines.entry import EXPIRES_AFTER, REVIEW_AFTER
from include.perf.model.cell import CellName
from include.perf.pages.baselines_page import baseline_page, baselines_page
from tests.baselines import AT, SCENARIO, SERVICE, entry_of, with_runs

CELL = CellName(SERVICE, SCENARIO)
OTHER = CellName("orders-service", "calm")


def test_cells_with_and_without_a_baseline() -> None:
    """In the order of the cells that may be seen, and no other."""
    page = baselines_page(with_runs(3), (OTHER, CELL), now=AT)
    assert [(each.cell, each.version, each.look.word) for each in page.baselines] == [(CELL, 3, "candidate")]
    assert page.without == (OTHER,)
    assert baselines_page(with_runs(3), (OTHER,), now=AT).baselines == ()


def test_a_baseline_that_is_due() -> None:
    """After a quarter somebody should look at it; after two it is stale."""
    (due,) = baselines_page(with_runs(3), (CELL,), now=AT + REVIEW_AFTER).baselines
    assert (due.is_due, due.due, due.look.word) == (True, "2026-06-02", "candidate")
    (stale,) = baselines_page(with_runs(3), (CELL,), now=AT + EXPIRES_AFTER).baselines
    assert (stale.due, stale.look.word) == ("expired 2026-09-02", "stale")


def test_the_versions_before() -> None:
    """The latest first, each superseded."""
    page = baseline_page(CELL, entry_of(with_runs(3)), may_change=True, now=AT)
    assert [(each.version, each.look.word) for each in page.previous] == [(2, "superseded"), (1, "superseded")]
    assert page.run_ids == ("r3", "r2", "r1")


def test_levels_in_the_units_of_people() -> None:
    """The median of 1, 2 and 3 ms is 2 ms."""
    page = baseline_page(CELL, entry_of(with_runs(3)), may_change=False, now=AT)
    assert [(level.title, level.level) for level in page.levels][1] == ("Latency p95", "2.00 ms")
