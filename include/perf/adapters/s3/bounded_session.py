"""Answers of an object store with a limit: listings and errors are read into memory, however long they are.

Objects themselves are read in parts, by whoever knows how large they may be.
"""

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as PoolReadTimeout

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_ANSWER_BYTES = 32 * 1024**2
"""A page of a listing has about 1 MB: 1,000 objects, each with a name of at most 1,024 bytes."""

PART_BYTES = 64 * 1024
FIRST_ERROR = 300


class AnswerTooLarge(OSError):
    """An answer has more than `MAX_ANSWER_BYTES`; trying again would not help."""


class BoundedSession:
    """The HTTP session of a client, which reads no answer beyond the limit.

    Args:
        session: of botocore.
    """

    def __init__(self, session: Any) -> None:
        self._session = session

    def send(self, request: Any) -> Any:
        """Send a request, and read its answer unless that is an object.

        Raises:
            AnswerTooLarge: the answer has too many bytes.
            BotoCoreError: see botocore.
        """
        is_object = request.stream_output
        request.stream_output = True
        answer = self._session.send(request)
        if not is_object or answer.status_code >= FIRST_ERROR:
            answer._content = _content_of(answer.raw, request)
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


def _content_of(raw: Any, request: Any) -> bytes:
    """Return the content of an answer; errors are those that botocore raises itself."""
    content = bytearray()
    try:
        for part in raw.stream(PART_BYTES):
            content += part
            if len(content) > MAX_ANSWER_BYTES:
                raw.close()
                raise AnswerTooLarge(f"its answer has more than {MAX_ANSWER_BYTES // 1024**2} MiB")
    except PoolReadTimeout as err:
        raise ReadTimeoutError(endpoint_url=request.url, error=err) from err
    except HTTPError as err:
        raise ConnectionClosedError(error=err, request=request, endpoint_url=request.url) from err
    return bytes(content)


def bounded(client: "S3Client") -> "S3Client":
    """Limit the answers of a client."""
    endpoint: Any = client._endpoint  # type: ignore[attr-defined]
    endpoint.http_session = BoundedSession(endpoint.http_session)
    return client
