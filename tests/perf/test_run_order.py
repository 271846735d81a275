"""In which order scenarios are run when all are wanted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from include.perf.catalogue import load_catalogue
from include.perf.run_order import run_order
from tests.fakes import small_catalogue, small_scenario

BEFORE_LONDON = {"before": "london", "minutes": 90}
NIGHTLY = {"cron": "30 6 * * *", "finish_by": "07:00"}


def order_of(folder: Path, **scenarios: dict[str, Any]) -> list[str]:
    """Return the names in the order in which they are run; the order given is the catalogue's."""
    made = {name: small_scenario(name=name, **changes) for name, changes in scenarios.items()}
    return [scenario.name for scenario in run_order(replace(small_catalogue(folder), scenarios=made))]


def lasting(duration_s: int, warmup_s: int = 0) -> dict[str, int]:
    return {"rate_rps": 10, "duration_s": duration_s, "warmup_s": warmup_s}


def test_what_must_be_over_before_an_opening_comes_first(tmp_path: Path) -> None:
    """However long it takes; a cron schedule presses nobody who asks for all at another time."""
    assert order_of(
        tmp_path,
        short={"load": lasting(60)},
        nightly={"load": lasting(30), "schedule": NIGHTLY},
        opening={"load": lasting(900), "schedule": BEFORE_LONDON},
    ) == ["opening", "nightly", "short"]


def test_then_the_shortest_comes_first(tmp_path: Path) -> None:
    """Warm-up included; of equal ones the first of the catalogue."""
    assert order_of(
        tmp_path,
        long={"load": lasting(100)},
        warm={"load": lasting(60, warmup_s=60)},
        first={"load": lasting(60)},
        second={"load": lasting(30, warmup_s=30)},
    ) == ["first", "second", "long", "warm"]  # 60 s, 30 + 30 s, 100 s, 60 + 60 s


def test_the_same_holds_among_those_before_an_opening(tmp_path: Path) -> None:
    """They press all alike."""
    week = {"before": "week", "minutes": 90}
    assert order_of(
        tmp_path,
        long={"load": lasting(100), "schedule": BEFORE_LONDON},
        short={"load": lasting(60), "schedule": week},
    ) == ["short", "long"]


def test_the_projects_own_order() -> None:
    """16 minutes before London opens; then 31, 31 and 61 minutes."""
    assert [scenario.name for scenario in run_order(load_catalogue())] == [
        "market_open",
        "normal_trading",
        "high_volatility",
        "overnight_processing",
    ]
