"""Parts of the baselines file that cannot be used: left out, named, and written back as they are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.perf.model.cell import CellName

REMEDY = "restore it from version control"
MAX_PROBLEMS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class OddEntry:
    """A service, an entry, or an earlier version that cannot be used.

    Attributes:
        values: what the file has there, as `include.perf.model.exact_json` reads it; several for a repeated key.
        where: the file.
        problems: each begins with its path in the file.
        older: for an earlier version, the number of usable versions that come after it in the file.
        runs: for an earlier version, the runs that newer entries hold for it, by id.
    """

    values: tuple[Any, ...]
    where: str
    problems: tuple[str, ...]
    older: int = 0
    runs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """The problems and the remedy, in one sentence."""
        more = len(self.problems) - MAX_PROBLEMS
        shown = [*self.problems[:MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
        return f"{self.where}: {'; '.join(shown)}; {REMEDY}"

    @property
    def version(self) -> int:
        """The number of the version if it can be read, else 0."""
        found = self.values[-1].get("version") if isinstance(self.values[-1], dict) else None
        return found if isinstance(found, int) and not isinstance(found, bool) and 0 < found < 10**9 else 0

    def texts(self) -> Iterator[str]:
        """Yield every text in it; the ids of the runs that it refers to are among them."""
        yield from _texts(list(self.values))


@dataclass(slots=True)
class OddEntries:
    """All parts of the file that cannot be used.

    Attributes:
        version: of the file.
        services: by service, what is no object of scenarios.
        cells: the entries.
        versions: the earlier versions of usable entries, latest first.
    """

    version: int = field(default=2, compare=False)
    services: dict[str, OddEntry] = field(default_factory=dict)
    cells: dict[CellName, OddEntry] = field(default_factory=dict)
    versions: dict[CellName, tuple[OddEntry, ...]] = field(default_factory=dict)

    def of(self, service: str, scenario: str) -> OddEntry | None:
        """Return what stands where the baseline of a cell should be; ``None`` if nothing is wrong with it."""
        return self.services.get(service) or self.cells.get(CellName(service, scenario))

    def supersede(self, cell: CellName) -> None:
        """Keep the odd entry of a cell as an earlier version of the entry that replaces it."""
        replaced = self.cells.pop(cell)
        self.versions[cell] = (replaced, *self.versions.get(cell, ()))

    def all(self) -> Iterator[OddEntry]:
        """Yield every part."""
        yield from self.services.values()
        yield from self.cells.values()
        for versions in self.versions.values():
            yield from versions

    def problems(self) -> Mapping[CellName, str]:
        """Return a sentence for each part by its cell; the scenario is empty for a complete service."""
        found = {CellName(service, ""): entry.problem for service, entry in self.services.items()}
        found |= {cell: entry.problem for cell, entry in self.cells.items()}
        for cell, versions in self.versions.items():
            found[cell] = "; ".join(version.problem for version in versions)
        return dict(sorted(found.items()))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for inner in value.values():
                yield from _texts(inner)
        case list():
            for inner in value:
                yield from _texts(inner)
