"""The client of an object store: who calls, where, and how long an answer may take."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

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
