"""Turns the templates of an endpoint into prepared requests.

Fields of the market data are filled in here, once per row. A value of the request's own becomes a slot
(`include.perf.load.slots`).
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from include.perf.catalogue.endpoint import FORM_TYPE, TEXT_TYPE, Endpoint, Parameters
from include.perf.catalogue.headers import laid_over
from include.perf.catalogue.own_values import CapturedVariable, RandomChoice
from include.perf.catalogue.template import Placeholder, parts_of, text_of, without_placeholders
from include.perf.load.feed import Request
from include.perf.load.slots import MOST_SLOTS, WITHOUT_QUOTES, Slot, SlotForm, encoded, marker, problem_of_content
from include.perf.load.uri import encoded_pairs, encoded_path
from include.perf.model.errors import DataError

Row = Mapping[Any, Any]
"""The fields of one row of the market data, by name."""

_BEYOND_ASCII = re.compile(r"[^\x00-\x7f\ue000-\ue03f]")


class RequestTemplate:
    """The templates of one endpoint.

    Attributes:
        slots: of its requests; complete once a request was prepared.

    Args:
        headers: of the service; those with placeholders are part of each request.
    """

    def __init__(self, endpoint: Endpoint, *, headers: Mapping[str, str]) -> None:
        self._endpoint = endpoint
        of_service = {name: value for name, value in headers.items() if without_placeholders(value) is None}
        self._headers = laid_over(of_service, endpoint.headers)
        self._slots: dict[Slot, str] = {}

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The slots in the order of their characters."""
        return tuple(self._slots)

    def request(self, row: Row) -> Request:
        """Return the request for a row of the market data.

        Raises:
            DataError: it has too many slots, an option of a choice that cannot stand in its place, or two equal keys.
        """
        endpoint = self._endpoint
        target = self._text(endpoint.path, row, "path", literal=encoded_path)
        if endpoint.query:
            target += "?" + self._pairs(endpoint.query, row, "query")
        headers = {name: self._text(value, row, "header", literal=str) for name, value in self._headers.items()}
        body, content_type = self._body(row)
        if content_type is not None:
            headers = laid_over({"Content-Type": content_type}, headers)
        return Request(target, body, headers)

    def _body(self, row: Row) -> tuple[bytes | None, str | None]:
        """Return the body, and its type unless it is JSON."""
        endpoint = self._endpoint
        if endpoint.body is not None:
            return self._json(endpoint.body, row).encode(), None
        if endpoint.form is not None:
            return self._pairs(endpoint.form, row, "form").encode(), FORM_TYPE
        if endpoint.text is not None:
            content_type = endpoint.content_type or TEXT_TYPE
            return self._text(endpoint.text, row, "text", literal=str).encode(), content_type
        return None, None

    def _pairs(self, parameters: Parameters, row: Row, form: SlotForm) -> str:
        def text(template: object) -> str:
            return self._text(str(template), row, form, literal=lambda part: encoded(part, form).decode())

        return encoded_pairs(
            (text(name), text(value))
            for name, values in parameters.items()
            for value in (values if isinstance(values, tuple) else (values,))
        )

    def _text(
        self,
        template: str,
        row: Row,
        form: SlotForm,
        *,
        literal: Callable[[str], str],
    ) -> str:
        """Return a text with its fields filled in, encoded for its place."""

        def piece(part: str | Placeholder) -> str:
            if isinstance(part, str):
                return literal(part)
            if part.own is not None:
                return self._slot(part, form)
            return encoded(text_of(part.name, row), form).decode("latin-1" if form == "header" else "utf-8")

        return "".join(map(piece, parts_of(template)))

    def _json(self, template: Any, row: Row) -> str:
        text = json.dumps(self._rendered(template, row), separators=(",", ":"), ensure_ascii=False)
        if text.isascii():
            return text
        for slot, letter in self._slots.items():
            if slot.form in WITHOUT_QUOTES:
                text = text.replace(f'"{letter}"', letter)
        return _BEYOND_ASCII.sub(lambda match: json.dumps(match[0])[1:-1], text)

    def _rendered(self, template: Any, row: Row) -> Any:
        match template:
            case str():
                return self._json_text(template, row)
            case Mapping():
                return self._rendered_object(template, row)
            case list() | tuple():
                return [self._rendered(value, row) for value in template]
        return template

    def _rendered_object(self, template: Mapping[str, Any], row: Row) -> dict[str, Any]:
        rendered: dict[str, Any] = {}
        for key, value in template.items():
            name = self._inside_json(key, row)
            if name in rendered:
                raise DataError(f"{self._endpoint.name}: two keys of one object become {name!r}; rename one of them")
            rendered[name] = self._rendered(value, row)
        return rendered

    def _json_text(self, template: str, row: Row) -> Any:
        match parts_of(template):
            case (Placeholder(own=None) as field,):
                return text_of(field.name, row) if field.form == "text" else row[field.name]
            case (Placeholder() as own,):
                return self._slot(own, _form_in_json(own))
        return self._inside_json(template, row)

    def _inside_json(self, template: str, row: Row) -> str:
        return "".join(
            part if isinstance(part, str) else self._slot(part, "json") if part.own else text_of(part.name, row)
            for part in parts_of(template)
        )

    def _slot(self, placeholder: Placeholder, form: SlotForm) -> str:
        slot = Slot(placeholder.name, placeholder.arguments, form)
        if slot not in self._slots:
            if len(self._slots) == MOST_SLOTS:
                raise DataError(
                    f"{self._endpoint.name} may have at most {MOST_SLOTS} different values of its own; use fewer"
                )
            self._check_options(slot)
            self._slots[slot] = marker(len(self._slots))
        return self._slots[slot]

    def _check_options(self, slot: Slot) -> None:
        options = slot.arguments if isinstance(slot.value, RandomChoice) else ()
        for option in options:
            if problem := problem_of_content(option, slot.form):
                raise DataError(f"{self._endpoint.name}: an option of ${{{slot.name}}} {problem}")


def _form_in_json(placeholder: Placeholder) -> SlotForm:
    """Return the form of a value that is not part of a longer text; what was captured keeps its type."""
    if placeholder.is_number:
        return "number"
    is_captured = isinstance(placeholder.own, CapturedVariable) and placeholder.form is None
    return "value" if is_captured else "json"
