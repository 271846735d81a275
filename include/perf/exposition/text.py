"""The metrics as Prometheus reads them: its own text format, or OpenMetrics for those who ask for it.

Source: prometheus.io, "Exposition formats".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from include.perf.exposition.families import families_of
from include.perf.exposition.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposition:
    """Metrics, ready to be sent."""

    content: bytes
    content_type: str


class _Standings(Collector):
    """Collects what was found out already."""

    def __init__(self, standings: Sequence[Standing]) -> None:
        self._standings = standings

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return families_of(self._standings)


def exposition_of(standings: Sequence[Standing], *, accept: str = "") -> Exposition:
    """Return the metrics of cells.

    Args:
        accept: which formats the reader takes, as the header of that name says.
    """
    registry = CollectorRegistry()
    registry.register(_Standings(standings))
    try:
        encode, content_type = choose_encoder(accept)
    except (TypeError, ValueError):  # on a version that is none
        encode, content_type = choose_encoder("")
    return Exposition(content=encode(registry), content_type=content_type)
