"""Reads the YAML files of a catalogue and checks them together."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE, Catalogue, EntryProblem, service_named
from include.perf.catalogue.cross_checks import (
    problems_of_data,
    problems_of_hosts,
    problems_of_locustfiles,
    problems_of_rates,
    problems_of_schedules,
    problems_of_tls_files,
)
from include.perf.catalogue.data_file import DataFiles
from include.perf.catalogue.documents import (
    EntryT,
    document_of,
    entry_in,
    forbidden_in,
    operations_in,
    with_defaults,
)
from include.perf.catalogue.forbidden_hosts import ForbiddenHost, hosts_of_production, hosts_of_unread_service
from include.perf.catalogue.operations import Operations, problems_of_ceiling
from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS
from include.perf.catalogue.scenario.market_hours import (
    MARKET_HOURS_FILE,
    OWN_FILE,
    MarketHours,
    load_market_hours,
    market_hours_path,
)
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.catalogue.worker_rates import problems_of_concurrency, problems_of_workers
from include.perf.model.errors import CatalogueError, ConfigurationError
from include.perf.model.yaml_entries import default_folder


def load_catalogue(folder: Path | None = None) -> Catalogue:
    """Read and check the three files of a catalogue; without its own market hours, the project's file is used.

    Raises:
        CatalogueError: with all problems in all files; each has the file, the entry, the rule and the value.
    """
    reading = _Reading(folder or default_folder())
    catalogue = reading.catalogue()
    if reading.problems or catalogue is None:
        raise CatalogueError(list(dict.fromkeys(reading.problems or reading.consequences)))
    return catalogue


def read_catalogue(folder: Path | None = None, *, texts: Mapping[str, str] | None = None) -> Catalogue:
    """Read what is right in a catalogue and leave out each wrong entry; `Catalogue.left_out` has their problems.

    A scenario goes on with the services that are left. The hosts of a left-out production service stay forbidden.

    Args:
        texts: the files by name, if they were read before; market hours that are not among them are the project's.

    Raises:
        CatalogueError: a file cannot be used as a whole, or no service or no scenario is left; with all problems.
    """
    reading = _Reading(folder or default_folder(), texts)
    catalogue = reading.catalogue()
    if catalogue is None:
        raise CatalogueError(list(dict.fromkeys([*reading.problems, *reading.consequences])))
    return catalogue


def read_operations(folder: Path | None = None) -> Operations:
    """Return the settings of the pipeline itself, or the default ones if they cannot be read.

    With them, problems of the catalogue can be reported even if a file cannot be used as a whole.
    """
    try:
        return operations_in(document_of((folder or default_folder()) / SCENARIOS_FILE, key="scenarios"))
    except CatalogueError:
        return Operations()


class _Reading:
    """Reads a catalogue once and collects its problems in the order found.

    Attributes:
        problems: all problems of the files and of their entries.
        consequences: why more cannot be used because of them.
    """

    def __init__(self, folder: Path, texts: Mapping[str, str] | None = None) -> None:
        self.problems: list[str] = []
        self.consequences: list[str] = []
        self._folder = folder
        self._texts = texts
        self._left_out: list[EntryProblem] = []
        self._is_usable = True

    def catalogue(self) -> Catalogue | None:
        """Return the catalogue without its wrong entries, or ``None`` if it cannot be used as a whole."""
        services_file = self._document(SERVICES_FILE, key="services")
        read = self._entries(services_file, SERVICES_FILE, key="services", model=Service)
        scenarios_file = self._document(SCENARIOS_FILE, key="scenarios")
        scenarios = self._entries(scenarios_file, SCENARIOS_FILE, key="scenarios", model=Scenario)
        operations = self._operations(scenarios_file)
        forbidden = self._forbidden_hosts(services_file)
        unread = self._hosts_of_unread(services_file, read)

        services = {name: _with_absolute_paths(service, folder=self._folder) for name, service in read.items()}
        services = self._without(SERVICES_FILE, services, problems_of_hosts(services, forbidden, left_out=unread))
        services = self._without(SERVICES_FILE, services, problems_of_tls_files(services))
        services = self._without(SERVICES_FILE, services, problems_of_locustfiles(services, folder=self._folder))
        scenarios = self._without(SCENARIOS_FILE, scenarios, problems_of_data(scenarios, folder=self._folder))
        if services:
            scenarios = self._with_known_services(scenarios, services, names=list(services_file["services"]))
        hours = self._market_hours()
        if hours is not None:
            scenarios = self._without(SCENARIOS_FILE, scenarios, problems_of_schedules(scenarios, hours))
        scenarios = self._without(SCENARIOS_FILE, scenarios, problems_of_rates(scenarios, operations))
        if services:
            scenarios = self._within_ceilings(scenarios, services)
        if hours is None or not (self._is_usable and services and scenarios):
            return None
        return Catalogue(
            folder=self._folder,
            services=services,
            scenarios=scenarios,
            market_hours=hours,
            operations=operations,
            forbidden_hosts=forbidden,
            left_out=tuple(self._left_out),
            left_out_hosts=(*unread, *hosts_of_production(read[name] for name in read if name not in services)),
        )

    @contextmanager
    def _of_the_whole_file(self) -> Iterator[None]:
        """Collect problems that make the catalogue unusable as a whole."""
        try:
            yield
        except ConfigurationError as err:
            self.problems += err.problems
            self._is_usable = False

    def _leave_out(self, file: str, entry: str, problems: Sequence[str]) -> None:
        """Collect the problems of one entry."""
        self.problems += problems
        self._left_out += [EntryProblem(file=file, entry=entry, text=problem) for problem in problems]

    def _without(
        self, file: str, entries: Mapping[str, EntryT], problems: Mapping[str, Sequence[str]]
    ) -> dict[str, EntryT]:
        """Return the entries that have no problem."""
        for name, found in problems.items():
            self._leave_out(file, name, found)
        return {name: entry for name, entry in entries.items() if not problems[name]}

    def _document(self, file: str, *, key: str) -> dict[str, Any]:
        with self._of_the_whole_file():
            return document_of(self._folder / file, key=key, text=self._text(file))
        return {}

    def _text(self, file: str) -> str | None:
        """Return the text of a file that was read before; ``None`` to read it.

        Raises:
            CatalogueError: the file was missing or could not be read.
        """
        if self._texts is None:
            return None
        if file not in self._texts:
            raise CatalogueError(f"there is no readable {file}")
        return self._texts[file]

    def _entries(self, document: Mapping[str, Any], file: str, *, key: str, model: type[EntryT]) -> dict[str, EntryT]:
        entries: dict[str, EntryT] = {}
        for name, given in document.get(key, {}).items():
            values = {} if given is None else given
            if not isinstance(values, dict):
                problem = f"{file}: {name} must be a mapping of settings, but is {values!r}"
                self._leave_out(file, str(name), [problem])
                continue
            try:
                entries[str(name)] = entry_in(document, str(name), values, file=file, model=model)
            except CatalogueError as err:
                self._leave_out(file, str(name), err.problems)
        return entries

    def _operations(self, document: Mapping[str, Any]) -> Operations:
        with self._of_the_whole_file():
            return operations_in(document)
        return Operations(capacity_rps=MAX_RATE_RPS)

    def _forbidden_hosts(self, document: Mapping[str, Any]) -> tuple[ForbiddenHost, ...]:
        with self._of_the_whole_file():
            return forbidden_in(document)
        return ()

    def _market_hours(self) -> MarketHours | None:
        with self._of_the_whole_file():
            if self._texts is None:
                return load_market_hours(market_hours_path(self._folder))
            if MARKET_HOURS_FILE not in self._texts:
                return load_market_hours(OWN_FILE)
            return load_market_hours(self._folder / MARKET_HOURS_FILE, text=self._texts[MARKET_HOURS_FILE])
        return None

    def _hosts_of_unread(self, document: Mapping[str, Any], read: Mapping[str, Service]) -> tuple[ForbiddenHost, ...]:
        """Return the hosts of the production services whose entries are wrong."""
        hosts: list[ForbiddenHost] = []
        for name, given in document.get("services", {}).items():
            if str(name) in read:
                continue
            try:
                hosts += hosts_of_unread_service(str(name), with_defaults(document, given))
            except CatalogueError as err:
                self.consequences += [f"{SERVICES_FILE}: {problem}" for problem in err.problems]
                self._is_usable = False
        return tuple(hosts)

    def _with_known_services(
        self, scenarios: Mapping[str, Scenario], services: Mapping[str, Service], *, names: Sequence[object]
    ) -> dict[str, Scenario]:
        """Return the scenarios with the services that are left, without those that name an unknown service.

        Args:
            names: the names of all services in the file, those of wrong entries included.
        """
        wrong = {str(name).removesuffix("-service") for name in names if str(name) not in services}
        kept: dict[str, Scenario] = {}
        for name, scenario in scenarios.items():
            usable, problems = [], []
            for service in scenario.services:
                try:
                    usable.append(service_named(service, services).name)
                except CatalogueError as err:
                    if service.removesuffix("-service") not in wrong:
                        problems.append(f"{SCENARIOS_FILE}: {name}.services: {err}")
            if problems:
                self._leave_out(SCENARIOS_FILE, name, problems)
            elif len(usable) == len(scenario.services):
                kept[name] = scenario
            elif usable:
                kept[name] = scenario.model_copy(update={"services": tuple(usable)})
            else:
                self._without_services(name)
        return kept

    def _within_ceilings(
        self, scenarios: Mapping[str, Scenario], services: Mapping[str, Service]
    ) -> dict[str, Scenario]:
        """Return the scenarios with the services that may receive their load, from workers that hold it."""
        kept: dict[str, Scenario] = {}
        for name, scenario in scenarios.items():
            loaded = [service_named(service, services) for service in scenario.services or services]
            problems = {
                service.name: [
                    *problems_of_ceiling(scenario.load, service),
                    *problems_of_workers(scenario.load, service),
                    *problems_of_concurrency(scenario.load, service),
                ]
                for service in loaded
            }
            usable = tuple(service for service, too_fast in problems.items() if not too_fast)
            sentences = [
                f"{SCENARIOS_FILE}: {name}.load: {problem}" for found in problems.values() for problem in found
            ]
            self._leave_out(SCENARIOS_FILE, name, sentences)
            if not sentences:
                kept[name] = scenario
            elif usable:
                kept[name] = scenario.model_copy(update={"services": usable})
        return kept

    def _without_services(self, scenario: str) -> None:
        problem = f"{SCENARIOS_FILE}: {scenario}.services: the entry of every service in it is wrong"
        self.consequences.append(problem)
        self._left_out.append(EntryProblem(file=SCENARIOS_FILE, entry=scenario, text=problem))


def _with_absolute_paths(service: Service, *, folder: Path) -> Service:
    """Make the paths of the files that a service names absolute."""

    def absolute(files: DataFiles) -> DataFiles:
        return {name: data.model_copy(update={"file": (folder / data.file).absolute()}) for name, data in files.items()}

    endpoints = tuple(
        endpoint.model_copy(update={"data_files": absolute(endpoint.data_files)}) if endpoint.data_files else endpoint
        for endpoint in service.endpoints
    )
    tls_files = {
        name: None if (path := getattr(service, name)) is None else (folder / path).absolute()
        for name in ("ca_file", "client_certificate")
    }
    files: dict[str, Any] = {**tls_files, "data_files": absolute(service.data_files), "endpoints": endpoints}
    if service.locustfile is not None:
        path = (folder / service.locustfile.file).absolute()
        files["locustfile"] = service.locustfile.model_copy(update={"file": path})
    return service.model_copy(update=files)
