"""The catalogue: every service and scenario, read from two YAML files and checked as a whole.

Reading it imports neither pandas nor Locust: Airflow does so each time it parses the DAGs.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from include.perf.errors import CatalogueError
from include.perf.scenario import Scenario
from include.perf.service import Entry, Service

SERVICES_FILE = "services.yaml"
SCENARIOS_FILE = "scenarios.yaml"
SCHEMA_VERSION = 1
ALL_SERVICES = "all"

EntryT = TypeVar("EntryT", bound=Entry)


def default_folder() -> Path:
    """Return the catalogue's folder: ``BELLWETHER_CATALOGUE``, or the one in the repository."""
    return Path(os.environ.get("BELLWETHER_CATALOGUE") or Path(__file__).parent.parent)


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
        for service in self.services.values():
            if name in (service.name, service.short_name, f"{service.short_name}-service"):
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
        of_scenario = list(scenario.services or self.services)
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
    scenarios = _read_entries(folder / SCENARIOS_FILE, key="scenarios", model=Scenario, problems=problems)
    catalogue = Catalogue(folder=folder, services=services, scenarios=scenarios)
    problems += _cross_problems(catalogue, services_are_whole=not problems)
    if problems:
        raise CatalogueError(problems)
    return catalogue


def _cross_problems(catalogue: Catalogue, *, services_are_whole: bool) -> list[str]:
    problems = []
    for scenario in catalogue.scenarios.values():
        where = f"{SCENARIOS_FILE}: {scenario.name}"
        if not catalogue.data_path(scenario).is_file():
            problems.append(f"{where}.data: there is no file {catalogue.data_path(scenario)}; put the CSV there")
        if services_are_whole:
            problems += [
                f"{where}.services: {name!r} is not in {SERVICES_FILE}; there are {', '.join(catalogue.services)}"
                for name in scenario.services
                if name not in catalogue.services
            ]
    return problems


def _read_entries(path: Path, *, key: str, model: type[EntryT], problems: list[str]) -> dict[str, EntryT]:
    try:
        document = _read_document(path, key=key)
    except CatalogueError as err:
        problems += err.problems
        return {}
    defaults = document.get("defaults") or {}
    entries: dict[str, EntryT] = {}
    for name, values in document[key].items():
        try:
            entries[str(name)] = model.model_validate(_merge(defaults, values or {}) | {"name": str(name)})
        except ValidationError as err:
            problems += [_sentence(path, str(name), error) for error in err.errors()]
        except TypeError:
            problems.append(f"{path.name}: {name} must be a mapping of settings, but is {values!r}")
    return entries


def _read_document(path: Path, *, key: str) -> dict[str, Any]:
    """Read a YAML file of the catalogue and check its outermost shape."""
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a safe loader
    except FileNotFoundError:
        raise CatalogueError(f"there is no {path}; set BELLWETHER_CATALOGUE to the folder that holds it") from None
    except UnicodeDecodeError as err:
        raise CatalogueError(f"{path.name}: not UTF-8 text ({err.reason} at byte {err.start})") from err
    except yaml.YAMLError as err:
        raise CatalogueError(f"{path.name}: not valid YAML: {' '.join(str(err).split())}") from err
    if not isinstance(document, dict):
        raise CatalogueError(f"{path.name}: must hold schema_version and {key}, but holds {document!r}")
    if document.get("schema_version") != SCHEMA_VERSION:
        version = document.get("schema_version")
        raise CatalogueError(f"{path.name}: schema_version must be {SCHEMA_VERSION}, but is {version!r}")
    unknown = sorted(set(map(str, document)) - {"schema_version", "defaults", key})
    if unknown:
        raise CatalogueError(f"{path.name}: unknown key {', '.join(unknown)}; it may hold defaults and {key}")
    if not isinstance(document.get(key), dict) or not document[key]:
        raise CatalogueError(f"{path.name}: {key} must name at least one entry, but is {document.get(key)!r}")
    return document


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses a key given twice, where YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _merge(defaults: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Lay ``values`` over ``defaults``; mappings in both are merged, everything else is replaced."""
    merged = dict(defaults)
    for key, value in dict(values).items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _sentence(path: Path, name: str, error: Mapping[str, Any]) -> str:
    """Turn one of pydantic's errors into: file, entry, rule, value."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error["loc"])
    where = f"{path.name}: {name}{steps}"
    match error["type"]:
        case "missing":
            return f"{where} is missing; every entry needs it"
        case "extra_forbidden":
            return f"{where} is not a known setting; correct its name or remove it"
        case "value_error":
            return f"{where}: {error['ctx']['error']}"
        case _:
            rule = str(error["msg"]).replace("Input should", "should").replace("String should", "should")
            return f"{where} {rule}, but is {error['input']!r}"
