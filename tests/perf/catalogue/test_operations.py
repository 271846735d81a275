"""The top-level settings of scenarios.yaml, and how they limit the scenarios."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from include.perf.catalogue.operations import Operations
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import CatalogueError
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder


def with_settings(*lines: str, scenarios: str = SCENARIOS) -> str:
    """Return the scenarios of the small catalogue, at most 100/s, with top-level settings."""
    return scenarios.replace("defaults:\n", "".join(f"{line}\n" for line in lines) + "defaults:\n", 1)


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(folder)
    return list(caught.value.problems)


def test_defaults(tmp_path: Path) -> None:
    """600/s, and a separate channel without regressions."""
    assert load_catalogue(catalogue_folder(tmp_path)).operations == Operations(
        capacity_rps=600, ops_channel="#performance-ops"
    )


def test_settings_from_the_file(tmp_path: Path) -> None:
    """Each can be set on its own."""
    folder = catalogue_folder(tmp_path, scenarios=with_settings("capacity_rps: 100", "ops_channel: C042"))
    assert load_catalogue(folder).operations == Operations(capacity_rps=100, ops_channel="C042")
    folder = catalogue_folder(tmp_path, scenarios=with_settings("ops_channel: '#ops'"))
    assert load_catalogue(folder).operations == Operations(capacity_rps=600, ops_channel="#ops")


def test_the_shipped_settings() -> None:
    """One load of market_open, or four of overnight_processing."""
    assert load_catalogue().operations == Operations(capacity_rps=600, ops_channel="#performance-ops")


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("capacity_rps: 0", "capacity_rps: should be greater than or equal to 0.1, but is 0"),
        ("capacity_rps: 512000.5", "capacity_rps: should be less than or equal to 512000, but is 512000.5"),
        ("capacity_rps: .nan", "capacity_rps: should be less than or equal to 512000, but is nan"),
        ("capacity_rps: lots", "capacity_rps: should be a valid number"),
        ("ops_channel: ''", "ops_channel: should have at least 1 character"),
        ("ops_channel: 7", "ops_channel: should be a valid string"),
        ("keep_requests_days: 0", "keep_requests_days: should be greater than or equal to 1, but is 0"),
        ("keep_unfinished_days: 1.5", "keep_unfinished_days: should be a valid integer"),
    ],
)
def test_mistakes_are_reported_with_all_others(tmp_path: Path, setting: str, problem: str) -> None:
    """Together with a mistake in an entry; rates are not checked against an invalid capacity."""
    scenarios = with_settings(setting).replace("title: Calm", "titel: Calm")
    found = problems_of(catalogue_folder(tmp_path, scenarios=scenarios))
    of_setting = [text for text in found if text.startswith(f"scenarios.yaml: {setting.partition(':')[0]}:")]
    assert len(of_setting) == 1
    assert of_setting[0].startswith(f"scenarios.yaml: {problem}")
    assert "scenarios.yaml: calm.titel is not a known setting; correct its name or remove it" in found


def test_a_services_file_cannot_have_them(tmp_path: Path) -> None:
    """They concern loads, not services."""
    services = SERVICES.replace("defaults:\n", "capacity_rps: 600\ndefaults:\n", 1)
    assert problems_of(catalogue_folder(tmp_path, services=services))[0] == (
        "services.yaml: unknown key capacity_rps; it may hold defaults, forbidden_hosts and services"
    )


def test_operations_are_checked_when_built() -> None:
    """Unknown names are refused, too."""
    with pytest.raises(ValidationError):
        Operations.model_validate({"capacity": 600})


# Which scenarios could never be sent

TOO_MUCH = (
    "that the load generators send together; lower it, or raise capacity_rps in scenarios.yaml if the machines can "
    "send that much"
)


def test_a_scenario_beyond_the_capacity_is_refused(tmp_path: Path) -> None:
    """The exact capacity is allowed: storm has 100/s."""
    load_catalogue(catalogue_folder(tmp_path, scenarios=with_settings("capacity_rps: 100")))
    assert problems_of(catalogue_folder(tmp_path, scenarios=with_settings("capacity_rps: 99.5"))) == [
        f"scenarios.yaml: storm.load: the peak rate of 100/s is more than the 99.5/s {TOO_MUCH}"
    ]


def test_the_peak_of_a_profile_counts(tmp_path: Path) -> None:
    """Seven times 100/s, even for a moment, is more than 600/s."""
    scenarios = SCENARIOS.replace("warmup_s: 5}", "warmup_s: 5, profile: [{at_s: 0, factor: 7}]}")
    assert problems_of(catalogue_folder(tmp_path, scenarios=scenarios)) == [
        f"scenarios.yaml: storm.load: the peak rate of 700/s is more than the 600/s {TOO_MUCH}"
    ]


def test_a_scenario_must_not_exceed_the_maximum_of_any_of_its_services(tmp_path: Path) -> None:
    """Calm loads both at 10/s, storm loads the engine at 100/s; services that are not loaded do not matter."""
    orders, engine = "    allowed_hosts: [orders-service]\n", "    allowed_hosts: [engine.example]\n"
    may = SERVICES.replace(orders, f"{orders}    max_rate_rps: 10\n").replace(
        engine, f"{engine}    max_rate_rps: 100\n"
    )
    load_catalogue(catalogue_folder(tmp_path, services=may))
    less = may.replace("max_rate_rps: 100", "max_rate_rps: 9").replace("max_rate_rps: 10\n", "max_rate_rps: 9.5\n")

    def problem_of(scenario: str, peak: str, service: str, ceiling: str) -> str:
        return (
            f"scenarios.yaml: {scenario}.load: the peak rate of {peak}/s exceeds the {ceiling}/s that {service} may "
            "receive; "
            "lower it, or leave the service out of the scenario's services (max_rate_rps in services.yaml)"
        )

    assert problems_of(catalogue_folder(tmp_path, services=less)) == [
        problem_of("calm", "10", "orders-service", "9.5"),
        problem_of("calm", "10", "engine", "9"),
        problem_of("storm", "100", "engine", "9"),
    ]
