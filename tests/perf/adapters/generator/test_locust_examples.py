"""The locustfiles of the documentation, against the gateway of the demo."""

from pathlib import Path

import pytest

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.locustfile import Locustfile
from include.perf.load.feed import Feed
from include.perf.load.locustfile_bundle import bundle_of
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.measure.measurement import measure
from include.perf.model.yaml_entries import PROJECT_ROOT
from include.perf.runs.figures import LoadFigures
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE
from tests.demo_services import demo_service
from tests.real_loads import LOAD, Onlooker, order_for, service_at

pytestmark = pytest.mark.integration

EXAMPLES = PROJECT_ROOT / "docs" / "examples" / "locustfiles"


def drive_example(name: str, folder: Path) -> LoadFigures:
    """Drive 200 iterations of an example."""
    path = EXAMPLES / name
    Feed(endpoints=(), requests=()).write(folder / FEED_FILE)
    bundle_of(Locustfile(file=path)).write(folder / LOCUSTFILE_FILE)
    load = LOAD.model_copy(update={"rate_rps": 20, "max_concurrency": 20})
    with demo_service("trading-gateway-service") as gateway:
        service = service_at(gateway.url, endpoints=[], locustfile={"file": str(path)})
        generator = LocustGenerator(credentials=lambda _: ServiceSecrets())
        generator.run(order_for(service, load, folder), watch=Onlooker())
    figures = measure(folder)
    assert (figures.generator.ended, figures.released) == ("completed", 200)
    return figures


def test_both_http_clients(tmp_path: Path) -> None:
    """Traders : auditors are 3 : 1; each order is followed by a look at its position."""
    figures = drive_example("gateway.py", tmp_path)
    names = {endpoint.name: endpoint for endpoint in figures.endpoints}
    assert set(names) == {"GET quote", "POST order", "GET position", "GET executions"}
    assert names["GET executions"].due == 50
    assert names["GET quote"].due + names["POST order"].due == 150
    assert names["GET position"].due == names["POST order"].due
    assert (figures.failed, figures.errors) == (0, ())


def test_a_client_of_its_own(tmp_path: Path) -> None:
    """It buys and sells, and reports both."""
    figures = drive_example("own_client.py", tmp_path)
    (orders,) = figures.endpoints
    assert orders.name == "order market"
    assert 200 <= orders.due <= 400
    assert (figures.failed, figures.errors) == (0, ())
