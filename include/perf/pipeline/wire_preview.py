"""The requests of a service as they go over the wire, with secrets masked. Nothing is sent."""

from collections.abc import Callable, Iterator
from pathlib import Path

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.catalogue.template import placeholders_of
from include.perf.load.examples import example_requests
from include.perf.load.locustfile_bundle import bundle_of
from include.perf.load.market_data import read_market_data
from include.perf.load.request_bytes import single_request
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.staging import prepared, request_fields, unusual_cadence
from include.perf.model.errors import ConfigurationError, collected
from include.perf.model.masking import MASK

EXAMPLE_ROWS = 1


def wire_examples(
    service: Service, scenario: Scenario, *, data: Path, secrets: ServiceSecrets
) -> Iterator[tuple[Endpoint, bytes]]:
    """Yield one request of each endpoint, as it would be sent now.

    Args:
        data: the market data of the scenario.
        secrets: only the names of their headers are used.

    Raises:
        ConfigurationError: the service has a locustfile, whose requests only its code knows.
        DataError: the data cannot be used.
    """
    if service.locustfile is not None:
        raise ConfigurationError(
            f"{service.name} is loaded by {service.locustfile.file}, and only its code knows its requests"
        )
    fields = request_fields(read_market_data(data), seed=scenario.load.seed)
    feed = prepared(fields, service, scenario.load, rows=EXAMPLE_ROWS)
    masked = secrets.masked()
    if service.login is not None:
        masked = masked.with_headers({service.login.header: service.login.header_value(MASK)})
    for index, endpoint in enumerate(service.requests):
        (request,) = example_requests(feed, index, [0])
        yield endpoint, single_request(service, endpoint.method, request, masked, keep_alive=service.keep_alive)


def problems_of_requests(catalogue: Catalogue, *, warn: Callable[[str], None]) -> list[str]:
    """Prepare one request of each endpoint for each scenario, and return what is wrong with them.

    Args:
        warn: takes a sentence about each kind of unusual rows in market data.
    """
    problems: list[str] = []
    for scenario in catalogue.scenarios.values():
        with collected(problems):
            data = catalogue.data_path(scenario)
            bars = read_market_data(data, warn=warn)
            services = catalogue.services_of(scenario)
            if (unusual := unusual_cadence(bars)) and any(map(_names_timeframe, services)):
                warn(f"{data}: {unusual}")
            fields = request_fields(bars, seed=scenario.load.seed)
            for service in services:
                with collected(problems):
                    if service.locustfile is not None:
                        bundle_of(service.locustfile)
                        continue
                    prepared(fields, service, scenario.load, rows=EXAMPLE_ROWS)
    return list(dict.fromkeys(problems))


def _names_timeframe(service: Service) -> bool:
    templates = [service.headers, *(request.templates for request in service.requests)]
    return any(placeholder.name == "timeframe" for placeholder in placeholders_of(templates))
