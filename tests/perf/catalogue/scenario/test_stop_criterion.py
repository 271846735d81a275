"""Stop criteria: valid settings, their description, and invalid ones."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.scenario.stop_criterion import MAX_CRITERIA, StopCriterion
from include.perf.model.validation import problem_of
from include.perf.pipeline.planning.fingerprint import fingerprint
from tests.fakes.small_catalogue import small_scenario, small_service

CPU = "sum(rate(process_cpu_seconds_total{$selector}[30s]))"


def criterion(**changes: Any) -> StopCriterion:
    return StopCriterion.model_validate({"window_s": 30} | changes)


def problems_of(*criteria: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        small_scenario(stop_when=list(criteria))
    return [problem_of(error) for error in caught.value.errors()]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"metric": "error_ratio", "above": 0.5}, "error ratio above 0.5 over 30 s"),
        ({"metric": "latency_p95", "above": 1.5}, "latency p95 above 1.5 s over 30 s"),
        ({"metric": "achieved_ratio", "below": 0.5, "window_s": 3600}, "achieved ratio below 0.5 over 3600 s"),
        ({"metric": "schedule_lag_p99", "above": 0.05}, "schedule lag p99 above 0.05 s over 30 s"),
        ({"metric": "generator_cores", "above": 0.9, "window_s": 1}, "generator cores above 0.9 over 1 s"),
        ({"query": CPU, "above": 3.5}, f"{CPU} above 3.5 over 30 s"),
        ({"query": CPU, "above": 3.5, "name": "CPU"}, "CPU above 3.5 over 30 s"),
        ({"query": 'up{path=~".*/x$"}', "below": 1, "name": " up "}, "up below 1 over 30 s"),
        ({"query": "temperature", "below": -3.25}, "temperature below -3.25 over 30 s"),
    ],
)
def test_a_criterion_is_described(settings: dict[str, Any], words: str) -> None:
    """What is checked, the limit with its unit, and the window."""
    assert criterion(**settings).describe() == words


@pytest.mark.parametrize(
    ("settings", "value", "is_beyond"),
    [
        ({"above": 0.5}, 0.5, False),
        ({"above": 0.5}, 0.5 + 1e-12, True),
        ({"below": 0.5}, 0.5, False),
        ({"below": 0.5}, 0.5 - 1e-12, True),
        ({"above": 0.0}, 0.0, False),
        ({"above": 0.0}, 1e-9, True),
    ],
)
def test_a_value_equal_to_the_limit_does_not_exceed_it(settings: dict[str, Any], value: float, is_beyond: bool) -> None:
    assert criterion(metric="error_ratio", **settings).is_beyond(value) is is_beyond


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.6249, "0.625"),
        (1.0, "1"),
        (0.5004, "0.5004"),
        (0.50000001, "0.50000001"),
        (0.5 + 2**-53, "0.5000000000000001"),
    ],
)
def test_a_value_beyond_the_limit_has_enough_digits(value: float, shown: str) -> None:
    """The message must not read as if 0.5 were above 0.5."""
    assert criterion(metric="error_ratio", above=0.5).format_beyond(value) == shown


EITHER_FIGURE = "needs either metric or query, to define what is checked"
EITHER_SIDE = "needs either above or below, to define the limit"


@pytest.mark.parametrize(
    ("settings", "problems"),
    [
        ({"above": 0.5}, [f"stop_when[0]: {EITHER_FIGURE}"]),
        ({"metric": "error_ratio", "query": CPU, "above": 0.5}, [f"stop_when[0]: {EITHER_FIGURE}"]),
        ({"metric": "error_ratio"}, [f"stop_when[0]: {EITHER_SIDE}"]),
        ({"metric": "error_ratio", "above": 0.5, "below": 0.1}, [f"stop_when[0]: {EITHER_SIDE}"]),
        ({}, [f"stop_when[0]: {EITHER_FIGURE}; {EITHER_SIDE}"]),
        (
            {"metric": "error_rate", "above": 0.5},
            [
                "stop_when[0].metric: should be 'error_ratio', 'latency_p50', 'latency_p95', 'latency_p99', "
                "'achieved_ratio', 'schedule_lag_p99' or 'generator_cores', but is 'error_rate'"
            ],
        ),
        (
            {"metric": "error_ratio", "above": 50},
            ["stop_when[0]: above must be 0 to 1 for error_ratio, but is 50; limits are in base units"],
        ),
        (
            {"metric": "latency_p99", "above": 500},
            ["stop_when[0]: above must be 0 to 300 seconds for latency_p99, but is 500; limits are in base units"],
        ),
        (
            {"metric": "achieved_ratio", "below": -0.1},
            ["stop_when[0]: below must be 0 to 1 for achieved_ratio, but is -0.1; limits are in base units"],
        ),
        (
            {"metric": "error_ratio", "above": 1},  # meant as a percent
            ["stop_when[0]: above 1 is never reached by error_ratio; correct the limit"],
        ),
        (
            {"metric": "achieved_ratio", "below": 0},
            ["stop_when[0]: below 0 is never reached by achieved_ratio; correct the limit"],
        ),
        (
            {"query": "rate(x{$selector}[$window])", "above": 1},
            [
                "stop_when[0].query: only $selector is filled in, but there is $window in "
                "'rate(x{$selector}[$window])'; write a range as [1m]"
            ],
        ),
        ({"query": " ", "above": 1}, ["stop_when[0].query: should have at least 1 character, but is ' '"]),
        (
            {"metric": "error_ratio", "above": 0.5, "window_s": 0},
            ["stop_when[0].window_s: should be greater than or equal to 1, but is 0"],
        ),
        (
            {"metric": "error_ratio", "above": 0.5, "window_s": 3601},
            ["stop_when[0].window_s: should be less than or equal to 3600, but is 3601"],
        ),
        (
            {"metric": "error_ratio", "above": float("nan")},
            ["stop_when[0].above: should be a finite number, but is nan"],
        ),
        (
            {"metric": "error_ratio", "over": 0.5, "above": 0.5},
            ["stop_when[0].over: is not a known setting; correct its name or remove it"],
        ),
    ],
)
def test_invalid_criteria(settings: dict[str, Any], problems: list[str]) -> None:
    """The setting, the rule, the value and the remedy."""
    assert problems_of({"window_s": 30} | settings) == problems


def test_a_window_is_required() -> None:
    """There is no default."""
    assert problems_of({"metric": "error_ratio", "above": 0.5}) == [
        "stop_when[0].window_s: is missing; every entry needs it"
    ]


ERRORS = {"metric": "error_ratio", "above": 0.9, "window_s": 60}


def test_two_criteria_of_the_same_kind_are_refused() -> None:
    """The stricter one would always be first."""
    assert problems_of(ERRORS, {"query": "x", "above": 1, "window_s": 5}, ERRORS | {"above": 0.5}) == [
        "stop_when: [0] and [2] check the same (error ratio above 0.5 over 60 s); remove one of them, or give it "
        "another window_s"
    ]
    assert problems_of(ERRORS | {"name": "a"}, ERRORS | {"name": "a", "window_s": 5}) == [
        "stop_when: [0] and [1] are both called 'a'; rename one"
    ]


def test_another_window_or_side_is_another_criterion() -> None:
    """A high limit for a short window, or a lower one for a longer window."""
    kinds = [ERRORS, ERRORS | {"above": 0.99, "window_s": 5}]
    kinds += [{"query": "x", "above": 5, "window_s": 5}, {"query": "x", "below": 1, "window_s": 5}]
    assert len(small_scenario(stop_when=kinds).stop_when) == 4


def test_the_number_of_criteria_is_limited() -> None:
    kinds = [ERRORS | {"window_s": number} for number in range(1, MAX_CRITERIA + 2)]
    assert len(small_scenario(stop_when=kinds[:-1]).stop_when) == 20
    assert problems_of(*kinds)[0].startswith("stop_when: should have at most 20 items")


def test_the_shipped_scenarios_have_stop_criteria() -> None:
    """All of them have the defaults."""
    for scenario in load_catalogue().scenarios.values():
        assert [criterion.describe() for criterion in scenario.stop_when] == [
            "error ratio above 0.9 over 60 s",
            "achieved ratio below 0.5 over 60 s",
            "schedule lag p99 above 0.25 s over 30 s",
        ]


def test_the_example_in_the_file_is_valid() -> None:
    """The query criterion in the comment of scenarios.yaml can be used."""
    text = (Path(__file__).parents[4] / "include" / "scenarios.yaml").read_text(encoding="utf-8")
    (line,) = [line for line in text.splitlines() if line.strip().startswith("#   - {name: CPU")]
    (entry,) = yaml.safe_load(line.strip().removeprefix("#"))
    assert StopCriterion.model_validate(entry).describe() == "CPU above 3.5 over 30 s"


def test_a_scenario_may_replace_the_criteria() -> None:
    """It may also have none; stop criteria are not part of the fingerprint."""
    scenario = small_scenario(stop_when=[])
    assert scenario.stop_when == ()
    parts = fingerprint(small_service(), small_scenario(stop_when=[ERRORS]).load, data="sha256:1")
    assert parts == fingerprint(small_service(), scenario.load, data="sha256:1")
