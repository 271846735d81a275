"""A run together with the catalogue entries that its specification names."""

from dataclasses import dataclass
from pathlib import Path

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.forbidden_hosts import ForbiddenHost
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.runs.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun:
    """A run whose service and scenario are looked up, so that no later step needs the catalogue.

    Attributes:
        spec: what was requested.
        data: the CSV file of the scenario's market data.
        forbidden_hosts: the hosts that no load for the service may reach.
        addresses: the only addresses that its load may go to, in the order in which they are tried; empty until the
            guard has resolved and checked them.
    """

    spec: RunSpec
    service: Service
    scenario: Scenario
    data: Path
    forbidden_hosts: tuple[ForbiddenHost, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def longest_s(self) -> float:
        """The longest time that the load may take, until its last answer or time-out."""
        return self.service.longest_s(self.spec.load)

    def __str__(self) -> str:
        """Return what identifies the run in a log line: service, scenario and run id."""
        return f"{self.spec.service} {self.spec.scenario} {self.spec.run_id}"


def planned_run(spec: RunSpec, catalogue: Catalogue) -> PlannedRun:
    """Look up the service and the scenario of a run.

    Raises:
        CatalogueError: the catalogue no longer has one of them.
    """
    service, scenario = catalogue.service(spec.service), catalogue.scenario(spec.scenario)
    return PlannedRun(
        spec=spec,
        service=service,
        scenario=scenario,
        data=catalogue.data_path(scenario),
        forbidden_hosts=catalogue.forbidden_for(service),
    )
