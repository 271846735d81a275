"""The tries of one load: what a later try does with what an earlier try left.

A try that ends, with or without an error, is closed. An open try was killed, or it still runs although Airflow gave up
its task:

- A try that was killed or stopped is marked as aborted. Its raw requests are kept, and the load is sent again, but only
  once.
- A try that still runs is waited for, and its figures are used.
- A try that ends after Airflow gave up its task is left open, so that the next one uses its figures.

So a load never runs twice at the same time, and a load that was sent completely is not sent again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import AwareDatetime

from include.perf.load.load_plan import GeneratorLog
from include.perf.model.errors import LoadError
from include.perf.model.json_files import from_json
from include.perf.model.text import span, utc_time
from include.perf.pipeline.outside import Outside
from include.perf.runs.figures import COMPLETED, LoadFigures
from include.perf.runs.planned_run import PlannedRun
from include.perf.runs.results_store import ABORTED, GENERATOR_FILE
from include.perf.runs.stage_files import StageFiles, Tries

log = logging.getLogger(__name__)

POLL_INTERVAL_S = 1.0

SPARE_S = 180.0
"""How much longer than its load an earlier try may take; the lease of a killed try expires only after a while."""

MAX_ABORTED = 1
"""How many tries of a load may have been killed or stopped if it is to be sent again."""

RAW_REQUESTS = "requests*.csv.gz"


@dataclass(frozen=True, slots=True)
class LoadTries:
    """Opens and closes the tries of a run's load."""

    outside: Outside
    files: StageFiles

    def taken_over(self, run: PlannedRun, *, still_wanted: Callable[[], None]) -> LoadFigures | None:
        """Return what an earlier try measured; ``None`` if the load has to be sent.

        Args:
            still_wanted: called while an earlier try is waited for; raises when the load is not wanted any more.

        Raises:
            LoadError: the earlier try does not end, or the load was killed or stopped too often.
        """
        figures = self._figures_of_earlier_try(run, still_wanted=still_wanted)
        if figures is None:
            self._check_aborted()
        return figures

    def _figures_of_earlier_try(self, run: PlannedRun, *, still_wanted: Callable[[], None]) -> LoadFigures | None:
        tries = self.files.tries.read_or(Tries())
        if tries.open_since is None:
            self._set_aside_stopped(tries)
            return None
        self._await_end_of(run, tries.open_since, still_wanted=still_wanted)
        figures = self.files.load.read() or self._measured(tries.open_since)
        if figures is None:
            self._mark_aborted()
            return None
        if figures.generator.ended != COMPLETED:
            self._set_aside_stopped(self.files.tries.read_or(Tries()))
            return None
        log.info("%s uses the figures of its try of %s", run.spec.run_id, utc_time(tries.open_since))
        self.files.load.write(figures)
        self.files.tries.write(replace(tries, open_since=None))
        return figures

    def _check_aborted(self) -> None:
        """Refuse to send a load again and again that kills its task, or that people stop."""
        aborted = self.files.tries.read_or(Tries()).aborted
        if len(aborted) > MAX_ABORTED:
            began = ", ".join(map(utc_time, aborted))
            raise LoadError(
                f"{len(aborted)} tries of this load were killed or stopped (begun at {began}), so it is not sent "
                "again; find out why, for example whether memory ran out, and start a new run"
            )

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Open a try, and close it when the block ends, with or without an error.

        It stays open if its load is complete, but its task is over or that cannot be found out: another try may follow.
        """
        tries = self.files.tries.read_or(Tries())
        self.files.tries.write(replace(tries, open_since=self.outside.stores.clock()))
        try:
            yield
        except BaseException:
            self.files.tries.write(tries)
            raise
        if self._is_still_wanted():
            self.files.tries.write(tries)

    def _is_still_wanted(self) -> bool:
        try:
            reason = self.outside.halted()
        except Exception:  # whatever the client of Airflow raises
            log.warning("it is unknown whether the task of this load is over", exc_info=True)
            return False
        if reason is not None:
            log.info("the load is complete, although it would have to stop: %s; another try uses its figures", reason)
        return reason is None

    def _await_end_of(self, run: PlannedRun, since: AwareDatetime, *, still_wanted: Callable[[], None]) -> None:
        run_id, waited_s = run.spec.run_id, 0.0
        while run_id in (self.outside.reservations.held() or ()):
            if waited_s == 0:
                log.info("%s waits for an earlier try of its load, which began at %s", run_id, utc_time(since))
            if waited_s >= run.longest_s + SPARE_S:
                raise LoadError(
                    f"an earlier try of this load, begun at {utc_time(since)}, still holds its lock, although a load "
                    f"takes {span(run.longest_s)}; end its processes (python -m include.load, run {run_id}), then "
                    "clear the task"
                )
            still_wanted()
            self.outside.wait(POLL_INTERVAL_S)
            waited_s += POLL_INTERVAL_S

    def _measured(self, since: AwareDatetime) -> LoadFigures | None:
        """Return the figures of a completed load whose task was killed before it measured them."""
        from include.perf.measure.measurement import measure

        results = self.outside.stores.results
        content = results.read(self.files.uri, GENERATOR_FILE)
        if content is None:
            return None
        left = from_json(GeneratorLog, content, where=f"{self.files.uri}/{GENERATOR_FILE}")
        if left.ended != COMPLETED or left.lost_workers or left.started_at < since.timestamp():
            return None
        with results.folder(self.files.uri) as folder:
            return measure(folder)

    def _mark_aborted(self) -> None:
        """Set a killed try aside; a try that was closed meanwhile has reported its own error."""
        tries = self.files.tries.read_or(Tries())
        if tries.open_since is not None:
            self._set_aside(tries, began_at=tries.open_since)

    def _set_aside_stopped(self, tries: Tries) -> None:
        """Set aside a try that ended its load early: load was halted, or its task ended."""
        figures = self.files.load.read()
        if figures is None or figures.started_at in tries.aborted:  # already set aside by a try that sent nothing
            return
        if figures.generator.ended != COMPLETED:
            self._set_aside(tries, began_at=figures.started_at)

    def _set_aside(self, tries: Tries, *, began_at: AwareDatetime) -> None:
        """Mark a try as aborted and rename its raw requests."""
        number = len(tries.aborted) + 1
        with self.outside.stores.results.folder(self.files.uri) as folder:
            for path in sorted(folder.glob(RAW_REQUESTS)):
                path.rename(aborted_name(path, number=number))
        self.files.tries.write(Tries(aborted=(*tries.aborted, began_at)))
        following = "the load starts again" if number <= MAX_ABORTED else "the load does not start again"
        log.warning("try %d of the load was killed or stopped; it is marked as aborted, and %s", number, following)


def aborted_name(path: Path, *, number: int) -> Path:
    """Return the name under which the raw requests of an aborted try are kept."""
    return path.with_name(f"{ABORTED}{number}.{path.name}")
