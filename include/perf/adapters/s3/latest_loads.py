"""The latest load of each cell, in one object: what others are told of loads that run, or ran last."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.adapters.shared_content import Changed
from include.perf.load_announcement.sent_load import SentLoad
from include.perf.ports import Reservations
from include.perf.run import from_json, to_json


@dataclass(frozen=True, slots=True, kw_only=True)
class _Latest:
    """The loads, by service and scenario."""

    loads: Mapping[str, SentLoad] = field(default_factory=dict)


class LatestLoads:
    """Keeps them; an observer of loads.

    Attributes:
        content: where they are.
    """

    def __init__(self, content: SharedObject, *, locks: Reservations) -> None:
        self.content = content
        self._locks = locks

    def load_began(self, load: SentLoad) -> None:
        """Keep it as the latest of its cell.

        Raises:
            StoreError: it cannot be kept.
        """

        def change(content: bytes | None) -> Changed[None]:
            loads = {**self._parsed(content), f"{load.service} {load.scenario}": load}
            return Changed(content=to_json(_Latest(loads=loads)), result=None)

        self.content.update(change)

    def load_ended(self, load: SentLoad) -> None:
        """Keep when it was over.

        Raises:
            StoreError: it cannot be kept.
        """
        self.load_began(load)

    def latest(self) -> tuple[SentLoad, ...]:
        """Return the latest load of each cell that had one.

        Raises:
            StoreError: they are broken or cannot be read.
        """
        return tuple(self._parsed(self.content.read()).values())

    def held(self) -> Set[str] | None:
        """Return the runs that hold a lease for their load; ``None`` where nobody can tell."""
        return self._locks.held()

    def _parsed(self, content: bytes | None) -> Mapping[str, SentLoad]:
        return {} if content is None else from_json(_Latest, content, where=self.content.where).loads
