"""When arrivals are released, in virtual time: each when it is due, or several together."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.load.pacer import EXACT_UP_TO_RPS, GRAIN_S, grain_of
from tests.load.driven_loads import plan_of, requests_of
from tests.load.virtual_time import VirtualLoad, VirtualTime

Sent = Callable[..., list[tuple[float, float]]]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


@pytest.fixture
def sent(time: VirtualTime, tmp_path: Path) -> Sent:
    """Drive a load of a second; return when each arrival was due and when it was sent."""

    def drive(rate_rps: float, **load: Any) -> list[tuple[float, float]]:
        plan = plan_of(tmp_path, "http://gateway", rate_rps=rate_rps, max_concurrency=50, **load)
        driven = VirtualLoad(time, plan, requests_of(plan), lambda _: 0.001)
        driven.pass_until(2)
        driven.summary()
        return [(row.due_s, row.started_s) for row in driven.rows]

    return drive


def latest_s(arrivals: list[tuple[float, float]]) -> float:
    """Return by how much the latest arrival was late."""
    return max(sent_s - due_s for due_s, sent_s in arrivals)


@pytest.mark.parametrize("arrivals", ["constant", "poisson"])
@pytest.mark.parametrize("rate_rps", [100, 1000, EXACT_UP_TO_RPS])
def test_every_arrival_is_sent_when_it_is_due(sent: Sent, rate_rps: float, arrivals: str) -> None:
    """Also those that are a few microseconds apart, as the closest of 2,500 random ones are; none is early."""
    rows = sent(rate_rps, arrivals=arrivals)
    assert len(rows) == rate_rps
    assert latest_s(rows) < 2e-5
    assert min(sent_s - due_s for due_s, sent_s in rows) >= 0


def test_at_higher_rates_close_arrivals_are_sent_together(sent: Sent) -> None:
    """At 4,000/s they are 0.25 ms apart: two are sent when the second is due."""
    rows = sent(4000)
    assert [sent_s for _, sent_s in rows[:4]] == pytest.approx([0.000375, 0.000375, 0.000875, 0.000875], abs=2e-5)
    assert latest_s(rows) == pytest.approx(0.00025, abs=2e-5)


@pytest.mark.parametrize(("rate_rps", "grain_s"), [(1, 0.0), (2500, 0.0), (2501, GRAIN_S)])
def test_the_highest_rate_of_a_worker_decides(rate_rps: float, grain_s: float) -> None:
    assert grain_of(rate_rps) == grain_s


@pytest.mark.parametrize(("late_s", "least_late_s"), [(0.00005, 0.0), (0.0003, 0.0002)])
def test_the_alarm_is_set_as_early_as_waking_up_takes(
    sent: Sent, time: VirtualTime, late_s: float, least_late_s: float
) -> None:
    """Waking up takes 0.05 ms: after some arrivals none is late any more. Of 0.3 ms only 0.1 ms are made up for."""
    time.alarm_late_s = late_s
    rows = sent(500)
    assert latest_s(rows[:10]) > 0.9 * (late_s - 1e-5)
    assert latest_s(rows[200:]) == pytest.approx(least_late_s, abs=1e-5)
    assert min(sent_s - due_s for due_s, sent_s in rows) >= 0
