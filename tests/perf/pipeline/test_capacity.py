"""The search for the highest rate that holds: the rates tried, the result, and the proposal."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from include.perf.pipeline.capacity import Capacity, Trial, described, search, two_digits, within_reach


def trial(
    rate_rps: float, *problems: str, target_cores: float | None = 0.3, workers: int = 1, wanted_cores: float = 0.5
) -> Trial:
    """Return a trial that held, or one with problems."""
    return Trial(
        rate_rps=rate_rps,
        workers=workers,
        due=round(rate_rps * 10),
        answered=round(rate_rps * 10),
        lag_p99_s=0.001,
        wanted_cores=wanted_cores,
        target_cores=target_cores,
        problems=problems,
    )


def holds_to(limit_rps: float) -> Callable[[float], Trial]:
    """Return generators that hold every rate up to a limit."""
    return lambda rate_rps: trial(rate_rps, *(["saturated"] if rate_rps > limit_rps else []))


@pytest.mark.parametrize(
    ("limit_rps", "tried"),
    [
        # 1 600 fails twice; √(800 × 1 600) = 1 131; √(1 100 × 1 600) = 1 327, √(1 100 × 1 300) = 1 196
        (1_200, [200, 400, 800, 1_600, 1_600, 1_100, 1_300, 1_300, 1_200]),
        # 3 000 is the most: nothing beyond it is tried
        (9_999, [200, 400, 800, 1_600, 3_000]),
        # none holds: nothing is known of lower ones, and nobody wants so little
        (100, [200, 200]),
    ],
    ids=["in between", "all", "none"],
)
def test_rates_double_and_then_close_in(limit_rps: float, tried: list[float]) -> None:
    """A rate that fails is tried a second time."""
    trials = list(search(holds_to(limit_rps), most_rps=3_000))
    assert [trial.rate_rps for trial in trials] == tried


def test_a_rate_that_fails_once_may_hold() -> None:
    """The machine may have been busy for a moment."""
    seen: list[float] = []

    def first_time_fails(rate_rps: float) -> Trial:
        seen.append(rate_rps)
        return trial(rate_rps, *(["busy"] if seen.count(rate_rps) == 1 and rate_rps == 400 else []))

    trials = list(search(first_time_fails, most_rps=800))
    assert [(trial.rate_rps, trial.holds) for trial in trials] == [(200, True), (400, False), (400, True), (800, True)]


def test_the_first_rate_is_at_most_the_allowed_rate() -> None:
    """A service may allow only 60/s."""
    assert [trial.rate_rps for trial in search(holds_to(9_999), most_rps=60)] == [60]


def test_the_rate_is_limited_to_the_connected_workers() -> None:
    """One worker holds 8 000/s; a higher rate would wait for a second worker that does not exist."""

    def there(rate_rps: float) -> Trial:
        return replace(trial(rate_rps), hosts=("load-1",))

    trials = list(search(there, most_rps=512_000))
    assert [trial.rate_rps for trial in trials] == [200, 400, 800, 1_600, 3_200, 6_400, 8_000]
    assert within_reach(512_000, trials) == 8_000


def test_the_proposal_has_headroom() -> None:
    """70 % of 1 300/s are 910/s, and each of two workers holds half of 1 300/s."""
    found = Capacity(trials=(trial(800, workers=2), trial(1_300, workers=2), trial(1_600, "saturated")), most_rps=6_000)
    assert (found.best, found.capacity_rps, found.is_targets_limit) == (found.trials[1], 910.0, False)
    assert list(described(found)) == [
        "the highest rate that held is 1300/s, by 2 workers: 650/s per worker",
        "set capacity_rps: 910 in include/scenarios.yaml, 70% of it: requests to a service may cost more than "
        "here, and machines are busier on other nights",
    ]


def test_a_target_at_its_limit_is_reported() -> None:
    """It needed 0.95 cores at the rate that did not hold, so the generators may hold more."""
    found = Capacity(trials=(trial(800), trial(1_600, "some failed", target_cores=0.95)), most_rps=6_000)
    assert found.is_targets_limit
    assert "the answering process was at its limit, not the generators" in "; ".join(described(found))


def test_a_busy_machine_is_reported() -> None:
    """The generators needed 0.14 cores and were late, so they were not at their limit."""
    found = Capacity(trials=(trial(330), trial(360, "late", wanted_cores=0.14)), most_rps=6_000)
    assert (found.is_disturbed, found.is_targets_limit) == (True, False)
    assert "the machine was busy with something else; try again when it is idle" in "; ".join(described(found))
    saturated = Capacity(trials=(trial(330), trial(360, "saturated", wanted_cores=0.9)), most_rps=6_000)
    assert not saturated.is_disturbed


def test_a_search_that_ends_at_its_bound_says_so() -> None:
    """3 000/s is then not the limit of the machines."""
    found = Capacity(trials=(trial(3_000),), most_rps=3_000)
    assert "no rate above 3000/s was tried (--max-rate; 8000/s per worker)" in list(described(found))


def test_nothing_is_proposed_if_no_rate_held() -> None:
    """The reasons are printed with each step."""
    found = Capacity(trials=(trial(200, "saturated"),), most_rps=3_000)
    assert (found.best, found.capacity_rps) == (None, None)
    assert list(described(found)) == ["no rate held; see the reasons above"]


def test_the_hosts_of_the_workers_are_reported() -> None:
    """Each host appears once."""
    found = Capacity(trials=(replace(trial(900, workers=3), hosts=("b", "a", "a")),), most_rps=9_000)
    assert next(described(found)) == "the highest rate that held is 900/s, by 3 workers on a, b: 300/s per worker"


@pytest.mark.parametrize(
    ("rate_rps", "rounded", "down"),
    [(1_131.4, 1_100, 1_100), (1_199, 1_200, 1_100), (910, 910, 910), (99.9, 100, 99), (2_100, 2_100, 2_100)],
)
def test_rates_have_two_digits(rate_rps: float, rounded: float, down: float) -> None:
    """That is the precision of the measurement."""
    assert (two_digits(rate_rps), two_digits(rate_rps, round_down=True)) == (rounded, down)


def test_a_worker_holds_requests_of_which_a_journey_has_several() -> None:
    """500 journeys/s of four requests, by two workers: 1,000 requests/s each."""
    held = replace(trial(500, workers=2), requests_per_arrival=4.0)
    assert Capacity(trials=(held,), most_rps=500, service="orders-service").worker_rps == 1_000
