"""Convert older versions of the baselines file, one version at a time.

Every step takes a document of its version and returns one of the next version. Steps work on plain documents, so that
they stay correct when the current classes change. Version 0 is the plain form: ``service → scenario → metric: number``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from include.perf.baselines.entry import EXACT, EXPIRES_AFTER, REVIEW_AFTER, Approval, BaselineRun, State, state_of
from include.perf.model.errors import BaselineError
from include.perf.model.metric import METRICS

Document = dict[str, Any]

PLAIN = 0
UNKNOWN = "unknown"
PLAIN_REASON = (
    "taken over from a file of plain numbers that did not say who approved them, when or from which run; "
    "promote a run to replace it"
)

T = TypeVar("T")


def validated(adapter: TypeAdapter[T], document: Document) -> T:
    """Validate a document strictly: text is not a number, a time needs a zone, an unknown field is an error.

    Raises:
        BaselineError: lists every problem, beginning with its path in the document.
    """
    try:
        return adapter.validate_json(json.dumps(document), strict=True)
    except ValidationError as err:
        raise BaselineError([_problem(error["loc"], error["msg"], error["input"]) for error in err.errors()]) from err


def _problem(location: tuple[int | str, ...], message: str, found: object) -> str:
    path = ".".join(map(str, location)) or "the document"
    is_short = found is None or isinstance(found, str | int | float)
    return f"{path}: {message}, but is {json.dumps(found)}" if is_short else f"{path}: {message}"


def _from_plain(document: Document) -> Document:
    """Convert ``service → scenario → metric: number``: values of unknown origin."""
    problems = list(_plain_problems(document))
    if problems:
        raise BaselineError(problems)
    return {
        service: {scenario: _unknown_entry(metrics) for scenario, metrics in scenarios.items()}
        for service, scenarios in document.items()
    }


def _plain_problems(document: Document) -> Iterator[str]:
    for service, scenarios in document.items():
        if not isinstance(scenarios, dict):
            yield f"{service}: must be an object of scenarios, but is {json.dumps(scenarios)}"
            continue
        for scenario, metrics in scenarios.items():
            if not isinstance(metrics, dict):
                yield f"{service}.{scenario}: must be an object of metrics, but is {json.dumps(metrics)}"
                continue
            for name, value in metrics.items():
                yield from _plain_metric_problems(f"{service}.{scenario}.{name}", name, value)


def _plain_metric_problems(path: str, name: str, value: object) -> Iterator[str]:
    if name not in METRICS:
        yield f"{path}: {name!r} is not a metric; known metrics: {', '.join(METRICS)}"
    if isinstance(value, bool) or not isinstance(value, int | float):
        yield f"{path}: must be a number in base units, but is {json.dumps(value)}"


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


_ENTRIES_V1: TypeAdapter[dict[str, dict[str, EntryV1]]] = TypeAdapter(dict[str, dict[str, EntryV1]])
_ENTRY_V1: TypeAdapter[EntryV1] = TypeAdapter(EntryV1)


def _from_1(document: Document) -> Document:
    """Add the fields of version 2: the anchor (the metrics of the entry itself), the spread, and the expiry."""
    entries = validated(_ENTRIES_V1, document)
    runs = {
        (service, scenario): entry.plain_runs()
        for service, scenarios in entries.items()
        for scenario, entry in scenarios.items()
    }
    migrated: Document = {}
    for (service, scenario), own in runs.items():
        others = [of_cell for cell, of_cell in runs.items() if cell != (service, scenario)]
        entry = entries[service][scenario]
        present = _entry_2(entry, others=others) | {"state": state_of(len(own), entry.approval).value}
        present["supersedes"] = entry.previous[0].version if entry.previous else None
        present["previous"] = [_entry_2(old, others=others) for old in entry.previous]
        migrated.setdefault(service, {})[scenario] = present
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


MIGRATIONS: Mapping[int, Callable[[Document], Document]] = {PLAIN: _from_plain, 1: _from_1}
"""By version, the step to the next version; documents are without their ``schema_version``."""
