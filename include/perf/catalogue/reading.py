"""Reads the YAML files of a catalogue and checks them together."""

from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.perf.catalogue.catalogue import SCENARIOS_FILE, Catalogue, _forbidden_for, _service_named
from include.perf.catalogue.forbidden_hosts import (
    FORBIDDEN_KEY,
    ForbiddenHost,
    problems_of_service,
    read_forbidden_hosts,
)
from include.perf.catalogue.operations import Operations, problems_of_capacity, problems_of_ceiling
from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS
from include.perf.catalogue.scenario.market_hours import MarketHours, load_market_hours, market_hours_path
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.model.errors import CatalogueError, collected
from include.perf.model.validation import place_of, problem_of, rule_of
from include.perf.model.yaml_entries import (
    PROJECT_FOLDER,
    Entry,
    default_folder,
    read_document,
)

SERVICES_FILE = "services.yaml"

CERTIFICATE = "-----BEGIN CERTIFICATE-----"

SETTINGS = {"services": (FORBIDDEN_KEY,), "scenarios": tuple(Operations.model_fields)}
"""Further settings at the top level of each file, by the key of its entries."""

EntryT = TypeVar("EntryT", bound=Entry)


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Read and check the three files of a catalogue; without its own market hours, the project's file is used.

    Raises:
        CatalogueError: with all problems in all files; each has the file, the entry, the rule and the value.
    """
    folder = folder or default_folder()
    problems: list[str] = []
    forbidden: tuple[ForbiddenHost, ...] = ()
    services_file = _read_document(folder / SERVICES_FILE, key="services", problems=problems)
    services = _entries_of(services_file, folder / SERVICES_FILE, key="services", model=Service, problems=problems)
    are_services_valid = not problems
    services = {name: _with_ca_path(service, folder=folder) for name, service in services.items()}
    scenarios_file = _read_document(folder / SCENARIOS_FILE, key="scenarios", problems=problems)
    scenarios = _entries_of(scenarios_file, folder / SCENARIOS_FILE, key="scenarios", model=Scenario, problems=problems)
    operations = _operations_in(scenarios_file, problems=problems)
    with collected(problems):
        forbidden = _forbidden_in(services_file)
    problems += _problems_of_hosts(services, forbidden)
    problems += _problems_of_ca_files(services)
    problems += _problems_of_data(scenarios, folder=folder)
    if are_services_valid:
        problems += _problems_of_names(scenarios, services)
    with collected(problems):
        hours = load_market_hours(market_hours_path(folder))
        problems += _problems_of_schedules(scenarios, hours)
    if problems:
        raise CatalogueError(problems)
    catalogue = Catalogue(
        folder=folder,
        services=services,
        scenarios=scenarios,
        market_hours=hours,
        operations=operations,
        forbidden_hosts=forbidden,
    )
    if problems := _problems_of_rates(catalogue):
        raise CatalogueError(problems)
    return catalogue


def _with_ca_path(service: Service, *, folder: Path) -> Service:
    """Make the path of a service's ``ca_file`` absolute."""
    if service.ca_file is None:
        return service
    return service.model_copy(update={"ca_file": (folder / service.ca_file).absolute()})


def _operations_in(document: Mapping[str, Any], *, problems: list[str]) -> Operations:
    try:
        return Operations.model_validate({key: document[key] for key in Operations.model_fields if key in document})
    except ValidationError as err:
        problems += [f"{SCENARIOS_FILE}: {problem_of(error)}" for error in err.errors()]
        return Operations(capacity_rps=MAX_RATE_RPS)


def _forbidden_in(document: Mapping[str, Any]) -> tuple[ForbiddenHost, ...]:
    try:
        return read_forbidden_hosts(document.get(FORBIDDEN_KEY))
    except CatalogueError as err:
        raise CatalogueError([f"{SERVICES_FILE}: {problem}" for problem in err.problems]) from err


def _problems_of_hosts(services: Mapping[str, Service], forbidden: Sequence[ForbiddenHost]) -> list[str]:
    return [
        f"{SERVICES_FILE}: {service.name}: {problem}"
        for service in services.values()
        for problem in problems_of_service(service, _forbidden_for(service, services, forbidden))
    ]


def _problems_of_ca_files(services: Mapping[str, Service]) -> list[str]:
    return [
        f"{SERVICES_FILE}: {service.name}.ca_file: {problem}"
        for service in services.values()
        for problem in _problems_of_ca_file(service.ca_file)
    ]


def _problems_of_data(scenarios: Mapping[str, Scenario], *, folder: Path) -> list[str]:
    return [
        f"{SCENARIOS_FILE}: {scenario.name}.data: {problem}"
        for scenario in scenarios.values()
        for problem in _problems_of_csv(folder / scenario.data, folder=folder)
    ]


def _problems_of_csv(path: Path, *, folder: Path) -> list[str]:
    """Return why a file is not read; only files of the catalogue are, because error messages quote their content."""
    if not path.is_file():
        return [f"there is no file {path}; put the CSV there"]
    if not any(path.resolve().is_relative_to(allowed.resolve()) for allowed in (folder, PROJECT_FOLDER)):
        return [f"{path} is not in the catalogue's folder {folder}; put the CSV there"]
    return []


def _problems_of_rates(catalogue: Catalogue) -> list[str]:
    """Return the scenarios whose rates are too high."""
    return [
        f"{SCENARIOS_FILE}: {scenario.name}.load: {problem}"
        for scenario in catalogue.scenarios.values()
        for problem in (
            *problems_of_capacity(scenario.load, catalogue.operations),
            *chain.from_iterable(
                problems_of_ceiling(scenario.load, service) for service in catalogue.services_of(scenario)
            ),
        )
    ]


def _problems_of_names(scenarios: Mapping[str, Scenario], services: Mapping[str, Service]) -> list[str]:
    problems: list[str] = []
    for scenario in scenarios.values():
        unknown: list[str] = []
        for name in scenario.services:
            with collected(unknown):
                _service_named(name, services)
        problems += [f"{SCENARIOS_FILE}: {scenario.name}.services: {problem}" for problem in unknown]
    return problems


def _problems_of_schedules(scenarios: Mapping[str, Scenario], hours: MarketHours) -> list[str]:
    return [
        f"{SCENARIOS_FILE}: {scenario.name}.{setting}.{problem}"
        for scenario in scenarios.values()
        for setting, named in (("schedule", scenario.schedule), ("production_hours", scenario.production_hours))
        if named
        for problem in named.problems(hours)
    ]


def _problems_of_ca_file(path: Path | None) -> list[str]:
    if path is None:
        return []
    if not path.is_file():
        return [f"there is no file {path}; put the PEM bundle there"]
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except OSError as err:
        return [f"cannot read {path}: {err.strerror}"]
    return [] if CERTIFICATE in text else [f"{path} is not a PEM bundle: it has no {CERTIFICATE}"]


def _read_document(path: Path, *, key: str, problems: list[str]) -> dict[str, Any]:
    """Return the content of a file, or nothing if it is broken."""
    with collected(problems):
        return _document_of(path, key=key)
    return {}


def _entries_of(
    document: Mapping[str, Any], path: Path, *, key: str, model: type[EntryT], problems: list[str]
) -> dict[str, EntryT]:
    defaults = document.get("defaults") or {}
    entries: dict[str, EntryT] = {}
    for name, given in document.get(key, {}).items():
        values = {} if given is None else given
        if not isinstance(values, dict):
            problems.append(f"{path.name}: {name} must be a mapping of settings, but is {values!r}")
            continue
        try:
            entries[str(name)] = model.model_validate(_merge(defaults, values) | {"name": str(name)})
        except ValidationError as err:
            problems += [_sentence(path, str(name), error) for error in err.errors() if not _is_echo(error)]
    return entries


def _document_of(path: Path, *, key: str) -> dict[str, Any]:
    """Read a YAML file of the catalogue and check its top level."""
    document = read_document(
        path,
        holds=f"schema_version and {key}",
        remedy="set BELLWETHER_CATALOGUE to the folder that holds it",
    )
    known = ("defaults", *SETTINGS[key])
    unknown = sorted(set(map(str, document)) - {*known, key})
    if unknown:
        raise CatalogueError(f"{path.name}: unknown key {', '.join(unknown)}; it may hold {', '.join(known)} and {key}")
    if not isinstance(document.get("defaults") or {}, dict):
        raise CatalogueError(f"{path.name}: defaults must be a mapping of settings, but is {document['defaults']!r}")
    if not isinstance(document.get(key), dict) or not document[key]:
        raise CatalogueError(f"{path.name}: {key} must name at least one entry, but is {document.get(key)!r}")
    return document


def _merge(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Merge ``values`` into ``defaults``: mappings in both are merged, all other values are replaced."""
    merged = dict(defaults)
    for key, value in dict(values).items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _is_echo(error: Mapping[str, Any]) -> bool:
    """Whether an error only repeats that a list is empty after its entries were refused."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _sentence(path: Path, name: str, error: Mapping[str, Any]) -> str:
    """Return an error of pydantic as a sentence with file, entry, rule and value."""
    colon = ":" if error["type"] == "value_error" else ""
    return f"{path.name}: {name}{place_of(error)}{colon} {rule_of(error)}"
