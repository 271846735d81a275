"""The client of an object store: who calls, where, and how long an answer may take.

What went wrong with an object store, in words: what was wanted, where, and what to do about it.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, PartialCredentialsError

CONNECT_TIMEOUT_S = 5

READ_TIMEOUT_S = 30

ATTEMPTS = 4

CONNECTIONS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Login:
    """Who calls, and where; what is ``None`` is found by boto3 as it always does.

    Attributes:
        given_in: where it stands, for messages.
    """

    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    region_name: str | None = None
    given_in: str = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or where else boto3 finds them"


S3Access = Callable[[], S3Login]
"""Says who calls; asked before every request, so that what was corrected holds at once."""


def own_login() -> S3Login:
    """Return nobody in particular: boto3 looks into the environment, the profile and the role of the machine."""
    return S3Login()


def client_of(login: S3Login) -> "S3Client":
    """Return the client of a login; threads may share it.

    A process that was forked has one of its own: on a connection that it shared with its parent, each would read what
    the other one was answered.
    """
    return client_in(os.getpid(), login)


@lru_cache(maxsize=8)
def client_in(process: int, login: S3Login) -> "S3Client":
    """Return the client of a login in a process.

    Checksums are sent only where S3 asks for them: not every server knows those that boto3 would add.
    """
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        "s3",
        endpoint_url=login.endpoint_url,
        region_name=login.region_name,
        aws_access_key_id=login.access_key_id,
        aws_secret_access_key=login.secret_access_key,
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=CONNECTIONS,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


NOT_THERE = ("404", "NoSuchKey", "NotFound")

TOO_LATE = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
"""A condition does not hold: somebody else was faster."""

_LOGIN = ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired")

_RIGHTS = ("403", "AccessDenied", "AllAccessDisabled")

_REGION = ("301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")

_CLOCK = ("RequestTimeTooSkewed", "RequestExpired")

_NO_LOGIN = (NoCredentialsError, PartialCredentialsError, NoRegionError)


def code_of(err: ClientError) -> str:
    """Return what S3 calls an error."""
    return str(err.response.get("Error", {}).get("Code", "")) or str(_status_of(err))


def in_words(err: Exception, *, bucket: str, login: S3Login) -> str:
    """Return why something could not be done; nothing of what a server or a library says is repeated but its code."""
    where = login.endpoint_url or "S3"
    if isinstance(err, ClientError):
        return _refused(code_of(err), _status_of(err), bucket=bucket, where=where, login=login)
    if isinstance(err, _NO_LOGIN):
        return f"there are no credentials or there is no region for {where}; set them in {login.given_in}"
    if isinstance(err, BotoCoreError):
        return f"{where} cannot be reached or does not answer ({type(err).__name__}); check network and endpoint_url"
    if isinstance(err, ValueError):
        return (
            f"endpoint_url must be an address such as http://minio:9000, but is {login.endpoint_url!r}; correct it in "
            f"{login.given_in}, or AWS_ENDPOINT_URL_S3"
        )
    return f"{type(err).__name__}: {getattr(err, 'strerror', None) or err}"


def _refused(code: str, status: int, *, bucket: str, where: str, login: S3Login) -> str:
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket} at {where}; make it, or correct the address"
    if code in _LOGIN:
        return f"{where} refuses the credentials ({code}); correct them in {login.given_in}"
    if code in _REGION:
        return f"bucket {bucket} is in another region ({code}); set region_name, or AWS_REGION"
    if code in _CLOCK:
        return f"{where} finds this machine's clock wrong ({code}); set it"
    if code in _RIGHTS:
        return f"the credentials have no right to do that in bucket {bucket} ({code}); docs/storage.md lists the rights"
    if code == "NotImplemented":
        return (
            f"{where} does not know what is asked of it ({code}); docs/storage.md says what a server must be able to do"
        )
    if status >= 500 or code == "SlowDown":
        return f"{where} fails ({code}), also when asked again; try again later"
    return f"{where} refuses it ({code})"


def _status_of(err: ClientError) -> int:
    return int(err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
