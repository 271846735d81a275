"""The list of baselines, and the page of one baseline."""

from include.perf.baselines.entry import EXPIRES_AFTER, REVIEW_AFTER
from include.perf.baselines.odd_entry import OddEntry
from include.perf.model.cell import CellName
from include.perf.pages.baselines_page import baseline_page, baselines_page
from tests.baselines import AT, SCENARIO, SERVICE, entry_of, with_runs

CELL = CellName(SERVICE, SCENARIO)
OTHER = CellName("orders-service", "calm")


def test_cells_with_and_without_a_baseline() -> None:
    """Only the cells that the viewer may see are listed, in their order."""
    page = baselines_page(with_runs(3), (OTHER, CELL), now=AT)
    assert [(baseline.cell, baseline.version, baseline.mark.word) for baseline in page.baselines] == [
        (CELL, 3, "candidate")
    ]
    assert page.without == (OTHER,)
    assert baselines_page(with_runs(3), (OTHER,), now=AT).baselines == ()


def test_baselines_that_cannot_be_used() -> None:
    """They are named to whom may see the cell, and are not listed as missing."""
    baselines = with_runs(3)
    baselines.entries[SERVICE].clear()
    for cell in (CELL, OTHER):
        entry = OddEntry(values=(5,), where="b.json", problems=(f"{cell.service}: it is odd",))
        baselines.odd.cells[cell] = entry
    page = baselines_page(baselines, (CELL,), now=AT)
    assert (page.baselines, page.without) == ((), ())
    assert page.left_out == (f"b.json: {SERVICE}: it is odd; restore it from version control",)
    assert len(baselines_page(baselines, (OTHER, CELL), now=AT).left_out) == 2


def test_a_baseline_is_due_for_review() -> None:
    """The review is due after a quarter; after two quarters the baseline is stale."""
    (due,) = baselines_page(with_runs(3), (CELL,), now=AT + REVIEW_AFTER).baselines
    assert (due.is_due, due.due, due.mark.word) == (True, "2026-06-02", "candidate")
    (stale,) = baselines_page(with_runs(3), (CELL,), now=AT + EXPIRES_AFTER).baselines
    assert (stale.due, stale.mark.word) == ("expired 2026-09-02", "stale")


def test_previous_versions() -> None:
    """They are superseded and listed latest first."""
    page = baseline_page(CELL, entry_of(with_runs(3)), may_change=True, now=AT)
    assert [(version.version, version.mark.word) for version in page.previous] == [(2, "superseded"), (1, "superseded")]
    assert page.run_ids == ("r3", "r2", "r1")


def test_metrics_have_readable_units() -> None:
    """The median of 1, 2 and 3 ms is 2 ms."""
    page = baseline_page(CELL, entry_of(with_runs(3)), may_change=False, now=AT)
    assert [(metric.title, metric.value) for metric in page.metrics][1] == ("Latency p95", "2.00 ms")
