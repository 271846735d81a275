"""A wrong entry is left out of the catalogue with its problems; the other entries stay usable."""

from pathlib import Path

import pytest

from include.perf.catalogue.reading import load_catalogue, read_catalogue
from include.perf.model.errors import CatalogueError
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder

LIVE = """  orders-live:
    environment: live
    allow_production: true
    max_rate_rps: 20
    base_url: http://orders-live:8000
    allowed_hosts: [orders-live]
    prometheus: {selector: x}
    endpoints:
      - {name: state, method: GET, path: /state}
"""
EXPLICIT = SCENARIOS.replace("services: [engine]", "services: [orders, engine]")

WRONG_SERVICES = [
    ("method: POST", "method: post"),
    ("allowed_hosts: [orders-service]", "allowed_hosts: [elsewhere]"),
    ("allowed_hosts: [orders-service]", "allowed_hosts: [orders-service]\n    timout_s: 3"),
    ("allowed_hosts: [orders-service]", "allowed_hosts: [orders-service]\n    environment: [x]"),
    ("http://orders-service:8000", "'http://['"),
    ("http://orders-service:8000", "https://orders-service:8000\n    ca_file: missing.pem"),
    ("http://orders-service:8000", f"https://orders-service:8000\n    ca_file: {'x' * 300}.pem"),
    ("defaults:\n", "forbidden_hosts: [orders-service]\ndefaults:\n"),
    ("$price", "$prise"),
]


@pytest.mark.parametrize(("old", "new"), WRONG_SERVICES)
def test_a_wrong_service_is_left_out(tmp_path: Path, old: str, new: str) -> None:
    """The scenarios go on with the services that are left, whether they name their services or not."""
    assert old in SERVICES
    folder = catalogue_folder(tmp_path, services=SERVICES.replace(old, new, 1), scenarios=EXPLICIT)
    catalogue = read_catalogue(folder)
    assert list(catalogue.services) == ["engine"]
    loaded = {name: catalogue.services_of(scenario) for name, scenario in catalogue.scenarios.items()}
    assert loaded == {name: [catalogue.service("engine")] for name in ("calm", "storm")}
    assert {(problem.file, problem.entry) for problem in catalogue.left_out} == {("services.yaml", "orders-service")}
    assert all(problem.startswith("services.yaml: orders-service") for problem in catalogue.problems)
    with pytest.raises(CatalogueError) as strict:
        load_catalogue(folder)
    assert strict.value.problems == catalogue.problems


@pytest.mark.parametrize("given", ["5", "[a]", "text", "null"])
def test_a_service_that_is_no_mapping_is_left_out(tmp_path: Path, given: str) -> None:
    """Its value need not even have the right shape."""
    catalogue = read_catalogue(catalogue_folder(tmp_path, services=f"{SERVICES}  typo: {given}\n"))
    assert list(catalogue.services) == ["orders-service", "engine"]
    assert {problem.entry for problem in catalogue.left_out} == {"typo"}


@pytest.mark.parametrize("name", ["orders", "orders-service"])
def test_a_left_out_service_is_refused_with_the_problems_of_its_entry(tmp_path: Path, name: str) -> None:
    """A request for it does not only say that the name is unknown."""
    catalogue = read_catalogue(catalogue_folder(tmp_path, services=SERVICES.replace("$price", "$prise")))
    with pytest.raises(
        CatalogueError, match=r"^services.yaml: orders-service.endpoints\[0\] \(place\): body: \$prise is not a field"
    ):
        catalogue.service(name)
    with pytest.raises(CatalogueError, match=r"\$prise is not a field"):
        catalogue.services_of(catalogue.scenario("calm"), name)


WRONG_SCENARIOS = [
    ("rate_rps: 100", "rate_rps: fast"),
    ("title: Storm\n", "title: Storm\n    titel: Storm\n"),
    ("    title: Storm\n", ""),
    ("data: calm.csv\n    services", "data: missing.csv\n    services"),
    ("data: calm.csv\n    services", f"data: {'x' * 300}.csv\n    services"),
    ("data: calm.csv\n    services", "data: ../outside.csv\n    services"),
    ("rate_rps: 100", "rate_rps: 700"),  # the load generators send 600/s
    ("[engine]", "[engine, unknown]"),
    ('cron: "0 2 * * 6"', 'cron: "0 2 * * 8"'),
    ('schedule: {cron: "0 2 * * 6", timezone: Europe/London}', "schedule: {before: nowhere, minutes: 30}"),
]


@pytest.mark.parametrize(("old", "new"), WRONG_SCENARIOS)
def test_a_wrong_scenario_is_left_out(tmp_path: Path, old: str, new: str) -> None:
    """The other scenario and all services stay."""
    assert old in SCENARIOS
    folder = catalogue_folder(tmp_path, scenarios=SCENARIOS.replace(old, new, 1))
    catalogue = read_catalogue(folder)
    assert (list(catalogue.services), list(catalogue.scenarios)) == (["orders-service", "engine"], ["calm"])
    assert {(problem.file, problem.entry) for problem in catalogue.left_out} == {("scenarios.yaml", "storm")}
    with pytest.raises(CatalogueError) as strict:
        load_catalogue(folder)
    assert strict.value.problems == catalogue.problems
    with pytest.raises(CatalogueError, match=r"^scenarios.yaml: storm"):
        catalogue.scenario("storm")


def test_a_scenario_without_a_usable_service_is_left_out(tmp_path: Path) -> None:
    """Otherwise its empty list of services would mean all of them."""
    services = SERVICES.replace("allowed_hosts: [engine.example]", "allowed_hosts: [elsewhere]")
    catalogue = read_catalogue(catalogue_folder(tmp_path, services=services))
    assert list(catalogue.scenarios) == ["calm"]
    assert catalogue.problems[-1] == "scenarios.yaml: storm.services: the entry of every service in it is wrong"


def test_a_scenario_that_is_too_fast_for_one_service_loads_the_others(tmp_path: Path) -> None:
    """The maximum rate of a new service stops no scenario for the others."""
    hosts = "allowed_hosts: [orders-service]"
    services = SERVICES.replace(hosts, f"{hosts}\n    max_rate_rps: 5")
    catalogue = read_catalogue(catalogue_folder(tmp_path, services=services))
    assert [service.name for service in catalogue.services_of(catalogue.scenario("calm"))] == ["engine"]
    assert [(problem.entry, problem.text.partition(" of ")[0]) for problem in catalogue.left_out] == [
        ("calm", "scenarios.yaml: calm.load: the peak rate")
    ]
    hosts = "allowed_hosts: [engine.example]"
    catalogue = read_catalogue(
        catalogue_folder(tmp_path, services=services.replace(hosts, f"{hosts}\n    max_rate_rps: 20"))
    )
    assert list(catalogue.scenarios) == ["calm"]
    assert [problem.entry for problem in catalogue.left_out] == ["calm", "storm"]


@pytest.mark.parametrize(
    ("old", "new", "forbidden"),
    [
        ("allow_production: true", "allow_production: false", "orders-live"),
        ("max_rate_rps: 20", "max_rate_rps: many", "orders-live"),
        ("environment: live", "environment: Live", "orders-live"),
        ("environment: live", "environment: [live]", "orders-live"),
        ("base_url: http://orders-live:8000", "base_url: http://orders-life:8000", "orders-live"),
        ("base_url: http://orders-live:8000", "base_url: orders", "orders-live"),
        ("max_rate_rps: 20", "max_rate_rps: many\n    forbidden_ports: own", "orders-live:8000"),
        (
            "base_url: http://orders-live:8000\n",
            "ca_file: x.pem\n    forbidden_ports: own\n    base_url: https://orders-live\n",
            "orders-live:443",
        ),
    ],
)
def test_the_hosts_of_a_left_out_production_service_stay_forbidden(
    tmp_path: Path, old: str, new: str, forbidden: str
) -> None:
    """A typing error in the entry of a production service does not open production for load."""
    assert old in LIVE
    services = SERVICES + LIVE.replace(old, new, 1)
    catalogue = read_catalogue(catalogue_folder(tmp_path, services=services))
    assert list(catalogue.services) == ["orders-service", "engine"]
    assert forbidden in map(str, catalogue.forbidden_for(catalogue.service("engine")))
    wrong_host = "http://orders-service:8000", "[orders-service]"
    port = forbidden.partition(":")[2] or "8000"
    services = services.replace(wrong_host[0], f"http://orders-live:{port}").replace(wrong_host[1], "[orders-live]")
    assert list(read_catalogue(catalogue_folder(tmp_path, services=services)).services) == ["engine"]


def test_production_whose_host_cannot_be_read_stops_all_load(tmp_path: Path) -> None:
    """Nobody knows which address must not be loaded, so nothing is."""
    live = LIVE.replace("base_url: http://orders-live:8000", "base_url: ???").replace("[orders-live]", "7")
    with pytest.raises(CatalogueError, match="orders-live is in environment 'live', but its host cannot be read"):
        read_catalogue(catalogue_folder(tmp_path, services=SERVICES + live))


@pytest.mark.parametrize(
    ("services", "scenarios", "problem"),
    [
        ("services: [", SCENARIOS, "services.yaml: not valid YAML"),
        (
            SERVICES.replace("schema_version: 1", "schema_version: 2"),
            SCENARIOS,
            "services.yaml: schema_version must be 1",
        ),
        (
            SERVICES,
            SCENARIOS.replace("schema_version: 1", "schema_version: 2"),
            "scenarios.yaml: schema_version must be",
        ),
        (SERVICES, SCENARIOS.replace("defaults:\n", "defaults: [x]\nload:\n"), "scenarios.yaml: unknown key load"),
        (
            SERVICES.replace("defaults:\n", "forbidden_hosts: [7]\ndefaults:\n"),
            SCENARIOS,
            "services.yaml: forbidden_hosts",
        ),
        (SERVICES, "capacity_rps: many\n" + SCENARIOS, "scenarios.yaml: capacity_rps: should be a valid number"),
        ("schema_version: 1\nservices: {a: 5}\n", SCENARIOS, "services.yaml: a must be a mapping of settings"),
        (
            SERVICES.replace("scrape_interval_s: 5", "scrape_interval_s: -5"),
            SCENARIOS,
            "services.yaml: defaults.prometheus.scrape_interval_s should be",
        ),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_an_error(
    tmp_path: Path, services: str, scenarios: str, problem: str
) -> None:
    """So is one without any entry that can be used; the message names the file."""
    folder = catalogue_folder(tmp_path, services=services, scenarios=scenarios)
    if "scrape_interval_s: -5" in services:  # a wrong default that one service replaces
        assert read_catalogue(folder).problems[0].startswith(problem)
        return
    with pytest.raises(CatalogueError) as caught:
        read_catalogue(folder)
    assert caught.value.problems[0].startswith(problem)
    assert caught.value.__cause__ is None
    assert "unicode string" not in str(caught.value)


def test_a_right_catalogue_is_the_same_in_both_ways(tmp_path: Path) -> None:
    """Nothing is left out of it."""
    folder = catalogue_folder(tmp_path)
    assert read_catalogue(folder) == load_catalogue(folder)
    assert read_catalogue(folder).problems == ()
