"""A locustfile with everything in its folder, as one file of the run: every load process unpacks the same bytes.

So a change of the locustfile between staging and load changes nothing, workers on other machines get what the master
has, and the fingerprint is that of the code that runs.
"""

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from include.perf.catalogue.locustfile import Locustfile
from include.perf.catalogue.service import Service
from include.perf.model.errors import DataError, ItemError, LoadError
from include.perf.model.file_reader import read_item, regular_file
from include.perf.model.json_files import from_json, to_json

MAX_FILES = 500
MAX_BYTES = 8_000_000
MAX_BUNDLE_BYTES = 2 * MAX_BYTES

LEFT_OUT = ("__pycache__",)
"""Folders that are left out, like hidden files and folders, and links."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocustfileBundle:
    """The files of a locustfile's folder.

    Attributes:
        entry: the name of the locustfile.
        files: the content of each file in base64, by its path in the folder.
    """

    entry: str
    files: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """A digest of all files, with their paths."""
        digest = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            digest.update(f"{name} {hashlib.sha256(content.encode()).hexdigest()}\n".encode())
        return f"sha256:{digest.hexdigest()}"

    def write(self, path: Path) -> None:
        """Write it to a file of the run."""
        path.write_bytes(to_json(self))

    def unpack(self, folder: Path) -> Path:
        """Write its files to a folder, and return the path of the locustfile there.

        Raises:
            LoadError: it was changed, and is no bundle any more.
        """
        for name, content in self.files.items():
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts:
                raise LoadError(f"the locustfile of this run has a file outside its folder: {name!r}; start a new run")
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                path.write_bytes(base64.b64decode(content, validate=True))
            except binascii.Error as err:
                raise LoadError(f"the file {name} of the locustfile is damaged; start a new run") from err
        return folder / self.entry


def bundle_of(locustfile: Locustfile) -> LocustfileBundle:
    """Read a locustfile and everything in its folder.

    Raises:
        DataError: a file cannot be read, or there is too much.
    """
    path = locustfile.file
    files: dict[str, str] = {}
    size = 0
    for found in _files_below(path.parent):
        content = _content_of(found)
        size += len(content)
        files[found.relative_to(path.parent).as_posix()] = base64.b64encode(content).decode()
        if len(files) > MAX_FILES or size > MAX_BYTES:
            raise DataError(
                f"{path.parent} must have at most {MAX_FILES} files and {MAX_BYTES:,} bytes together, because all of "
                "them go with the locustfile; put it into a folder with nothing but what it needs"
            )
    if path.name not in files:
        raise DataError(f"there is no file {path}; put the locustfile there")
    return LocustfileBundle(entry=path.name, files=files)


def _files_below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in LEFT_OUT)
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and not path.is_symlink():
                yield path


def _content_of(path: Path) -> bytes:
    try:
        with regular_file(path, what=str(path)) as file:
            return file.read(MAX_BYTES + 1)
    except ItemError as err:
        raise DataError(f"{path}: must be a file, but is a pipe or a device; remove it") from err
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror}); make it readable, or remove it") from err


def read_bundle(path: Path) -> LocustfileBundle:
    """Read the bundle of a run.

    Raises:
        LoadError: there is none, or it cannot be read.
    """
    try:
        content = read_item(path, what=str(path), limit=MAX_BUNDLE_BYTES)
        if content is None:
            raise LoadError(f"there is no {path}; stage the data again")
        return from_json(LocustfileBundle, content, where=str(path))
    except ItemError as err:
        raise LoadError(f"{err}; stage the data again") from err


def code_folder(folder: Path, worker: int) -> Path:
    """Return where a load process unpacks the locustfile: in the folder of its plan, only while the load runs."""
    return folder / f"locustfile-{worker}"


def locustfile_fingerprint(service: Service, bundle: LocustfileBundle) -> str:
    """Return the part of a fingerprint: the code, and what of it is run."""
    assert service.locustfile is not None  # noqa: S101 - a bundle has a locustfile
    chosen = service.locustfile.model_dump_json(exclude={"file"}, exclude_defaults=True)
    digest = hashlib.sha256(f"{bundle.entry} {bundle.fingerprint} {chosen}".encode()).hexdigest()
    return f"{bundle.entry} sha256:{digest[:12]}"
