"""The results store in a folder: ``<root>/<service>/<scenario>/<run_id>/``."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from include.perf.atomic import write_atomically
from include.perf.errors import ConfigurationError, StoreError
from include.perf.ports import RECORD_FILE
from include.perf.run import RunRecord

DEFAULT_RESULTS = "results"


class FolderStore:
    """Keeps runs in a local or shared folder; a run's URI is its ``file://`` address.

    Attributes:
        root: the folder.
    """

    def __init__(self, uri: str) -> None:
        self.root = _path_of(uri).absolute()

    def create(self, *, service: str, scenario: str, run_id: str) -> str:
        """Make the folder of a run and return its URI.

        Raises:
            StoreError: the folder cannot be made, or a run of that name is there already.
        """
        folder = self.root / service / scenario / run_id
        try:
            folder.mkdir(parents=True)
        except FileExistsError as err:
            raise StoreError(f"there is a run {folder} already; run ids must be unique") from err
        except OSError as err:
            raise StoreError(f"cannot make {folder}: {err.strerror}; check BELLWETHER_RESULTS_URI") from err
        return folder.as_uri()

    def uri_of(self, record: RunRecord) -> str:
        """Return the address of a run that this store keeps."""
        return (self.root / record.service / record.scenario / record.run_id).as_uri()

    def write(self, uri: str, name: str, content: bytes) -> None:
        """Write a file of a run: all of it or nothing, and on disk when this returns."""
        try:
            write_atomically(self._inside(uri) / name, content)
        except OSError as err:
            raise StoreError(f"cannot write {name} of {uri}: {err.strerror}") from err

    def read(self, uri: str, name: str) -> bytes | None:
        """Return a file of a run, or ``None`` when there is none."""
        try:
            return (self._inside(uri) / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as err:
            raise StoreError(f"cannot read {name} of {uri}: {err.strerror}") from err

    @contextmanager
    def folder(self, uri: str) -> Iterator[Path]:
        """Lend the run's folder itself."""
        folder = self._inside(uri)
        if not folder.is_dir():
            raise StoreError(f"there is no run {uri}")
        yield folder

    def remove(self, uri: str, name: str) -> None:
        """Remove a file of a run, if it is there."""
        (self._inside(uri) / name).unlink(missing_ok=True)

    def runs(self, *, service: str | None = None, scenario: str | None = None) -> Iterator[str]:
        """Return the URIs of the finished runs, oldest first."""
        pattern = f"{service or '*'}/{scenario or '*'}/*/{RECORD_FILE}"
        for record in sorted(self.root.glob(pattern), key=lambda path: path.parent.name):
            yield record.parent.as_uri()

    def latest(self, *, service: str, scenario: str) -> Iterator[str]:
        """Return the URIs of a cell's runs, latest first; those that are not finished among them."""
        folder = self.root / service / scenario
        try:
            names = sorted((path.name for path in folder.iterdir() if path.is_dir()), reverse=True)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as err:
            raise StoreError(f"cannot read {folder}: {err.strerror}") from err
        for name in names:
            yield (folder / name).as_uri()

    def _inside(self, uri: str) -> Path:
        """Return the folder of a run; a URI that leads out of the store is refused."""
        path = _path_of(uri).resolve()
        if not path.is_relative_to(self.root.resolve()):
            raise StoreError(f"{uri} is not in the results store {self.root}")
        return path


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if "://" in uri:
        raise ConfigurationError(
            f"BELLWETHER_RESULTS_URI must be a folder or a file:// address, but is {uri!r}; "
            "object stores are not supported yet"
        )
    return Path(uri)
