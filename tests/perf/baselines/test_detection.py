"""The detection: what it finds, what it ignores, and where it makes no statement."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from include.perf.baselines.detection import examine
from include.perf.baselines.panel import Panel, PanelStatistics
from include.perf.baselines.reference import TYPICAL_DOF
from include.perf.verdict.significance import CONFIRM_T, SUSPECT_T, Significance, significance_of

CELLS, METRICS, SPREAD = 8, 2, 0.04
SERVICES = np.repeat(np.arange(CELLS // 4), 4)


def panel_of(values: Any, **changes: Any) -> Panel:
    """Return a panel of values (cells, metrics, nights): all nights are reference nights, no anchor."""
    cells, metrics, nights = values.shape
    panel = Panel(
        values=values,
        is_reference=np.ones((cells, nights), dtype=bool),
        is_tonight=np.ones(cells, dtype=bool),
        minimum_effects=np.full((cells, metrics), np.log1p(0.05)),
        services=np.repeat(np.arange(-(-cells // 4)), 4)[:cells],
        anchors=np.full((cells, metrics), np.nan),
        anchor_runs=np.zeros(cells),
        families=np.full(metrics, -1),
    )
    return replace(panel, **changes)


def quiet(nights: int = 13, *, cells: int = CELLS, seed: int = 3) -> Any:
    """Draw nights without effect, none farther than two spreads from the centre."""
    values = np.random.default_rng(seed).normal(0, SPREAD, (cells, METRICS, nights))
    return np.clip(values, -2 * SPREAD, 2 * SPREAD)


def judge(panel: Panel, *, runs: int = 1, sign: int = 1) -> tuple[PanelStatistics, Significance]:
    statistics = examine(panel)
    return statistics, significance_of(statistics, panel, runs=np.full(len(panel.values), runs), sign=sign)


def test_a_quiet_night() -> None:
    """Without an effect nothing is significant, even with three runs."""
    _, found = judge(panel_of(quiet()), runs=3)
    assert not found.is_significant.any()


def test_a_step_is_suspicious_and_re_runs_confirm_it() -> None:
    """One run of +25 % is suspicious, the median of three is significant; no other cell is."""
    values = quiet()
    values[2, 0, -1] = np.log(1.25)
    panel = panel_of(values)
    _, once = judge(panel)
    _, thrice = judge(panel, runs=3)
    assert once.is_suspicious[2, 0]
    assert not once.is_significant.any()
    assert np.argwhere(thrice.is_significant).tolist() == [[2, 0]]


def test_runs_of_each_cell_and_metric() -> None:
    """The number of runs may differ between metrics."""
    values = quiet()
    values[2, :, -1] = np.log(1.25)
    panel = panel_of(values)
    runs = np.ones((CELLS, METRICS), dtype=np.int64)
    runs[2, 0] = 3
    found = significance_of(examine(panel), panel, runs=runs)
    assert np.argwhere(found.by_night).tolist() == [[2, 0]]


def test_a_single_bad_run_is_not_significant() -> None:
    """One night of +60 % does not make later windows significant, because its part in their mean is bounded."""
    for age in range(1, 7):
        values = quiet()
        values[2, 0, -1 - age] = np.log(1.6)
        _, found = judge(panel_of(values), runs=3)
        assert not found.is_significant.any(), age


def test_a_bad_run_does_not_blind_its_cell() -> None:
    """A night of +60 % in the history widens the cell's spread by less than half."""
    values = quiet(21)
    clean = examine(panel_of(values)).reference.spread[2, 0]
    values[2, 0, 5] = np.log(1.6)
    assert examine(panel_of(values)).reference.spread[2, 0] < 1.5 * clean


def test_a_drift_is_found_by_the_anchor() -> None:
    """A drift that the history has followed is still far from the anchor."""
    values = quiet(45)
    values[2, 0] += np.linspace(0, np.log(1.12), 45)
    anchored = panel_of(values, anchors=np.zeros((CELLS, METRICS)), anchor_runs=np.full(CELLS, 10.0))
    statistics, found = judge(anchored)
    strongest = statistics.windows[found.by_window.index[2, 0]]
    assert found.by_window.is_any[2, 0]
    assert strongest.of_anchor
    assert not judge(panel_of(values))[1].by_window.is_any[2, 0]


def test_nights_with_a_change_are_not_in_the_history() -> None:
    """Five significant nights of +25 % do not change the centre."""
    values = quiet(15)
    values[2, 0, -6:] += np.log(1.25)
    flagged = np.ones((CELLS, 15), dtype=bool)
    flagged[2, -6:-1] = False
    statistics = examine(panel_of(values, is_reference=flagged))
    expected = examine(panel_of(values[..., :10])).reference.nights[2, 0]
    assert statistics.reference.nights[2, 0] == expected == 9
    assert abs(statistics.reference.centre[2, 0]) < SPREAD
    assert statistics.tonight.shift[2, 0] == pytest.approx(np.log(1.25), abs=2.5 * SPREAD)


def test_reference_nights_of_every_metric() -> None:
    """A night may be a reference night for one metric and not for another."""
    is_reference = np.ones((CELLS, METRICS, 13), dtype=bool)
    is_reference[2, 1, 4:8] = False
    statistics = examine(panel_of(quiet(), is_reference=is_reference))
    assert statistics.reference.nights[2].tolist() == [12, 8]


def test_a_metric_without_values() -> None:
    """A metric without values has no statistics, and does not affect the others."""
    values = quiet()
    values[2, 0] = np.nan
    statistics, found = judge(panel_of(values), runs=3)
    assert np.isnan(statistics.tonight.z[2, 0])
    assert np.isnan(statistics.reference.centre[2, 0])
    assert not np.isnan(np.delete(statistics.tonight.z, 2, axis=0)).any()
    assert not found.is_significant.any()


def test_histories_of_unequal_length() -> None:
    """A cell with four nights of history is judged by these, next to cells with twelve."""
    values = quiet()
    values[2, :, :8] = np.nan
    values[2, 0, -1] = np.log(1.4)
    statistics, found = judge(panel_of(values), runs=3)
    assert statistics.reference.nights[:3, 0].tolist() == [12, 12, 4]
    assert found.by_night[2, 0]


@pytest.mark.parametrize(("before", "is_judged"), [(0, False), (1, False), (2, False), (3, True)])
def test_a_short_history(before: int, is_judged: bool) -> None:
    """With fewer than three nights of history there is no statement, however large the change."""
    values = quiet(before + 1)
    values[2, 0, -1] = np.log(2)
    statistics, found = judge(panel_of(values), runs=3)
    assert np.isnan(statistics.tonight.z).any() != is_judged
    assert found.is_significant.any() == found.is_suspicious.any() == is_judged


def test_values_that_do_not_vary() -> None:
    """Equal values have the smallest spread instead of zero; below the minimum effect no change is significant."""
    values = np.zeros((CELLS, METRICS, 13))
    values[2, 0, -1] = np.log(1.04)
    values[3, 0, -1] = np.log(1.06)
    statistics, found = judge(panel_of(values), runs=3)
    assert np.isfinite(statistics.tonight.z).all()
    assert statistics.tonight.z[2, 0] > CONFIRM_T
    assert np.argwhere(found.by_night).tolist() == [[3, 0]]


def test_a_single_cell() -> None:
    """It combines its own spread with the typical one; there is no service sum and no platform part."""
    values = quiet(cells=1)
    values[0, 0, -1] = np.log(1.3)
    statistics, found = judge(panel_of(values), runs=3)
    assert statistics.reference.dof[0, 0] == TYPICAL_DOF + 11
    assert 0.02 < statistics.reference.spread[0, 0] < 0.06
    assert np.isnan(statistics.services[0].z).all()
    assert statistics.platform.tolist() == [0.0, 0.0]
    assert np.argwhere(found.by_night).tolist() == [[0, 0]]


def test_a_platform_shift_is_removed() -> None:
    """+20 % of all cells is a platform part, and significant for no cell: neither tonight nor if it stays."""
    for nights in range(1, 8):
        values = quiet()
        values[:, 0, -nights:] += np.log(1.2)
        statistics, found = judge(panel_of(values), runs=3)
        assert not found.is_significant.any(), nights
        if nights == 1:
            assert statistics.platform[0] == pytest.approx(np.log(1.2), abs=SPREAD)
            assert statistics.platform_z[0] > 4


def test_three_cells_have_no_platform_part() -> None:
    """With fewer than four cells tonight, a common shift is significant for every cell."""
    values = quiet(cells=3)
    values[:, 0, -1] = np.log(1.3)
    statistics, found = judge(panel_of(values), runs=3)
    assert statistics.platform.tolist() == [0.0, 0.0]
    assert found.by_night[:, 0].all()


def test_cells_of_another_night_are_not_judged() -> None:
    """A cell without a run tonight only contributes its spread."""
    values = quiet()
    values[2, 0, -1] = np.log(1.25)
    is_tonight = np.ones(CELLS, dtype=bool)
    is_tonight[2] = False
    _, found = judge(panel_of(values, is_tonight=is_tonight), runs=3)
    assert not found.is_significant.any()
    assert not found.is_suspicious.any()


def test_an_improvement_has_the_other_sign() -> None:
    """−25 % is significant with sign −1, and not with sign 1."""
    values = quiet()
    values[2, 0, -1] = np.log(0.75)
    panel = panel_of(values)
    assert not judge(panel, runs=3)[1].is_significant.any()
    assert np.argwhere(judge(panel, runs=3, sign=-1)[1].is_significant).tolist() == [[2, 0]]


def test_a_service_is_summed_over_its_scenarios() -> None:
    """+8 % in four scenarios is significant for the service, for no scenario alone; Z is the sum over √4."""
    values = quiet(cells=16)
    values[:4, 0, -1] = np.log(1.08)
    statistics, found = judge(panel_of(values), runs=3)
    assert np.argwhere(found.by_service.is_any).tolist() == [[0, 0], [1, 0], [2, 0], [3, 0]]
    assert not found.by_night.any()
    assert statistics.services[0].z[0, 0] == pytest.approx(statistics.tonight.z[:4, 0].sum() / 2)
    assert statistics.services[0].shift[0, 0] == pytest.approx(statistics.tonight.shift[:4, 0].mean())


def test_one_bad_run_does_not_stand_for_its_service() -> None:
    """A single distant scenario makes no service significant, in either direction."""
    for size in (0.5, 2.0):
        values = quiet()
        values[2, 0, -1] = np.log(size)
        panel = panel_of(values)
        for sign in (1, -1):
            assert not judge(panel, sign=sign)[1].is_significant.any()


def three_latencies(shift: float, *, together: float = 0.0, seed: int = 5) -> Panel:
    """Draw 24 cells of three metrics that share the part ``together`` of their noise; the first cell has a shift."""
    rng = np.random.default_rng(seed)
    own, shared = rng.normal(0, 1, (24, 3, 13)), rng.normal(0, 1, (24, 1, 13))
    values = SPREAD * np.clip(np.sqrt(1 - together) * own + np.sqrt(together) * shared, -2, 2)
    values[0, :, -1] = shift
    return panel_of(values, families=np.zeros(3, dtype=np.int64))


def test_a_family_is_more_sensitive_than_its_members() -> None:
    """Three independent metrics at 1.9 spreads: none is suspicious alone, their sum over √3 is."""
    alone = examine(replace(three_latencies(1.9 * SPREAD), families=np.full(3, -1))).tonight
    together = examine(three_latencies(1.9 * SPREAD)).tonight
    assert np.all(alone.max_z(1)[0] < SUSPECT_T)
    assert np.all(np.isnan(alone.family_z))
    assert np.all(together.family_z[0] > 1.4 * together.z[0].mean())
    assert np.all(together.max_z(1)[0] >= SUSPECT_T)


def test_a_highly_correlated_family_adds_little() -> None:
    """Three metrics that are nearly the same have the information of one."""
    together = examine(three_latencies(2.4 * SPREAD, together=0.95)).tonight
    assert np.all(together.family_z[0] < 1.15 * together.z[0].max())


def test_a_family_with_one_known_member_has_no_sum() -> None:
    """Two latencies have no value, so the third counts alone."""
    panel = three_latencies(4 * SPREAD)
    panel.values[0, 1:, -1] = np.nan
    tonight = examine(panel).tonight
    assert np.all(np.isnan(tonight.family_z[0]))
    assert tonight.max_z(1)[0, 0] == tonight.z[0, 0]


def test_the_reported_shift_is_not_bounded() -> None:
    """A step of ten spreads on the last two nights counts as three per night, but is reported as ten."""
    values = quiet()
    values[0, 0, -2:] = 10 * SPREAD
    window = next(shifts for shifts in examine(panel_of(values)).windows if shifts.nights == 2 and not shifts.of_anchor)
    assert window.plain_shift[0, 0] == pytest.approx(10 * SPREAD, abs=0.5 * SPREAD)
    assert window.shift[0, 0] < 4 * SPREAD


def test_a_recovered_cell_is_not_flagged_for_its_bad_nights() -> None:
    """Six nights at seven spreads, then a normal one: the mean of the windows is high, but tonight is not."""
    values = quiet(nights=20)
    values[0, 0, -7:-1] = 7 * SPREAD
    values[0, 0, -1] = 0.0
    is_reference = np.ones((CELLS, 20), dtype=bool)
    is_reference[0, -7:-1] = False
    _, found = judge(panel_of(values, is_reference=is_reference))
    assert found.by_window.at(0, 0) is None
    values[0, 0, -1] = 7 * SPREAD
    _, found = judge(panel_of(values, is_reference=is_reference))
    assert found.by_window.at(0, 0) is not None
