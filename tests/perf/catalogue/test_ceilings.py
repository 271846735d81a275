"""The most that may be sent: at the limit it may, beyond it is told what to do."""

import pytest

from include.perf.catalogue.operations import Operations, problems_of_capacity, problems_of_ceiling
from include.perf.catalogue.scenario.load_profile import LoadProfile
from tests.fakes.small_catalogue import small_service


def load_of(peak: float, *, factor: float = 1) -> LoadProfile:
    """Return a load with a peak, which its profile reaches after half of it."""
    profile = [{"at_s": 0, "factor": 1}, {"at_s": 5, "factor": factor}, {"at_s": 10, "factor": 1}]
    return LoadProfile.model_validate(
        {"rate_rps": peak / factor, "duration_s": 10, "warmup_s": 0, "profile": profile if factor != 1 else ()}
    )


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize(("capacity", "peak"), [(600, 600), (600, 0.4), (0.5, 0.5), (24_000, 24_000)])
def test_all_of_the_capacity_may_be_used(capacity: float, peak: float, factor: float) -> None:
    """By one load alone; a profile counts with its peak."""
    assert list(problems_of_capacity(load_of(peak, factor=factor), Operations(capacity_rps=capacity))) == []


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize(
    ("capacity", "peak", "told"),
    [(600, 602, "602/s is more than the 600/s"), (0.5, 0.6, "0.6/s is more than the 0.5/s")],
)
def test_more_than_the_capacity_could_never_be_sent(capacity: float, peak: float, told: str, factor: float) -> None:
    """The load would wait for ever: what to lower, or to raise."""
    load = load_of(peak, factor=factor)
    assert list(problems_of_capacity(load, Operations(capacity_rps=capacity))) == [
        f"the peak rate of {told} that the load generators send together; lower it, or raise capacity_rps in "
        "scenarios.yaml if the machines can send that much"
    ]


@pytest.mark.parametrize("ceiling", [None, 50, 50.5])
def test_a_service_may_get_what_it_can_bear(ceiling: float | None) -> None:
    """No ceiling, or one that is not passed."""
    assert list(problems_of_ceiling(load_of(50), small_service(max_rate_rps=ceiling))) == []


@pytest.mark.parametrize("factor", [1, 2])
def test_a_service_gets_no_more_than_it_can_bear(factor: float) -> None:
    """The service is named, since a load is for several."""
    assert list(problems_of_ceiling(load_of(50.5, factor=factor), small_service(max_rate_rps=50))) == [
        "the peak rate of 50.5/s exceeds the 50/s that orders-service may receive; lower it, or leave the service out "
        "of the scenario's services (max_rate_rps in services.yaml)"
    ]
