"""A local folder for the files of a run in an object store: files are downloaded, and changed files are uploaded."""

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
from include.perf.model.errors import ItemError, StoreError
from include.perf.model.file_writer import DISK_FULL
from include.perf.runs.results_store import LeftOut, log_left_out

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 60.0, 60.0, 60.0)
"""Pauses between attempts to upload: the results of a long load are worth minutes of retries."""

FileStates = Mapping[str, tuple[int, int]]
"""Size and modification time of files by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchFolder:
    """Provides a local folder and uploads what was written there.

    Attributes:
        path: of the run's objects.
        wait: sleeps for a number of seconds.
        left_out: receives the objects that cannot be downloaded although the others can.
    """

    objects: Objects
    path: str
    wait: Callable[[float], None] = time.sleep
    left_out: LeftOut = log_left_out

    @contextmanager
    def opened(self, names: Sequence[str]) -> Iterator[Path]:
        """Yield a folder with these objects as files.

        When the block ends, new and changed files are uploaded, and objects whose files were removed are removed. This
        also happens if the block raises; then its exception is raised, and a failed upload is only logged.

        Raises:
            StoreError: a download or upload fails. Files that were not uploaded stay in the local folder.
        """
        folder = Path(tempfile.mkdtemp(prefix="bellwether-"))
        try:
            before = self._download(names, folder)
        except BaseException:
            shutil.rmtree(folder)
            raise
        try:
            yield folder
        except BaseException as err:
            try:
                self._upload(folder, before)
            except StoreError as problem:
                log.warning("%s", problem)
            if isinstance(err, OSError) and err.errno in DISK_FULL:
                raise StoreError(f"cannot write into {folder}: {err.strerror}; free disk space, or set TMPDIR") from err
            raise
        self._upload(folder, before)

    def _download(self, names: Sequence[str], folder: Path) -> FileStates:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                self.objects.download(f"{self.path}/{name}", folder / name)
            except ItemError as err:
                (folder / name).unlink(missing_ok=True)
                self.left_out(self.objects.place.uri_of(f"{self.path}/{name}"), str(err))
        return _state_of(folder)

    def _upload(self, folder: Path, before: FileStates) -> None:
        after = _state_of(folder)
        try:
            for name in sorted(after):
                if after[name] != before.get(name):
                    self._with_retries(partial(self.objects.upload, folder / name, f"{self.path}/{name}"))
            for name in sorted(before.keys() - after.keys()):
                self._with_retries(partial(self.objects.remove, f"{self.path}/{name}"))
        except StoreError as err:
            raise StoreError(f"{err}; the files are still in {folder}") from err
        shutil.rmtree(folder)

    def _with_retries(self, step: Callable[[], None]) -> None:
        """Call a step, and retry it after every pause."""
        for pause_s in PAUSES_S:
            try:
                return step()
            except StoreError as err:
                log.warning("%s; next attempt in %g s", err, pause_s)
                self.wait(pause_s)
        return step()


def _state_of(folder: Path) -> FileStates:
    """Return the state of all files except links, which may lead anywhere."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {
        path.relative_to(folder).as_posix(): (status.st_size, status.st_mtime_ns)
        for path in files
        if (status := path.stat())
    }
