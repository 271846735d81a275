"""A local folder in the place of a run's objects: what is needed is brought into it, what changed is kept."""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from include.perf.adapters.s3.objects import Objects
from include.perf.model.errors import StoreError
from include.perf.model.json_files import DISK_FULL

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Between the tries to keep what was written: a load of half an hour is worth some minutes of patience."""

State = Mapping[str, tuple[int, int]]
"""Size and time of the last change of each file, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchFolder:
    """Lends a folder, and brings back what was written there.

    Attributes:
        path: where the objects are.
        wait: sleeps for so many seconds.
    """

    objects: Objects
    path: str
    wait: Callable[[float], None] = time.sleep

    @contextmanager
    def lent(self, names: Sequence[str]) -> Iterator[Path]:
        """Lend a folder with these objects as files.

        What is new or changed when the block ends is written to the store, and what was brought and is gone is removed
        there; also when the block ends with an error, which then is the one that is raised.

        Raises:
            StoreError: something cannot be brought or kept. What cannot be kept stays in the local folder.
        """
        folder = Path(tempfile.mkdtemp(prefix="bellwether-"))
        try:
            before = self._brought(names, folder)
        except BaseException:
            shutil.rmtree(folder)
            raise
        try:
            yield folder
        except BaseException as err:
            try:
                self._keep(folder, before)
            except StoreError as problem:
                log.warning("%s", problem)
            if isinstance(err, OSError) and err.errno in DISK_FULL:
                raise StoreError(f"cannot write into {folder}: {err.strerror}; make room, or set TMPDIR") from err
            raise
        self._keep(folder, before)

    def _brought(self, names: Sequence[str], folder: Path) -> State:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            self.objects.download(f"{self.path}/{name}", folder / name)
        return _state_of(folder)

    def _keep(self, folder: Path, before: State) -> None:
        after = _state_of(folder)
        try:
            for name in sorted(after):
                if after[name] != before.get(name):
                    self._patiently(partial(self.objects.upload, folder / name, f"{self.path}/{name}"))
            for name in sorted(before.keys() - after.keys()):
                self._patiently(partial(self.objects.remove, f"{self.path}/{name}"))
        except StoreError as err:
            raise StoreError(f"{err}; what was written is in {folder}") from err
        shutil.rmtree(folder)

    def _patiently(self, step: Callable[[], None]) -> None:
        """Do a step, and again if it fails."""
        for pause_s in PAUSES_S:
            try:
                return step()
            except StoreError as err:
                log.warning("%s; it is tried again in %g s", err, pause_s)
                self.wait(pause_s)
        return step()


def _state_of(folder: Path) -> State:
    """Return the state of each file of its own; a link might lead anywhere."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        path.relative_to(folder).as_posix(): (status.st_size, status.st_mtime_ns)
        for path in files
        if (status := path.stat())
    }
