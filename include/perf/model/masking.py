"""Secrets masked in text that is shown or stored.

A server may repeat a secret that it was sent, unchanged or encoded. `Mask` finds the secrets of header values
(`include.perf.model.secret_values`) in any case, percent-encoded, escaped for JSON, HTML or Python, in hexadecimal, in
base64 at any offset of a longer text, and in each of these wrapped over several lines. It does not stop a server that
takes a secret apart on purpose, letter by letter.

A text is searched in several views: as it is, without its white space, and unescaped once or more. Each view knows
where its bytes stand in the text, and what is found in a view is replaced there.

Nothing that is judged is masked before: a check of an answer sees the bytes that the service sent.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from urllib.parse import quote

from include.perf.model.secret_values import secret_values

MASK = "***"

SHORTEST_ENCODED = 6
"""Encoded forms of shorter secrets are not masked: a few letters in hexadecimal occur in every other text."""

SHORTEST_WITHIN_WORDS = 8
"""Shorter secrets are masked only where they stand alone, not within a longer word."""

UNESCAPED = 3
"""How many times a text is unescaped: an escaped text may be escaped again when it is put into another."""

BEGINNING = 4
"""How much of a secret may be seen where the text ends within it."""

_WHITE_SPACE = b" \t\r\n\v\f:"
_WRAPPING = re.compile(rb"[\s:]+")
"""White space where a text is wrapped, and the colon between hexadecimal digits."""

_ESCAPE = re.compile(
    rb"%(?P<percent>[0-9a-f]{2})"
    rb"|\\u(?P<high>d[89ab][0-9a-f]{2})\\u(?P<low>d[c-f][0-9a-f]{2})"
    rb"|\\u(?P<code>[0-9a-f]{4})|\\x(?P<byte>[0-9a-f]{2})|\\(?P<letter>[^ux])"
    rb"|&#x(?P<hexadecimal>[0-9a-f]{1,6});|&#(?P<decimal>[0-9]{1,7});|(?P<entity>&(?:amp|lt|gt|quot|apos);)"
)
LONGEST_ESCAPE = 12
_CUT_ESCAPE = re.compile(rb"(%[0-9a-f]?|\\(u[0-9a-f]{0,3}|x[0-9a-f]?)?|&#?[0-9a-z]{0,7})\Z")
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


class Mask:
    """Replaces secrets in text, ignoring case.

    Args:
        secrets: header values or plain secrets; those that are too short or too common to be secret are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        values = dict.fromkeys(value for secret in secrets for value in secret_values(secret))
        words = {value for value in values if len(value) < SHORTEST_WITHIN_WORDS}
        self._words = _longest_first(form for value in words for form in _readings(value))
        self._forms = _longest_first(
            form for value in values for form in (*(() if value in words else _readings(value)), *_encoded(value))
        )

    def __call__(self, text: str, *, is_cut: bool = False) -> str:
        """Return a text with each secret replaced by three asterisks.

        Args:
            is_cut: whether the text may end within a secret; what is there of it is replaced, too.
        """
        if not self._forms and not self._words:
            return text
        content = text.encode("utf-8", "surrogatepass")
        spans = sorted(span for view in _views(content) for span in self._spans(view, is_cut=is_cut))
        kept, end = [], 0
        for first, last in _merged(spans):
            kept += [content[end:first], MASK.encode()]
            end = last
        return b"".join([*kept, content[end:]]).decode("utf-8", "surrogatepass")

    def _spans(self, view: "_View", *, is_cut: bool) -> Iterator[tuple[int, int]]:
        """Yield where secrets stand in the text."""
        for form in self._forms:
            yield from (view.span(at, form) for at in _places(view.content, form))
        if not view.is_joined:
            for form in self._words:
                yield from (view.span(at, form) for at in _places(view.content, form) if view.is_word(at, form))
        if is_cut:
            for content in {view.content, _without_cut_escape(view.content)}:
                for form in (*self._forms, *self._words):
                    yield from (view.rest(at) for at in _begun(content, form))


class _View:
    """A reading of a text.

    Args:
        content: its bytes, letters of ASCII in lower case.
        origin: the view that it was made from; ``None`` for the text itself.
        replaced: what was replaced there; nothing takes the place of white space.

    Attributes:
        is_joined: whether its white space is removed.
    """

    def __init__(self, content: bytes, *, origin: "_View | None" = None, replaced: re.Pattern[bytes] = _ESCAPE) -> None:
        self.content = content
        self.is_joined = replaced is _WRAPPING
        self._origin = origin
        self._replaced = replaced

    @cached_property
    def _places(self) -> tuple[Sequence[int], Sequence[int]]:
        """Where each byte begins and ends in the text; found only when something is to be replaced."""
        if self._origin is None:
            return range(len(self.content)), range(1, len(self.content) + 1)
        before = self._origin.content
        old_starts, old_ends = self._origin._places
        starts: list[int] = []
        ends: list[int] = []
        after = 0
        for found in self._replaced.finditer(before):
            size = 0 if self.is_joined else len(_unescaped(found))
            starts += [*old_starts[after : found.start()], *[old_starts[found.start()]] * size]
            ends += [*old_ends[after : found.start()], *[old_ends[found.end() - 1]] * size]
            after = found.end()
        return [*starts, *old_starts[after:]], [*ends, *old_ends[after:]]

    def joined(self) -> "_View":
        """Return the view without white space."""
        return _View(self.content.translate(None, _WHITE_SPACE), origin=self, replaced=_WRAPPING)

    def unescaped(self) -> "_View":
        """Return the view with each escape replaced by what it stands for."""
        return _View(_ESCAPE.sub(_unescaped, self.content), origin=self)

    def span(self, at: int, form: bytes) -> tuple[int, int]:
        """Return where a form begins and ends in the text."""
        starts, ends = self._places
        return starts[at], ends[at + len(form) - 1]

    def rest(self, at: int) -> tuple[int, int]:
        """Return where a byte begins in the text, and where the text ends."""
        starts, ends = self._places
        return starts[at], ends[-1]

    def is_word(self, at: int, form: bytes) -> bool:
        """Whether a form stands alone."""
        end = at + len(form)
        return not (self.content[max(0, at - 1) : at].isalnum() or self.content[end : end + 1].isalnum())


def _views(content: bytes) -> Iterator[_View]:
    """Yield the readings of a text."""
    view = _View(content.lower())
    for _ in range(UNESCAPED):
        yield view
        yield view.joined()
        if not _ESCAPE.search(view.content):
            return
        view = view.unescaped()
    yield view
    yield view.joined()


def _unescaped(found: "re.Match[bytes]") -> bytes:
    """Return the bytes that an escape stands for."""
    given = found.groupdict()
    match found.lastgroup:
        case "percent" | "byte" as name:
            return bytes([int(given[name], 16)]).lower()
        case "letter":
            return _LETTERS.get(given["letter"], given["letter"])
        case "low":
            high, low = (int(given[half], 16) for half in ("high", "low"))
            return _character(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
        case "code" | "hexadecimal" as name:
            return _character(int(given[name], 16))
        case "decimal":
            return _character(int(given["decimal"]))
        case _:
            return html.unescape(given["entity"].decode()).encode()


def _character(number: int) -> bytes:
    return chr(number).lower().encode("utf-8", "surrogatepass") if number < 0x110000 else b""


def _places(content: bytes, form: bytes, *, start: int = 0) -> Iterator[int]:
    at = content.find(form, start)
    while at >= 0:
        yield at
        at = content.find(form, at + 1)


def _without_cut_escape(content: bytes) -> bytes:
    """Return a text without the beginning of an escape at its end."""
    end = _CUT_ESCAPE.search(content[-LONGEST_ESCAPE:])
    return content[: -len(end[0])] if end else content


def _begun(content: bytes, form: bytes) -> Iterator[int]:
    """Yield where a form begins that the end cuts."""
    for at in _places(content, form[:BEGINNING], start=max(0, len(content) - len(form))):
        if form.startswith(content[at:]):
            yield at


def _merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ordered spans, those that overlap as one."""
    begun: tuple[int, int] | None = None
    for first, last in spans:
        if begun is None or first >= begun[1]:
            if begun is not None:
                yield begun
            begun = first, last
        else:
            begun = begun[0], max(begun[1], last)
    if begun is not None:
        yield begun


def _longest_first(forms: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted({form.lower() for form in forms}, key=lambda form: (-len(form), form)))


def _readings(value: str) -> Iterator[bytes]:
    """Yield the bytes of a secret, also in another case, as a form's field, and read in a wrong character set."""
    for text in (value, value.upper(), value.lower(), value.replace(" ", "+")):
        yield text.encode("utf-8", "surrogatepass")
    if not value.isascii():
        content = value.encode("utf-8", "surrogatepass")
        latin = value.encode("latin-1", "replace")
        yield from (latin, content.decode("latin-1").encode(), latin.decode("utf-8", "replace").encode())


def _encoded(value: str) -> Iterator[bytes]:
    """Yield a secret in hexadecimal and base64, itself and escaped."""
    if len(value) < SHORTEST_ENCODED:
        return
    content = value.encode("utf-8", "surrogatepass")
    for given in {content, quote(content).encode(), quote(content, safe="").encode(), json.dumps(value)[1:-1].encode()}:
        yield given.hex().encode()
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            for before in range(3):
                # A letter holds six bits; skip the first and the last one, which depend on the neighbouring bytes.
                first, last = -(-before * 8 // 6), (before + len(given)) * 8 // 6
                yield encode(bytes(before) + given)[first:last]
