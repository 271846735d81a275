"""The client of an object store: credentials, time limits, and error messages.

Messages name the problem and its remedy. They repeat nothing from a server or library but an S3 error code, because
those texts may contain credentials.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSLError,
)

from include.perf.adapters.s3.bounded_session import bounded

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECT_TIMEOUT_S = 5
READ_TIMEOUT_S = 30
ATTEMPTS = 4
CONNECTIONS = 32

NOT_FOUND = ("404", "NoSuchKey", "NotFound")

ARCHIVED = "InvalidObjectState"
"""The object is in a storage class without immediate access."""

CONFLICT = ("412", "PreconditionFailed", "409", "ConditionalRequestConflict")
"""A condition does not hold: another writer was faster."""

_BAD_LOGIN = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "ExpiredToken",
    "InvalidToken",
    "TokenRefreshRequired",
)
NO_PERMISSION = ("403", "AccessDenied", "AllAccessDisabled")
_WRONG_REGION = ("301", "PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException")
_WRONG_CLOCK = ("RequestTimeTooSkewed", "RequestExpired")
_NOT_SET_UP = (NoCredentialsError, PartialCredentialsError, NoRegionError, CredentialRetrievalError, ProfileNotFound)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Login:
    """Credentials, endpoint and region; boto3 finds what is ``None`` in its usual places.

    Attributes:
        given_in: where a person sets them, for messages.
    """

    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    endpoint_url: str | None = None
    region_name: str | None = None
    given_in: str = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or where else boto3 finds them"


S3Access = Callable[[], S3Login]
"""Returns the login; called before every request, so that a correction takes effect at once."""


def own_login() -> S3Login:
    """Return an empty login: boto3 uses the environment, the profile or the role of the machine."""
    return S3Login()


def client_of(login: S3Login) -> "S3Client":
    """Return the client of a login, which threads may share.

    A forked process gets a client of its own: on a connection shared with its parent, they would read each other's
    responses.
    """
    return client_in(os.getpid(), login)


@lru_cache(maxsize=8)
def client_in(process: int, login: S3Login) -> "S3Client":
    """Return the client of a login in a process.

    Checksums are sent only where S3 requires them: not every server knows those that boto3 would add.
    """
    import boto3
    from botocore.config import Config

    client = boto3.session.Session().client(
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
    return bounded(client)


def code_of(err: ClientError) -> str:
    """Return the S3 error code of a refused request."""
    return str(err.response.get("Error", {}).get("Code", "")) or str(_status_of(err))


def problem_of(err: Exception, *, bucket: str, login: S3Login) -> str:
    """Return why a request failed, and the remedy."""
    where = login.endpoint_url or "S3"
    if isinstance(err, ClientError):
        return _refusal(code_of(err), _status_of(err), bucket=bucket, where=where, login=login)
    if isinstance(err, _NOT_SET_UP):
        return f"no credentials or no region are set for {where}; set them in {login.given_in}"
    if isinstance(err, BotoCoreError):
        return f"{where} cannot be reached or does not answer ({_failure(err)}); check network and endpoint_url"
    if isinstance(err, ValueError):
        return (
            f"endpoint_url must be a URL such as http://minio:9000, but is {login.endpoint_url!r}; correct it in "
            f"{login.given_in}, or AWS_ENDPOINT_URL_S3"
        )
    return getattr(err, "strerror", None) or str(err) or "unknown error"


def _refusal(code: str, status: int, *, bucket: str, where: str, login: S3Login) -> str:
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket} at {where}; create it, or correct the URI"
    if code in _BAD_LOGIN:
        return f"{where} rejected the credentials ({code}); correct them in {login.given_in}"
    if code in _WRONG_REGION:
        return f"bucket {bucket} is in another region ({code}); set region_name, or AWS_REGION"
    if code in _WRONG_CLOCK:
        return f"the clock of this machine differs from that of {where} ({code}); set it"
    if code == ARCHIVED:
        return "it is in an archive"
    if code in NO_PERMISSION:
        return (
            f"the credentials have no permission for this in bucket {bucket} ({code}); docs/storage.md lists the "
            "permissions"
        )
    if code == "NotImplemented":
        return f"{where} does not support this request ({code}); docs/storage.md lists what a server must support"
    if status >= 500 or code == "SlowDown":
        return f"{where} still fails after {ATTEMPTS} attempts ({code}); try again later"
    return f"{where} refused the request ({code})"


def _failure(err: BotoCoreError) -> str:
    match err:
        case ConnectTimeoutError():
            return f"no connection within {CONNECT_TIMEOUT_S} s"
        case ReadTimeoutError():
            return f"no response within {READ_TIMEOUT_S} s"
        case SSLError():
            return "its certificate cannot be verified"
        case EndpointConnectionError():
            return "no connection"
        case ConnectionClosedError():
            return "the connection was closed without a response"
        case _:
            return "the request failed"


def _status_of(err: ClientError) -> int:
    return int(err.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
