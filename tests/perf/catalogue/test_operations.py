"""The outermost settings of scenarios.yaml, and what they make of the scenarios in it."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from include.perf.catalogue.operations import Operations
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import CatalogueError
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder


def with_settings(*lines: str, scenarios: str = SCENARIOS) -> str:
    """Return the scenarios of the small catalogue, at most 100/s, with settings above them."""
    return scenarios.replace("defaults:\n", "".join(f"{line}\n" for line in lines) + "defaults:\n", 1)


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    return list(caught.value.problems)


def test_without_a_word_about_them_there_are_defaults(tmp_path: Path) -> None:
    """600/s, and a channel of their own, which no regression is told in."""
    assert load_catalogue(catalogue_folder(tmp_path)).operations == Operations(
        capacity_rps=600, ops_channel="#performance-ops"
    )


def test_they_are_what_the_file_says(tmp_path: Path) -> None:
    """Each for itself."""
    folder = catalogue_folder(tmp_path, scenarios=with_settings("capacity_rps: 100", "ops_channel: C042"))
    assert load_catalogue(folder).operations == Operations(capacity_rps=100, ops_channel="C042")
    folder = catalogue_folder(tmp_path, scenarios=with_settings("ops_channel: '#ops'"))
    assert load_catalogue(folder).operations == Operations(capacity_rps=600, ops_channel="#ops")


def test_the_projects_own() -> None:
    """A load of market_open alone, or four of overnight_processing."""
    assert load_catalogue().operations == Operations(capacity_rps=600, ops_channel="#performance-ops")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("capacity_rps: 0", "capacity_rps: should be greater than or equal to 0.1, but is 0"),
        ("capacity_rps: 192000.5", "capacity_rps: should be less than or equal to 192000, but is 192000.5"),
        ("capacity_rps: .nan", "capacity_rps: should be less than or equal to 192000, but is nan"),
        ("capacity_rps: lots", "capacity_rps: should be a valid number"),
        ("ops_channel: ''", "ops_channel: should have at least 1 character"),
        ("ops_channel: 7", "ops_channel: should be a valid string"),
        ("keep_requests_days: 0", "keep_requests_days: should be greater than or equal to 1, but is 0"),
        ("keep_unfinished_days: 1.5", "keep_unfinished_days: should be a valid integer"),
    ],
)
def test_what_is_wrong_with_them_is_said_with_all_the_rest(tmp_path: Path, setting: str, problem: str) -> None:
    """Beside a mistake in an entry; no rate is held to a capacity that nobody knows."""
    scenarios = with_settings(setting).replace("title: Calm", "titel: Calm")
    found = problems_of(catalogue_folder(tmp_path, scenarios=scenarios))
    told = [each for each in found if each.startswith(f"scenarios.yaml: {setting.partition(':')[0]}:")]
    assert len(told) == 1
    assert told[0].startswith(f"scenarios.yaml: {problem}")
    assert "scenarios.yaml: calm.titel is not a known setting; correct its name or remove it" in found


def test_a_services_file_has_none_of_them(tmp_path: Path) -> None:
    """They are about loads, not about a service."""
    services = SERVICES.replace("defaults:\n", "capacity_rps: 600\ndefaults:\n", 1)
    assert problems_of(catalogue_folder(tmp_path, services=services))[0] == (
        "services.yaml: unknown key capacity_rps; it may hold defaults, forbidden_hosts and services"
    )


def test_operations_are_checked_when_built() -> None:
    """Unknown names are refused too."""
    with pytest.raises(ValidationError):
        Operations.model_validate({"capacity": 600})


# Which scenarios could never be sent

TOO_MUCH = (
    "that the load generators send together; lower it, or raise capacity_rps in scenarios.yaml if the machines can "
    "send that much"
)


def test_a_scenario_that_is_more_than_the_capacity_is_refused(tmp_path: Path) -> None:
    """Exactly all of it is fine: storm is 100/s."""
    load_catalogue(catalogue_folder(tmp_path, scenarios=with_settings("capacity_rps: 100")))
    assert problems_of(catalogue_folder(tmp_path, scenarios=with_settings("capacity_rps: 99.5"))) == [
        f"scenarios.yaml: storm.load: the peak rate of 100/s is more than the 99.5/s {TOO_MUCH}"
    ]


def test_it_is_the_peak_of_a_profile_that_counts(tmp_path: Path) -> None:
    """Seven times 100/s for a moment is more than 600/s."""
    scenarios = SCENARIOS.replace("warmup_s: 5}", "warmup_s: 5, profile: [{at_s: 0, factor: 7}]}")
    assert problems_of(catalogue_folder(tmp_path, scenarios=scenarios)) == [
        f"scenarios.yaml: storm.load: the peak rate of 700/s is more than the 600/s {TOO_MUCH}"
    ]


def test_a_scenario_keeps_to_the_ceiling_of_each_of_its_services(tmp_path: Path) -> None:
    """Both are loaded by calm at 10/s, the engine alone by storm at 100/s; what is not loaded has no say."""
    orders, engine = "    allowed_hosts: [orders-service]\n", "    allowed_hosts: [engine.example]\n"
    may = SERVICES.replace(orders, f"{orders}    max_rate_rps: 10\n").replace(
        engine, f"{engine}    max_rate_rps: 100\n"
    )
    load_catalogue(catalogue_folder(tmp_path, services=may))
    less = may.replace("max_rate_rps: 100", "max_rate_rps: 9").replace("max_rate_rps: 10\n", "max_rate_rps: 9.5\n")

    def told(scenario: str, peak: str, service: str, ceiling: str) -> str:
        return (
            f"scenarios.yaml: {scenario}.load: the peak rate of {peak}/s exceeds the {ceiling}/s that {service} may "
            "receive; "
            "lower it, or leave the service out of the scenario's services (max_rate_rps in services.yaml)"
        )

    assert problems_of(catalogue_folder(tmp_path, services=less)) == [
        told("calm", "10", "orders-service", "9.5"),
        told("calm", "10", "engine", "9"),
        told("storm", "100", "engine", "9"),
    ]
