"""An HTTP/1.1 answer, read from bytes as they arrive.

Nearly every answer of a service is simple: complete in one packet, with its length in the head. Those are read here, in
a fraction of the time; all others go to the reader that smoke runs and health checks use.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from include.perf.load.answer_head import CACHED_HEADS, UnusableAnswer, cookies_in, idle_limit_s
from include.perf.load.answer_reader import Answer, AnswerReader, IncompleteAnswer

HEAD = re.compile(
    rb"HTTP/1\.1 ([2-9]\d\d)(?: [^\x00-\x08\n-\x1f\x7f]*)?"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\n-\x1f\x7f]*)*)\r\n\r\n"
)
"""A complete, well-formed head: status and fields. A malformed head must not count as a good answer.

No possessive quantifiers: Python 3.11.2, which Debian 12 ships, matches them wrongly."""

END_OF_HEAD = b"\r\n\r\n"
MAX_BYTES = 64 * 1024 * 1024
"""Size of one answer with its head; an endless answer must not exhaust the generator's memory."""

MAX_TOTAL_BYTES = 256 * 1024 * 1024
"""Size of all unfinished answers together: a hostile service may send a long one on every connection."""

WITHOUT_BODY = (b"204", b"304")
LENGTH = b"\r\ncontent-length:"
MAX_DIGITS = 18
CONNECTION = b"connection:"
KEEP_ALIVE = b"\r\nconnection: keep-alive\r\n"
IDLE_FIELD = re.compile(rb"\r\nkeep-alive:([^\r\n]*)")
RETRY_AFTER = b"\r\nretry-after:"
SET_COOKIE = b"\r\nset-cookie:"
ENCODING = b"\r\ntransfer-encoding:"


class ClosedEarly(IncompleteAnswer):
    """The server closed the connection before the first byte of an answer."""


def simple_answer(data: bytes) -> Answer | None:
    """Read an answer that is complete, has its length in the head and keeps the connection; ``None`` for any other."""
    head_end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    text = data[:head_end]
    head = _simple_head(text)
    if head is None or len(data) != head_end + head.length:
        return None
    return Answer(
        head.status,
        data[head_end:],
        idle_s=head.idle_s,
        has_retry_after=head.has_retry_after,
        cookies=head.cookies,
        head=text,
    )


class Head(NamedTuple):
    """The fields of a simple answer's head that matter."""

    status: int
    length: int
    idle_s: float | None
    has_retry_after: bool
    cookies: tuple[bytes, ...]


@lru_cache(maxsize=CACHED_HEADS)
def _simple_head(text: bytes) -> Head | None:
    head = HEAD.fullmatch(text)
    if head is None:
        return None
    status, fields = head.group(1), head.group(2).lower()
    if status in WITHOUT_BODY or ENCODING in fields or not _is_kept(fields):
        return None
    at = fields.find(LENGTH) + len(LENGTH)
    length = fields[at:].partition(b"\r\n")[0].strip()
    if at < len(LENGTH) or fields.find(LENGTH, at) >= 0 or not length.isdigit() or len(length) > MAX_DIGITS:
        return None
    idle = IDLE_FIELD.search(fields)
    cookies = cookies_in(head.group(2)) if SET_COOKIE in fields else ()
    return Head(int(status), int(length), idle_limit_s(idle[1]) if idle else None, RETRY_AFTER in fields, cookies)


def _is_kept(fields: bytes) -> bool:
    """Whether the head has no ``Connection`` field, or exactly one with ``keep-alive``."""
    mentions = fields.count(CONNECTION)
    return mentions == 0 or (mentions == 1 and KEEP_ALIVE in fields + b"\r\n")


class AnswersInFlight:
    """Counts the bytes of the unfinished answers of a process, and limits their total."""

    def __init__(self, limit: int = MAX_TOTAL_BYTES) -> None:
        self._limit = limit
        self.bytes_held = 0

    def take(self, count: int) -> None:
        """Count bytes that were received.

        Raises:
            UnusableAnswer: all unfinished answers together are too long.
        """
        if self.bytes_held + count > self._limit:
            raise UnusableAnswer(f"the unfinished answers together have more than {self._limit:,} bytes")
        self.bytes_held += count

    def release(self, count: int) -> None:
        """Stop counting the bytes of an answer that has ended."""
        self.bytes_held -= count


IN_FLIGHT = AnswersInFlight()


def read_answer(
    data: bytes, *, method: str, more: Callable[[], bytes], in_flight: AnswersInFlight = IN_FLIGHT
) -> Answer:
    """Read an answer of any kind.

    Args:
        data: its first bytes.
        more: returns the next bytes, empty when the server has closed.
        in_flight: counts the bytes of this answer until it has ended.

    Raises:
        UnusableAnswer: this is not HTTP, the server closed before the answer was complete, or the answer is too long,
            alone or together with the other unfinished ones.
    """
    length = 0

    def counted(data: bytes) -> bytes:
        nonlocal length
        in_flight.take(len(data))
        length += len(data)
        if length > MAX_BYTES:
            raise UnusableAnswer(f"the answer has more than {MAX_BYTES:,} bytes")
        return data

    try:
        return AnswerReader(lambda: counted(more()), method=method, begun=counted(data)).read()
    finally:
        in_flight.release(length)
