"""An endpoint of a service: its request, as templates, and the response that it must return."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from include.perf.catalogue.data_file import DataFiles
from include.perf.catalogue.expectation import Expectation
from include.perf.catalogue.hard_limits import EndpointLimits
from include.perf.catalogue.headers import problems_of_headers, problems_of_token_header
from include.perf.catalogue.request_path import PathTemplate
from include.perf.catalogue.template import problems_of_template, unresolved_in, variables_of
from include.perf.model.yaml_entries import Entry, Name

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]

WITHOUT_BODY = ("GET", "HEAD", "OPTIONS")

JSON_TYPE = "application/json"
FORM_TYPE = "application/x-www-form-urlencoded"
TEXT_TYPE = "text/plain; charset=utf-8"

Scalar = str | int | float

Parameters = dict[str, Scalar | tuple[Scalar, ...]]
"""Values by name; several values repeat the name."""


def sendable_as_json(body: Any) -> Any:
    """Return a body that can be sent as JSON.

    Raises:
        ValueError: it cannot, such as a date.
    """
    try:
        json.dumps(body, allow_nan=False)
    except (TypeError, ValueError) as err:
        raise ValueError(f"cannot be sent as JSON ({err}); put dates and times in quotes") from err
    return body


class Endpoint(Entry):
    """An endpoint of a service.

    Its path, query, headers and body are templates; see `include.perf.catalogue.template`.

    Attributes:
        weight: share of the arrivals, relative to the service's other endpoints.
        query: query parameters; a list repeats its name.
        headers: in addition to those of the service, and instead of those with the same name.
        body: JSON body: an object, or a list.
        form: form fields, instead of a body; a list repeats its name.
        text: the body as it is, instead of JSON.
        content_type: of ``text``; by default plain text in UTF-8.
        data_files: in addition to those of the service.
        sign: whether its requests are signed, if those of the service are.
        expect: the correct responses; by default any with a status of 200 to 299.
        hard_limits: limits by metric, in base units, for this endpoint alone.
    """

    known_variables: ClassVar[Collection[str] | None] = ()
    """The captured variables that the templates may name; ``None`` if they are checked elsewhere."""

    name: Name
    method: Method
    path: PathTemplate
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    query: Parameters = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, Any] | list[Any] | None = None
    form: Parameters | None = None
    text: str | None = None
    content_type: str | None = None
    data_files: DataFiles = Field(default_factory=dict)
    sign: bool = True
    expect: Expectation | None = None
    hard_limits: EndpointLimits = Field(default_factory=dict)

    @property
    def requests(self) -> tuple["Endpoint", ...]:
        """The kinds of requests that an arrival sends: this one."""
        return (self,)

    @property
    def has_body(self) -> bool:
        """Whether its requests have a body."""
        return self.body is not None or self.form is not None or self.text is not None

    @property
    def reads_body(self) -> bool:
        """Whether the bodies of its answers are read."""
        return self.expect is not None and self.expect.reads_body

    @property
    def templates(self) -> dict[str, Any]:
        """The templates by the place in which they are."""
        places = ("path", "query", "headers", "body", "form", "text")
        return {place: getattr(self, place) for place in places if getattr(self, place)}

    def problems(
        self, *, files: Collection[str], allowed_headers: Collection[str], variables: Collection[str] = ()
    ) -> Iterator[str]:
        """Yield the problems that only its service knows.

        Args:
            files: the names of the data files that the service names.
            allowed_headers: the further headers that the service allows.
            variables: the captured variables that its templates may name.
        """
        known = {*files, *self.data_files}
        for place, template in self.templates.items():
            for problem in problems_of_template(template, files=known, variables=variables):
                yield f"{self.name}, {place}: {problem}"
        for place in ("query", "form", "headers", "body", "text"):
            for value in unresolved_in(self.templates.get(place)):
                yield f"{self.name}, {place}: {value} is text that nothing fills in; write a placeholder, such as $uuid"
        captured = {name for name, value in self.headers.items() if variables_of(value)}
        written = {name: value for name, value in self.headers.items() if name not in captured}
        for problem in problems_of_headers(written, may_be_secret=False, allowed=allowed_headers):
            yield f"{self.name}, headers: {problem}"
        for name in sorted(captured):
            for problem in problems_of_token_header(name, allowed=allowed_headers):
                yield f"{self.name}, headers: {problem}"

    @field_validator("query", "form", mode="before")
    @classmethod
    def _plain_values(cls, given: Any, field: ValidationInfo) -> Any:
        for name, values in given.items() if isinstance(given, Mapping) else ():
            for value in values if isinstance(values, (list, tuple)) else (values,):
                if isinstance(value, bool) or not isinstance(value, (str, int, float)):
                    raise ValueError(f"{name} must be text or a number, but is {value!r}; put it in quotes")
        return given

    _is_json = field_validator("body", mode="before")(sendable_as_json)

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [*self._problems_of_body(), *self._problems_of_templates()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of_templates(self) -> Iterator[str]:
        for place, template in self.templates.items():
            for problem in problems_of_template(template, variables=self.known_variables):
                yield f"{place}: {problem}"

    def _problems_of_body(self) -> Iterator[str]:
        if self.method in WITHOUT_BODY and self.has_body:
            yield f"a {self.method} request has no body; use query instead"
        kinds = [kind for kind in ("body", "form", "text") if getattr(self, kind) is not None]
        if len(kinds) > 1:
            yield f"has both {' and '.join(kinds)}; a request has one body"
        if self.content_type is not None and self.text is None:
            yield "content_type is only for text; JSON bodies and forms have their own"
        if self.content_type is not None:
            yield from problems_of_headers({"Content-Type": self.content_type}, may_be_secret=False)
        if self.method == "HEAD" and self.expect is not None and self.expect.reads_body:
            yield "the answer to HEAD has no body, so expect can only have a status"
