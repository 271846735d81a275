"""Convert older versions of the baselines file, one version at a time.

Every step takes the entries of its version, by cell, and returns those of the next version; an odd entry is left out.
Steps work on plain documents, so that they stay correct when the current classes change. Version 0 is the plain form:
``service → scenario → metric: number``.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeVar

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from include.perf.baselines.entry import EXACT, EXPIRES_AFTER, REVIEW_AFTER, Approval, BaselineRun, State, state_of
from include.perf.model.cell import CellName
from include.perf.model.exact_json import Flaw
from include.perf.model.metric import METRICS

Document = dict[str, Any]
Cells = Mapping[CellName, Document]

PLAIN = 0
MAX_SHOWN = 100
UNKNOWN = "unknown"
PLAIN_REASON = (
    "taken over from a file of plain numbers that did not say who approved them, when or from which run; "
    "promote a run to replace it"
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EntryFlaw:
    """Why an entry cannot be used.

    Attributes:
        path: the keys and indexes within the entry.
    """

    path: tuple[str | int, ...]
    text: str

    @classmethod
    def of(cls, path: tuple[str | int, ...], rule: str, found: object) -> Self:
        """Return a problem with the value, if that is short."""
        is_short = found is None or isinstance(found, str | int | float)
        shown = json.dumps(found) if is_short else ""
        return cls(path, f"{rule}, but is {shown[:MAX_SHOWN]}{'…' * (len(shown) > MAX_SHOWN)}" if shown else rule)

    @classmethod
    def of_flaw(cls, flaw: Flaw) -> Self:
        """Return a flaw of the JSON as a problem."""
        return cls(flaw.path, flaw.text)

    def sentence(self, *above: str) -> str:
        """Return the problem with its path in the file.

        Args:
            above: the keys that lead to the entry.
        """
        return f"{'.'.join(map(str, (*above, *self.path)))}: {self.text}"


LeaveOut = Callable[[CellName, Iterable[EntryFlaw]], None]
"""Receives the problems of an entry that cannot be converted."""


def validated(adapter: TypeAdapter[T], document: Document) -> T | list[EntryFlaw]:
    """Validate a document strictly: text is not a number, a time needs a zone, an unknown field is an error.

    Returns:
        the value, or every problem.
    """
    try:
        return adapter.validate_json(json.dumps(document, default=str), strict=True)  # default: an odd number
    except ValidationError as err:
        return [
            EntryFlaw((), str(error["ctx"]["error"]))
            if error["type"] == "json_invalid"  # its input is the complete document
            else EntryFlaw.of(error["loc"], error["msg"], error["input"])
            for error in err.errors()
        ]


def _from_plain(cells: Cells, leave_out: LeaveOut) -> Cells:
    """Convert ``service → scenario → metric: number``: values of unknown origin."""
    migrated = {}
    for cell, metrics in cells.items():
        if problems := list(_plain_problems(metrics)):
            leave_out(cell, problems)
        else:
            migrated[cell] = _unknown_entry(metrics)
    return migrated


def _plain_problems(metrics: Document) -> Iterator[EntryFlaw]:
    for name, value in metrics.items():
        if name not in METRICS:
            yield EntryFlaw((name,), f"{name!r} is not a metric; known metrics: {', '.join(METRICS)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield EntryFlaw.of((name,), "must be a number in base units", value)


def _unknown_entry(metrics: Mapping[str, float]) -> Document:
    epoch = datetime.fromtimestamp(0, UTC).isoformat()
    return {
        "version": 1,
        "state": State.PROVISIONAL.value,
        "fingerprint": {},
        "metrics": metrics,
        "runs": [{"run_id": UNKNOWN, "metrics": metrics}],
        "approval": {"by": UNKNOWN, "at": epoch, "reason": PLAIN_REASON, "run_id": UNKNOWN},
        "previous": [],
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunV1:
    """A run of a baseline in version 1."""

    __pydantic_config__ = EXACT

    run_id: str
    metrics: Mapping[str, FiniteFloat]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryV1:
    """A baseline in version 1: without spread, anchor and expiry."""

    __pydantic_config__ = EXACT

    version: int
    state: Literal["provisional", "candidate", "approved"]
    fingerprint: Mapping[str, str]
    metrics: Mapping[str, FiniteFloat]
    runs: tuple[RunV1, ...]
    approval: Approval
    previous: tuple["EntryV1", ...] = ()

    def plain_runs(self) -> tuple[BaselineRun, ...]:
        """Return its runs as runs of the current version."""
        return tuple(BaselineRun(run_id=run.run_id, metrics=run.metrics) for run in self.runs)


_ENTRY_V1: TypeAdapter[EntryV1] = TypeAdapter(EntryV1)


def _from_1(cells: Cells, leave_out: LeaveOut) -> Cells:
    """Add the fields of version 2: the anchor (the metrics of the entry itself), the spread, and the expiry."""
    entries: dict[CellName, EntryV1] = {}
    for cell, document in cells.items():
        parsed = validated(_ENTRY_V1, document)
        if isinstance(parsed, EntryV1):
            entries[cell] = parsed
        else:
            leave_out(cell, parsed)
    runs = {cell: entry.plain_runs() for cell, entry in entries.items()}
    migrated: dict[CellName, Document] = {}
    for cell, entry in entries.items():
        others = [of_cell for other, of_cell in runs.items() if other != cell]
        present = _entry_2(entry, others=others) | {"state": state_of(len(runs[cell]), entry.approval).value}
        present["supersedes"] = entry.previous[0].version if entry.previous else None
        present["previous"] = [_entry_2(old, others=others) for old in entry.previous]
        migrated[cell] = present
    return migrated


def _entry_2(entry: EntryV1, *, others: list[tuple[BaselineRun, ...]]) -> Document:
    from include.perf.baselines.spread import spread_of  # imports NumPy and SciPy, which only old files need

    spread = spread_of(entry.plain_runs(), others=others)
    dumped: Document = _ENTRY_V1.dump_python(entry, mode="json")
    return dumped | {
        "state": State.SUPERSEDED.value,
        "anchor": {"metrics": dumped["metrics"], "runs": len(entry.runs), "version": entry.version},
        "spread": {name: asdict(of_metric) for name, of_metric in spread.items()},
        "review_by": (entry.approval.at + REVIEW_AFTER).isoformat(),
        "expires_at": (entry.approval.at + EXPIRES_AFTER).isoformat(),
        "previous": [],
    }


MIGRATIONS: Mapping[int, Callable[[Cells, LeaveOut], Cells]] = {PLAIN: _from_plain, 1: _from_1}
"""By version, the step to the next version; its entries are by cell."""
