"""The Prometheus of production: another one where it is named, and values by their labels."""

from pathlib import Path

import pytest

from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.adapters.wiring.prometheus_access import production_prometheus
from include.perf.catalogue.reading import load_catalogue
from include.perf.measure.metrics_source import LabelledValue
from include.perf.model.errors import CatalogueError, ConfigurationError, NoData
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.fakes.clock import START
from tests.socket_servers import Serve, Talk, always, answer

TWO = (
    b'{"status": "success", "data": {"resultType": "vector", "result": ['
    b'{"metric": {"le": "0.1"}, "value": [1, "4"]}, {"metric": {"le": "+Inf"}, "value": [1, "NaN"]}]}}'
)
NONE = b'{"status": "success", "data": {"resultType": "vector", "result": []}}'


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's own settings from the tests."""
    for name in ("URL", "TOKEN", "CA_FILE"):
        monkeypatch.delenv(f"PROMETHEUS_PRODUCTION_{name}", raising=False)
        monkeypatch.delenv(f"PROMETHEUS_{name}", raising=False)


def test_each_series_has_its_labels(serve: Serve) -> None:
    """Values that are not finite are left out."""
    source = Prometheus(serve(always(answer(TWO))).url)
    assert source.values("up", at=START) == (LabelledValue(labels={"le": "0.1"}, value=4.0),)


def test_no_series_is_no_data(serve: Serve) -> None:
    """No data is never zero."""
    with pytest.raises(NoData, match="no data for up"):
        Prometheus(serve(always(answer(NONE))).url).values("up", at=START)


@pytest.mark.parametrize("given", [None, ""])
def test_without_an_address_production_has_the_same_prometheus(
    monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    """``None`` means the same one."""
    if given is not None:
        monkeypatch.setenv("PROMETHEUS_PRODUCTION_URL", given)
    assert production_prometheus() is None


def test_production_gets_its_own_token_and_no_other(monkeypatch: pytest.MonkeyPatch, serve: Serve) -> None:
    """The token of the other Prometheus is not sent to it."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(TWO))

    monkeypatch.setenv("PROMETHEUS_PRODUCTION_URL", serve(script).url)
    monkeypatch.setenv("PROMETHEUS_TOKEN", "of-the-other")
    for token in (None, "its-own"):
        if token:
            monkeypatch.setenv("PROMETHEUS_PRODUCTION_TOKEN", token)
        source = production_prometheus()
        assert source is not None
        source.values("up", at=START)
    assert b"Authorization" not in seen[0]
    assert b"Authorization: Bearer its-own\r\n" in seen[1]


def test_a_wrong_setting_of_production_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not that of the other Prometheus."""
    monkeypatch.setenv("PROMETHEUS_PRODUCTION_URL", "https://prometheus.example")
    monkeypatch.setenv("PROMETHEUS_PRODUCTION_CA_FILE", "/no/such.pem")
    with pytest.raises(ConfigurationError, match=r"^PROMETHEUS_PRODUCTION_CA_FILE must be a bundle"):
        production_prometheus()


def test_the_catalogue_names_the_problem_of_production(tmp_path: Path) -> None:
    """Which file, which entry, which setting."""
    services = SERVICES.replace(
        """prometheus: {selector: 'service="orders"'}""",
        """prometheus: {selector: 'service="orders"'}\n    production: {selector: 'service="orders"'}""",
    )
    scenarios = SCENARIOS.replace("data: calm.csv}", "data: calm.csv, production_hours: {session: paris, minutes: 60}}")
    with pytest.raises(CatalogueError) as caught:
        load_catalogue(catalogue_folder(tmp_path, services=services, scenarios=scenarios))
    of_service, of_scenario = caught.value.problems
    assert of_service.startswith("services.yaml: orders-service: production.selector must differ from that of the")
    assert of_scenario.startswith("scenarios.yaml: calm.production_hours.session: there is no session 'paris'; known: ")


def test_every_scenario_of_the_project_has_hours_of_production() -> None:
    """And every service has production settings."""
    catalogue = load_catalogue(Path(__file__).parents[4] / "include")
    assert {
        name: scenario.production_hours.description
        for name, scenario in catalogue.scenarios.items()
        if scenario.production_hours
    } == {
        "normal_trading": "2 h beginning 2 h after the London open",
        "market_open": "the first 15 min after the London open",
        "high_volatility": "1 h beginning 30 min after the New York open",
        "overnight_processing": "22:00–02:00 Europe/London",
    }
    for service in catalogue.services.values():
        assert service.production is not None
        assert service.production.selector == f'service="{service.name}",environment="production"'
