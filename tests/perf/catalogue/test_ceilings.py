"""Maximum rates: a load may reach them, and the message about a higher one contains the remedy."""

import pytest

from include.perf.catalogue.operations import Operations, problems_of_capacity, problems_of_ceiling
from include.perf.catalogue.scenario.load_profile import LoadProfile
from tests.fakes.small_catalogue import small_service


def load_of(peak: float, *, factor: float = 1) -> LoadProfile:
    """Return a load whose profile reaches the peak in the middle."""
    profile = [{"at_s": 0, "factor": 1}, {"at_s": 5, "factor": factor}, {"at_s": 10, "factor": 1}]
    return LoadProfile.model_validate(
        {"rate_rps": peak / factor, "duration_s": 10, "warmup_s": 0, "profile": profile if factor != 1 else ()}
    )


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize(("capacity", "peak"), [(600, 600), (600, 0.4), (0.5, 0.5), (24_000, 24_000)])
def test_a_load_may_use_the_full_capacity(capacity: float, peak: float, factor: float) -> None:
    """The peak of a profile counts."""
    assert list(problems_of_capacity(load_of(peak, factor=factor), Operations(capacity_rps=capacity))) == []


@pytest.mark.parametrize("factor", [1, 4])
@pytest.mark.parametrize(
    ("capacity", "peak", "beyond"),
    [(600, 602, "602/s is more than the 600/s"), (0.5, 0.6, "0.6/s is more than the 0.5/s")],
)
def test_a_load_beyond_the_capacity_is_refused(capacity: float, peak: float, beyond: str, factor: float) -> None:
    """It would wait forever; the message says what to lower or raise."""
    load = load_of(peak, factor=factor)
    assert list(problems_of_capacity(load, Operations(capacity_rps=capacity))) == [
        f"the peak rate of {beyond} that the load generators send together; lower it, or raise capacity_rps in "
        "scenarios.yaml if the machines can send that much"
    ]


@pytest.mark.parametrize("ceiling", [None, 50, 50.5])
def test_a_load_may_reach_the_maximum_of_a_service(ceiling: float | None) -> None:
    """There may also be no maximum."""
    assert list(problems_of_ceiling(load_of(50), small_service(max_rate_rps=ceiling))) == []


@pytest.mark.parametrize("factor", [1, 2])
def test_a_load_beyond_the_maximum_of_a_service_is_refused(factor: float) -> None:
    """The message contains the service, because a load is for several."""
    assert list(problems_of_ceiling(load_of(50.5, factor=factor), small_service(max_rate_rps=50))) == [
        "the peak rate of 50.5/s exceeds the 50/s that orders-service may receive; lower it, or leave the service out "
        "of the scenario's services (max_rate_rps in services.yaml)"
    ]
