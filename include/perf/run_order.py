"""In which order scenarios are run when all are wanted."""

from include.perf.catalogue import ALL_SERVICES, Catalogue
from include.perf.scenario import Scenario


def run_order(catalogue: Catalogue) -> list[Scenario]:
    """Return every scenario: those that must be over before an opening first, then the shortest first.

    What is short tells early that something is wrong; what may not wait does not wait for what may.
    """
    return sorted(
        catalogue.scenarios.values(),
        key=lambda scenario: (not (scenario.schedule and scenario.schedule.is_before_opening), scenario.load.total_s),
    )


def scenarios_of(catalogue: Catalogue, service: str = ALL_SERVICES) -> list[Scenario]:
    """Return every scenario that loads a service, in the same order.

    Raises:
        CatalogueError: the service is unknown, or none loads it.
    """
    if service == ALL_SERVICES:
        return run_order(catalogue)
    chosen = catalogue.service(service)
    catalogue.scenario_of(chosen)
    return [scenario for scenario in run_order(catalogue) if chosen in catalogue.services_of(scenario)]
