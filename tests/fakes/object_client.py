"""The client of an object store that is a dictionary: what Bellwether needs of S3, with the errors that S3 gives."""

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


class MemoryClient:
    """Objects by bucket and key."""

    def __init__(self) -> None:
        self.content: dict[tuple[str, str], bytes] = {}

    def create_bucket(self, *, Bucket: str) -> None:
        """Do nothing: every bucket exists."""

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """Return an object."""
        content = self._found(Bucket, Key, "GetObject", code="NoSuchKey")
        return {"Body": io.BytesIO(content), "ContentLength": len(content), "ETag": _etag(content)}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        """Return the ETag of an object."""
        return {"ETag": _etag(self._found(Bucket, Key, "HeadObject", code="404"))}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **condition: str) -> dict[str, Any]:
        """Write an object, if the condition holds."""
        current = self.content.get((Bucket, Key))
        if "IfMatch" in condition and current is None:
            raise _error("NoSuchKey", 404, "PutObject")
        is_refused = (condition.get("IfNoneMatch") == "*" and current is not None) or (
            "IfMatch" in condition and current is not None and condition["IfMatch"] != _etag(current)
        )
        if is_refused:
            raise _error("PreconditionFailed", 412, "PutObject")
        self.content[Bucket, Key] = bytes(Body)
        return {"ETag": _etag(bytes(Body))}

    def delete_object(self, *, Bucket: str, Key: str) -> None:
        """Remove an object, if it exists."""
        self.content.pop((Bucket, Key), None)

    def upload_file(self, file: str, bucket: str, key: str) -> None:
        """Write an object from a file."""
        self.put_object(Bucket=bucket, Key=key, Body=Path(file).read_bytes())

    def download_file(self, bucket: str, key: str, file: str) -> None:
        """Write an object into a file."""
        Path(file).write_bytes(self._found(bucket, key, "HeadObject", code="404"))

    def get_paginator(self, operation: str) -> "MemoryClient":
        """Return what lists objects; everything is on one page."""
        assert operation == "list_objects_v2", operation
        return self

    def paginate(
        self, *, Bucket: str, Prefix: str, Delimiter: str = "", StartAfter: str = ""
    ) -> Iterator[dict[str, Any]]:
        """Yield a page of the objects or folders whose keys begin with a prefix."""
        found: list[dict[str, Any]] = []
        folders: dict[str, None] = {}
        for bucket, key in sorted(self.content):
            if bucket != Bucket or not key.startswith(Prefix) or key <= StartAfter:
                continue
            inner, delimiter, _ = key.removeprefix(Prefix).partition(Delimiter) if Delimiter else (key, "", "")
            if delimiter:
                folders[f"{Prefix}{inner}/"] = None
            else:
                size = len(self.content[bucket, key])
                found.append({"Key": key, "Size": size, "LastModified": LONG_AGO})
        yield {"Contents": found, "CommonPrefixes": [{"Prefix": folder} for folder in folders]}

    def _found(self, bucket: str, key: str, operation: str, *, code: str) -> bytes:
        content = self.content.get((bucket, key))
        if content is None:
            raise _error(code, 404, operation)
        return content


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'


def _error(code: str, status: int, operation: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )
