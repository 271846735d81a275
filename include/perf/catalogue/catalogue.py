"""The catalogue: services, scenarios and market hours, from three YAML files that are checked together.

It imports neither pandas nor Locust, because Airflow reads it each time it parses the DAGs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from include.perf.catalogue.forbidden_hosts import ForbiddenHost, forbidden_by_production
from include.perf.catalogue.hard_limits import DEFAULT_LIMITS, HardLimit
from include.perf.catalogue.operations import Operations
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.model.cell import CellName
from include.perf.model.errors import CatalogueError

SERVICES_FILE = "services.yaml"
SCENARIOS_FILE = "scenarios.yaml"

ALL_SERVICES = ALL_SCENARIOS = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryProblem:
    """A problem of one entry, because of which the entry or a part of it is left out.

    Attributes:
        file: the name of the file.
        entry: the name of the service or scenario.
        text: the problem, with the file and the entry.
    """

    file: str
    entry: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """All services and scenarios by name, in the order of their files, and the market hours for their schedules.

    Attributes:
        left_out: the problems of wrong entries, which the catalogue does not contain; a scenario that is too fast for
            a service loads the others.
        broken: why a file cannot be used as a whole; then this is the last catalogue that could be, and nothing may be
            planned with it.
        left_out_hosts: the hosts of left-out production services, forbidden for all other services.
    """

    folder: Path
    services: Mapping[str, Service]
    scenarios: Mapping[str, Scenario]
    market_hours: MarketHours
    operations: Operations = field(default_factory=Operations)
    forbidden_hosts: tuple[ForbiddenHost, ...] = ()
    left_out: tuple[EntryProblem, ...] = ()
    left_out_hosts: tuple[ForbiddenHost, ...] = ()
    broken: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[str, ...]:
        """The problems of broken files and of all left-out entries, each once."""
        return tuple(dict.fromkeys([*self.broken, *(problem.text for problem in self.left_out)]))

    @property
    def left_out_services(self) -> list[str]:
        """The names of the services whose entries are wrong."""
        return self._names_left_out(SERVICES_FILE, self.services)

    @property
    def left_out_scenarios(self) -> list[str]:
        """The names of the scenarios whose entries are wrong, or which have no service left."""
        return self._names_left_out(SCENARIOS_FILE, self.scenarios)

    def _names_left_out(self, file: str, usable: Mapping[str, object]) -> list[str]:
        names = dict.fromkeys(problem.entry for problem in self.left_out if problem.file == file)
        return [name for name in names if name not in usable]

    def service(self, name: str) -> Service:
        """Return a service by its name, with or without the ``-service`` suffix.

        Raises:
            CatalogueError: the name is unknown, or its entry is wrong.
        """
        try:
            return service_named(name, self.services)
        except CatalogueError as err:
            raise self._why_left_out(SERVICES_FILE, name) or err from None

    def scenario(self, name: str) -> Scenario:
        """Return a scenario by its name.

        Raises:
            CatalogueError: the name is unknown, or its entry is wrong.
        """
        try:
            return self.scenarios[name]
        except KeyError:
            known = ", ".join(self.scenarios)
            unknown = CatalogueError(f"scenario {name!r} is not in the catalogue; known: {known}")
            raise self._why_left_out(SCENARIOS_FILE, name) or unknown from None

    def _why_left_out(self, file: str, name: str) -> CatalogueError | None:
        """Return the problems of a left-out entry."""
        names = (name, f"{name}-service", name.removesuffix("-service")) if file == SERVICES_FILE else (name,)
        problems = [problem.text for problem in self.left_out if problem.file == file and problem.entry in names]
        return CatalogueError(problems) if problems else None

    def services_of(self, scenario: Scenario, chosen: str = ALL_SERVICES) -> list[Service]:
        """Return the chosen services of a scenario: ``all``, or one by name.

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

    def cells(self) -> Iterator[CellName]:
        """Yield all cells, service by service."""
        loaded = {
            name: {service.name for service in self.services_of(scenario)} for name, scenario in self.scenarios.items()
        }
        for service in self.services:
            for scenario, services in loaded.items():
                if service in services:
                    yield CellName(service, scenario)

    def scenario_of(self, service: Service) -> Scenario:
        """Return the first scenario that loads a service.

        Raises:
            CatalogueError: no scenario loads it.
        """
        for scenario in self.scenarios.values():
            if service in self.services_of(scenario):
                return scenario
        raise CatalogueError(f"no scenario loads {service.name!r}; name it in the services of one, in {SCENARIOS_FILE}")

    def accepted_names(self, scenario: Scenario | None = None) -> list[str]:
        """Return all valid values of a ``service`` parameter: ``all``, the names, then the short names.

        Args:
            scenario: only the services of this scenario; ``None`` for all services.
        """
        services = self.services.values() if scenario is None else self.services_of(scenario)
        names = [service.name for service in services]
        short = [service.short_name for service in services if service.short_name not in names]
        return [ALL_SERVICES, *names, *short]

    def limits_of(self, service: str) -> tuple[HardLimit, ...]:
        """Return the hard limits of a service; the default ones if it is not in the catalogue any more."""
        known = self.services.get(service)
        return known.limits if known else DEFAULT_LIMITS

    def forbidden_for(self, service: Service) -> tuple[ForbiddenHost, ...]:
        """Return the forbidden hosts for a service; for a non-production service, with those of production."""
        by_production = forbidden_by_production(service, self.services.values(), left_out=self.left_out_hosts)
        return (*self.forbidden_hosts, *by_production)

    def data_path(self, scenario: Scenario) -> Path:
        """Return the path of a scenario's market data."""
        return self.folder / scenario.data


def service_named(name: str, services: Mapping[str, Service]) -> Service:
    """Return a service by its name, with or without the ``-service`` suffix.

    Raises:
        CatalogueError: the name is unknown.
    """
    if name in services:
        return services[name]
    for service in services.values():
        if name in (service.short_name, f"{service.short_name}-service"):
            return service
    raise CatalogueError(f"service {name!r} is not in the catalogue; known: {', '.join(services)}")
