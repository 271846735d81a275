"""The catalogue that a run was planned with, in its folder."""

from pathlib import Path

import pytest

from include.perf.adapters.wiring.environment import build_stores
from include.perf.adapters.wiring.storage import Storage
from include.perf.catalogue.reading import load_catalogue, read_catalogue
from include.perf.model.errors import CatalogueError
from include.perf.model.json_files import from_json, to_json
from include.perf.pipeline.night_stages import NightStages
from include.perf.pipeline.planning.request import RunRequest
from include.perf.pipeline.planning.time_plan import reruns_of
from include.perf.runs.kept_catalogue import KeptCatalogue, kept_catalogue, kept_for
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import StageFiles
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.fakes.clock import START
from tests.stages import LOAD

SHIPPED = load_catalogue(Path(__file__).parents[3] / "include")
WRONG = SERVICES.replace("$price", "$prise")


@pytest.mark.parametrize("cell", list(SHIPPED.cells()), ids=str)
def test_what_is_kept_is_read_back_unchanged(cell: object) -> None:
    """Every setting of the project's own services and scenarios."""
    service, scenario = cell.service, cell.scenario  # type: ignore[attr-defined]  # a CellName
    spec = RunSpec(run_id="r", service=service, scenario=scenario, environment="staging", load=LOAD, created_at=START)
    kept = kept_for(spec, SHIPPED)
    assert from_json(KeptCatalogue, to_json(kept), where="stage-catalogue.json") == kept


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A run of each service under the scenario "calm", planned with the right catalogue."""
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path)))
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    return NightStages(build_stores(Storage())).plan(RunRequest(scenario="calm"))


@pytest.mark.parametrize(
    ("services", "scenarios"),
    [
        (WRONG, SCENARIOS),
        (SERVICES, SCENARIOS.replace("rate_rps: 10,", "rate_rps: x,")),
        ("services: [", SCENARIOS),
        (SERVICES, "schema_version: 7"),
        ("", ""),
    ],
)
def test_runs_in_flight_go_on_with_what_they_were_planned_with(
    planned: list[str], tmp_path: Path, services: str, scenarios: str
) -> None:
    """Whether their own entry becomes wrong or a whole file does."""
    before = load_catalogue()
    catalogue_folder(tmp_path, services=services, scenarios=scenarios)
    catalogue = build_stores(Storage(), runs=planned).catalogue
    assert catalogue.services == before.services
    assert catalogue.scenario("calm") == before.scenario("calm")
    assert catalogue.market_hours == before.market_hours
    assert catalogue.data_path(catalogue.scenario("calm")) == tmp_path / "calm.csv"


def test_a_new_run_uses_the_current_catalogue(planned: list[str], tmp_path: Path) -> None:
    """A file that is wrong as a whole refuses it."""
    catalogue_folder(tmp_path, services="services: [")
    with pytest.raises(CatalogueError, match=r"^services.yaml: not valid YAML"):
        build_stores(Storage())


def test_hosts_that_were_forbidden_meanwhile_are_forbidden(planned: list[str], tmp_path: Path) -> None:
    """Those of the plan stay forbidden, too."""
    catalogue_folder(tmp_path, services=SERVICES.replace("defaults:\n", "forbidden_hosts: [new]\ndefaults:\n", 1))
    catalogue = build_stores(Storage(), runs=planned[:1]).catalogue
    assert [str(host) for host in catalogue.forbidden_for(catalogue.service("orders"))] == ["new"]
    kept = StageFiles(Storage().results(), planned[0]).catalogue.read()
    assert kept is not None
    later = kept_catalogue([kept], folder=tmp_path, current=read_catalogue())
    assert [str(host) for host in later.forbidden_hosts] == ["new"]


def test_a_re_run_is_planned_with_the_same(planned: list[str], tmp_path: Path) -> None:
    """Both are judged together."""
    catalogue_folder(tmp_path, services=SERVICES.replace("path: /orders", "path: /other"))
    stages = NightStages(build_stores(Storage(), runs=planned))
    files = StageFiles(Storage().results(), planned[0])
    again = stages._create(reruns_of(files.read_spec(), now=START)[0])
    assert StageFiles(Storage().results(), again).catalogue.read() == files.catalogue.read()


def test_runs_of_earlier_versions_use_the_current_catalogue(planned: list[str]) -> None:
    """They kept none."""
    for uri in planned:
        StageFiles(Storage().results(), uri).catalogue.remove()
    assert build_stores(Storage(), runs=planned).catalogue == load_catalogue()


def test_a_kept_catalogue_that_cannot_be_read_is_replaced_by_the_current_one(planned: list[str]) -> None:
    """For example, a setting that a later version does not know."""
    Storage().results().write(planned[0], "stage-catalogue.json", b"{}")
    assert build_stores(Storage(), runs=planned).catalogue == load_catalogue()
