"""What the steps of a journey capture from answers: the values of the variables in later requests.

A value comes from the service, which may be hostile: it is checked for every place in which a request names it, before
it is used. A JSON path names a value as in ``expect``.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from include.perf.catalogue.expectation import MAX_JSON_BYTES, WRONG_ANSWER, document_of, reader_of
from include.perf.catalogue.step import Capture, Step
from include.perf.load.slots import SlotForm, encoded, problem_of_content

MAX_SEARCHED_BYTES = 64 * 1024
"""How much of a body is searched by a regular expression."""

Value = str | int | float | bool

Captured = dict[tuple[str, SlotForm], bytes]
"""The contents of the variables of one journey, by variable and place."""

Forms = Mapping[str, Collection[SlotForm]]
"""The places in which the requests of a journey name each variable."""


class AnswerParts(NamedTuple):
    """The parts of an answer from which variables are captured.

    Attributes:
        head: its last head; only needed for headers.
        cookies: the values of its ``Set-Cookie`` fields.
    """

    body: bytes
    head: bytes = b""
    cookies: Sequence[bytes] = ()


@dataclass(frozen=True, slots=True)
class CaptureProblem:
    """Why a variable could not be captured.

    Attributes:
        kind: the kind of error, of which there are few.
        detail: for people; it quotes no answer, which may have a secret, such as a token.
    """

    kind: str
    detail: str


class _Missing(Exception):
    """An answer does not have the value."""


class StepCaptures:
    """What one step captures.

    Args:
        forms: of all variables of the journey.
        secret: the variables whose values must not be shown.
    """

    def __init__(self, step: Step, forms: Forms, *, secret: Collection[str]) -> None:
        self._secret = secret
        self._sources = [(name, _source(capture), tuple(forms.get(name, ()))) for name, capture in step.capture.items()]
        self._reads_json = any(capture.path for capture in step.capture.values())

    def take(self, answer: AnswerParts, captured: Captured) -> CaptureProblem | None:
        """Capture from an answer; return the first problem, or ``None``."""
        document: object = None
        if self._reads_json:
            try:
                document = document_of(answer.body) if len(answer.body) <= MAX_JSON_BYTES else None
            except ValueError:
                document = None
        for name, source, forms in self._sources:
            try:
                value = source(answer, document)
                for form in forms:
                    captured[name, form] = content_of(value, form)
            except _Missing:
                return CaptureProblem(f"{WRONG_ANSWER}: no {name}", f"the answer has no value for {name}")
            except ValueError as err:
                why = "cannot stand where it is named" if name in self._secret else str(err)
                return CaptureProblem(f"{WRONG_ANSWER}: unusable {name}", f"{name} {why}")
        return None


def content_of(value: Value, form: SlotForm) -> bytes:
    """Return a captured value as it stands in its place.

    Raises:
        ValueError: it cannot stand there; the message continues a sentence about it.
    """
    text = value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    if problem := problem_of_content(text, form):
        raise ValueError(problem)
    return json.dumps(value, allow_nan=False).encode() if form == "value" else encoded(text, form)


def texts_of(captured: Captured, secret: Collection[str]) -> tuple[str, ...]:
    """Return the values that must not be shown, as far as they were captured."""
    if not secret:
        return ()
    return tuple({content.decode("latin-1") for (name, _), content in captured.items() if name in secret and content})


def forms_of(named: Sequence[tuple[str, SlotForm]]) -> dict[str, list[SlotForm]]:
    """Return the places of each variable, each once."""
    forms: dict[str, list[SlotForm]] = {}
    for name, form in dict.fromkeys(named):
        forms.setdefault(name, []).append(form)
    return forms


_Source = Callable[[AnswerParts, object], Value]
"""Returns a value of an answer and its JSON document.

Raises:
    _Missing: there is none.
"""


def _source(capture: Capture) -> _Source:
    whole = _whole(capture)
    if capture.regex is None:
        return whole
    search = re.compile(capture.regex).search

    def part(answer: AnswerParts, document: object) -> Value:
        found = search(str(whole(answer, document)))
        if found is None or found[1] is None:
            raise _Missing
        return found[1]

    return part


def _whole(capture: Capture) -> _Source:
    if capture.path is not None:
        read = reader_of(capture.path)

        def of_document(_: AnswerParts, document: object) -> Value:
            value = read(document)
            if not isinstance(value, (str, int, float)):
                raise _Missing
            return value

        return of_document
    if capture.header is not None:
        field = re.compile(rb"\n%b:[ \t]*([^\r\n]*)" % re.escape(capture.header.encode()), re.IGNORECASE)
        return lambda answer, _: _text(field.search(answer.head))
    if capture.cookie is not None:
        pair = re.compile(rb"[ \t]*%b[ \t]*=[ \t]*([^;]*)" % re.escape(capture.cookie.encode()))
        return lambda answer, _: _text(next(filter(None, map(pair.match, answer.cookies)), None))
    return lambda answer, _: answer.body[:MAX_SEARCHED_BYTES].decode("utf-8", errors="replace")


def _text(found: re.Match[bytes] | None) -> str:
    if found is None:
        raise _Missing
    return found[1].decode("latin-1").strip(" \t")
