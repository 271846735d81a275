"""Journeys of the catalogue: what their steps may name, and what is wrong with them."""

import random
from typing import Any

import pytest
from pydantic import ValidationError

from include.perf.catalogue.journey import Journey
from include.perf.catalogue.operations import problems_of_ceiling
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.step import Step, ThinkTime
from include.perf.catalogue.worker_rates import least_workers, problems_of_concurrency, problems_of_workers
from include.perf.pipeline.planning.fingerprint import fingerprint
from tests.fakes.small_catalogue import small_service

QUOTE: dict[str, Any] = {"name": "quote", "method": "GET", "path": "/quotes", "capture": {"quote_id": {"json": "id"}}}
PLACE: dict[str, Any] = {
    "name": "place",
    "method": "POST",
    "path": "/orders",
    "body": {"quote": "$quote_id", "price": "$price"},
    "capture": {"order_id": {"json": "order.id"}},
    "think_s": 2,
}
POLL: dict[str, Any] = {
    "name": "poll",
    "method": "GET",
    "path": "/orders/$order_id",
    "repeat": {"until": {"json": {"state": "filled"}}, "at_most": 20, "every_s": 0.5},
}
CANCEL: dict[str, Any] = {"name": "cancel", "method": "DELETE", "path": "/orders/${order_id}"}
LIFE: dict[str, Any] = {"name": "life", "weight": 3, "steps": [QUOTE, PLACE, POLL], "finally": [CANCEL]}
POSITIONS: dict[str, Any] = {"name": "positions", "method": "GET", "path": "/positions"}


def problem_of(**changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        small_service(endpoints=[POSITIONS, LIFE | changes])
    return str(caught.value)


def test_a_journey_is_an_endpoint_with_steps() -> None:
    """Its requests have the names of the journey and the step, and the weight of the journey."""
    service = small_service(endpoints=[POSITIONS, LIFE])
    names = ["positions", "life/quote", "life/place", "life/poll", "life/cancel"]
    assert [request.name for request in service.requests] == names
    assert [request.weight for request in service.requests] == [1, 3, 3, 3, 3]
    assert list(service.journeys) == ["life"]


def test_a_journey_survives_being_stored() -> None:
    """A plan and a kept catalogue are JSON, with the names that the YAML file has."""
    journey = small_service(endpoints=[LIFE]).journeys["life"]
    stored = journey.model_dump(mode="json", exclude_defaults=True)
    assert set(stored) == {"name", "weight", "steps", "finally"}
    assert stored["steps"][0]["capture"] == {"quote_id": {"json": "id"}}
    assert Journey.model_validate_json(journey.model_dump_json()) == journey


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"steps": []}, "at least 1 item"),
        ({"steps": [QUOTE, QUOTE]}, "step names must differ, but quote occurs more than once"),
        ({"steps": [QUOTE | {"name": "cancel"}]}, "step names must differ, but cancel occurs more than once"),
        ({"steps": [QUOTE, POLL], "finally": []}, "life/poll, path: $order_id is not a field of the market data"),
        ({"steps": [QUOTE, POLL], "finally": []}, "nor captured by an earlier step; captured: quote_id"),
        ({"steps": [PLACE | {"think_s": None}, QUOTE]}, "life/place, body: $quote_id is not a field of the market"),
        ({"finally": [CANCEL | {"path": "/orders/$id"}]}, "life/cancel, path: $id is not a field of the market data"),
        ({"finally": [CANCEL | {"think_s": 1}]}, "finally, cancel: think_s has no effect in finally; remove it"),
        ({"steps": [QUOTE | {"think_s": 1}]}, "the first step is due with the journey, so it has no think_s"),
        ({"steps": [QUOTE | {"capture": {"price": {"json": "p"}}}]}, "price is a field of the market data already"),
        ({"steps": [QUOTE | {"capture": {"uuid": {"json": "p"}}}]}, "uuid is a value of the request's own already"),
        ({"steps": [QUOTE | {"capture": {"a-b": {"json": "p"}}}]}, "must consist of letters, digits and _"),
        ({"steps": [QUOTE | {"capture": {"a": {}}}]}, "needs json, header, cookie or regex"),
        ({"steps": [QUOTE | {"capture": {"a": {"json": "x", "header": "y"}}}]}, "has both json and header"),
        ({"steps": [QUOTE | {"capture": {"a": {"json": "a..b"}}}]}, "must be keys separated by dots"),
        ({"steps": [QUOTE | {"capture": {"a": {"regex": "("}}}]}, "must be a regular expression"),
        ({"steps": [QUOTE | {"capture": {"a": {"regex": "id"}}}]}, "must have one group"),
        ({"steps": [QUOTE | {"capture": {"a": {"header": "a b"}}}]}, "must be the name of a header or a cookie"),
        ({"steps": [QUOTE | {"weight": 2}]}, "weight belongs to the journey"),
        ({"steps": [QUOTE | {"data_files": {"a": {"file": "a.csv"}}}]}, "data_files belong to the journey"),
        ({"steps": [QUOTE | {"method": "HEAD"}]}, "the answer to HEAD has no body; capture from its headers only"),
        ({"steps": [QUOTE | {"on_failure": "retry"}]}, "'abort' or 'continue'"),
        ({"steps": [QUOTE | {"on_failure": "continue"}, PLACE]}, "$quote_id may be missing, because quote captures it"),
        ({"steps": [QUOTE | {"repeat": {"until": {}, "at_most": 2, "every_s": 1}}]}, "until must name a status, json"),
        ({"steps": [QUOTE | {"repeat": {"until": {"status": 200}, "at_most": 1, "every_s": 1}}]}, "greater than or"),
        (
            {"steps": [QUOTE | {"repeat": {"until": {"status": 200}, "at_most": 1000, "every_s": 60}}]},
            "at_most 1000 tries, one every 60 s, take 59940 s; they may take 600 s",
        ),
        ({"method": "GET"}, "method"),
    ],
)
def test_an_invalid_journey(changes: dict[str, Any], problem: str) -> None:
    """The message names the entry, the step and the place."""
    assert problem in problem_of(**changes)


def test_a_variable_outside_a_journey_is_unknown() -> None:
    """An endpoint alone has no answers to take it from."""
    with pytest.raises(ValidationError, match=r"path: \$order_id is not a field of the market data"):
        small_service(endpoints=[CANCEL])


@pytest.mark.parametrize(
    ("given", "mean_s", "longest_s"),
    [
        (2, 2.0, 2.0),
        ({"uniform": [0.5, 2]}, 1.25, 2.0),
        ({"exponential": 3}, 3.0, 30.0),  # cut at ten times the mean
        ({"exponential": 3, "at_most": 5}, 3.0, 5.0),
        ({"lognormal": {"median": 1, "sigma": 1}}, 1.6487, 16.487),  # e^(1/2)
        ({"exponential": 100}, 100.0, 600.0),
    ],
)
def test_think_times(given: Any, mean_s: float, longest_s: float) -> None:
    """The longest one bounds the end of a load."""
    think = ThinkTime.model_validate(given)
    assert (think.mean_s, think.longest_s) == pytest.approx((mean_s, longest_s), rel=1e-4)


@pytest.mark.parametrize(
    "kind", [{"uniform": [1, 3]}, {"exponential": 2}, {"lognormal": {"median": 1.5, "sigma": 0.7585}}]
)
def test_random_think_times_have_their_mean(kind: dict[str, Any]) -> None:
    """Of 20,000 draws; the cut of the tail at ten times the mean takes less than 1 %."""
    think, source = ThinkTime.model_validate(kind), random.Random(7)
    drawn = [think.draw(source) for _ in range(20_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(2.0, rel=0.03)
    assert max(drawn) <= think.longest_s


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "needs seconds, or one of uniform, exponential and lognormal"),
        ({"uniform": [1, 2], "exponential": 1}, "needs seconds, or one of"),
        ({"uniform": [2, 1]}, "uniform must name the shortest time first"),
        ({"constant": 1, "at_most": 2}, "at_most has no effect with constant"),
        (-1, "greater than or equal to 0"),
        (601, "less than or equal to 600"),
    ],
)
def test_an_invalid_think_time(given: Any, problem: str) -> None:
    """Nobody waits for longer than ten minutes."""
    with pytest.raises(ValidationError) as caught:
        ThinkTime.model_validate(given)
    assert problem in str(caught.value)


def load_of(**changes: Any) -> LoadProfile:
    return LoadProfile.model_validate({"rate_rps": 500, "duration_s": 60, "warmup_s": 0} | changes)


def test_a_worker_holds_requests_and_not_journeys() -> None:
    """Weights 1 and 3: (1 + 3 × (1 + 1 + 3 + 1)) / 4 = 4.75 requests an arrival, as a repeated step counts thrice."""
    service = small_service(endpoints=[POSITIONS, LIFE], worker_rps=1000)
    assert service.requests_per_arrival == 4.75
    assert least_workers(load_of(), service) == 3  # 2,375 requests/s
    (problem,) = problems_of_workers(load_of(workers=2), service)
    assert problem.startswith("the peak rate of 500/s (2375 requests/s, because journeys have several) is too much for")


def test_the_maximum_rate_of_a_service_counts_every_try() -> None:
    """Weights 1 and 3: (1 + 3 × (1 + 1 + 20 + 1)) / 4 = 17.5 requests an arrival at most, 8,750/s at 500/s."""
    service = small_service(endpoints=[POSITIONS, LIFE], max_rate_rps=8_750)
    assert list(problems_of_ceiling(load_of(), service)) == []
    (problem,) = problems_of_ceiling(load_of(), small_service(endpoints=[POSITIONS, LIFE], max_rate_rps=8_749))
    assert problem.startswith(
        "the peak rate of 8750/s (500/s, with journeys of up to 17.5 requests) exceeds the 8749/s that"
    )


def test_too_few_users_are_a_problem_before_the_load() -> None:
    """500/s, of which three quarters think for 2 s: 750 users by Little's law."""
    service = small_service(endpoints=[POSITIONS, LIFE])
    assert list(problems_of_concurrency(load_of(max_concurrency=750), service)) == []
    (problem,) = problems_of_concurrency(load_of(max_concurrency=749), service)
    assert "max_concurrency 749 is too low for orders-service: at 500/s its journeys keep 750 users busy" in problem


def test_the_end_of_a_load_waits_for_users_who_think() -> None:
    """60 s, 10 s until a time-out, 2 s of thought, 19 × 0.5 s between tries, and 2 s of clean-up."""
    assert small_service(endpoints=[LIFE]).longest_s(load_of()) == 60 + 10 + 2 + 9.5 + 2
    assert small_service(endpoints=[POSITIONS]).longest_s(load_of()) == 70


def test_every_setting_of_a_step_is_part_of_the_fingerprint() -> None:
    """Whatever changes what is sent begins a new baseline."""

    def endpoints_of(journey: dict[str, Any]) -> str:
        return fingerprint(small_service(endpoints=[journey]), load_of(), data="sha256:1")["endpoints"]

    others = [
        LIFE | {"weight": 2},
        LIFE | {"finally": []},
        LIFE | {"steps": [QUOTE, PLACE | {"think_s": 3}, POLL]},
        LIFE | {"steps": [QUOTE, PLACE, POLL | {"on_failure": "continue"}]},
        LIFE | {"steps": [QUOTE | {"capture": {"quote_id": {"json": "other"}}}, PLACE, POLL]},
        LIFE | {"steps": [QUOTE, PLACE, POLL | {"path": "/order/$order_id"}]},
    ]
    assert len({endpoints_of(LIFE), *map(endpoints_of, others)}) == 7


def test_a_step_is_an_endpoint() -> None:
    """With its rules, such as those of bodies."""
    with pytest.raises(ValidationError, match="a GET request has no body"):
        Step.model_validate(QUOTE | {"body": {"a": 1}})
