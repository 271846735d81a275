"""Credentials: turns a connection into HTTP headers.

A connection holds credentials in one of these forms:

- login and password: ``Authorization: Basic …`` (the password may be empty);
- a password alone: ``Authorization: Bearer <password>``;
- extra ``{"token": "…"}``: ``Authorization: Bearer <token>``;
- extra ``{"headers": {"X-Api-Key": "…"}}``: these headers, alone or in addition to one of the forms above;
- extra ``{"signing": {"key_id": "…", "secret": "…"}}``: the key of a service whose requests are signed, alone or in
  addition to the forms above.

For a service with a login, login and password fetch its tokens instead (`include.perf.adapters.http.login_secrets`).

Two values for ``Authorization`` are refused instead of silently preferring one. Other keys of extra are ignored. No
message repeats anything that a connection holds.

Source: RFC 7617 (Basic), RFC 6750 (Bearer).
"""

import base64
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from include.perf.adapters.http.login_secrets import read_login_secrets
from include.perf.catalogue.headers import problems_of_headers
from include.perf.catalogue.login import Login
from include.perf.catalogue.service import Service
from include.perf.catalogue.signing import AwsSigning, PartsSigning
from include.perf.load.service_secrets import ServiceSecrets, SigningKey
from include.perf.model.errors import ConfigurationError

SIGNING_FORM = 'extra {"signing": {"key_id": "…", "secret": "…"}}'

FORMS = 'login and password, a password alone (sent as a Bearer token), or extra {"headers": {"X-Api-Key": "…"}}'


_KEY_TEXT = re.compile(r"[\x21-\x7e]{1,8192}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """The secrets of a connection; never printed.

    Attributes:
        extra: a JSON object, or its text.
    """

    login: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    extra: Any = field(default=None, repr=False)


def environment_credentials(service: Service) -> ServiceSecrets:
    """Return a service's secrets from the variable ``AIRFLOW_CONN_<ID>``, which Airflow reads too.

    Raises:
        ConfigurationError: the variable is not set or has no usable credentials.
    """
    if service.connection is None:
        return ServiceSecrets()
    text = os.environ.get(variable_of(service.connection), "").strip()
    if not text:
        raise missing_connection(service)
    return service_secrets(_read(text, connection=service.connection), service)


def variable_of(connection: str) -> str:
    """Return the environment variable that may define a connection."""
    return f"AIRFLOW_CONN_{connection.upper()}"


def missing_connection(service: Service) -> ConfigurationError:
    """Return the error for a service whose connection does not exist."""
    forms, example = FORMS, '{"login": "…", "password": "…"}'
    if service.signing is not None:
        forms, example = SIGNING_FORM, '{"extra": {"signing": {"key_id": "…", "secret": "…"}}}'
    return ConfigurationError(
        f"there is no connection {service.connection}, which {service.name} names in services.yaml; add one with "
        f"{forms} (Airflow: Admin → Connections; command line: {variable_of(service.connection or '')}='{example}')"
    )


def service_secrets(secrets: Secrets, service: Service) -> ServiceSecrets:
    """Return what a service's connection holds for it.

    Raises:
        ConfigurationError: it has no usable credentials, no usable signing key for a service whose requests are signed,
            or more than one value for a header.
    """
    connection = service.connection or ""
    if service.login is not None:
        found = _secrets_of_login(secrets, service.login, connection=connection)
    else:
        found = ServiceSecrets(headers=optional_headers(secrets, connection=connection))
    if service.signing is not None:
        return _with_signing_key(found, service.signing, secrets, connection=connection)
    if not found.headers and found.login is None:
        raise _unusable(connection, f"it has no credentials; set {FORMS}")
    return found


def _with_signing_key(
    found: ServiceSecrets, signing: PartsSigning | AwsSigning, secrets: Secrets, *, connection: str
) -> ServiceSecrets:
    taken = {name.lower() for name in found.headers} & {name.lower() for name in signing.header_names}
    if taken:
        raise _unusable(connection, f"it and the signature would both set {', '.join(sorted(taken))}; keep one of them")
    given = _extra(secrets.extra, connection=connection).get("signing")
    if isinstance(given, str):
        given = _parsed(given, connection=connection, what="signing in extra")
    if not isinstance(given, Mapping) or not set(given) <= {"secret", "key_id"}:
        raise _unusable(connection, f"the requests of the service are signed; set {SIGNING_FORM}")
    key = SigningKey(
        secret=_key_text(given, "secret", connection=connection),
        key_id=_key_text(given, "key_id", connection=connection) if signing.needs_key_id else "",
    )
    try:
        signing.decoded(key.secret)
    except ValueError as err:
        raise _unusable(connection, f"in signing, {err}") from None
    return replace(found, signing_key=key)


def _key_text(given: Mapping[str, Any], name: str, *, connection: str) -> str:
    text = given.get(name)
    if not isinstance(text, str) or not _KEY_TEXT.fullmatch(text):
        raise _unusable(connection, f"{name} of signing in extra must be text in ASCII without spaces")
    return text


def _secrets_of_login(secrets: Secrets, login: Login, *, connection: str) -> ServiceSecrets:
    """Return the secrets of a service with a login; the headers in extra are sent with every request."""
    extra = _extra(secrets.extra, connection=connection)
    headers = _extra_headers(extra.get("headers"), connection=connection)
    if "token" in extra or login.header.lower() in map(str.lower, headers):
        raise _unusable(connection, f"its extra sets {login.header}, and so does the login; remove it from extra")
    try:
        found = read_login_secrets(login, name=secrets.login, password=secrets.password, extra=extra)
    except ValueError as err:
        raise _unusable(connection, str(err)) from None
    return ServiceSecrets(headers=headers, login=found)


def optional_headers(secrets: Secrets, *, connection: str) -> dict[str, str]:
    """Return the headers for a connection; none if it has no credentials.

    Raises:
        ConfigurationError: its credentials are unusable, or there is more than one value for ``Authorization``.
    """
    extra = _extra(secrets.extra, connection=connection)
    headers = _extra_headers(extra.get("headers"), connection=connection)
    authorizations = _authorizations(secrets, extra.get("token"), connection=connection)
    sources = [*authorizations, *(f"{name} in extra" for name in headers if name.lower() == "authorization")]
    if len(sources) > 1:
        raise _unusable(connection, f"{' and '.join(sources)} would all set the Authorization header; keep one of them")
    if authorizations:
        headers["Authorization"] = next(iter(authorizations.values()))
    problems = problems_of_headers(headers, may_be_secret=True)
    if problems:
        raise _unusable(connection, "; ".join(problems))
    return headers


def _authorizations(secrets: Secrets, token: Any, *, connection: str) -> dict[str, str]:
    """Return all values for ``Authorization`` by their source in the connection."""
    found = {}
    if secrets.login:
        if ":" in secrets.login:
            raise _unusable(connection, "a login must not contain a colon (RFC 7617)")
        pair = f"{secrets.login}:{secrets.password or ''}".encode(errors="surrogateescape")
        found["login"] = "Basic " + base64.b64encode(pair).decode("ascii")
    elif secrets.password and secrets.password.strip():
        found["password"] = f"Bearer {secrets.password.strip()}"
    if token is not None:
        if not isinstance(token, str) or not token.strip():
            raise _unusable(connection, "token in extra must be text")
        found["token in extra"] = f"Bearer {token.strip()}"
    return found


def _extra(extra: Any, *, connection: str) -> Mapping[str, Any]:
    if isinstance(extra, str) and extra.strip():
        extra = _parsed(extra, connection=connection, what="extra")
    if not extra:
        return {}
    if not isinstance(extra, Mapping):
        raise _unusable(connection, "extra must be a JSON object")
    return extra


def _extra_headers(headers: Any, *, connection: str) -> dict[str, str]:
    """Return the headers of extra; in a connection URI they are JSON text."""
    if isinstance(headers, str):
        headers = _parsed(headers, connection=connection, what="headers in extra")
    if headers is None:
        return {}
    problems = problems_of_headers(headers, may_be_secret=True)
    if problems:
        raise _unusable(connection, "in extra, " + "; ".join(problems))
    return dict(headers)


def _read(text: str, *, connection: str) -> Secrets:
    """Parse a connection in either format of Airflow: a JSON object or a URI."""
    if text.startswith("{"):
        given = _parsed(text, connection=connection, what="it")
        login, password = (_text(given.get(name), name=name, connection=connection) for name in ("login", "password"))
        return Secrets(login=login, password=password, extra=given.get("extra"))
    try:
        parts = urlsplit(text)
    except ValueError:
        raise _unusable(connection, "it is neither a JSON object nor a URI") from None  # the error may quote the secret
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Secrets(
        login=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        extra=query.get("__extra__", query),
    )


def _text(value: Any, *, name: str, connection: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise _unusable(connection, f"{name} must be text; put it in quotes")
    return value


def _parsed(text: str, *, connection: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise _unusable(connection, f"{what} is not valid JSON") from None  # the error holds the secret


def _unusable(connection: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"the connection {connection} cannot be used: {reason}")
