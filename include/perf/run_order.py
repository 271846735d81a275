"""In which order scenarios are run when all are wanted."""

from include.perf.catalogue import Catalogue
from include.perf.scenario import Scenario


def run_order(catalogue: Catalogue) -> list[Scenario]:
    """Return every scenario: those that must be over before an opening first, then the shortest first.

    What is short tells early that something is wrong; what may not wait does not wait for what may.
    """
    return sorted(
        catalogue.scenarios.values(),
        key=lambda scenario: (not (scenario.schedule and scenario.schedule.is_before_opening), scenario.load.total_s),
    )
