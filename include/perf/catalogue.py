"""The catalogue: every service and scenario, read from two YAML files and checked as a whole.

Reading it imports neither pandas nor Locust: Airflow does so each time it parses the DAGs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from include.perf.entry import Entry, place_of, rule_of
from include.perf.errors import CatalogueError, collected
from include.perf.scenario import Scenario
from include.perf.service import Service
from include.perf.yaml_file import default_folder, read_document

SERVICES_FILE = "services.yaml"
SCENARIOS_FILE = "scenarios.yaml"
ALL_SERVICES = "all"
CERTIFICATE = "-----BEGIN CERTIFICATE-----"

EntryT = TypeVar("EntryT", bound=Entry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All services and scenarios by name, in the order of their files."""

    folder: Path
    services: Mapping[str, Service]
    scenarios: Mapping[str, Scenario]

    def service(self, name: str) -> Service:
        """Return a service by its name, with or without the ``-service`` suffix.

        Raises:
            CatalogueError: there is none of that name.
        """
        if name in self.services:
            return self.services[name]
        for service in self.services.values():
            if name in (service.short_name, f"{service.short_name}-service"):
                return service
        raise CatalogueError(f"service {name!r} is not in the catalogue; there are {', '.join(self.services)}")

    def scenario(self, name: str) -> Scenario:
        """Return a scenario by its name.

        Raises:
            CatalogueError: there is none of that name.
        """
        try:
            return self.scenarios[name]
        except KeyError:
            known = ", ".join(self.scenarios)
            raise CatalogueError(f"scenario {name!r} is not in the catalogue; there are {known}") from None

    def services_of(self, scenario: Scenario, chosen: str = ALL_SERVICES) -> list[Service]:
        """Return the services that ``chosen`` means for a scenario: ``all``, or one by name.

        Raises:
            CatalogueError: the service is unknown, or the scenario does not load it.
        """
        of_scenario = list(dict.fromkeys(self.service(name).name for name in scenario.services or self.services))
        if chosen == ALL_SERVICES:
            return [self.services[name] for name in of_scenario]
        service = self.service(chosen)
        if service.name not in of_scenario:
            raise CatalogueError(
                f"scenario {scenario.name!r} does not load {service.name!r}; it loads {', '.join(of_scenario)}"
            )
        return [service]

    def accepted_names(self, scenario: Scenario) -> list[str]:
        """Return every value that a ``service`` parameter may take: all, the names, then the short names."""
        services = self.services_of(scenario)
        names = [service.name for service in services]
        short = [service.short_name for service in services if service.short_name not in names]
        return [ALL_SERVICES, *names, *short]

    def data_path(self, scenario: Scenario) -> Path:
        """Return where a scenario's market data lies."""
        return self.folder / scenario.data


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Read and check both files of a catalogue.

    Raises:
        CatalogueError: with every problem in either file: which file, which entry, the rule and the value.
    """
    folder = folder or default_folder()
    problems: list[str] = []
    services = _read_entries(folder / SERVICES_FILE, key="services", model=Service, problems=problems)
    services_are_whole = not problems
    services = {name: _with_ca_path(service, folder=folder) for name, service in services.items()}
    scenarios = _read_entries(folder / SCENARIOS_FILE, key="scenarios", model=Scenario, problems=problems)
    catalogue = Catalogue(folder=folder, services=services, scenarios=scenarios)
    problems += _cross_problems(catalogue, services_are_whole=services_are_whole)
    if problems:
        raise CatalogueError(problems)
    return catalogue


def _with_ca_path(service: Service, *, folder: Path) -> Service:
    """Say where a service's ``ca_file`` lies, for those who do not know the catalogue's folder."""
    if service.ca_file is None:
        return service
    return service.model_copy(update={"ca_file": (folder / service.ca_file).absolute()})


def _cross_problems(catalogue: Catalogue, *, services_are_whole: bool) -> list[str]:
    problems = [
        f"{SERVICES_FILE}: {service.name}.ca_file: {problem}"
        for service in catalogue.services.values()
        for problem in _problems_of_ca_file(service.ca_file)
    ]
    for scenario in catalogue.scenarios.values():
        where = f"{SCENARIOS_FILE}: {scenario.name}"
        if not catalogue.data_path(scenario).is_file():
            problems.append(f"{where}.data: there is no file {catalogue.data_path(scenario)}; put the CSV there")
        for name in scenario.services if services_are_whole else ():
            unknown: list[str] = []
            with collected(unknown):
                catalogue.service(name)
            problems += [f"{where}.services: {problem}" for problem in unknown]
    return problems


def _problems_of_ca_file(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        text = path.read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return [f"there is no file {path}; put the PEM bundle there"]
    except OSError as err:
        return [f"cannot read {path}: {err.strerror}"]
    return [] if CERTIFICATE in text else [f"{path} is no PEM bundle: there is no {CERTIFICATE} in it"]


def _read_entries(path: Path, *, key: str, model: type[EntryT], problems: list[str]) -> dict[str, EntryT]:
    try:
        document = _document_of(path, key=key)
    except CatalogueError as err:
        problems += err.problems
        return {}
    defaults = document.get("defaults") or {}
    entries: dict[str, EntryT] = {}
    for name, given in document[key].items():
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
    """Read a YAML file of the catalogue and check its outermost shape."""
    document = read_document(
        path,
        holds=f"schema_version and {key}",
        remedy="set BELLWETHER_CATALOGUE to the folder that holds it",
    )
    unknown = sorted(set(map(str, document)) - {"defaults", key})
    if unknown:
        raise CatalogueError(f"{path.name}: unknown key {', '.join(unknown)}; it may hold defaults and {key}")
    if not isinstance(document.get("defaults") or {}, dict):
        raise CatalogueError(f"{path.name}: defaults must be a mapping of settings, but is {document['defaults']!r}")
    if not isinstance(document.get(key), dict) or not document[key]:
        raise CatalogueError(f"{path.name}: {key} must name at least one entry, but is {document.get(key)!r}")
    return document


def _merge(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``values`` over ``defaults``; mappings in both are merged, everything else is replaced."""
    merged = dict(defaults)
    for key, value in dict(values).items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _is_echo(error: Mapping[str, Any]) -> bool:
    """Whether pydantic only says that nothing is left of a list whose entries it refused."""
    return error["type"] == "too_short" and len(error["input"]) > 0


def _sentence(path: Path, name: str, error: Mapping[str, Any]) -> str:
    """Turn one of pydantic's errors into: file, entry, rule, value."""
    colon = ":" if error["type"] == "value_error" else ""
    return f"{path.name}: {name}{place_of(error)}{colon} {rule_of(error)}"
