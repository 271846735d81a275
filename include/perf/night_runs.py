"""The runs of one night, as far as they have a record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.perf.alert import CellName
from include.perf.errors import StoreError
from include.perf.ports import ResultsStore
from include.perf.run import RunRecord
from include.perf.stage_files import StageFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class NightRuns:
    """The runs of one night of a scenario.

    Attributes:
        records: by URI.
        missing: URIs of the runs without one.
    """

    records: Mapping[str, RunRecord]
    missing: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many runs there were."""
        return len(self.records) + len(self.missing)

    @property
    def run_ids(self) -> list[str]:
        """The ids of all of them."""
        return [_parts(uri)[2] for uri in (*self.records, *self.missing)]

    @property
    def missing_cells(self) -> list[CellName]:
        """The cells of the runs without a record."""
        return [_cell(uri) for uri in self.missing]

    @property
    def cells(self) -> list[CellName]:
        """The cells of all of them."""
        return [_cell(uri) for uri in (*self.records, *self.missing)]


def read_night(store: ResultsStore, uris: Sequence[str]) -> NightRuns:
    """Read the records of a night; a run that was never finished is missing, and keeps none of the others back."""
    records: dict[str, RunRecord] = {}
    missing = []
    for uri in uris:
        try:
            records[uri] = StageFiles(store, uri).read_record()
        except StoreError:
            missing.append(uri)
    return NightRuns(records=records, missing=tuple(missing))


def _parts(uri: str) -> tuple[str, str, str]:
    service, scenario, run_id = uri.rstrip("/").split("/")[-3:]
    return service, scenario, run_id


def _cell(uri: str) -> CellName:
    service, scenario, _ = _parts(uri)
    return CellName(service, scenario)
