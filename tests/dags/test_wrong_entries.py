"""The DAGs while entries of the catalogue are wrong: the right ones go on, the wrong ones are an import error."""

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag

from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.dags.conftest import ROOT

Read = Callable[..., DagBag]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the results, which does not exist yet."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    return tmp_path / "results"


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, results: Path) -> Read:
    """Reads the DAGs of a catalogue."""

    def bag(*, services: str = SERVICES, scenarios: str = SCENARIOS) -> DagBag:
        monkeypatch.setenv(
            "BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path, services=services, scenarios=scenarios))
        )
        with warnings.catch_warnings():
            # Airflow 3.3.2 itself uses a class of pathspec's that is deprecated.
            warnings.filterwarnings("ignore", message="GitWildMatchPattern", category=DeprecationWarning)
            return DagBag(ROOT / "dags", safe_mode=True)

    return bag


def test_a_right_catalogue_has_no_import_error(read: Read) -> None:
    """The file that shows the problems defines no DAG of its own."""
    bag = read()
    assert bag.import_errors == {}
    assert "catalogue" not in bag.dags


def test_a_wrong_service_is_an_import_error_of_one_file(read: Read) -> None:
    """All DAGs stay; the message names the file and the entry, without a traceback."""
    names = set(read().dags)
    bag = read(services=SERVICES.replace("$price", "$prise"))
    assert set(bag.dags) == names
    ((file, message),) = bag.import_errors.items()
    assert Path(file).name == "catalogue.py"
    assert message.startswith(
        "CatalogueError: services.yaml: orders-service.endpoints[0] (place): body: $prise is not a field"
    )
    assert "Traceback" not in message


def test_all_problems_are_in_the_import_error(read: Read) -> None:
    """A person can correct them together."""
    bag = read(
        services=SERVICES.replace("$price", "$prise"), scenarios=SCENARIOS.replace("rate_rps: 100", "rate_rps: x")
    )
    (message,) = bag.import_errors.values()
    assert "services.yaml: orders-service" in message
    assert "scenarios.yaml: storm.load.rate_rps" in message


def test_the_dag_of_a_wrong_scenario_keeps_its_tasks_for_runs_in_flight(read: Read) -> None:
    """It has no schedule any more; a run of all scenarios keeps its tasks, too."""
    before = read().dags
    wrong = read(scenarios=SCENARIOS.replace("rate_rps: 100", "rate_rps: x")).dags
    assert set(wrong) == set(before)
    assert wrong["storm"].task_dict.keys() == before["storm"].task_dict.keys()
    assert wrong["run_all"].task_dict.keys() == before["run_all"].task_dict.keys()
    assert not wrong["storm"].timetable.can_be_scheduled
    assert before["storm"].timetable.can_be_scheduled


def test_parameters_of_runs_in_flight_stay_valid(read: Read) -> None:
    """Airflow checks them again before each task."""
    services = SERVICES.replace("$price", "$prise")
    dags = read(services=services, scenarios=SCENARIOS.replace("rate_rps: 100", "rate_rps: x")).dags
    for dag_id in ("calm", "storm", "run_all", "smoke", "dry_run"):
        schema = dags[dag_id].params.get_param("service").schema
        assert {"orders-service", "orders", "engine", "all"} <= set(schema["enum"])
    assert dags["run_all"].params.get_param("scenarios").value == ["calm", "storm"]


BROKEN = [
    ("services", "services: [", "services.yaml: not valid YAML: while parsing a flow node"),
    ("services", "schema_version: 7", "services.yaml: schema_version must be 1, but is 7; correct it, or restore"),
    (
        "services",
        SERVICES.replace("defaults:", "defaults:\n  bogus: 1"),
        "services.yaml: defaults.bogus is not",
    ),
    ("scenarios", "scenarios: {calm: [}", "scenarios.yaml: not valid YAML"),
    ("scenarios", "", "scenarios.yaml: must hold schema_version and scenarios"),
]


@pytest.mark.parametrize(("file", "text", "problem"), BROKEN)
def test_the_last_good_catalogue_stands_in_for_a_broken_file(
    read: Read, results: Path, file: str, text: str, problem: str
) -> None:
    """All DAGs stay as they were, with their schedules; one import error has the problem, once."""
    results.mkdir()
    before = read().dags
    bag = read(**{file: text})
    assert {dag_id: dag.task_dict.keys() for dag_id, dag in bag.dags.items()} == {
        dag_id: dag.task_dict.keys() for dag_id, dag in before.items()
    }
    assert bag.dags["storm"].timetable.can_be_scheduled
    ((path, message),) = bag.import_errors.items()
    assert Path(path).name == "catalogue.py"
    assert message.startswith("CatalogueError: ")
    assert (message.count(problem), "Traceback" in message) == (1, False)
    assert message.rstrip().endswith("runs in flight go on, and no new load starts")
    assert read().import_errors == {}


def test_nothing_is_kept_before_the_results_exist(read: Read, results: Path) -> None:
    """Parsing DAGs makes no folder, which could hide that a file system is not mounted."""
    read()
    assert not results.exists()


@pytest.mark.parametrize(("file", "text", "problem"), BROKEN)
def test_a_broken_file_without_a_good_one_is_named(read: Read, file: str, text: str, problem: str) -> None:
    """No DAG can be read from it; those without a catalogue stay."""
    bag = read(**{file: text})
    assert {"catalogue.py", "scenarios.py"} <= {Path(path).name for path in bag.import_errors}
    assert "alert_watch" in bag.dags
    for message in bag.import_errors.values():
        assert problem in message
        assert "unicode string" not in message
