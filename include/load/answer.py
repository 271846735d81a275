"""An HTTP/1.1 answer, read from bytes as they come.

Nearly every answer of a service is simple: whole in one packet, with its length in the head. Those are read
here, in a fifth of the time; anything else goes to the parser of geventhttpclient (llhttp).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from geventhttpclient.response import HTTPProtocolViolationError, HTTPResponse

HEAD = re.compile(
    rb"HTTP/1\.1 ([2-9]\d\d)(?: [^\x00-\x08\n-\x1f\x7f]*)?"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\x00-\x08\n-\x1f\x7f]*)*)\r\n\r\n"
)
"""A whole and well-formed head: status and fields. One that is not must not pass for a good answer.

No possessive quantifiers: Python 3.11.2, which Debian 12 has, matches them wrongly."""

END_OF_HEAD = b"\r\n\r\n"
MAX_BYTES = 64 * 1024 * 1024
"""Of one answer, its head included; a service that never ends one must not take the generator's memory."""

HEADS_KEPT = 256
"""Within a second most answers of a service have one of a few heads."""

WITHOUT_BODY = (b"204", b"304")
LENGTH = b"\r\ncontent-length:"
MOST_DIGITS = 18
CONNECTION = b"connection:"
KEEP_ALIVE = b"\r\nconnection: keep-alive\r\n"
ENCODING = b"\r\ntransfer-encoding:"


@dataclass(slots=True)
class Answer:
    """What came back; ``body`` is whole.

    Attributes:
        keeps: whether the connection may be used again.
        received: when it was whole on this machine, on the clock of ``time.perf_counter``.
    """

    status: int
    body: bytes
    keeps: bool = True
    received: float = 0.0


class UnusableAnswer(Exception):
    """The server answered something that is not HTTP, or closed in the middle of it."""


def simple_answer(data: bytes) -> Answer | None:
    """Read an answer that is whole, has its length in the head and keeps the connection; ``None`` for any other."""
    head_end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    head = _simple_head(data[:head_end])
    if head is None or len(data) != head_end + head.length:
        return None
    return Answer(head.status, data[head_end:])


class Head(NamedTuple):
    """What the head of a simple answer says."""

    status: int
    length: int


@lru_cache(maxsize=HEADS_KEPT)
def _simple_head(text: bytes) -> Head | None:
    head = HEAD.fullmatch(text)
    if head is None:
        return None
    status, fields = head.group(1), head.group(2).lower()
    if status in WITHOUT_BODY or ENCODING in fields or not _is_kept(fields):
        return None
    at = fields.find(LENGTH) + len(LENGTH)
    length = fields[at:].partition(b"\r\n")[0].strip()
    if at < len(LENGTH) or fields.find(LENGTH, at) >= 0 or not length.isdigit() or len(length) > MOST_DIGITS:
        return None
    return Head(int(status), int(length))


def _is_kept(fields: bytes) -> bool:
    """Whether nothing is said of the connection but, once, that it is kept."""
    mentions = fields.count(CONNECTION)
    return mentions == 0 or (mentions == 1 and KEEP_ALIVE in fields + b"\r\n")


class _OneAnswer(HTTPResponse):
    """The parser of geventhttpclient, which would take two answers in one packet for one."""

    def _on_message_begin(self) -> None:
        if self.message_complete and not self._is_interim:
            raise HTTPProtocolViolationError("another answer follows the one that was asked for")
        super()._on_message_begin()

    def _on_message_complete(self) -> None:
        super()._on_message_complete()
        self._is_interim = self.get_code() < 200


def read_answer(data: bytes, *, method: str, more: Callable[[], bytes]) -> Answer:
    """Read an answer of any kind.

    Args:
        data: its first bytes.
        more: returns the next ones, none when the server has closed.

    Raises:
        HTTPParseError: this is not HTTP.
        UnusableAnswer: the server closed before the answer was whole, or there is no end to it.
    """
    response = _OneAnswer(method=method)
    length = 0
    while True:
        response.feed(data)
        length += len(data)
        if length > MAX_BYTES:
            raise UnusableAnswer(f"the answer has more than {MAX_BYTES:,} bytes")
        # An interim answer (1xx) is not the one; the real one follows.
        if response.message_complete and response.get_code() >= 200:
            return Answer(response.get_code(), bytes(response._body_buffer), keeps=not response.should_close())
        if not data:
            raise UnusableAnswer("the server closed the connection before the answer was whole")
        data = more()
