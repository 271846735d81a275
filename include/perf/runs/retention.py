"""Removes old results: raw requests, and runs that were never finished.

Records, reports, charts, time series and distributions are kept forever: they are small, and they are the history. A
run that any version of a baseline refers to keeps all its files, and so do its re-runs.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from include.perf.catalogue.operations import Operations
from include.perf.model.cell import RunAddress
from include.perf.model.errors import StoreError
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.model.text import counted
from include.perf.runs.results_store import RECORD_FILE, ResultsStore, is_raw, latest_or_none
from include.perf.runs.stage_files import SPEC_FILE, StageFiles

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """The files of a run.

    Attributes:
        sizes: their sizes in bytes, by name.
        changed_at: when any of them was last changed.
    """

    sizes: Mapping[str, int]
    changed_at: datetime


class Archive(ResultsStore, Protocol):
    """A results store from which runs can be removed."""

    def holding(self, uri: str) -> Holding:
        """Return the files of a run."""

    def discard(self, uri: str) -> None:
        """Remove a run with its complete folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long raw requests and unfinished runs are kept."""

    requests: timedelta
    unfinished: timedelta


def retention_of(operations: Operations) -> Retention:
    """Return the retention from the settings."""
    return Retention(
        requests=timedelta(days=operations.keep_requests_days),
        unfinished=timedelta(days=operations.keep_unfinished_days),
    )


class Waste(StrEnum):
    """The kinds of results that are removed."""

    REQUESTS = "raw requests"
    UNFINISHED = "unfinished run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """A result to remove.

    Attributes:
        at: when the run started; for an unfinished run, when it was last changed.
    """

    uri: str
    waste: Waste
    at: datetime
    size_bytes: int

    def describe(self) -> str:
        """Describe it on one line."""
        size = format_value(self.size_bytes, Unit.BYTES)
        return f"{self.waste} of {self.at:%Y-%m-%d}, {size}: {self.uri}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """What was removed, or would be in a dry run.

    Attributes:
        removed: oldest first.
        kept: URIs of the runs whose raw requests are old enough, but which a baseline refers to.
        failed: the reason, by URI, why a run could not be read or removed.
    """

    removed: tuple[Removal, ...]
    kept: tuple[str, ...]
    failed: Mapping[str, str]

    @property
    def size_bytes(self) -> int:
        """The total size."""
        return sum(removal.size_bytes for removal in self.removed)

    def describe(self) -> str:
        """Describe it in a sentence."""
        kept = f"; the requests of {counted(len(self.kept), 'older run')} are kept for a baseline" if self.kept else ""
        if not self.removed:
            return f"nothing{kept}"
        requests = counted(self._count(Waste.REQUESTS), "run")
        unfinished = counted(self._count(Waste.UNFINISHED), "unfinished run")
        size = format_value(self.size_bytes, Unit.BYTES)
        days = f"{self.removed[0].at:%Y-%m-%d} to {self.removed[-1].at:%Y-%m-%d}"
        return f"the raw requests of {requests} and {unfinished}, {size}, from {days}{kept}"

    def _count(self, waste: Waste) -> int:
        return sum(removal.waste is waste for removal in self.removed)

    def summary(self) -> dict[str, Any]:
        """Return it as figures, for programs."""
        return {
            "removed": {waste.value: self._count(waste) for waste in Waste},
            "bytes": self.size_bytes,
            "oldest": self.removed[0].at.isoformat() if self.removed else None,
            "newest": self.removed[-1].at.isoformat() if self.removed else None,
            "kept_for_baselines": list(self.kept),
            "failed": dict(self.failed),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Raw:
    """A finished run that still has its raw requests.

    Attributes:
        first_id: id of the run that this one repeats, or its own.
    """

    uri: str
    run_id: str
    first_id: str
    at: datetime
    size_bytes: int


@dataclass(slots=True)
class _Findings:
    """What was found in the store."""

    raw: list[_Raw] = field(default_factory=list)
    unfinished: list[Removal] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def catching(self, uri: str) -> Iterator[None]:
        """Record a failure with one run, so that the other runs are still processed."""
        try:
            yield
        except StoreError as err:
            log.warning("not removed: %s", err)
            self.failed[uri] = str(err)


def clear(
    store: Archive, *, retention: Retention, referenced: frozenset[str], now: datetime, is_dry_run: bool = False
) -> Clearance:
    """Remove old results; a failure with one run does not affect the others.

    Args:
        referenced: ids of runs that keep all their files.
        is_dry_run: only return what would be removed.

    Raises:
        StoreError: the store cannot be listed.
    """
    found = _find(store, before=now - retention.unfinished)
    old = [night for night in _nights(found.raw) if max(run.at for run in night) < now - retention.requests]
    kept = [night for night in old if any({run.run_id, run.first_id} & referenced for run in night)]
    wanted = [_removal(run) for night in old if night not in kept for run in night]
    wanted += [removal for removal in found.unfinished if RunAddress.from_uri(removal.uri).run_id not in referenced]
    removed = []
    for removal in sorted(wanted, key=lambda removal: removal.at):
        with found.catching(removal.uri):
            if not is_dry_run:
                _remove(store, removal)
            removed.append(removal)
    return Clearance(
        removed=tuple(removed), kept=tuple(run.uri for night in kept for run in night), failed=found.failed
    )


def _find(store: Archive, *, before: datetime) -> _Findings:
    """Find the runs with raw requests, and the unfinished runs that were last changed before a time."""
    found = _Findings()
    for cell in store.cells():
        for uri in latest_or_none(store, cell):
            with found.catching(uri):
                holding = store.holding(uri)
                raw = [size for name, size in holding.sizes.items() if is_raw(name)]
                if RECORD_FILE in holding.sizes and raw:
                    found.raw.append(_raw(store, uri, size_bytes=sum(raw)))
                elif _is_unfinished(holding) and holding.changed_at < before:
                    size = sum(holding.sizes.values())
                    found.unfinished.append(
                        Removal(uri=uri, waste=Waste.UNFINISHED, at=holding.changed_at, size_bytes=size)
                    )
    return found


def _is_unfinished(holding: Holding) -> bool:
    """Whether it is a run without a record; folders of anyone else are never removed."""
    return not holding.sizes or (SPEC_FILE in holding.sizes and RECORD_FILE not in holding.sizes)


def _raw(store: Archive, uri: str, *, size_bytes: int) -> _Raw:
    record = StageFiles(store, uri).read_record()
    return _Raw(
        uri=uri,
        run_id=record.run_id,
        first_id=record.rerun_of or record.run_id,
        at=record.started_at,
        size_bytes=size_bytes,
    )


def _nights(runs: Iterable[_Raw]) -> list[list[_Raw]]:
    """Group each run with its re-runs."""
    nights: dict[str, list[_Raw]] = {}
    for run in runs:
        nights.setdefault(run.first_id, []).append(run)
    return list(nights.values())


def _removal(run: _Raw) -> Removal:
    return Removal(uri=run.uri, waste=Waste.REQUESTS, at=run.at, size_bytes=run.size_bytes)


def _remove(store: Archive, removal: Removal) -> None:
    if removal.waste is Waste.REQUESTS:
        for name in filter(is_raw, store.holding(removal.uri).sizes):
            store.remove(removal.uri, name)
    else:
        store.discard(removal.uri)
