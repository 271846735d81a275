"""Checks entries of the catalogue against one another, and against the files and hosts that they name.

Each function returns the problems by the name of the entry that has them: whole sentences with file, entry and rule.
"""

import ssl
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from include.perf.catalogue.forbidden_hosts import ForbiddenHost, forbidden_by_production, problems_of_service
from include.perf.catalogue.locustfile import problems_of_locustfile
from include.perf.catalogue.login_site import login_site
from include.perf.catalogue.operations import Operations, problems_of_capacity
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.model.yaml_entries import PROJECT_FOLDER

CERTIFICATE = "-----BEGIN CERTIFICATE-----"

ProblemsByEntry = Mapping[str, Sequence[str]]


def problems_of_hosts(
    services: Mapping[str, Service], forbidden: Sequence[ForbiddenHost], *, left_out: Sequence[ForbiddenHost]
) -> ProblemsByEntry:
    """Check that no service has a host that is forbidden for it.

    Args:
        forbidden: for all services.
        left_out: the hosts of production services whose entries are wrong.
    """
    problems: dict[str, Sequence[str]] = {}
    for name, service in services.items():
        never = (*forbidden, *forbidden_by_production(service, services.values(), left_out=left_out))
        sites = filter(None, (service, login_site(service)))
        found = dict.fromkeys(problem for site in sites for problem in problems_of_service(site, never))
        problems[name] = [f"{SERVICES_FILE}: {name}: {problem}" for problem in found]
    return problems


def problems_of_tls_files(services: Mapping[str, Service]) -> ProblemsByEntry:
    """Check that each ``ca_file`` is a PEM bundle, and each ``client_certificate`` a certificate with its key."""
    return {
        name: [
            *(f"{SERVICES_FILE}: {name}.ca_file: {problem}" for problem in _problems_of_pem(service.ca_file)),
            *(
                f"{SERVICES_FILE}: {name}.client_certificate: {problem}"
                for problem in _problems_of_client_certificate(service.client_certificate)
            ),
        ]
        for name, service in services.items()
    }


def problems_of_locustfiles(services: Mapping[str, Service], *, folder: Path) -> ProblemsByEntry:
    """Check that each locustfile is Python in a folder below the catalogue's, and has the classes that are named."""
    return {
        name: [
            f"{SERVICES_FILE}: {name}.locustfile: {problem}"
            for problem in (problems_of_locustfile(service.locustfile, folder=folder) if service.locustfile else ())
        ]
        for name, service in services.items()
    }


def problems_of_data(scenarios: Mapping[str, Scenario], *, folder: Path) -> ProblemsByEntry:
    """Check that the market data of each scenario is a file in the catalogue's folder."""
    return {
        name: [
            f"{SCENARIOS_FILE}: {name}.data: {problem}" for problem in _problems_of_csv(scenario.data, folder=folder)
        ]
        for name, scenario in scenarios.items()
    }


def problems_of_schedules(scenarios: Mapping[str, Scenario], hours: MarketHours) -> ProblemsByEntry:
    """Check that the market hours have every session that a scenario names."""
    return {
        name: [
            f"{SCENARIOS_FILE}: {name}.{setting}.{problem}"
            for setting, named in (("schedule", scenario.schedule), ("production_hours", scenario.production_hours))
            if named
            for problem in named.problems(hours)
        ]
        for name, scenario in scenarios.items()
    }


def problems_of_rates(scenarios: Mapping[str, Scenario], operations: Operations) -> ProblemsByEntry:
    """Check that the load generators can send the load of each scenario."""
    return {
        name: [
            f"{SCENARIOS_FILE}: {name}.load: {problem}" for problem in problems_of_capacity(scenario.load, operations)
        ]
        for name, scenario in scenarios.items()
    }


def _problems_of_csv(data: Path, *, folder: Path) -> Iterator[str]:
    """Return why a file is not read; only files of the catalogue are, because error messages quote their content."""
    path = folder / data
    try:
        if not path.is_file():
            yield f"there is no file {path}; put the CSV there"
        elif not any(path.resolve().is_relative_to(allowed.resolve()) for allowed in (folder, PROJECT_FOLDER)):
            yield f"{path} is not in the catalogue's folder {folder}; put the CSV there"
    except OSError as err:
        yield f"cannot read {path}: {err.strerror}"


def _problems_of_pem(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    try:
        if not path.is_file():
            yield f"there is no file {path}; put the PEM bundle there"
        elif CERTIFICATE not in path.read_text(encoding="ascii", errors="replace"):
            yield f"{path} is not a PEM bundle: it has no {CERTIFICATE}"
    except OSError as err:
        yield f"cannot read {path}: {err.strerror}"


def _problems_of_client_certificate(path: Path | None) -> Iterator[str]:
    problems = list(_problems_of_pem(path))
    yield from problems
    if path is None or problems:
        return

    def refuse_passphrase() -> str:
        raise ValueError("its private key has a passphrase; remove it from the key")

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(path, password=refuse_passphrase)
    except ValueError as err:
        yield f"{path}: {err}"
    except OSError as err:  # an SSLError too
        reason = getattr(err, "reason", None) or err.strerror or "unknown"
        yield f"{path} must have a certificate and its private key, but has not ({reason.replace('_', ' ').lower()})"
