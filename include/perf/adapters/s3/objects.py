"""Objects below a URI: read, written, written conditionally, listed. Every failure is a `StoreError`."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    FlexibleChecksumError,
    IncompleteReadError,
    ResponseStreamingError,
)

from include.perf.adapters.s3.client import (
    ARCHIVED,
    CONFLICT,
    NO_PERMISSION,
    NOT_FOUND,
    S3Access,
    client_of,
    code_of,
    problem_of,
)
from include.perf.adapters.s3.place import S3Place
from include.perf.model.errors import ItemError, StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


MAX_BYTES = 256 * 1024**2

MAX_PAGES = 5_000
"""Of one listing, with 1,000 objects each: more than 30 years of a service's nights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """An object in a listing."""

    path: str
    size: int
    changed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """The content of an object, and the ETag that identifies it."""

    content: bytes
    etag: str


class Objects:
    """Objects by their paths below a place; nothing is requested before it is needed.

    Attributes:
        place: bucket and prefix.

    Args:
        access: returns the login.
    """

    def __init__(self, place: S3Place, access: S3Access) -> None:
        self.place = place
        self._access = access

    def read(self, path: str, *, limit: int = MAX_BYTES) -> bytes | None:
        """Return the content of an object; ``None`` if it does not exist.

        Raises:
            ItemError: it has more bytes than ``limit``, is in an archive, or cannot be read although the place can be
                listed: no permission for it, a wrong checksum, or content that ends early.
        """
        with self._of_one_object(), self._client("read", path) as client, _none_if_missing() as found:
            answer = client.get_object(**self._address(path))
            found.append(_content_of(answer, limit=limit))
        if found and len(found[0]) > limit:
            raise self._too_large(path, limit=limit)
        return found[0] if found else None

    @contextmanager
    def _of_one_object(self) -> Iterator[None]:
        """Turn a `StoreError` about a single object into an `ItemError` if the place itself can be read."""
        try:
            yield
        except StoreError as err:
            if _is_of_one_object(err.__cause__) and self._can_be_listed():
                raise ItemError(f"{err}; other objects can be read") from err
            raise

    def _can_be_listed(self) -> bool:
        """Return whether the place itself can be read, so that an error is one of a single object."""
        try:
            with self._client("list", "") as client:
                client.list_objects_v2(Bucket=self.place.bucket, Prefix=self.place.key_of(""), MaxKeys=1)
        except StoreError:
            return False
        return True

    def version(self, path: str) -> Version | None:
        """Return the content of an object and its ETag; ``None`` if it does not exist.

        Raises:
            ItemError: it has more than `MAX_BYTES`.
        """
        with self._client("read", path) as client, _none_if_missing() as found:
            answer = client.get_object(**self._address(path))
            found.append(Version(content=_content_of(answer, limit=MAX_BYTES), etag=answer["ETag"]))
        if found and len(found[0].content) > MAX_BYTES:
            raise self._too_large(path, limit=MAX_BYTES)
        return found[0] if found else None

    def _too_large(self, path: str, *, limit: int) -> ItemError:
        return ItemError(f"cannot read {self.place.uri_of(path)}: it is larger than {limit // 1024**2} MiB")

    def etag(self, path: str) -> str | None:
        """Return the ETag of an object; ``None`` if it does not exist."""
        with self._client("read", path) as client, _none_if_missing() as found:
            found.append(client.head_object(**self._address(path))["ETag"])
        return found[0] if found else None

    @contextmanager
    def opened(self, path: str) -> Iterator[IO[bytes]]:
        """Open an object for reading in chunks."""
        with self._client("read", path) as client:
            body: Any = client.get_object(**self._address(path))["Body"]
        with self._client("read", path), body:
            yield body

    def write(self, path: str, content: bytes) -> None:
        """Write an object atomically, replacing it if it exists."""
        with self._client("write", path) as client:
            client.put_object(**self._address(path), Body=content)

    def swap(self, path: str, content: bytes, *, expected: str | None) -> str | None:
        """Write an object if it has not changed, and return its new ETag; ``None`` after a conflict.

        If a response is lost, the client repeats the request, and the server refuses the repetition because the first
        request succeeded. So after a refusal the stored content is compared with the content to write.

        Args:
            expected: the ETag of the content to replace; ``None`` if the object must not exist.
        """
        condition: Any = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        with self._client("write", path) as client:
            try:
                return str(client.put_object(**self._address(path), Body=content, **condition)["ETag"])
            except ClientError as err:
                if code_of(err) not in (*CONFLICT, *NOT_FOUND):
                    raise
        found = self.version(path)
        return found.etag if found is not None and found.content == content else None

    def check_conditions(self) -> None:
        """Check that the server refuses a write whose condition does not hold.

        Raises:
            StoreError: it does not, so concurrent changes of the baselines could be lost.
        """
        path = ".conditions"
        self.swap(path, _unique(), expected=None)
        if self.swap(path, _unique(), expected=None) or self.swap(path, _unique(), expected=f'"{"0" * 32}"'):
            raise StoreError(
                f"{self.place.uri} ignores If-Match and If-None-Match, so concurrent changes could be lost; use a "
                "server that supports them (docs/storage.md), or put BELLWETHER_BASELINES, BELLWETHER_ALERTS and "
                "BELLWETHER_LOAD_LOCKS in a shared folder"
            )

    def remove(self, path: str) -> None:
        """Remove an object if it exists."""
        with self._client("remove", path) as client:
            client.delete_object(**self._address(path))

    def upload(self, file: Path, path: str) -> None:
        """Upload a file atomically, large files in parts."""
        with self._client("write", path) as client:
            client.upload_file(str(file), self.place.bucket, self.place.key_of(path))

    def download(self, path: str, file: Path) -> None:
        """Download an object into a file.

        Raises:
            ItemError: see `read`.
        """
        with self._of_one_object(), self._client("read", path) as client:
            client.download_file(self.place.bucket, self.place.key_of(path), str(file))

    def listed(self, folder: str) -> Iterator[ListedObject]:
        """Yield all objects whose paths start with ``folder/``, ordered by the bytes of their names."""
        for page in self._pages(f"{folder}/"):
            with self._client("list", folder):
                found = [self._listed(item) for item in page.get("Contents", ())]
            yield from found

    def _listed(self, item: Any) -> ListedObject:
        path = item["Key"].removeprefix(self.place.key_of(""))
        return ListedObject(path=path, size=item["Size"], changed_at=item["LastModified"])

    def folders(self, folder: str, *, since: str = "") -> Iterator[str]:
        """Yield the names of the folders in a folder, from ``since`` on."""
        prefix = f"{folder}/" if folder else ""
        after: Any = {"StartAfter": self.place.key_of(prefix + since)} if since else {}
        for page in self._pages(prefix, Delimiter="/", **after):
            with self._client("list", prefix):
                prefixes = [found["Prefix"] for found in page.get("CommonPrefixes", ())]
            names = (name.removeprefix(self.place.key_of(prefix))[:-1] for name in prefixes)
            yield from (name for name in names if name >= since)  # StartAfter compares names with their final slash

    def _pages(self, prefix: str, **options: Any) -> Iterator[Any]:
        """Yield the pages of a listing; each one is requested when it is needed."""
        with self._client("list", prefix) as client:
            pages = iter(
                client.get_paginator("list_objects_v2").paginate(
                    Bucket=self.place.bucket, Prefix=self.place.key_of(prefix), **options
                )
            )
        for _ in range(MAX_PAGES):
            with self._client("list", prefix):
                page = next(pages, None)
            if page is None:
                return
            yield page
        raise StoreError(
            f"cannot list {self.place.uri_of(prefix)}: the listing has no end after {MAX_PAGES:,} pages; move what "
            "does not belong to the results, or check the server"
        )

    def _address(self, path: str) -> Any:
        return {"Bucket": self.place.bucket, "Key": self.place.key_of(path)}

    @contextmanager
    def _client(self, action: str, path: str) -> Iterator["S3Client"]:
        """Yield the client, and turn its errors into a `StoreError` with action, URI, problem and remedy."""
        login = self._access()

        def failed(err: Exception) -> StoreError:
            problem = problem_of(err, bucket=self.place.bucket, login=login)
            return StoreError(f"cannot {action} {self.place.uri_of(path)}: {problem}")

        try:
            client = client_of(login)
        except (BotoCoreError, ValueError) as err:
            raise failed(err) from err
        try:
            yield client
        except (ClientError, BotoCoreError, Boto3Error, OSError) as err:
            raise failed(err.__context__ if isinstance(err.__context__, ClientError) else err) from err
        except KeyError as err:
            raise StoreError(
                f"cannot {action} {self.place.uri_of(path)}: the answer has no {err.args[0]}, so this is no S3 server; "
                "check endpoint_url"
            ) from err


def _content_of(answer: Any, *, limit: int) -> bytes:
    """Return the content of an object, up to one byte more than the limit.

    Raises:
        IncompleteReadError: the answer ends early, which botocore does not notice if a limit is given.
    """
    with answer["Body"] as body:
        content: bytes = body.read(limit + 1)
    expected = min(answer["ContentLength"], limit + 1)
    if len(content) < expected:
        raise IncompleteReadError(actual_bytes=len(content), expected_bytes=expected)
    return content


def _is_of_one_object(err: BaseException | None) -> bool:
    """Return whether an error may concern a single object; an error of the server or of the network does not."""
    if isinstance(err, ClientError):
        code = code_of(err)
        return code == ARCHIVED or code in NO_PERMISSION or code.startswith("KMS.")
    return isinstance(err, IncompleteReadError | FlexibleChecksumError | ResponseStreamingError)


@contextmanager
def _none_if_missing() -> Iterator[list[Any]]:
    """Yield a list for the result; it stays empty if the object does not exist."""
    try:
        yield []
    except ClientError as err:
        if code_of(err) not in NOT_FOUND:
            raise


def _unique() -> bytes:
    return f"test of conditional writes: {uuid.uuid4()}\n".encode()
