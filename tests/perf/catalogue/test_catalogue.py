"""The catalogue: the shipped files, and how entries are combined."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.model.errors import CatalogueError
from include.perf.pipeline.planning.time_plan import time_plan
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """Two services, one with the suffix and one without; two scenarios, one of them for one service only."""
    return load_catalogue(catalogue_folder(tmp_path))


SHIPPED_ENDPOINTS = {
    "analysis-engine-service": [
        "POST /api/v1/analysis/market",
        "POST /api/v1/analysis/patterns",
        "POST /api/v1/analysis/signals",
        "POST /api/v1/analysis/regime",
    ],
    "trading-gateway-service": [
        "POST /api/v1/orders",
        "GET /api/v1/positions",
        "GET /api/v1/executions",
        "GET /api/v1/market-data",
    ],
    "feature-store-service": [
        "POST /api/v1/features",
        "GET /api/v1/feature-sets",
        "GET /api/v1/data-sources",
        "POST /api/v1/calculations",
    ],
    "ml-integration-service": [
        "GET /api/v1/models",
        "POST /api/v1/predictions",
        "POST /api/v1/training",
        "POST /api/v1/evaluation",
    ],
    "strategy-execution-engine": [
        "GET /api/v1/strategies",
        "POST /api/v1/backtests",
        "POST /api/v1/executions",
        "GET /api/v1/performance",
    ],
    "data-pipeline-service": [
        "GET /api/v1/pipelines",
        "GET /api/v1/data-sources",
        "GET /api/v1/transformations",
        "POST /api/v1/jobs",
    ],
}
WINDOW_FIELDS = {
    "instrument": "$instrument",
    "timeframe": "$timeframe",
    "start_time": "$start_time",
    "end_time": "$end_time",
}
SHIPPED_BODIES = {
    ("trading-gateway-service", "orders"): {
        name: f"${name}" for name in ("instrument", "order_type", "side", "quantity", "price", "time_in_force")
    },
    ("ml-integration-service", "predictions"): {
        "model_id": "momentum-logit",
        "features": {name: f"${name}" for name in ("price_momentum", "volume_trend", "volatility")},
    },
    ("strategy-execution-engine", "backtests"): WINDOW_FIELDS
    | {"strategy_id": "sma-crossover", "initial_capital": 100_000},
    ("data-pipeline-service", "jobs"): {"pipeline_id": "returns", "parameters": WINDOW_FIELDS},
    ("analysis-engine-service", "regime"): WINDOW_FIELDS,
}


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    """The catalogue of the repository."""
    return load_catalogue(Path(__file__).parents[3] / "include")


def test_the_cells_of_a_catalogue(catalogue: Catalogue) -> None:
    """Each service in the scenarios that load it, in the order of the files."""
    assert [(cell.service, cell.scenario) for cell in catalogue.cells()] == [
        ("orders-service", "calm"),
        ("engine", "calm"),
        ("engine", "storm"),
    ]


def test_the_shipped_services(shipped: Catalogue) -> None:
    """Six services with 24 endpoints, each at port 8000 of a host with the service's name."""
    found = {
        service.name: [f"{endpoint.method} {endpoint.path}" for endpoint in service.endpoints]
        for service in shipped.services.values()
    }
    assert found == SHIPPED_ENDPOINTS
    assert sum(map(len, found.values())) == 24
    for service in shipped.services.values():
        assert (service.base_url, service.allowed_hosts) == (f"http://{service.name}:8000", (service.name,))
        assert (service.environment, service.allow_production) == ("staging", False)
        assert service.prometheus.selector == f'service="{service.name}",environment="staging"'


@pytest.mark.parametrize(("service", "endpoint"), SHIPPED_BODIES)
def test_the_shipped_payloads(shipped: Catalogue, service: str, endpoint: str) -> None:
    """Orders, predictions, backtests, jobs and windows have the platform's fields."""
    (found,) = [known for known in shipped.services[service].endpoints if known.name == endpoint]
    assert found.body == SHIPPED_BODIES[service, endpoint]


def test_the_shipped_scenarios(shipped: Catalogue) -> None:
    """Four scenarios for every service, with their rates and durations."""
    assert {
        name: (scenario.load.rate_rps, scenario.load.duration_s, str(scenario.data), scenario.services)
        for name, scenario in shipped.scenarios.items()
    } == {
        "normal_trading": (100, 30 * 60, "data/normal_trading_data.csv", ()),
        "market_open": (500, 15 * 60, "data/market_open_data.csv", ()),
        "high_volatility": (300, 30 * 60, "data/high_volatility_data.csv", ()),
        "overnight_processing": (50, 60 * 60, "data/overnight_processing_data.csv", ()),
    }
    assert {scenario.load.warmup_s for scenario in shipped.scenarios.values()} == {60}
    assert {name: scenario.parallel for name, scenario in shipped.scenarios.items() if scenario.parallel > 1} == {
        "overnight_processing": 4
    }


def test_the_shipped_schedules(shipped: Catalogue) -> None:
    """They use London time, so that daylight saving time moves a run with the market."""
    assert {scenario.schedule.zone(shipped.market_hours) for scenario in shipped.scenarios.values()} == {
        "Europe/London"
    }
    assert {name: scenario.schedule.description for name, scenario in shipped.scenarios.items()} == {
        "normal_trading": "cron `0 5 * * 6` in Europe/London, all load over by 13:00",
        "market_open": "250 min before the London open, weekdays, all load over 5 min before it",
        "high_volatility": "cron `0 5 * * 0` in Europe/London, all load over by 13:00",
        "overnight_processing": "cron `0 22 * * *` in Europe/London, all load over by 03:45",
    }


def test_the_shipped_schedules_do_not_overlap(shipped: Catalogue) -> None:
    """Over two years, every night ends before the next begins, and is long enough even when the clocks change."""
    hours, end = shipped.market_hours, datetime(2028, 1, 1, tzinfo=UTC)
    nights = []
    for scenario in shipped.scenarios.values():
        plan = time_plan(scenario, shipped)
        start = datetime(2026, 1, 1, tzinfo=UTC)
        while (start := scenario.schedule.next_start(start, hours)) < end:
            deadline = scenario.schedule.deadline(start, hours).at
            assert deadline - start >= plan.needed + plan.reruns_needed
            nights.append((start, deadline))
    nights.sort()
    assert len(nights) == 730 + 519 + 2 * 104  # each night, each weekday but three holidays, each Saturday and Sunday
    assert all(deadline <= start for (_, deadline), (start, _) in pairwise(nights))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("orders-service", "orders-service"),
        ("orders", "orders-service"),
        ("engine", "engine"),
        ("engine-service", "engine"),
    ],
)
def test_names_with_and_without_the_suffix(catalogue: Catalogue, given: str, name: str) -> None:
    """Both are accepted, regardless of the name in the file."""
    assert catalogue.service(given).name == name


def test_an_exact_name_takes_precedence_over_a_short_one(tmp_path: Path) -> None:
    """If both exist, the named service is used, in either order of the file."""
    head, _, entry = SERVICES.partition("  orders-service:\n")
    orders, _, _ = entry.partition("  engine:\n")
    for names in (("orders", "orders-service"), ("orders-service", "orders")):
        text = head + "".join(f"  {name}:\n{orders}" for name in names)
        (tmp_path / names[0]).mkdir()
        scenarios = SCENARIOS.replace("services: [engine]", "services: [orders-service]")
        both = load_catalogue(catalogue_folder(tmp_path / names[0], services=text, scenarios=scenarios))
        assert [both.service(name).name for name in ("orders", "orders-service")] == ["orders", "orders-service"]
        assert [service.name for service in both.services_of(both.scenario("storm"))] == ["orders-service"]


@pytest.mark.parametrize("name", ["order", "", "ORDERS", "orders-service-service", "all"])
def test_an_unknown_service_is_reported_with_the_known_ones(catalogue: Catalogue, name: str) -> None:
    """Nobody has to look into the file."""
    with pytest.raises(CatalogueError) as caught:
        catalogue.service(name)
    assert str(caught.value) == f"service {name!r} is not in the catalogue; known: orders-service, engine"


def test_an_unknown_scenario_is_reported_with_the_known_ones(catalogue: Catalogue) -> None:
    """The message is like that for services."""
    with pytest.raises(CatalogueError, match=r"^scenario 'clam' is not in the catalogue; known: calm, storm$"):
        catalogue.scenario("clam")


def test_services_of_a_scenario(catalogue: Catalogue) -> None:
    """``all`` means every service of the scenario; other services are refused."""
    calm, storm = catalogue.scenario("calm"), catalogue.scenario("storm")
    assert [known.name for known in catalogue.services_of(calm)] == ["orders-service", "engine"]
    assert [known.name for known in catalogue.services_of(calm, "orders")] == ["orders-service"]
    assert [known.name for known in catalogue.services_of(storm)] == ["engine"]
    with pytest.raises(CatalogueError, match=r"^scenario 'storm' does not load 'orders-service'; it loads engine$"):
        catalogue.services_of(storm, "orders")


def test_accepted_names(catalogue: Catalogue) -> None:
    """The values in a form: all, the names, then the short names that differ."""
    assert catalogue.accepted_names(catalogue.scenario("calm")) == ["all", "orders-service", "engine", "orders"]
    assert catalogue.accepted_names(catalogue.scenario("storm")) == ["all", "engine"]


def test_a_scenario_may_use_either_name_and_loads_a_service_once(tmp_path: Path) -> None:
    """Short names work in the file, too; a repeated service is one run."""
    scenarios = SCENARIOS.replace("services: [engine]", "services: [orders, engine-service, orders-service]")
    catalogue = load_catalogue(catalogue_folder(tmp_path, scenarios=scenarios))
    assert [known.name for known in catalogue.services_of(catalogue.scenario("storm"))] == [
        "orders-service",
        "engine",
    ]


def test_defaults_are_merged_deeply(catalogue: Catalogue) -> None:
    """A service's own settings take precedence, each on its own; the others come from the defaults."""
    orders, engine = (catalogue.service(name).prometheus for name in ("orders", "engine"))
    assert (orders.selector, orders.scrape_interval_s) == ('service="orders"', 5)
    assert (engine.selector, engine.scrape_interval_s) == ('service="engine"', 15)
    assert engine.query("disk_usage", window="60s") == 'avg_over_time(disk{service="engine"}[60s])'
    assert engine.query("cpu_usage", window="60s") == 'sum(rate(process_cpu_seconds_total{service="engine"}[60s]))'
    calm, storm = (catalogue.scenario(name).load for name in ("calm", "storm"))
    assert (calm.rate_rps, calm.warmup_s) == (10, 30)
    assert (storm.rate_rps, storm.warmup_s) == (100, 5)


def test_lists_of_the_defaults_are_replaced(tmp_path: Path) -> None:
    """A list is one setting: the default allowed hosts are not added to a service's own."""
    services = SERVICES.replace("defaults:\n", "defaults:\n  allowed_hosts: [shared]\n")
    assert load_catalogue(catalogue_folder(tmp_path, services=services)).service("engine").allowed_hosts == (
        "engine.example",
    )


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    """YAML's own ways to avoid repetition work, and overriding a merged key is not a duplicate."""
    services = """\
schema_version: 1
services:
  orders-service:
    base_url: http://orders-service:8000
    allowed_hosts: &hosts [orders-service]
    prometheus: &watched {selector: x, scrape_interval_s: 5}
    endpoints:
      - {name: one, method: POST, path: /a, body: &order {side: $side, price: $price}}
      - {name: two, method: POST, path: /b, body: &limit {<<: *order, price: $close}}
      - {name: three, method: POST, path: /c, body: {<<: *limit, side: buy, note: {<<: *limit}}}
  engine: &engine
    base_url: http://orders-service:8000
    allowed_hosts: *hosts
    prometheus: {<<: *watched, scrape_interval_s: 1}
    endpoints:
      - {name: one, method: POST, path: /a, body: *limit}
  copy: {<<: *engine, description: "As engine"}
"""
    catalogue = load_catalogue(catalogue_folder(tmp_path, services=services))
    bodies = [endpoint.body for endpoint in catalogue.service("orders").endpoints]
    assert bodies == [
        {"side": "$side", "price": "$price"},
        {"side": "$side", "price": "$close"},
        {"side": "buy", "price": "$close", "note": {"side": "$side", "price": "$close"}},
    ]
    assert catalogue.service("engine").endpoints[0].body == bodies[1]
    assert catalogue.service("copy").prometheus.scrape_interval_s == 1


def test_a_merge_from_a_deeper_mapping_is_not_a_duplicate(tmp_path: Path) -> None:
    """PyYAML resolves a merge before the mapping it refers to; the overridden key is still not a duplicate."""
    services = SERVICES.replace(
        "body: {price: $price}",
        "body: {outer: {inner: &inner {<<: &base {side: $side, price: $price}, price: $close}}}",
    ).replace(
        "prometheus: {selector: 'service=\"engine\"', scrape_interval_s: 15}",
        "prometheus: {selector: x}\n    headers: {<<: *inner, side: buy}\n    allowed_headers: [side, price]",
    )
    assert load_catalogue(catalogue_folder(tmp_path, services=services)).service("engine").headers == {
        "side": "buy",
        "price": "$close",
    }


def test_how_a_service_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Headers, credentials, TLS, connections and responses; a bundle's path is relative to the catalogue's folder."""
    settings = """
    headers: {X-Caller: bellwether}
    connection: engine_api
    ca_file: tls/ca.pem
    keep_alive: false
    timeout_s: 5
    connect_timeout_s: 5"""
    expect = "path: /state, expect: {status: 200, json: {state: [up, 1]}, has: [since]}}"
    services = SERVICES.replace("[engine.example]", f"[engine.example]{settings}").replace("path: /state}", expect)
    folder = catalogue_folder(tmp_path, services=services)
    (folder / "tls").mkdir()
    (folder / "tls" / "ca.pem").write_text("# ours\n-----BEGIN CERTIFICATE-----\n")
    monkeypatch.chdir(tmp_path)
    engine = load_catalogue(Path()).service("engine")
    assert engine.ca_file == tmp_path / "tls" / "ca.pem"
    assert (engine.headers, engine.connection) == ({"X-Caller": "bellwether"}, "engine_api")
    assert (engine.keep_alive, engine.timeout_s, engine.connect_timeout_s) == (False, 5, 5)
    expected = engine.endpoints[0].expect
    assert expected is not None
    assert (expected.status, expected.fields, expected.has) == ((200,), {"state": ("up", 1)}, ("since",))


def test_default_settings_of_a_service(catalogue: Catalogue) -> None:
    """Connections are reused, certificates are verified, no caller is named, and any success is correct."""
    for service in catalogue.services.values():
        assert (service.keep_alive, service.verify_tls, service.ca_file) == (True, True, None)
        assert (service.timeout_s, service.connect_timeout_s) == (10, None)
        assert (service.headers, service.connection) == ({}, None)
        assert [endpoint.expect for endpoint in service.endpoints] == [None]


@pytest.mark.parametrize("given", ["off", "'off'", "null", "~", "false"])
def test_a_scenario_for_manual_runs_only(tmp_path: Path, given: str) -> None:
    """Every spelling of ``off`` in YAML works, even with a schedule in the defaults."""
    scenarios = SCENARIOS.replace('{cron: "0 2 * * 6", timezone: Europe/London}', given).replace(
        "defaults:\n", "defaults:\n  schedule: {before: tokyo, minutes: 60}\n"
    )
    catalogue = load_catalogue(catalogue_folder(tmp_path, scenarios=scenarios))
    assert catalogue.scenario("storm").schedule is None
    assert catalogue.scenario("calm").schedule is not None


def test_the_market_hours_of_a_catalogue(tmp_path: Path) -> None:
    """Its own file if it has one, else the project's; schedules refer to its sessions."""
    scenarios = SCENARIOS.replace('{cron: "0 2 * * 6", timezone: Europe/London}', "{before: frankfurt, minutes: 60}")
    folder = catalogue_folder(tmp_path, scenarios=scenarios)
    text = OWN_FILE.read_text(encoding="utf-8").replace(
        "  london: {timezone: Europe/London", "  frankfurt: {timezone: Europe/Berlin"
    )
    (folder / "market_hours.yaml").write_text(text, encoding="utf-8")
    catalogue = load_catalogue(folder)
    assert list(catalogue.market_hours.sessions) == ["sydney", "tokyo", "frankfurt", "new_york"]
    (folder / "market_hours.yaml").unlink()
    catalogue_folder(tmp_path)
    assert load_catalogue(folder).market_hours == load_market_hours(OWN_FILE)


def test_a_night_that_is_too_long_does_not_break_the_catalogue(tmp_path: Path) -> None:
    """The DAGs do not change; `check` reports it."""
    scenarios = SCENARIOS.replace('{cron: "0 2 * * 6", timezone: Europe/London}', "{before: london, minutes: 6}")
    catalogue = load_catalogue(catalogue_folder(tmp_path, scenarios=scenarios))
    assert not time_plan(catalogue.scenario("storm"), catalogue).runs_fit


def test_a_service_or_scenario_is_added_by_data_only(tmp_path: Path) -> None:
    """An entry in each file is enough: no code depends on the name of a service or scenario."""
    services = f"""{SERVICES}
  quotes-service:
    base_url: http://quotes:8000
    allowed_hosts: [quotes]
    prometheus: {{selector: 'job="quotes"'}}
    endpoints: [{{name: stream, method: GET, path: /stream, query: {{pair: $instrument}}}}]
"""
    scenarios = f"""{SCENARIOS}
  rollover: {{title: Rollover, load: {{rate_rps: 5, duration_s: 10}}, data: calm.csv, services: [quotes]}}
"""
    catalogue = load_catalogue(catalogue_folder(tmp_path, services=services, scenarios=scenarios))
    assert [known.name for known in catalogue.services_of(catalogue.scenario("rollover"))] == ["quotes-service"]
    assert [known.name for known in catalogue.services_of(catalogue.scenario("calm"), "quotes")] == ["quotes-service"]
    assert catalogue.data_path(catalogue.scenario("rollover")) == tmp_path / "calm.csv"


def test_the_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """BELLWETHER_CATALOGUE contains it; if it is unset or empty, the repository's own is used."""
    catalogue_folder(tmp_path)
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(tmp_path))
    assert list(load_catalogue().scenarios) == ["calm", "storm"]
    for value in ("", None):
        if value is None:
            monkeypatch.delenv("BELLWETHER_CATALOGUE")
        else:
            monkeypatch.setenv("BELLWETHER_CATALOGUE", value)
        assert len(load_catalogue().services) == 6
