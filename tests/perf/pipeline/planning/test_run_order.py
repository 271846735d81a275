"""The order in which all scenarios run."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import CatalogueError
from include.perf.pipeline.planning.time_plan import run_order, scenarios_of
from tests.fakes.small_catalogue import small_catalogue, small_scenario, small_service

BEFORE_LONDON = {"before": "london", "minutes": 90}
NIGHTLY = {"cron": "30 6 * * *", "finish_by": "07:00"}


def order_of(folder: Path, **scenarios: dict[str, Any]) -> list[str]:
    """Return the names in run order; the given order is that of the catalogue."""
    made = {name: small_scenario(name=name, **changes) for name, changes in scenarios.items()}
    return [scenario.name for scenario in run_order(replace(small_catalogue(folder), scenarios=made))]


def lasting(duration_s: int, warmup_s: int = 0) -> dict[str, int]:
    return {"rate_rps": 10, "duration_s": duration_s, "warmup_s": warmup_s}


def test_scenarios_before_an_opening_come_first(tmp_path: Path) -> None:
    """However long they take; a cron schedule does not matter at other times."""
    assert order_of(
        tmp_path,
        short={"load": lasting(60)},
        nightly={"load": lasting(30), "schedule": NIGHTLY},
        opening={"load": lasting(900), "schedule": BEFORE_LONDON},
    ) == ["opening", "nightly", "short"]


def test_then_the_shortest_comes_first(tmp_path: Path) -> None:
    """Warm-up included; equal ones keep the order of the catalogue."""
    assert order_of(
        tmp_path,
        long={"load": lasting(100)},
        warm={"load": lasting(60, warmup_s=60)},
        first={"load": lasting(60)},
        second={"load": lasting(30, warmup_s=30)},
    ) == ["first", "second", "long", "warm"]  # 60 s, 30 + 30 s, 100 s, 60 + 60 s


def test_scenarios_before_an_opening_are_sorted_too(tmp_path: Path) -> None:
    """They are equally urgent."""
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


# Of one service


def test_a_service_is_run_in_the_scenarios_that_load_it(tmp_path: Path) -> None:
    """By either of its names, in the same order; all services are in all scenarios."""
    scenarios = {
        "long": small_scenario(name="long", load=lasting(100)),
        "other": small_scenario(name="other", services=["engine"]),
        "short": small_scenario(name="short", load=lasting(60), services=["orders", "engine"]),
    }
    services = {name: small_service(name=name) for name in ("orders-service", "engine")}
    catalogue = replace(small_catalogue(tmp_path), scenarios=scenarios, services=services)
    assert [scenario.name for scenario in scenarios_of(catalogue, "orders")] == ["short", "long"]
    assert scenarios_of(catalogue, "orders-service") == scenarios_of(catalogue, "orders")
    assert scenarios_of(catalogue, "all") == scenarios_of(catalogue) == run_order(catalogue)
    with pytest.raises(CatalogueError, match=r"^service 'ordres' is not in the catalogue; "):
        scenarios_of(catalogue, "ordres")


def test_a_service_that_no_scenario_loads_is_an_error(tmp_path: Path) -> None:
    """An empty result would look as if everything was fine."""
    services = {name: small_service(name=name) for name in ("orders-service", "engine")}
    scenarios = {"brief": small_scenario(services=["engine"])}
    catalogue = replace(small_catalogue(tmp_path), scenarios=scenarios, services=services)
    with pytest.raises(CatalogueError, match=r"^no scenario loads 'orders-service'; "):
        scenarios_of(catalogue, "orders")
