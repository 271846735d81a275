"""Bodies of answers with a limit: a server could send more than fits into memory, also in a few compressed bytes."""

import requests

PART_BYTES = 64 * 1024


class AnswerTooLong(requests.RequestException):
    """An answer is longer than its limit."""


def read_body(response: requests.Response, *, limit: int) -> None:
    """Read the body of a response that was requested with ``stream=True``; it is then in `content`, `text` and `json`.

    A compressed body is decompressed in parts, so the limit is that of the text.

    Raises:
        AnswerTooLong: it has more than ``limit`` bytes.
        requests.RequestException: it broke off, or cannot be decompressed.
    """
    body = bytearray()
    try:
        for part in response.iter_content(PART_BYTES):
            body += part
            if len(body) > limit:
                raise AnswerTooLong(f"the answer has more than {limit:,} bytes", response=response)
    except BaseException:
        response.close()
        raise
    response._content = bytes(body)
