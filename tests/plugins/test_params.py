"""The parameters of DAG runs: the form, and the rules for REST and the command line."""

from typing import Any

import jsonschema
import pytest
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import ParamValidationError
from bellwether.params import dry_run_params, run_all_params, scenario_params, smoke_params
from bellwether.run_all_tasks import PASSED_ON

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.catalogue.scenario.load_profile import LoadProfile

NAMES = [
    "all",
    "analysis-engine-service",
    "trading-gateway-service",
    "feature-store-service",
    "ml-integration-service",
    "strategy-execution-engine",
    "data-pipeline-service",
    "analysis-engine",
    "trading-gateway",
    "feature-store",
    "ml-integration",
    "data-pipeline",
]


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The project's own catalogue."""
    return load_catalogue()


@pytest.fixture
def params(catalogue: Catalogue) -> dict[str, Param]:
    """The parameters of market_open: 500 requests a second for 15 minutes."""
    return scenario_params(catalogue.scenario("market_open"), catalogue)


def is_accepted(param: Param, value: Any) -> bool:
    """Validate a value as Airflow does when a run is triggered."""
    return bool(jsonschema.Draft202012Validator(param.schema).is_valid(value))


def test_the_defaults_are_the_scenarios_own_load_on_every_service(params: dict[str, Param]) -> None:
    """A run without parameters is the scenario of the catalogue."""
    assert {name: param.value for name, param in params.items()} == {
        "service": "all",
        "duration": 900,
        "rate": 500,
        "update_baseline": False,
        "reason": None,
        "asked_by": None,
    }
    assert all(is_accepted(param, param.value) for param in params.values())


def test_a_service_may_be_named_with_and_without_its_suffix(params: dict[str, Param]) -> None:
    """All, the six names, and the five names that end in -service without it."""
    assert params["service"].schema["enum"] == NAMES
    assert not is_accepted(params["service"], "order-engine")


def test_each_name_of_the_drop_down_has_a_label(params: dict[str, Param]) -> None:
    """The form has a label for each value, and for no other."""
    labels = params["service"].schema["values_display"]
    assert set(labels) == set(NAMES)
    assert labels["all"] == "all 6 services"
    assert labels["analysis-engine-service"] == "analysis-engine-service"
    assert labels["analysis-engine"] == "analysis-engine (short name)"
    assert labels["strategy-execution-engine"] == "strategy-execution-engine"


def test_a_scenario_offers_only_its_own_services(catalogue: Catalogue) -> None:
    """Other services cannot be chosen."""
    only = catalogue.scenario("market_open").model_copy(update={"services": ("trading-gateway-service",)})
    service = scenario_params(only, catalogue)["service"]
    assert service.schema["enum"] == ["all", "trading-gateway-service", "trading-gateway"]
    assert service.schema["values_display"]["all"] == "the one service"


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("duration", 10, True),
        ("duration", 9, False),
        ("duration", 14_400, True),  # 4 h
        ("duration", 14_401, False),
        ("duration", 10.5, False),
        ("duration", "60", False),
        ("rate", 0.1, True),
        ("rate", 0, False),
        ("rate", -1, False),
        ("rate", 600, True),  # what the generators can send together
        ("rate", 600.5, False),
        ("update_baseline", True, True),
        ("update_baseline", "yes", False),
        ("reason", "new release 2.4", True),
        ("reason", "x" * 500, True),
        ("reason", "x" * 501, False),
        ("asked_by", "bob", True),
        ("asked_by", None, True),
        ("asked_by", "x" * 100, True),
        ("asked_by", "x" * 101, False),
    ],
)
def test_a_value_outside_its_range_is_refused(
    params: dict[str, Param], name: str, value: object, accepted: bool
) -> None:
    """The limits are those of the load profile and of the capacity."""
    assert is_accepted(params[name], value) is accepted


def test_every_parameter_is_explained_in_sentences(params: dict[str, Param]) -> None:
    """Each has a title and a help text with the figures of this scenario."""
    for name, param in params.items():
        assert param.schema["title"], name
        assert param.description, name
        assert param.description.endswith("."), name
    assert "from 10 to 14400" in str(params["duration"].description)
    assert "a warm-up of 60 s" in str(params["duration"].description)
    assert "at most 600; " in str(params["rate"].description)
    assert "profile" not in str(params["rate"].description)


def test_the_rate_explains_the_profile(catalogue: Catalogue) -> None:
    """A burst of three times the rate is mentioned."""
    scenario = catalogue.scenario("market_open")
    burst = [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1, "by": "decay"}]
    load = LoadProfile.model_validate(scenario.load.model_dump() | {"profile": burst})
    rate = scenario_params(scenario.model_copy(update={"load": load}), catalogue)["rate"]
    assert "The scenario's profile multiplies it over time, by 3 at its peak. Only runs" in str(rate.description)


# All scenarios at once


@pytest.fixture
def all_params(catalogue: Catalogue) -> dict[str, Param]:
    """The parameters of run_all."""
    return run_all_params(catalogue)


def test_all_scenarios_are_run_with_their_own_load(catalogue: Catalogue, all_params: dict[str, Param]) -> None:
    """A run without parameters is every scenario of the catalogue."""
    assert {name: param.value for name, param in all_params.items()} == {
        "service": "all",
        "scenarios": list(catalogue.scenarios),
        "duration": None,
        "update_baseline": False,
        "reason": None,
    }
    assert all(is_accepted(param, param.value) for param in all_params.values())
    assert all_params["service"].schema["enum"] == NAMES
    assert all(param.schema["title"] and str(param.description).endswith(".") for param in all_params.values())


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("scenarios", ["market_open"], True),
        ("scenarios", [], True),
        ("scenarios", ["market_opn"], False),
        ("scenarios", "market_open", False),
        ("duration", 10, True),
        ("duration", 9, False),
        ("duration", 14_400, True),
        ("duration", 14_401, False),
        ("duration", None, True),
    ],
)
def test_the_limits_of_run_all(all_params: dict[str, Param], name: str, value: object, accepted: bool) -> None:
    """They are those of a scenario's form."""
    assert is_accepted(all_params[name], value) is accepted


def test_every_scenario_accepts_the_parameters_of_run_all(catalogue: Catalogue, all_params: dict[str, Param]) -> None:
    """They are parameters of every scenario, of the same type."""
    for scenario in catalogue.scenarios.values():
        own = scenario_params(scenario, catalogue)
        for name in (*PASSED_ON, "service"):
            assert is_accepted(own[name], all_params[name].value) or all_params[name].value is None
        assert is_accepted(own["asked_by"], "alice")


# Looking before anything is loaded


@pytest.fixture
def dry(catalogue: Catalogue) -> dict[str, Param]:
    """The parameters of dry_run."""
    return dry_run_params(catalogue)


def test_a_dry_run_is_of_every_scenario_unless_one_is_named(catalogue: Catalogue, dry: dict[str, Param]) -> None:
    """With the load of each scenario; the form explains all four fields."""
    assert {name: param.value for name, param in dry.items()} == {
        "scenario": "all",
        "service": "all",
        "duration": None,
        "rate": None,
    }
    assert dry["scenario"].schema["enum"] == ["all", *catalogue.scenarios]
    assert dry["service"].schema["enum"] == NAMES
    assert all(is_accepted(param, param.value) for param in dry.values())
    assert all(param.schema["title"] and str(param.description).endswith(".") for param in dry.values())


@pytest.mark.parametrize(
    ("name", "value", "accepted"),
    [
        ("scenario", "market_open", True),
        ("scenario", "market_opn", False),
        ("scenario", None, False),
        ("service", "trading-gateway", True),
        ("service", "order-engine", False),
        ("duration", 900, True),
        ("duration", 900.5, False),
        ("rate", 0.5, True),
        ("rate", 500, True),
        ("rate", "500", False),
    ],
)
def test_the_limits_of_a_dry_run(dry: dict[str, Param], name: str, value: object, accepted: bool) -> None:
    """Names are checked at once; the dry run itself checks the load."""
    assert is_accepted(dry[name], value) is accepted


def test_a_dry_run_accepts_the_parameters_of_a_scenario(
    params: dict[str, Param], dry: dict[str, Param], catalogue: Catalogue
) -> None:
    """The fields of the load have the same names and take the same values."""
    assert set(dry) - {"scenario"} == set(params) - {"update_baseline", "reason", "asked_by"}
    for name in set(dry) - {"scenario"}:
        assert is_accepted(dry[name], params[name].value)


def test_a_smoke_run_is_of_every_service_unless_one_is_named(catalogue: Catalogue) -> None:
    """There is no other parameter."""
    smoke = smoke_params(catalogue)
    assert {name: param.value for name, param in smoke.items()} == {"service": "all"}
    assert smoke["service"].schema["enum"] == NAMES
    assert smoke["service"].schema["values_display"]["all"] == "all 6 services"
    assert not is_accepted(smoke["service"], "order-engine")


def test_a_task_accepts_what_the_catalogue_no_longer_has(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow checks the parameters before every task: a run of a removed service, or at a former rate, goes on."""
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "market_open")
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "run_service.scrape")
    params = ParamsDict(scenario_params(catalogue.scenario("market_open"), catalogue))
    params.update({"service": "removed-service", "rate": 5000})
    assert params.validate() == {
        "service": "removed-service",
        "duration": 900,
        "rate": 5000,
        "update_baseline": False,
        "reason": None,
        "asked_by": None,
    }


def test_a_trigger_accepts_only_what_the_catalogue_has(catalogue: Catalogue) -> None:
    """Outside of tasks the rules apply."""
    params = ParamsDict(scenario_params(catalogue.scenario("market_open"), catalogue))
    with pytest.raises(ParamValidationError, match=r"^Invalid input for param service: 'removed-service' is not "):
        params.update({"service": "removed-service"})
