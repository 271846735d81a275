"""Addresses in an object store: ``s3://bucket/prefix``."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from include.perf.model.errors import ConfigurationError, StoreError

SCHEME = "s3://"
BUCKET = re.compile(r"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


def is_s3(uri: str) -> bool:
    """Whether an address is one of an object store."""
    return uri.startswith(SCHEME)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A bucket, and what the keys in it begin with.

    Attributes:
        prefix: without a slash at its end; empty for the whole bucket.
    """

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """Its address."""
        return self.uri_of("").rstrip("/")

    def uri_of(self, path: str) -> str:
        """Return the address of what lies at a path below the prefix."""
        return f"{SCHEME}{self.bucket}/{quote(self.key_of(path))}"

    def key_of(self, path: str) -> str:
        """Return the key of what lies at a path below the prefix."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def path_of(self, uri: str) -> str:
        """Return the path below the prefix that an address leads to.

        Raises:
            StoreError: it leads elsewhere.
        """
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        path = unquote(key).removeprefix(self.key_of(""))
        is_inside = is_s3(uri) and bucket == self.bucket and unquote(key).startswith(self.key_of(""))
        if not is_inside or not is_plain(path):
            raise StoreError(f"{uri} is not in the results store {self.uri}")
        return path


def s3_place(uri: str, *, setting: str) -> S3Place:
    """Return the place that an address names.

    Raises:
        ConfigurationError: it names none; ``setting`` says where it stands.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    prefix = unquote(key).strip("/")
    if not BUCKET.match(bucket) or (prefix and not is_plain(prefix)):
        raise ConfigurationError(
            f"{setting} must be s3://bucket/prefix, the bucket in small letters, digits, dots and hyphens, "
            f"but is {uri!r}"
        )
    return S3Place(bucket=bucket, prefix=prefix)


def is_plain(path: str) -> bool:
    """Whether no part of a path is empty or leads anywhere else."""
    return not {"", ".", ".."} & set(path.split("/"))
