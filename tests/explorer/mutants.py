"""Bugs put in on purpose: the explorer must find each of them within some histories, or it is not worth its time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from include.perf.adapters.files import folder_store, load_locks, locked_file, sqlite_index
from include.perf.adapters.s3.leases import Leases, RenewedLease
from include.perf.adapters.s3.objects import Objects
from include.perf.alerts import outbox
from include.perf.alerts.sending import EntrySender
from include.perf.guards.watch import Inquiry
from include.perf.load import reservations
from include.perf.pipeline import load_tries
from include.perf.pipeline.finishing import Finishing
from include.perf.runs.stage_files import StageFile, StageFiles
from include.perf.verdict import night

Mutant = Callable[[], Any]


def _no_lock_of_loads() -> Any:
    """Two loads on one target are admitted."""
    return _all(
        mock.patch.object(load_locks, "admit", return_value=None),
        mock.patch("include.perf.adapters.s3.shared_state.admit", return_value=None),
    )


def _lock_of_loads_is_not_taken() -> Any:
    """The file of a load's lock is written, but not locked."""

    def unlocked(self: Any, request: Any) -> Any:
        file = (self._folder / f"{request.run_id}.json").open("wb")
        file.write(reservations.__doc__.encode() if reservations.__doc__ else b"")
        file.flush()
        return file

    return mock.patch.object(load_locks.LoadLocks, "_locked", unlocked)


def _lease_is_not_renewed() -> Any:
    """A lease is not renewed, although its load goes on."""
    return mock.patch.object(Leases, "renew", return_value=None)


def _lost_lease_is_ignored() -> Any:
    """A load goes on after its lease was lost."""
    return mock.patch.object(RenewedLease, "lost", return_value=None)


def _conditions_are_ignored() -> Any:
    """Shared objects are written without a condition, so that writers overwrite one another."""

    def swap(self: Any, path: str, content: bytes, *, expected: str | None) -> str | None:
        self.write(path, content)
        return self.etag(path)

    return _all(
        mock.patch.object(Objects, "swap", swap), mock.patch.object(Objects, "check_conditions", return_value=None)
    )


def _baselines_without_the_lock() -> Any:
    """Shared files are changed without their lock."""
    return mock.patch.object(locked_file.LockedFile, "locked", side_effect=nullcontext)


def _files_are_written_in_place() -> Any:
    """A file is not replaced, but overwritten, so that a crash leaves half of it."""

    def write(path: Path, content: bytes, **_: object) -> None:
        path.write_bytes(content)

    return _all(
        mock.patch.object(folder_store, "write_atomically", write),
        mock.patch.object(locked_file, "write_atomically", write),
    )


def _unreadable_is_absent() -> Any:
    """A file that cannot be read counts as one that does not exist."""
    original = locked_file.LockedFile.read

    def read(self: Any) -> bytes | None:
        try:
            return original(self)
        except Exception:  # noqa: BLE001 - this is the bug
            return None

    return mock.patch.object(locked_file.LockedFile, "read", read)


def _stopped_load_counts_as_complete() -> Any:
    """What a stopped or killed load left is taken for the figures of a complete one."""

    def taken_over(self: Any, run: Any, *, still_wanted: Callable[[], None]) -> Any:
        return self.files.load.read()

    return mock.patch.object(load_tries.LoadTries, "taken_over", taken_over)


def _halt_is_not_asked() -> Any:
    """A running load does not ask whether it is halted."""
    return mock.patch.object(Inquiry, "ask", return_value=None)


def _figures_of_an_earlier_try() -> Any:
    """The figures of an earlier try are kept when the load starts again, and not replaced."""
    original = StageFiles.__init__

    def init(self: Any, *args: Any) -> None:
        original(self, *args)
        write = self.server.write
        self.server.write = lambda value: None if self.server.exists else write(value)
        self.forget_figures = lambda: None

    return mock.patch.object(StageFiles, "__init__", init)


def _undecided_runs_wait_for_re_runs() -> Any:
    """A run whose re-runs were not planned is judged as if they would follow."""
    return mock.patch.object(night, "UNDECIDED", None)


def _sent_before_it_is_stored() -> Any:
    """A message is posted although the book does not say that it is being sent, so a crash lets it be posted again."""
    return mock.patch.object(outbox, "begin", return_value=True)


def _record_before_its_figures() -> Any:
    """A record is written once before its figures are in it, and again afterwards."""
    finish = Finishing.finish

    def early(self: Any, files: Any) -> Any:
        files.record.write(replace(files.read_draft(), window=None))
        return finish(self, files)

    return mock.patch.object(Finishing, "finish", early)


def _unreadable_record_is_absent() -> Any:
    """A record or a stage file that cannot be read counts as one that was not written."""
    read = StageFile.read

    def swallowed(self: Any) -> Any:
        try:
            return read(self)
        except Exception:  # noqa: BLE001 - this is the bug
            return None

    return mock.patch.object(StageFile, "read", swallowed)


def _doubt_counts_as_not_sent() -> Any:
    """A message whose answer was lost is posted again without a look at the channel."""
    return mock.patch.object(EntrySender, "_found", return_value=None)


def _late_runs_are_missed() -> Any:
    """The index looks only for runs that were planned after the last one that it knows."""

    def late_names(connection: Any, cell: Any, *, now: Any) -> str:
        row = connection.execute(
            "SELECT max(run_id) FROM runs WHERE service = ? AND scenario = ?", sqlite_index._key(cell)
        )
        return row.fetchone()[0] or ""

    return mock.patch.object(sqlite_index, "_late_names", late_names)


MUTANTS: Mapping[str, Mutant] = {
    "two loads on one target are admitted": _no_lock_of_loads,
    "the lock of a load is not taken": _lock_of_loads_is_not_taken,
    "a lease is not renewed": _lease_is_not_renewed,
    "a lost lease is ignored": _lost_lease_is_ignored,
    "objects are written without a condition": _conditions_are_ignored,
    "files are changed without their lock": _baselines_without_the_lock,
    "files are written in place": _files_are_written_in_place,
    "what cannot be read counts as absent": _unreadable_is_absent,
    "a stopped load counts as complete": _stopped_load_counts_as_complete,
    "a running load is not halted": _halt_is_not_asked,
    "figures of an earlier try are kept": _figures_of_an_earlier_try,
    "a run without re-runs waits for them": _undecided_runs_wait_for_re_runs,
    "a message is sent before that is stored": _sent_before_it_is_stored,
    "a message in doubt is posted again": _doubt_counts_as_not_sent,
    "a record is written before its figures": _record_before_its_figures,
    "a record that cannot be read counts as absent": _unreadable_record_is_absent,
    "the index misses runs that finish late": _late_runs_are_missed,
}


@contextmanager
def _all(*patches: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for patch in patches:
            stack.enter_context(patch)
        yield
