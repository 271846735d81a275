"""URIs in an object store: ``s3://bucket/prefix``."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote

from include.perf.model.errors import ConfigurationError, ItemError

SCHEME = "s3://"
BUCKET = re.compile(r"\A[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z")


def is_s3(uri: str) -> bool:
    """Return whether a URI is in an object store."""
    return uri.startswith(SCHEME)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A bucket and a prefix of its keys.

    Attributes:
        prefix: without a trailing slash; empty for all keys.
    """

    bucket: str
    prefix: str

    @property
    def uri(self) -> str:
        """The URI of bucket and prefix."""
        return self.uri_of("").rstrip("/")

    def uri_of(self, path: str) -> str:
        """Return the URI of a path below the prefix."""
        return f"{SCHEME}{self.bucket}/{quote(self.key_of(path))}"

    def key_of(self, path: str) -> str:
        """Return the key of a path below the prefix."""
        return f"{self.prefix}/{path}" if self.prefix else path

    def path_of(self, uri: str) -> str:
        """Return the path of a URI below the prefix.

        Raises:
            ItemError: the URI is outside the prefix.
        """
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        path = unquote(key).removeprefix(self.key_of(""))
        is_inside = is_s3(uri) and bucket == self.bucket and unquote(key).startswith(self.key_of(""))
        if not is_inside or not is_plain(path):
            raise ItemError(f"{uri} is not in the results store {self.uri}")
        return path


def s3_place(uri: str, *, setting: str) -> S3Place:
    """Parse a URI.

    Args:
        setting: the name of the setting that has the URI, for messages.

    Raises:
        ConfigurationError: the URI is invalid.
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    prefix = unquote(key).strip("/")
    if not BUCKET.match(bucket) or (prefix and not is_plain(prefix)):
        raise ConfigurationError(
            f"{setting} must be s3://bucket/prefix, the bucket in lowercase letters, digits, dots and hyphens, "
            f"but is {uri!r}"
        )
    return S3Place(bucket=bucket, prefix=prefix)


def is_plain(path: str) -> bool:
    """Return whether no part of a path is empty, ``.`` or ``..``."""
    return not {"", ".", ".."} & set(path.split("/"))
