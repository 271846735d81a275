"""What went wrong with an object store, in words: what was wanted, where, and what to do about it."""

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, NoRegionError, PartialCredentialsError

from include.perf.adapters.s3.client import S3Login

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
