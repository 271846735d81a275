"""A dry run: it shows what the real schedule would send, and sends nothing."""

from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.load.schedule import schedule
from include.perf.catalogue.operations import Operations
from include.perf.load.staging import build_feed
from include.perf.model.errors import ConfigurationError
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.previews import PlannedEndpoint, PlannedLoad, preview
from include.perf.runs.stage_files import StageFiles
from tests.fakes.clock import START
from tests.fakes.small_catalogue import small_scenario, small_service
from tests.fakes.small_platform import Platform

LONGEST_S = 25  # 5 s of warm-up, 10 s measured, and the 10 s in which the last answer may come
RUN_S = 85  # and a minute beside it until the next one's turn
NAMES = ("orders-service", "rates-service", "risk-service")
BURST = [{"at_s": 0, "factor": 3}, {"at_s": 5, "factor": 1, "by": "decay"}]
BEFORE_LONDON = {"before": "london", "minutes": 90}
"""London opens at 08:00 UTC on 2 March 2026, a Monday; with the margin all load must be over by 07:55."""

WEIGHTED: list[dict[str, Any]] = [
    {"name": "place", "method": "POST", "path": "/orders", "weight": 4, "body": {"price": "$price"}},
    {"name": "positions", "method": "GET", "path": "/positions", "weight": 3, "query": {"instrument": "$instrument"}},
    {"name": "state", "method": "GET", "path": "/state"},
]


def asked(**request: Any) -> RunRequest:
    return RunRequest(**({"scenario": "brief"} | request))


def previewed(platform: Platform, **request: Any) -> list[PlannedLoad]:
    return preview([asked(**request)], platform.outside)


def with_services(platform: Platform, *names: str, **scenario: Any) -> None:
    """Give the platform several equal services, and change its scenario."""
    services = {name: small_service(name=name) for name in names}
    platform.catalogue = replace(platform.catalogue, services=services, scenarios={"brief": small_scenario(**scenario)})


def assert_nothing_was_sent(platform: Platform) -> None:
    """Only names were resolved, and nothing is stored."""
    target = platform.target
    assert (target.asked, target.checks, target.sent) == ([], [], [])
    assert (platform.generator.orders, platform.reservations.claims) == ([], [])
    assert (platform.metrics.asked, platform.clock.waits_s) == ([], [])
    assert platform.store.runs_by_uri == {}


# What would be sent


@pytest.mark.parametrize(
    ("load", "requests"),
    [
        ({"rate_rps": 40}, 600),  # (5 + 10) s × 40/s
        ({"rate_rps": 40, "ramp_s": 5}, 500),  # half of it in the ramp
        ({"rate_rps": 7.3}, None),
        ({"rate_rps": 40, "arrivals": "poisson"}, 600),
        ({"rate_rps": 1000, "profile": BURST, "workers": 2}, None),
        ({"rate_rps": 0.3}, None),
        ({"rate_rps": 40, "warmup_s": 0}, 400),
    ],
)
def test_a_dry_run_shows_what_the_real_schedule_sends(
    platform: Platform, load: dict[str, Any], requests: int | None
) -> None:
    """The requests by endpoint, and the different ones among them, counted arrival by arrival."""
    service = small_service(endpoints=WEIGHTED)
    scenario = small_scenario(load={"duration_s": 10, "warmup_s": 5} | load)
    platform.catalogue = replace(
        platform.catalogue,
        services={service.name: service},
        scenarios={scenario.name: scenario},
        operations=Operations(capacity_rps=3000),
    )
    (planned,) = previewed(platform)
    feed = build_feed(platform.catalogue.data_path(scenario), service, scenario.load)
    dues = list(schedule(scenario.load, [4, 3, 1]))
    by_endpoint = Counter(due.endpoint for due in dues)
    different = {(due.endpoint, due.ordinal % feed.endpoints[due.endpoint].rows) for due in dues}
    assert [(endpoint.name, endpoint.requests, endpoint.rows) for endpoint in planned.endpoints] == [
        (endpoint.name, by_endpoint[index], sum(1 for number, _ in different if number == index))
        for index, endpoint in enumerate(service.endpoints)
    ]
    assert planned.requests == len(dues) == scenario.load.total_arrivals
    assert requests in (None, planned.requests)


def test_the_first_request_of_each_endpoint_is_shown(platform: Platform) -> None:
    """As sent over the wire, and as `stage_data` makes it."""
    (planned,) = previewed(platform)
    service, scenario = small_service(), small_scenario()
    feed = build_feed(platform.catalogue.data_path(scenario), service, scenario.load)
    place, positions = (requests[0] for requests in feed.requests)
    assert place.body is not None
    # half of 200 and of 400 each; 80 bars of the data have 50 with a whole history
    assert planned.endpoints == (
        PlannedEndpoint(name="place", method="POST", requests=300, rows=50, example=("/orders", place.body.decode())),
        PlannedEndpoint(name="positions", method="GET", requests=300, rows=50, example=(positions.target, None)),
    )
    assert positions.target == "/positions?instrument=EUR_USD"


def test_a_load_has_a_target_a_time_and_a_size(platform: Platform) -> None:
    """They are what a person needs to decide."""
    (planned,) = previewed(platform, rate_rps=8, duration_s=20)
    assert replace(planned, endpoints=()) == PlannedLoad(
        service="orders-service",
        scenario="brief",
        environment="staging",
        base_url="http://orders-service:8000",
        addresses=("10.0.0.7",),
        starts_at=START,
        ends_at=START + timedelta(seconds=35),  # 5 + 20 + 10
        load="8/s for 20 s after 5 s of warm-up",
        endpoints=(),
        refused=(),
    )
    assert planned.requests == 200
    assert_nothing_was_sent(platform)


def test_a_dry_run_matches_the_plan_of_the_same_request(platform: Platform) -> None:
    """The same services in the same order, under the same load."""
    with_services(platform, *NAMES)
    request = asked(rate_rps=12.5, duration_s=20)
    previewed = preview([request], platform.outside)
    specs = [StageFiles(platform.store, uri).read_spec() for uri in platform.night_stages.plan(request)]
    assert [(load.service, load.requests) for load in previewed] == [
        (spec.service, spec.load.total_arrivals) for spec in specs
    ]


def test_a_wrong_request_is_refused_as_by_the_plan(platform: Platform) -> None:
    """With everything that is wrong with it."""
    wrong = asked(service="ordres", rate_rps=0)
    with pytest.raises(ConfigurationError) as by_plan:
        platform.night_stages.plan(wrong)
    with pytest.raises(ConfigurationError) as by_preview:
        preview([wrong], platform.outside)
    assert by_preview.value.problems == by_plan.value.problems
    assert len(by_preview.value.problems) == 2


# When


def starts(loads: list[PlannedLoad]) -> dict[str, float]:
    """Return after how many seconds each load starts."""
    return {load.service: (load.starts_at - START).total_seconds() for load in loads}


@pytest.mark.parametrize(
    ("parallel", "seconds"),
    [(1, (0, RUN_S, 2 * RUN_S)), (2, (0, 0, RUN_S)), (3, (0, 0, 0)), (8, (0, 0, 0))],
)
def test_loads_begin_one_after_another_or_in_parallel(
    platform: Platform, parallel: int, seconds: tuple[int, ...]
) -> None:
    """As many at once as the scenario allows; each one counts with its longest time."""
    with_services(platform, *NAMES, parallel=parallel)
    loads = previewed(platform)
    assert starts(loads) == dict(zip(NAMES, seconds, strict=True))
    assert {load.ends_at - load.starts_at for load in loads} == {timedelta(seconds=LONGEST_S)}


def test_requests_follow_one_another(platform: Platform) -> None:
    """A scenario begins when the last load of the scenario before is over."""
    with_services(platform, *NAMES[:2], parallel=2)
    platform.catalogue = replace(
        platform.catalogue,
        scenarios={name: small_scenario(name=name, parallel=2) for name in ("brief", "other")},
    )
    loads = preview([asked(), asked(scenario="other")], platform.outside)
    assert [(load.scenario, (load.starts_at - START).total_seconds()) for load in loads] == [
        ("brief", 0),
        ("brief", 0),
        ("other", RUN_S),
        ("other", RUN_S),
    ]


def test_no_request_is_no_load(platform: Platform) -> None:
    """The result is empty."""
    assert preview([], platform.outside) == []


# What would be refused


def test_a_load_that_comes_too_late_is_refused(platform: Platform) -> None:
    """By its own start, not by the present: two loads of an hour do not both fit before London opens."""
    with_services(platform, *NAMES[:2], schedule=BEFORE_LONDON)
    first, second = previewed(platform, duration_s=3600)
    assert first.refused == ()
    assert second.starts_at == START + timedelta(seconds=3600 + 75)
    assert second.refused == (
        "it is too late: the London session opens at 08:00 Europe/London (08:00 UTC); the load takes 1:00:15, must be "
        f"over by 2026-03-02 07:55:00 UTC, and would start at {datetime(2026, 3, 2, 7, 31, 15)} UTC",  # noqa: DTZ001
    )
    assert (second.addresses, second.requests) == (("10.0.0.7",), 40 * 3605)


def test_all_reasons_are_reported_at_once(platform: Platform) -> None:
    """A halt, a name without an address, and unusable data are one sentence each."""
    platform.halt_reason = "load is halted by ana: release"
    del platform.resolve.answers["orders-service"]
    path = platform.catalogue.data_path(small_scenario())
    path.write_text(path.read_text(encoding="utf-8").replace("EUR_USD", "euro", 2), encoding="utf-8")
    (planned,) = previewed(platform)
    wrong = "instrument must look like EUR_USD or SPX500_USD, but is 'euro'; correct or remove the row"
    halted, unknown, *broken = planned.refused
    assert halted == "load is halted by ana: release"
    assert unknown.startswith("orders-service")
    assert "cannot be resolved (Name or service not known)" in unknown
    assert broken == [f"{path} line 2: {wrong}", f"{path} line 3: {wrong}"]
    assert (planned.addresses, planned.endpoints, planned.requests) == ((), (), 0)
    assert_nothing_was_sent(platform)


def test_production_is_refused_while_the_market_is_open(platform: Platform) -> None:
    """It is previewed nevertheless."""
    service = small_service(environment="live", allow_production=True, max_rate_rps=50)
    platform.catalogue = replace(platform.catalogue, services={service.name: service})
    (planned,) = previewed(platform)
    (reason,) = planned.refused
    assert "market" in reason
    assert planned.requests == 600
    platform.clock.now = START + timedelta(days=5)
    assert previewed(platform)[0].refused == ()


def test_a_refused_load_does_not_hide_the_others(platform: Platform) -> None:
    """Each service is checked separately."""
    with_services(platform, *NAMES[:2])
    services = dict(platform.catalogue.services)
    services["rates-service"] = small_service(
        name="rates-service", base_url="http://rates-service:8000", allowed_hosts=["rates-service"]
    )
    platform.catalogue = replace(platform.catalogue, services=services)
    good, refused = previewed(platform)
    assert (good.refused, good.addresses) == ((), ("10.0.0.7",))
    assert len(refused.refused) == 1
    assert refused.requests == good.requests


def test_the_steps_of_a_journey_are_shown_with_the_names_of_captured_variables(platform: Platform) -> None:
    """Each is sent once a journey; its values are not known yet."""
    quote = {"name": "quote", "method": "GET", "path": "/quotes", "capture": {"quote_id": {"json": "id"}}}
    place = {"name": "place", "method": "POST", "path": "/orders/$quote_id", "body": {"id": "$quote_id", "n": 1}}
    life = {"name": "life", "steps": [quote, place]}
    platform.catalogue = replace(platform.catalogue, services={"orders-service": small_service(endpoints=[life])})
    (load,) = previewed(platform)
    assert load.refused == ()
    assert [(endpoint.name, endpoint.requests) for endpoint in load.endpoints] == [
        ("life/quote", 600),
        ("life/place", 600),
    ]
    assert load.endpoints[1].example == ("/orders/<quote_id>", '{"id":"<quote_id>","n":1}')
    assert load.requests == 1200
