"""The objects below a place: read, written, written on a condition, listed. What fails is a `StoreError`."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from include.perf.adapters.s3.client import NOT_THERE, TOO_LATE, S3Access, client_of, code_of, in_words
from include.perf.adapters.s3.place import S3Place
from include.perf.model.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object as a list shows it."""

    path: str
    size: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """What was in an object, and what tells this content from any other."""

    content: bytes
    etag: str


class Objects:
    """Objects by their paths below a place; nothing is asked before it is needed.

    Attributes:
        place: where they are.

    Args:
        access: says who calls.
    """

    def __init__(self, place: S3Place, access: S3Access) -> None:
        self.place = place
        self._access = access

    def read(self, path: str) -> bytes | None:
        """Return what is in an object, ``None`` where there is none."""
        version = self.version(path)
        return None if version is None else version.content

    def version(self, path: str) -> Version | None:
        """Return what is in an object and its mark, ``None`` where there is none."""
        with self._told("read", path) as client, _nothing_there() as found:
            answer = client.get_object(**self._named(path))
            with answer["Body"] as body:
                found.append(Version(content=body.read(), etag=answer["ETag"]))
        return found[0] if found else None

    def etag(self, path: str) -> str | None:
        """Return the mark of what is in an object, ``None`` where there is none."""
        with self._told("look at", path) as client, _nothing_there() as found:
            found.append(client.head_object(**self._named(path))["ETag"])
        return found[0] if found else None

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """Lend an object to be read part by part."""
        with self._told("read", path) as client:
            body: Any = client.get_object(**self._named(path))["Body"]
        with self._told("read", path), body:
            yield body

    def write(self, path: str, content: bytes) -> None:
        """Put an object in the place of what is there: all of it or nothing."""
        with self._told("write", path) as client:
            client.put_object(**self._named(path), Body=content)

    def swap(self, path: str, content: bytes, *, expected: str | None) -> str | None:
        """Write an object if it still is what it was, and return its new mark; ``None`` where it is not.

        An answer that is lost on its way makes the client ask again, and that second request is refused because the
        first one was done. So who is refused looks whether what is there is what was to be written.

        Args:
            expected: the mark of what was there; ``None`` where there was nothing.
        """
        condition: Any = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with self._told("write", path) as client:
            try:
                return str(client.put_object(**self._named(path), Body=content, **condition)["ETag"])
            except ClientError as err:
                if code_of(err) not in (*TOO_LATE, *NOT_THERE):
                    raise
        found = self.version(path)
        return found.etag if found is not None and found.content == content else None

    def check_conditions(self) -> None:
        """Make sure that the server refuses a write whose condition does not hold.

        Raises:
            StoreError: it does not; two that change baselines at once would lose one of the changes.
        """
        path = ".conditions"
        self.swap(path, _unique(), expected=None)
        if self.swap(path, _unique(), expected=None) or self.swap(path, _unique(), expected=f'"{"0" * 32}"'):
            raise StoreError(
                f"{self.place.uri} takes no heed of If-Match and If-None-Match, so that two changes at once would lose "
                "one of them; take a server that does (docs/storage.md), or keep BELLWETHER_BASELINES, "
                "BELLWETHER_ALERTS and BELLWETHER_LOAD_LOCKS in a shared folder"
            )

    def remove(self, path: str) -> None:
        """Remove an object, if it is there."""
        with self._told("remove", path) as client:
            client.delete_object(**self._named(path))

    def upload(self, file: Path, path: str) -> None:
        """Put a file's content into an object, large ones in parts: all of it or nothing."""
        with self._told("write", path) as client:
            client.upload_file(str(file), self.place.bucket, self.place.key_of(path))

    def download(self, path: str, file: Path) -> None:
        """Bring an object into a file."""
        with self._told("read", path) as client:
            client.download_file(self.place.bucket, self.place.key_of(path), str(file))

    def listed(self, folder: str) -> Iterator[Listed]:
        """Return all objects whose paths begin with ``folder/``, in the order of their names' bytes."""
        for page in self._pages(f"{folder}/"):
            for found in page.get("Contents", ()):
                path = found["Key"].removeprefix(self.place.key_of(""))
                yield Listed(path=path, size=found["Size"], changed_at=found["LastModified"])

    def folders(self, folder: str, *, since: str = "") -> Iterator[str]:
        """Return the names of the folders in a folder, those that sort before ``since`` left out."""
        prefix = f"{folder}/" if folder else ""
        after: Any = {"StartAfter": self.place.key_of(prefix + since)} if since else {}
        for page in self._pages(prefix, Delimiter="/", **after):
            names = (
                each["Prefix"].removeprefix(self.place.key_of(prefix))[:-1] for each in page.get("CommonPrefixes", ())
            )
            yield from (name for name in names if name >= since)  # a slash sorts after what a name may go on with

    def _pages(self, prefix: str, **options: Any) -> Iterator[Any]:
        """Return the pages of a list; each is asked for when it is needed."""
        with self._told("list", prefix) as client:
            pages = iter(
                client.get_paginator("list_objects_v2").paginate(
                    Bucket=self.place.bucket, Prefix=self.place.key_of(prefix), **options
                )
            )
        while True:
            with self._told("list", prefix):
                page = next(pages, None)
            if page is None:
                return
            yield page

    def _named(self, path: str) -> Any:
        return {"Bucket": self.place.bucket, "Key": self.place.key_of(path)}

    @contextmanager
    def _told(self, what: str, path: str) -> Iterator["S3Client"]:
        """Lend the client; what goes wrong becomes an error that says what was wanted, where, and what to do."""
        login = self._access()

        def failed(err: Exception) -> StoreError:
            words = in_words(err, bucket=self.place.bucket, login=login)
            return StoreError(f"cannot {what} {self.place.uri_of(path)}: {words}")

        try:
            client = client_of(login)
        except (BotoCoreError, ValueError) as err:
            raise failed(err) from err
        try:
            yield client
        except (ClientError, BotoCoreError, Boto3Error, OSError) as err:
            raise failed(err.__context__ if isinstance(err.__context__, ClientError) else err) from err


@contextmanager
def _nothing_there() -> Iterator[list[Any]]:
    """Lend a list that stays empty where there is no such object."""
    try:
        yield []
    except ClientError as err:
        if code_of(err) not in NOT_THERE:
            raise


def _unique() -> bytes:
    return f"written to see whether conditions are kept: {uuid.uuid4()}\n".encode()
