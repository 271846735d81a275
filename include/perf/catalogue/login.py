"""How a load gets its tokens: a grant of OAuth 2.0, or a login request of the service's own.

The secrets are in the Connection of the service. Here is only where they are sent, and what the answer looks like. A
token goes into one header of every request to the service.

Source: RFC 6749, sections 2.3.1 (how a client authenticates), 4.3 (password) and 4.4 (client credentials); RFC 6750
(Bearer).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from string import Template
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from include.perf.catalogue.endpoint import WITHOUT_BODY, sendable_as_json
from include.perf.catalogue.expectation import LONGEST_PATH, PATH
from include.perf.catalogue.headers import problems_of_headers, problems_of_token_header
from include.perf.catalogue.network import problem_of_url
from include.perf.catalogue.request_path import escaped_once, same_target
from include.perf.model.yaml_entries import Entry, matching

Grant = Literal["client_credentials", "password"]

MAX_TOKENS = 20
"""All of them are sent to each load process whenever one is new."""

PLACEHOLDERS = ("login", "password")
"""What a login request of the service's own may take from the Connection."""

_SECRET_FIELD = re.compile(r"password|passwd|secret|credential|(api|private)[-_]?key", re.IGNORECASE)

JsonPath = Annotated[
    str,
    Field(max_length=LONGEST_PATH),
    matching(PATH, "must be keys separated by dots, such as access_token or data.token"),
]


class Login(Entry):
    """How the tokens of a service are fetched, and where they go.

    Attributes:
        url: of the login: a path at ``base_url``, or a URL whose host is in ``allowed_hosts``.
        grant: of OAuth 2.0; without one, the login is a request of the service's own.
        client_auth: how a grant sends the client's name and secret: as Basic authentication, or as form fields.
        scope: of a grant.
        method: of the login request; a grant is a POST.
        form: form fields; those of a grant are in addition to its own, such as ``audience``.
        body: JSON body of a login of the service's own; without body and form it is Basic authentication.
        headers: of the login request; they must not contain secrets.
        token: path of the token in the JSON of the answer.
        lifetime: path of its lifetime in seconds.
        lifetime_s: its lifetime if the answer does not contain it; without any, a token is never renewed.
        header: the header that the token goes into.
        scheme: precedes the token there; may be empty.
        tokens: how many tokens a load uses, one request after another.
    """

    url: str
    grant: Grant | None = None
    client_auth: Literal["basic", "form"] = "basic"
    scope: Annotated[str, Field(min_length=1, max_length=1_000)] | None = None
    method: Literal["POST", "PUT", "GET"] = "POST"
    form: dict[str, str] | None = None
    body: dict[str, Any] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    token: JsonPath = "access_token"  # noqa: S105 - a path
    lifetime: JsonPath = "expires_in"
    lifetime_s: Annotated[float, Field(ge=1, le=10_000_000)] | None = None
    header: str = "Authorization"
    scheme: Annotated[str, matching(r"[A-Za-z0-9_-]*", "must be one word, or empty")] = "Bearer"
    tokens: Annotated[int, Field(ge=1, le=MAX_TOKENS)] = 1

    @property
    def is_at_base_url(self) -> bool:
        """Whether the login is at the host of the service itself."""
        return self.url.startswith("/")

    def base_url(self, of_service: str) -> str:
        """Return scheme, host and port of the login.

        Args:
            of_service: the ``base_url`` of the service.
        """
        if self.is_at_base_url:
            return of_service
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """The path of the login, with its query."""
        if self.is_at_base_url:
            return self.url
        parts = urlsplit(self.url)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def header_value(self, token: str) -> str:
        """Return the value of the header for a token."""
        return f"{self.scheme} {token}" if self.scheme else token

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        if re.search(r"[\s#\x00-\x1f\x7f]", url):
            raise ValueError(f"must have neither spaces nor a fragment, but is {url!r}")
        path = url
        if not url.startswith("/"):
            base_url = "/".join(url.split("/", 3)[:3]).partition("?")[0]
            if problem := problem_of_url(base_url):
                raise ValueError(f"must be a path, or a URL such as https://identity.example/oauth/token: {problem}")
            path = url[len(base_url) :] or "/"
        if not path.startswith("/"):
            raise ValueError(f"must have a path before its query, but is {url!r}")
        escaped_once(same_target(path))
        return url

    _is_json = field_validator("body")(sendable_as_json)

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [*self._problems_of_kind(), *self._problems_of_texts()]
        problems += [f"headers: {problem}" for problem in problems_of_headers(self.headers, may_be_secret=False)]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def problems(
        self,
        of_service: str,
        *,
        headers: Iterable[str],
        allowed_headers: Collection[str],
        has_secrets: bool,
        is_signed: bool = False,
    ) -> Iterator[str]:
        """Yield the problems that only its service knows.

        Args:
            of_service: the ``base_url`` of the service.
            headers: the names of the headers that the service sets otherwise.
            allowed_headers: the further names that the service allows.
            has_secrets: whether the service names a Connection.
            is_signed: whether its requests are signed.
        """
        if not has_secrets:
            yield "login needs the secrets of a Connection; set connection to one with them"
        for problem in problems_of_token_header(self.header, allowed=allowed_headers):
            yield f"login.header: {problem}"
        if self.header.lower() in map(str.lower, headers):
            yield f"login.header: headers or signing set {self.header} too; remove it there, or name another header"
        if is_signed and self.header.lower().startswith("x-amz-"):
            yield f"login.header: {self.header} would be signed before its token is known; name another header"
        if of_service.startswith("https:") and not self.base_url(of_service).startswith("https:"):
            yield f"login.url must be https, as base_url is, but is {self.url}"

    def _problems_of_kind(self) -> Iterator[str]:
        if self.grant is None:
            useless = [name for name in ("scope", "client_auth") if name in self.model_fields_set]
            if useless:
                yield f"{' and '.join(useless)} is only for a grant of OAuth 2.0; set grant, or remove it"
            if self.body is not None and self.form is not None:
                yield "has both body and form; a request has one body"
            if self.method in WITHOUT_BODY and (self.body is not None or self.form is not None):
                yield f"a {self.method} request has no body; set method to POST"
            return
        if self.body is not None:
            yield "a grant of OAuth 2.0 is sent as a form; put further fields into form, or remove grant"
        if self.method != "POST":
            yield f"a grant of OAuth 2.0 is a POST request, but method is {self.method}; remove it"

    def _problems_of_texts(self) -> Iterator[str]:
        """Yield the problems with the form fields and the texts of the body."""
        for name, text in (*_texts_in(self.form), *_texts_in(self.body)):
            names = Template(text).get_identifiers() if self.grant is None else []
            if not Template(text).is_valid() and self.grant is None:
                yield f"{name} has a $ without the name of a placeholder; write $$ for a dollar sign"
            if unknown := [found for found in names if found not in PLACEHOLDERS]:
                yield f"{name}: ${unknown[0]} is unknown here; a login may use $login and $password"
            if _SECRET_FIELD.search(name) and not names and text:
                yield f"{name} looks like a secret, and secrets belong in Connections; {_remedy(self.grant)}"


def _remedy(grant: Grant | None) -> str:
    return "write $password there" if grant is None else "remove it: the grant sends the secrets of the connection"


def _texts_in(given: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the texts of a form or a body with the name of their place."""
    match given:
        case str():
            yield name, given
        case Mapping():
            for key, value in given.items():
                yield from _texts_in(value, f"{name}.{key}" if name else str(key))
        case list() | tuple():
            for value in given:
                yield from _texts_in(value, name)


def filled_in(template: Any, secrets: Mapping[str, str]) -> Any:
    """Return a form or a body of a login request with the secrets in their places."""
    match template:
        case str():
            return Template(template).substitute(secrets)
        case Mapping():
            return {name: filled_in(value, secrets) for name, value in template.items()}
        case list() | tuple():
            return [filled_in(value, secrets) for value in template]
    return template
