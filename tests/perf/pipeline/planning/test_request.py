"""The request: all problems at once, and the requested load."""

import json
import re
from typing import Any

import pytest

from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.model.errors import BaselineError, ConfigurationError
from include.perf.pipeline.planning.request import RunRequest
from include.perf.runs.record import Verdict
from tests.fakes.small_platform import Platform

DOWN = "orders-service is not reachable: GET http://orders-service:8000/healthz failed"


def plan_problems(platform: Platform, **request: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        platform.night_stages.plan(RunRequest(**({"scenario": "brief"} | request)))
    return list(caught.value.problems)


def test_a_plan_reports_all_problems_at_once(platform: Platform) -> None:
    """Service, duration, rate, reason and baselines: five mistakes are five sentences, and nothing is planned."""
    platform.baselines.problem = BaselineError("b.json is not valid JSON")
    problems = plan_problems(platform, service="ordres", duration_s=-3, rate_rps=600_000.0, update_baseline=True)
    assert problems == [
        "update_baseline needs a reason; it is stored with the baseline",
        "b.json is not valid JSON",
        "rate_rps: should be less than or equal to 512000, but is 600000.0",
        "duration_s: should be greater than or equal to 10, but is -3",
        "service 'ordres' is not in the catalogue; known: orders-service",
    ]
    assert platform.store.runs_by_uri == {}


def test_an_unknown_scenario_does_not_hide_other_problems(platform: Platform) -> None:
    """Reason and baselines are checked as well."""
    platform.baselines.problem = BaselineError("b.json is not valid JSON")
    assert plan_problems(platform, scenario="breif", update_baseline=True, reason="  ") == [
        "update_baseline needs a reason; it is stored with the baseline",
        "b.json is not valid JSON",
        "scenario 'breif' is not in the catalogue; known: brief",
    ]


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        ({"duration_s": 9}, "duration_s: should be greater than or equal to 10, but is 9"),
        ({"duration_s": 14401}, "duration_s: should be less than or equal to 14400, but is 14401"),
        ({"rate_rps": 0.0}, "rate_rps: should be greater than or equal to 0.1, but is 0.0"),
        ({"rate_rps": float("nan")}, "rate_rps: should be less than or equal to 512000, but is nan"),
        ({"rate_rps": float("inf")}, "rate_rps: should be less than or equal to 512000, but is inf"),
        ({"service": "engine"}, "service 'engine' is not in the catalogue; known: orders-service"),
    ],
)
def test_each_wrong_parameter(platform: Platform, request_: dict[str, Any], problem: str) -> None:
    """One mistake is one sentence: the parameter, the rule, the value."""
    assert plan_problems(platform, **request_) == [problem]


@pytest.mark.parametrize(
    ("request_", "load"),
    [
        ({}, (40, 10, 5)),
        ({"rate_rps": 0.5}, (0.5, 10, 5)),
        ({"duration_s": 10}, (40, 10, 5)),
        ({"duration_s": 3600, "rate_rps": 7.5}, (7.5, 3600, 5)),
    ],
)
def test_overrides(platform: Platform, request_: dict[str, Any], load: tuple[float, int, int]) -> None:
    """Requested values replace those of the scenario; the rest stays."""
    spec = json.loads(platform.store.runs_by_uri[platform.plan(**request_)]["stage-spec.json"])
    assert (spec["load"]["rate_rps"], spec["load"]["duration_s"], spec["load"]["warmup_s"]) == load


@pytest.mark.parametrize(("duration_s", "warmup_s"), [(10, 10), (59, 59), (60, 60), (900, 60)])
def test_a_short_run_gets_a_short_warm_up(platform: Platform, duration_s: int, warmup_s: int) -> None:
    """A run of 10 s has no warm-up of a minute."""
    scenario = platform.catalogue.scenario("brief")
    scenario = scenario.model_copy(update={"load": scenario.load.model_copy(update={"warmup_s": 60})})
    platform.catalogue.scenarios["brief"] = scenario  # type: ignore[index]
    spec = json.loads(platform.store.runs_by_uri[platform.plan(duration_s=duration_s)]["stage-spec.json"])
    assert spec["load"]["warmup_s"] == warmup_s


BURST = [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1, "by": "decay"}]


def with_load(platform: Platform, **changes: Any) -> None:
    """Change the load of the scenario."""
    scenario = platform.catalogue.scenario("brief")
    load = LoadProfile.model_validate(scenario.load.model_dump() | changes)
    platform.catalogue.scenarios["brief"] = scenario.model_copy(update={"load": load})  # type: ignore[index]


def test_a_short_run_gets_a_short_ramp_and_the_beginning_of_the_profile(platform: Platform) -> None:
    """The ramp is cut like the warm-up that contains it; the profile keeps its times and scales with the rate."""
    with_load(platform, warmup_s=60, ramp_s=30, profile=BURST)
    uri = platform.plan(duration_s=20, rate_rps=40.0)
    load = LoadProfile.model_validate(json.loads(platform.store.runs_by_uri[uri]["stage-spec.json"])["load"])
    assert (load.warmup_s, load.ramp_s, load.peak_rate_rps) == (20, 20, 120)
    assert load.curve.rate(20 + 10) == pytest.approx(120 * 3 ** (-10 / 300))


def test_a_varying_load_is_valid_and_has_a_mean_rate(platform: Platform) -> None:
    """From 3 times to once 40/s over 10 s, linearly: 800 arrivals, 80/s."""
    with_load(platform, ramp_s=5, profile=[{"at_s": 0, "factor": 3}, {"at_s": 10, "factor": 1}])
    record = platform.execute()
    assert (record.verdict, record.validity) == (Verdict.NO_BASELINE, ())
    assert (record.load.requested_rate_rps, record.load.due) == (80.0, 800)
    assert record.load.achieved_rate_rps == pytest.approx(80.0, rel=0.01)
    assert record.fingerprint["load"] == (
        "40/s constant, profile 3 → 1 by line in 10 s, for 10 s after 5 s of warm-up with a ramp of 5 s"
    )


def test_a_rate_whose_peak_is_too_high_is_refused(platform: Platform) -> None:
    """170 700/s are allowed, three times that is not."""
    with_load(platform, profile=BURST)
    assert plan_problems(platform, rate_rps=170_700.0) == [
        "the peak rate of 512100/s is more than the 512000/s of 64 workers; lower rate_rps or profile"
    ]


def test_a_plan_has_one_run_for_each_service(platform: Platform) -> None:
    """All services of the scenario, each with its own folder and id."""
    services = platform.catalogue.services
    services["engine"] = services["orders-service"].model_copy(update={"name": "engine"})  # type: ignore[index]
    uris = platform.night_stages.plan(RunRequest(scenario="brief"))
    assert [uri.split("/")[2:4] for uri in uris] == [["orders-service", "brief"], ["engine", "brief"]]
    ids = {uri.rpartition("/")[2] for uri in uris}
    assert len(ids) == 2
    assert all(re.fullmatch(r"20260302T063000Z-[0-9a-f]{6}", run_id) for run_id in ids)
