"""From a request to the specifications of its runs: the deadline of the load, and all problems at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.operations import Operations
from include.perf.catalogue.scenario.schedule import Deadline
from include.perf.model.errors import ConfigurationError
from include.perf.pipeline.planning.request import RunRequest, specs_for
from include.perf.runs.spec import RunSpec
from tests.fakes.clock import START
from tests.fakes.small_catalogue import small_scenario, small_service
from tests.fakes.small_platform import Platform

FRIDAY = START - timedelta(days=3)
NIGHTLY = {"cron": "30 6 * * *", "finish_by": "07:00"}
BEFORE_LONDON = {"before": "london", "minutes": 90}
"""London opens at 08:00 UTC on 2 March 2026, a Monday; with the margin all load must be over by 07:55."""

BURST = [{"at_s": 0, "factor": 3}, {"at_s": 5, "factor": 1, "by": "decay"}]


def catalogue_of(
    platform: Platform, *services: dict[str, Any], operations: Operations | None = None, **scenario: Any
) -> Catalogue:
    """Return the small catalogue with changed services; a change with a new name adds a service."""
    made = [small_service(**changes) for changes in services or ({},)]
    return replace(
        platform.catalogue,
        services={service.name: service for service in made},
        scenarios={"brief": small_scenario(**scenario)},
        operations=operations or Operations(),
    )


def specs(catalogue: Catalogue, *, now: datetime = START, **request: Any) -> list[RunSpec]:
    return specs_for(RunRequest(**({"scenario": "brief"} | request)), catalogue, now=now)


def problems(catalogue: Catalogue, *given: str, **request: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        specs_for(RunRequest(**({"scenario": "brief"} | request)), catalogue, now=START, problems=given)
    return list(caught.value.problems)


# What a run is to be


def test_a_run_has_everything_from_its_request(platform: Platform) -> None:
    """Every field of the request is carried over."""
    catalogue = catalogue_of(platform, {"environment": "qa"})
    (spec,) = specs(
        catalogue,
        rate_rps=8,
        duration_s=20,
        update_baseline=True,
        reason="release 2.4",
        may_rerun=False,
        triggered_by="ana",
        dag_id="brief",
        dag_run_id="manual__1",
    )
    assert spec == RunSpec(
        run_id=spec.run_id,
        service="orders-service",
        scenario="brief",
        environment="qa",
        load=catalogue.scenario("brief").load.model_copy(update={"rate_rps": 8, "duration_s": 20}),
        created_at=START,
        update_baseline=True,
        reason="release 2.4",
        triggered_by="ana",
        may_rerun=False,
        dag_id="brief",
        dag_run_id="manual__1",
    )
    assert spec.run_id.startswith("20260302T063000Z-")


def test_one_run_for_each_service_in_the_order_of_the_catalogue(platform: Platform) -> None:
    """With the same load and different ids; a single run if a service is named, with or without its suffix."""
    catalogue = catalogue_of(platform, {}, {"name": "engine"}, {"name": "rates-service"})
    made = specs(catalogue)
    assert [spec.service for spec in made] == ["orders-service", "engine", "rates-service"]
    assert len({spec.run_id for spec in made}) == 3
    assert len({spec.load.model_dump_json() for spec in made}) == 1
    assert [spec.service for spec in specs(catalogue, service="rates")] == ["rates-service"]


def test_an_empty_reason_is_none(platform: Platform) -> None:
    """The form sends an empty text if nothing was entered."""
    (spec,) = specs(catalogue_of(platform), reason="")
    assert spec.reason is None


# When its load must be over

SEVEN = Deadline(at=START.replace(hour=7, minute=0), occasion="its schedule ends at 07:00 UTC")
OPENING = Deadline(
    at=START.replace(hour=7, minute=55),
    occasion="the London session opens at 08:00 Europe/London (08:00 UTC)",
)

MADE_UP_FOR = Deadline(
    at=START + timedelta(days=1), occasion="the next start of its schedule has come, and only that one is made up for"
)


@pytest.mark.parametrize(
    ("schedule", "due_at", "now", "deadline"),
    [
        (NIGHTLY, START, START, SEVEN),
        (NIGHTLY, START, START + timedelta(hours=3), SEVEN),  # it waited: what is past stays past
        (NIGHTLY, None, START, None),  # a person's run is bound by no clock
        ({"cron": "30 6 * * *"}, START, START, None),
        (BEFORE_LONDON, START, START, OPENING),
        (BEFORE_LONDON, None, START, OPENING),  # the market opens for everybody
        (BEFORE_LONDON, START, START + timedelta(hours=3), OPENING),
        # at 09:30 a person means the next opening, on Tuesday
        (BEFORE_LONDON, None, START + timedelta(hours=3), replace(OPENING, at=OPENING.at + timedelta(days=1))),
        (BEFORE_LONDON, FRIDAY, START, replace(OPENING, at=OPENING.at - timedelta(days=3))),
        # the scheduler was away over two starts, and Airflow creates a run for each: only the second may send load
        ({"cron": "30 6 * * *"}, START, START + timedelta(hours=23), None),
        ({"cron": "30 6 * * *"}, START, START + timedelta(hours=24), MADE_UP_FOR),
        ({"cron": "30 6 * * *"}, START + timedelta(hours=24), START + timedelta(hours=24), None),
        (NIGHTLY, START, START + timedelta(hours=24), SEVEN),  # its own deadline is earlier
        (None, START, START, None),
        (None, None, START, None),
    ],
)
def test_when_load_must_be_over(
    platform: Platform,
    schedule: dict[str, Any] | None,
    due_at: datetime | None,
    now: datetime,
    deadline: Deadline | None,
) -> None:
    """A schedule limits its own runs, from the time when they were due; an opening limits every run."""
    (spec,) = specs(catalogue_of(platform, schedule=schedule), due_at=due_at, now=now)
    assert spec.deadline == deadline


def test_every_service_of_a_night_has_the_same_deadline(platform: Platform) -> None:
    """The order of the services does not matter."""
    catalogue = catalogue_of(platform, {}, {"name": "engine"}, schedule=NIGHTLY)
    assert [spec.deadline for spec in specs(catalogue, due_at=START)] == [SEVEN, SEVEN]


def test_a_deadline_follows_the_clocks(platform: Platform) -> None:
    """In summer London opens at 07:00 UTC."""
    summer = datetime(2026, 7, 6, 5, 0, tzinfo=UTC)
    (spec,) = specs(catalogue_of(platform, schedule=BEFORE_LONDON), now=summer)
    assert spec.deadline == Deadline(
        at=datetime(2026, 7, 6, 6, 55, tzinfo=UTC),
        occasion="the London session opens at 08:00 Europe/London (07:00 UTC)",
    )


# What is wrong with it

NO_REASON = "update_baseline needs a reason; it is stored with the baseline"


def too_much(peak: str, capacity: str) -> str:
    return (
        f"the peak rate of {peak}/s is more than the {capacity}/s that the load generators send together; lower it, "
        "or raise capacity_rps in scenarios.yaml if the machines can send that much"
    )


def beyond(peak: str, service: str, ceiling: str) -> str:
    return (
        f"the peak rate of {peak}/s exceeds the {ceiling}/s that {service} may receive; lower it, or leave the service "
        "out of the scenario's services (max_rate_rps in services.yaml)"
    )


def test_all_problems_are_reported_at_once(platform: Platform) -> None:
    """Those of the request, those found before, the capacity, and the ceiling of each service."""
    catalogue = catalogue_of(
        platform, {"max_rate_rps": 30}, {"name": "engine"}, {"name": "rates-service", "max_rate_rps": 49.5}
    )
    assert problems(catalogue, "b.json is broken", rate_rps=700, update_baseline=True) == [
        NO_REASON,
        "b.json is broken",
        too_much("700", "600"),
        beyond("700", "orders-service", "30"),
        beyond("700", "rates-service", "49.5"),
    ]


def test_an_invalid_load_does_not_hide_an_unknown_service(platform: Platform) -> None:
    """Ceilings are not checked without a load."""
    found = problems(catalogue_of(platform), rate_rps=0.01, service="ordres")
    assert found == [
        "rate_rps: should be greater than or equal to 0.1, but is 0.01",
        "service 'ordres' is not in the catalogue; known: orders-service",
    ]


def test_problems_that_were_found_before_are_raised(platform: Platform) -> None:
    """Nothing is planned on unreadable baselines."""
    assert problems(catalogue_of(platform), "b.json is broken") == ["b.json is broken"]


@pytest.mark.parametrize("rate_rps", [40, 40.5])
def test_the_capacity_of_the_generators_is_a_limit(platform: Platform, rate_rps: float) -> None:
    """All of it may be requested, but no more."""
    catalogue = catalogue_of(platform, operations=Operations(capacity_rps=40))
    if rate_rps <= 40:
        assert specs(catalogue, rate_rps=rate_rps)[0].load.rate_rps == rate_rps
    else:
        assert problems(catalogue, rate_rps=rate_rps) == [too_much("40.5", "40")]


def test_the_peak_rate_counts(platform: Platform) -> None:
    """20/s are within 50/s, three times that is not."""
    load = {"rate_rps": 10, "duration_s": 10, "warmup_s": 5, "profile": BURST}
    catalogue = catalogue_of(platform, {"max_rate_rps": 50}, operations=Operations(capacity_rps=55), load=load)
    assert specs(catalogue)[0].load.peak_rate_rps == 30
    assert problems(catalogue, rate_rps=20) == [too_much("60", "55"), beyond("60", "orders-service", "50")]


def test_the_ceilings_of_other_services_do_not_matter(platform: Platform) -> None:
    """A request for one service is checked against that service."""
    catalogue = catalogue_of(platform, {}, {"name": "engine", "max_rate_rps": 30})
    assert [spec.service for spec in specs(catalogue, service="orders")] == ["orders-service"]
    assert problems(catalogue, service="engine") == [beyond("40", "engine", "30")]
