"""The part of the catalogue that a run was planned with. It stays in the run's folder, for later stages.

An entry that is edited or becomes wrong then does not affect a run in flight, except that hosts which were forbidden
meanwhile apply as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.forbidden_hosts import ForbiddenHost
from include.perf.catalogue.operations import Operations
from include.perf.catalogue.scenario.market_hours import MarketHours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from include.perf.runs.spec import RunSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCatalogue:
    """The entries of one run, and what applies to all.

    Attributes:
        forbidden_hosts: the hosts that no load for the service may reach.
    """

    service: Service
    scenario: Scenario
    forbidden_hosts: tuple[ForbiddenHost, ...]
    market_hours: MarketHours
    operations: Operations


def kept_for(spec: RunSpec, catalogue: Catalogue) -> KeptCatalogue:
    """Return what a run is planned with.

    Raises:
        CatalogueError: the catalogue does not have its service or its scenario.
    """
    service = catalogue.service(spec.service)
    return KeptCatalogue(
        service=service,
        scenario=catalogue.scenario(spec.scenario),
        forbidden_hosts=catalogue.forbidden_for(service),
        market_hours=catalogue.market_hours,
        operations=catalogue.operations,
    )


def kept_catalogue(kept: Sequence[KeptCatalogue], *, folder: Path, current: Catalogue | None) -> Catalogue:
    """Return a catalogue of what runs were planned with.

    Args:
        kept: of one run, or of the runs of one night; at least one.
        folder: the folder of the catalogue, where the market data is.
        current: the catalogue now, whose forbidden hosts apply in addition; ``None`` if it cannot be read.
    """
    forbidden = [host for run in kept for host in run.forbidden_hosts]
    if current is not None:
        forbidden += [host for run in kept for host in current.forbidden_for(run.service)]
    return Catalogue(
        folder=folder,
        services={run.service.name: run.service for run in kept},
        scenarios={run.scenario.name: run.scenario for run in kept},
        market_hours=kept[0].market_hours,
        operations=kept[0].operations,
        forbidden_hosts=tuple(dict.fromkeys(forbidden)),
    )
