"""An HTTP/1 answer, read from bytes as they arrive: the same in a load, a smoke run and the health check.

It does no input or output itself: a function returns the next bytes. Why no library: llhttp refuses what clients must
accept (folded fields, equal lengths, lines that end with LF), h11 refuses white space before a colon, and http.client
takes early hints for the answer.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from include.perf.load.answer_head import AnswerHead, Http2Only, UnusableAnswer, check_fields, plain_lines, read_head

MAX_HEAD_BYTES = 256 * 1024
"""Size of the heads and the trailer of one answer."""

MAX_FIELDS = 1000
"""Lines of the heads and the trailer of one answer; every field takes far more memory than its bytes."""

MAX_CHUNK_HEAD_BYTES = 16 * 1024
"""Size of the line before a chunk; its extensions are ignored (RFC 9112, 7.1.1)."""

HEAD = "HEAD"
"""The method whose answers have no body, whatever their heads say."""

WITHOUT_BODY = (204, 304)
SWITCHING_PROTOCOLS = 101
LINE_ENDS = b"\r\n"
START = b"HTTP/1."
HTTP2 = re.compile(rb"\x00\x00[\x00-\xff][\x04\x07]\x00\x00\x00\x00\x00|PRI \* HTTP/2|HTTP/2")
"""How HTTP/2 begins: with a frame SETTINGS or GOAWAY of the whole connection (RFC 9113, 3.4 and 6)."""

EMPTY_LINE = re.compile(rb"(?:\A|\n)\r?\n")
CHUNK_HEAD = re.compile(rb"0*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\x00\r\n]*)?\r\n")
"""Its line must end with CRLF: a lone LF is allowed for the status line and fields only (RFC 9112, 2.2)."""


class IncompleteAnswer(UnusableAnswer):
    """The server closed the connection before the answer was complete."""

    def __init__(self) -> None:
        super().__init__("the server closed the connection before the answer was complete")


class _LongBody(Exception):
    """The body has more bytes than its reader wants."""


@dataclass(slots=True)
class Answer:
    """A complete answer.

    Attributes:
        keeps: whether the connection may be used again.
        idle_s: after how many idle seconds the server closes the connection, if it says so.
        has_retry_after: whether it asks the client to wait before the next request.
        cookies: the values of its ``Set-Cookie`` fields.
        received: when its last byte reached this machine, on the clock of ``time.perf_counter``.
        head: its status line and its fields, as they came.
    """

    status: int
    body: bytes
    keeps: bool = True
    idle_s: float | None = None
    has_retry_after: bool = False
    cookies: tuple[bytes, ...] = ()
    received: float = 0.0
    head: bytes = field(default=b"", compare=False)


class AnswerReader:
    """Reads one answer to a request, up to its last byte.

    Args:
        more: returns the next bytes, empty when the server has closed.
        method: of the request.
        begun: bytes of the answer that have arrived.
        max_body_bytes: a longer body is cut one byte after this.
    """

    def __init__(
        self, more: Callable[[], bytes], *, method: str, begun: bytes = b"", max_body_bytes: int | None = None
    ) -> None:
        self._more = more
        self._method = method
        self._held = bytearray(begun)
        self._max_body_bytes = max_body_bytes
        self._head = b""
        self._body = bytearray()
        self._is_closed = False
        self._head_bytes = 0
        self._fields = 0

    def read(self) -> Answer:
        """Return the answer.

        Raises:
            IncompleteAnswer: the server closed before the answer was complete.
            UnusableAnswer: this is not HTTP/1, its end is uncertain, its head is too long, or more follows it.
        """
        head = self._final_head()
        try:
            has_excess = self._read_body(head)
        except _LongBody:
            has_excess = True
            del self._body[(self._max_body_bytes or 0) + 1 :]
        keeps = head.keeps and not (self._is_closed or has_excess)
        return Answer(
            head.status,
            bytes(self._body),
            keeps=keeps,
            idle_s=head.idle_s,
            has_retry_after=head.has_retry_after,
            cookies=head.cookies,
            head=self._head,
        )

    # The head

    def _final_head(self) -> AnswerHead:
        """Return the head of the answer; any number of interim answers (1xx) may come before it (RFC 9110, 15.2)."""
        while True:
            self._await_start()
            self._head = self._section(lines_before=1)
            head = read_head(self._head)
            if head.status == SWITCHING_PROTOCOLS:
                raise UnusableAnswer("the server switched to another protocol (Upgrade), which is not supported")
            if head.status >= 200:
                return head

    def _await_start(self) -> None:
        """Read until an answer begins; white space before it is ignored.

        What is not HTTP may never have an empty line, so it is refused at its first bytes.
        """
        while True:
            if self._held[:1].isspace():
                length = len(self._held)
                self._held = self._held.lstrip()
                self._count_head(length - len(self._held))
            begun = self._held[: len(START)]
            if not START.startswith(begun):
                if HTTP2.match(self._held):
                    raise Http2Only
                raise UnusableAnswer("the answer is not HTTP/1.1 or HTTP/1.0")
            if len(begun) == len(START):
                return
            self._take_more()

    def _section(self, *, lines_before: int) -> bytes:
        """Return lines up to an empty one, and take them out of the held bytes.

        Args:
            lines_before: how many of them are before the fields.
        """
        seen, fields = 0, self._fields - lines_before
        while (end := EMPTY_LINE.search(self._held, max(0, seen - 2))) is None:
            fields += self._held.count(b"\n", seen)
            self._check_limits(fields, len(self._held))
            seen = len(self._held)
            self._take_more()
        fields += self._held.count(b"\n", seen, end.end()) - 1
        self._check_limits(fields, end.end())
        self._fields = fields
        self._count_head(end.end())
        section = bytes(self._held[: end.end()])
        del self._held[: end.end()]
        return section

    def _check_limits(self, fields: int, length: int) -> None:
        if fields > MAX_FIELDS:
            raise UnusableAnswer(f"the answer has more than {MAX_FIELDS:,} fields")
        if self._head_bytes + length > MAX_HEAD_BYTES:
            raise UnusableAnswer(f"the head of the answer has more than {MAX_HEAD_BYTES:,} bytes")

    def _count_head(self, length: int) -> None:
        self._head_bytes += length
        self._check_limits(self._fields, 0)

    # The body

    def _read_body(self, head: AnswerHead) -> bool:
        """Read the body and the trailer; return whether unwanted bytes follow (RFC 9112, 6.3)."""
        if self._method == HEAD or head.status in WITHOUT_BODY:
            pass
        elif head.problem:
            raise UnusableAnswer(head.problem)
        elif head.is_chunked:
            self._take_chunks()
        elif head.length is not None:
            self._take_body(head.length)
        else:
            self._take_rest()
        has_excess = bool(self._held.lstrip(LINE_ENDS))
        if has_excess and self._method != HEAD:  # some servers send the body to HEAD too
            raise UnusableAnswer("the server sent a second answer to one request")
        return has_excess

    def _take_chunks(self) -> None:
        while size := self._chunk_size():
            self._take_body(size)
            while len(self._held) < len(LINE_ENDS):
                self._take_more()
            if not self._held.startswith(LINE_ENDS):
                raise UnusableAnswer("a chunk of the answer does not end where it says")
            del self._held[: len(LINE_ENDS)]
        with suppress(IncompleteAnswer):  # the body is complete with its last chunk (RFC 9112, 8)
            check_fields(plain_lines(self._section(lines_before=0)).removesuffix(b"\n"))

    def _chunk_size(self) -> int:
        while (end := self._held.find(b"\n", 0, MAX_CHUNK_HEAD_BYTES)) < 0:
            if len(self._held) >= MAX_CHUNK_HEAD_BYTES:
                raise UnusableAnswer(f"the line of a chunk has more than {MAX_CHUNK_HEAD_BYTES:,} bytes")
            self._take_more()
        found = CHUNK_HEAD.match(self._held, 0, end + 1)
        if found is None:
            raise UnusableAnswer("a chunk of the answer has no valid size")
        size = int(found[1], 16)
        del self._held[: end + 1]
        return size

    def _take_body(self, count: int) -> None:
        """Read so many bytes of the body."""
        missing = count - len(self._held)
        if missing < 0:
            self._add(self._held[:count])
            del self._held[:count]
            return
        self._add(self._held)
        self._held = bytearray()
        while missing > 0:
            data = self._received()
            self._add(data if len(data) <= missing else data[:missing])
            self._held += data[missing:]
            missing -= len(data)

    def _take_rest(self) -> None:
        """Read the body of an answer that ends with its connection."""
        self._add(self._held)
        self._held = bytearray()
        with suppress(IncompleteAnswer):
            while True:
                self._add(self._received())

    def _add(self, data: bytes | bytearray) -> None:
        self._body += data
        if self._max_body_bytes is not None and len(self._body) > self._max_body_bytes:
            raise _LongBody

    # What arrives

    def _take_more(self) -> None:
        self._held += self._received()

    def _received(self) -> bytes:
        data = self._more()
        if not data:
            self._is_closed = True
            raise IncompleteAnswer
        return data
