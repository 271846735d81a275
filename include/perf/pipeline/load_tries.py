"""The tries of one load: what a later one makes of what an earlier one left.

A try that comes to an end, good or bad, says so. One that did not was killed, or still runs although Airflow gave it
up. Who was killed, or had to stop, is marked aborted, its raw requests are kept, and the load begins anew; who still
runs is waited for, and what it measured is taken over. So a load never runs twice at once, and none that was sent whole
is sent again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import AwareDatetime

from include.perf.load.load_plan import GeneratorLog
from include.perf.load.reservations import Reservations
from include.perf.model.errors import LoadError
from include.perf.model.json_files import from_json
from include.perf.model.text import Clock, span, utc_time
from include.perf.runs.figures import COMPLETED, LoadFigures
from include.perf.runs.results_store import ABORTED, GENERATOR_FILE, ResultsStore
from include.perf.runs.spec import RunSpec
from include.perf.runs.stage_files import StageFiles, Tries

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0

SPARE_S = 180.0
"""How much longer than its load an earlier try may take; the lease of one that was killed stands for a while."""

RAW_REQUESTS = "requests*.csv.gz"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadTries:
    """Keeps account of the tries of a run's load.

    Attributes:
        wait: sleeps for so many seconds.
    """

    files: StageFiles
    store: ResultsStore
    reservations: Reservations
    clock: Clock
    wait: Callable[[float], None]

    def taken_over(self, spec: RunSpec, *, longest_s: float, still_wanted: Callable[[], None]) -> LoadFigures | None:
        """Return what an earlier try measured, ``None`` where the load has to be sent.

        Args:
            longest_s: how long a load of this run may take.
            still_wanted: asked while an earlier try is waited for; raises when nobody wants its load any more.

        Raises:
            LoadError: the earlier try does not end.
        """
        tries = self.files.tries.read_or(Tries())
        if tries.open_since is None:
            self._set_aside_stopped(tries)
            return None
        self._await_end_of(spec, tries.open_since, longest_s=longest_s, still_wanted=still_wanted)
        figures = self.files.load.read() or self._measured(tries.open_since)
        if figures is None:
            self._mark_aborted()
            return None
        if figures.generator.ended != COMPLETED:
            self._set_aside_stopped(self.files.tries.read_or(Tries()))
            return None
        log.info("%s takes over what its try of %s measured", spec.run_id, utc_time(tries.open_since))
        self.files.load.write(figures)
        self.files.tries.write(replace(tries, open_since=None))
        return figures

    @contextmanager
    def trying(self) -> Iterator[None]:
        """Say that a try has begun, and, however the block ends, that it came to its end."""
        tries = self.files.tries.read_or(Tries())
        self.files.tries.write(replace(tries, open_since=self.clock()))
        try:
            yield
        finally:
            self.files.tries.write(tries)

    def _await_end_of(
        self, spec: RunSpec, since: AwareDatetime, *, longest_s: float, still_wanted: Callable[[], None]
    ) -> None:
        waited_s = 0.0
        while spec.run_id in (self.reservations.held() or ()):
            if waited_s == 0:
                log.info(
                    "%s waits for the try of its load that began at %s and still runs", spec.run_id, utc_time(since)
                )
            if waited_s >= longest_s + SPARE_S:
                raise LoadError(
                    f"the try of this load that began at {utc_time(since)} still holds its lock, although a load takes "
                    f"{span(longest_s)}; end its processes (python -m include.load, run {spec.run_id}), then clear the "
                    "task"
                )
            still_wanted()
            self.wait(LOOK_EVERY_S)
            waited_s += LOOK_EVERY_S

    def _measured(self, since: AwareDatetime) -> LoadFigures | None:
        """Return the figures of a load that was whole, though its task was killed before it had measured it."""
        from include.perf.measure.measurement import measure

        content = self.store.read(self.files.uri, GENERATOR_FILE)
        if content is None:
            return None
        left = from_json(GeneratorLog, content, where=f"{self.files.uri}/{GENERATOR_FILE}")
        if left.ended != COMPLETED or left.lost_workers or left.started_at < since.timestamp():
            return None
        with self.store.folder(self.files.uri) as folder:
            return measure(folder)

    def _mark_aborted(self) -> None:
        """Keep the rows of a try that was killed, under a name that says so; one that failed meanwhile has said why."""
        tries = self.files.tries.read_or(Tries())
        if tries.open_since is not None:
            self._set_aside(tries, began_at=tries.open_since)

    def _set_aside_stopped(self, tries: Tries) -> None:
        """Do the same with one that ended its load early: by the switch, or because nobody supervised it any more."""
        figures = self.files.load.read()
        if figures is None or figures.started_at in tries.aborted:  # set aside already, by a try that sent nothing
            return
        if figures.generator.ended != COMPLETED:
            self._set_aside(tries, began_at=figures.started_at)

    def _set_aside(self, tries: Tries, *, began_at: AwareDatetime) -> None:
        number = len(tries.aborted) + 1
        with self.store.folder(self.files.uri) as folder:
            for path in sorted(folder.glob(RAW_REQUESTS)):
                path.rename(aborted_name(path, number=number))
        self.files.tries.write(Tries(aborted=(*tries.aborted, began_at)))
        log.warning("try %d of the load was killed or stopped and is marked aborted; the load begins anew", number)


def aborted_name(path: Path, *, number: int) -> Path:
    """Return the name under which the rows of an aborted try are kept."""
    return path.with_name(f"{ABORTED}{number}.{path.name}")
