"""How long a night takes, whether that fits, and the message if it does not."""

from dataclasses import replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.pipeline.planning.time_plan import TimePlan, run_length, time_plan, time_plans
from tests.fakes.small_catalogue import small_catalogue, small_scenario, small_service

LOAD = {"rate_rps": 10, "duration_s": 60, "warmup_s": 30}
RUN_S = 60 + 30 + 10 + 60
"""Warm-up and measured part, a time-out of 10 s, and a minute of overhead."""

SIX = tuple(f"service-{number}" for number in range(6))


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Six services with a time-out of 10 s, except the last one with 70 s."""
    services = {name: small_service(name=name, timeout_s=10) for name in SIX}
    services["slow"] = small_service(name="slow", timeout_s=70)
    return replace(small_catalogue(tmp_path), services=services)


def plan_of(catalogue: Catalogue, **changes: Any) -> TimePlan:
    return time_plan(small_scenario(**({"services": SIX, "load": LOAD} | changes)), catalogue)


def seconds(runs: float) -> timedelta:
    return timedelta(seconds=runs * RUN_S)


@pytest.mark.parametrize(
    ("changes", "runs", "reruns"),
    [
        ({}, 6, 8),  # one after another; four of them twice more
        ({"reruns": 0}, 6, 0),
        ({"reruns": 100}, 6, 12),  # no more than there are services
        ({"services": SIX[:1]}, 1, 2),
        ({"parallel": 2}, 3, 4),
        ({"parallel": 4}, 2, 2),  # four and two; four and four
        ({"parallel": 5}, 2, 2),  # the re-runs of four services only at four places: a service has but one load
        ({"parallel": 20}, 1, 2),
        ({"parallel": 4, "reruns": 1}, 2, 2),  # two of one service, never side by side
        ({"parallel": 4, "reruns": 5}, 2, 3),  # ten at four places
    ],
)
def test_how_long_a_night_takes(catalogue: Catalogue, changes: dict[str, Any], runs: int, reruns: int) -> None:
    """In runs of equal length, one after another and in parallel."""
    plan = plan_of(catalogue, **changes)
    assert (plan.needed, plan.reruns_needed) == (seconds(runs), seconds(reruns))


def test_the_time_of_a_run(catalogue: Catalogue) -> None:
    """The load, the wait for the last answer, and a minute of overhead."""
    service = catalogue.service(SIX[0])
    assert run_length(small_scenario(load=LOAD).load, service) == timedelta(seconds=RUN_S)
    assert run_length(small_scenario(load=LOAD | {"drain_s": 0}).load, service) == timedelta(seconds=RUN_S - 10)
    assert run_length(small_scenario(load=LOAD | {"drain_s": 300}).load, service) == timedelta(seconds=RUN_S + 290)


def test_services_that_take_longer(catalogue: Catalogue) -> None:
    """A slow service takes a minute more, and re-runs are planned for the slowest services."""
    minute = timedelta(minutes=1)
    plan = plan_of(catalogue, services=(*SIX[:2], "slow"), reruns=1)
    assert (plan.needed, plan.reruns_needed) == (seconds(3) + minute, seconds(2) + 2 * minute)
    side_by_side = plan_of(catalogue, services=("slow", *SIX[:2]), parallel=2, reruns=0)
    assert side_by_side.needed == seconds(2)  # the others go one after another beside it: 320 s are more than 220 s
    in_turn = plan_of(catalogue, services=(*SIX[:2], "slow"), parallel=2, reruns=0)
    assert in_turn.needed == seconds(2) + minute  # beside nobody, once a place is free


def at(minutes: int) -> dict[str, Any]:
    """Return a schedule before London's opening, with a margin of five minutes."""
    return {"schedule": {"before": "london", "minutes": minutes}}


# six runs take 960 s or 16 min; with eight re-runs 2240 s or 37 min 20 s
FITS = [
    (at(43), True, True),  # 38 minutes
    (at(42), True, False),
    (at(21), True, False),
    (at(20), False, False),
    ({"schedule": {"cron": "0 7 * * *", "finish_by": "07:38"}}, True, True),
    ({"schedule": {"cron": "0 7 * * *", "finish_by": "07:37"}}, True, False),
    ({"schedule": {"cron": "0 7 * * *", "finish_by": "07:15"}}, False, False),
    ({"schedule": {"cron": "0 7 * * *"}}, True, True),
    ({"schedule": None}, True, True),
]


@pytest.mark.parametrize(("changes", "runs_fit", "fits"), FITS)
def test_whether_it_fits(catalogue: Catalogue, changes: dict[str, Any], *, runs_fit: bool, fits: bool) -> None:
    """To the minute."""
    plan = plan_of(catalogue, **changes)
    assert (plan.runs_fit, plan.fits, plan.problem is None) == (runs_fit, fits, fits)


def test_a_night_that_is_as_long_as_there_is_time(catalogue: Catalogue) -> None:
    """It fits."""
    plan = replace(plan_of(catalogue, **at(43)), available=seconds(14))
    assert plan.fits
    assert not replace(plan, available=seconds(14) - timedelta(seconds=1)).fits


PROBLEMS = [
    (
        at(30),
        "brief needs 38 min for 6 services with re-runs (16 min without), but starts 25 min before all load must be "
        "over (07:55): 13 min too little; start it 13 min earlier, raise parallel, or lower reruns",
    ),
    (
        at(15),
        "brief needs 16 min for 6 services without any re-run, but starts 10 min before all load must be over (07:55): "
        "6 min too little; start it 6 min earlier, raise parallel, or load fewer services",
    ),
    (
        {"schedule": {"cron": "0 22 * * *", "finish_by": "22:05"}, "services": SIX[:1], "reruns": 1},
        "brief needs 8 min for 1 service with re-runs (3 min without), but starts 5 min before all load must be over "
        "(22:05): 3 min too little; start it 3 min earlier, or lower reruns",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), PROBLEMS)
def test_by_how_much_it_does_not_fit(catalogue: Catalogue, changes: dict[str, Any], problem: str) -> None:
    """The needed, the available and the missing time, and the remedy."""
    assert plan_of(catalogue, **changes).problem == problem


def test_the_missing_time_is_exact(catalogue: Catalogue) -> None:
    """A start that is earlier by that time has no problem."""
    assert plan_of(catalogue, **at(30 + 13)).problem is None
    assert plan_of(catalogue, **at(15 + 6), reruns=0).problem is None


@pytest.mark.parametrize(
    ("changes", "description"),
    [
        (at(60), "16 min for 6 services, 38 min with re-runs, of 55 min"),
        ({"reruns": 0}, "16 min for 6 services"),
        ({"services": SIX[:1]}, "3 min for 1 service, 8 min with re-runs"),
    ],
)
def test_a_plan_in_words(catalogue: Catalogue, changes: dict[str, Any], description: str) -> None:
    """In minutes, rounded up."""
    assert plan_of(catalogue, **changes).description == description


def test_the_shipped_scenarios_fit() -> None:
    """With all re-runs, and each ends before the next one starts."""
    catalogue = load_catalogue(Path(__file__).parents[4] / "include")
    plans = {plan.scenario.name: plan for plan in time_plans(catalogue)}
    assert all(plan.fits and plan.available is not None for plan in plans.values())
    assert {name: plan.description for name, plan in plans.items()} == {
        # 6 × (60 + 1800 + 10 + 60) s = 11 580 s, and 8 of them 15 440 s
        "normal_trading": "3 h 13 min for 6 services, 7 h 31 min with re-runs, of 8 h",
        # 6 × (60 + 900 + 10 + 60) s = 6180 s, and 8 of them 8240 s
        "market_open": "1 h 43 min for 6 services, 4 h 1 min with re-runs, of 4 h 5 min",
        "high_volatility": "3 h 13 min for 6 services, 7 h 31 min with re-runs, of 8 h",
        # 2 × (60 + 3600 + 10 + 60) s = 7460 s, and as long again
        "overnight_processing": "2 h 5 min for 6 services, 4 h 9 min with re-runs, of 5 h 45 min",
    }
    assert plans["overnight_processing"].over_by == time(3, 45)  # market_open starts at 03:50
