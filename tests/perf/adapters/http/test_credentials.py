"""Credentials: every form that a connection may have, and messages without its secrets."""

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from include.perf.adapters.http.credentials import Secrets, environment_credentials, service_secrets
from include.perf.catalogue.service import Service
from include.perf.load.service_secrets import ServiceSecrets, SigningKey
from include.perf.model.errors import ConfigurationError
from tests.fakes.small_catalogue import small_service
from tests.real_loads import service_at

VARIABLE = "AIRFLOW_CONN_ORDERS_API"
SERVICE = small_service(connection="orders_api")
SECRET = "s3cr3t-4711"


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


BEARER = {"Authorization": f"Bearer {SECRET}"}


@pytest.mark.parametrize(
    ("secrets", "headers"),
    [
        ({"login": "ann", "password": SECRET}, basic(f"ann:{SECRET}")),
        ({"login": "ann", "password": f" {SECRET}"}, basic(f"ann: {SECRET}")),  # a space may be part of it
        ({"login": "ann"}, basic("ann:")),
        ({"login": "änn", "password": "a:b"}, basic("änn:a:b")),
        ({"password": SECRET}, BEARER),
        ({"password": f"{SECRET}\n"}, BEARER),  # as read from a file
        ({"extra": {"token": SECRET}}, BEARER),
        ({"extra": json.dumps({"token": SECRET})}, BEARER),
        ({"login": "", "password": "", "extra": {"token": SECRET}}, BEARER),
        ({"extra": {"headers": {"X-Api-Key": SECRET}}}, {"X-Api-Key": SECRET}),
        ({"extra": {"headers": json.dumps({"X-Api-Key": SECRET})}}, {"X-Api-Key": SECRET}),
        ({"extra": {"headers": {"authorization": f"Token {SECRET}"}}}, {"authorization": f"Token {SECRET}"}),
        ({"password": SECRET, "extra": {"headers": {"X-Tenant": "fx"}}}, {"X-Tenant": "fx"} | BEARER),
        ({"password": SECRET, "extra": {"verify": False, "timeout": 5}}, BEARER),  # other keys are ignored
    ],
)
def test_every_form_of_credentials(secrets: dict[str, Any], headers: dict[str, str]) -> None:
    """Login and password become Basic, a password alone becomes Bearer, and headers stay unchanged."""
    assert service_secrets(Secrets(**secrets), SERVICE).headers == headers


@pytest.mark.parametrize(
    ("secrets", "reason"),
    [
        ({}, "it has no credentials; set login and password, a password alone (sent as a Bearer token), or extra"),
        ({"login": "", "password": "  ", "extra": ""}, "it has no credentials"),
        ({"extra": {"headers": {}}}, "it has no credentials"),
        ({"extra": {"tokn": SECRET}}, "it has no credentials"),
        (
            {"password": SECRET, "extra": {"token": SECRET}},
            "password and token in extra would all set the Authorization header; keep one of them",
        ),
        (
            {"login": SECRET, "extra": {"headers": {"AUTHORIZATION": SECRET}}},
            "login and AUTHORIZATION in extra would all set the Authorization header",
        ),
        ({"login": f"{SECRET}:x"}, "a login must not contain a colon (RFC 7617)"),
        ({"password": f"{SECRET}\nHost: evil"}, "Authorization must be one line of text"),
        ({"password": f"{SECRET}€"}, "Authorization must be Latin-1 text"),
        ({"extra": {"token": 4711}}, "token in extra must be text"),
        ({"extra": {"token": " "}}, "token in extra must be text"),
        ({"extra": f"{{{SECRET}"}, "extra is not valid JSON"),
        ({"extra": "[" * 100_000}, "extra is not valid JSON"),
        ({"extra": f'["{SECRET}"]'}, "extra must be a JSON object"),
        ({"extra": {"headers": SECRET}}, "headers in extra is not valid JSON"),
        ({"extra": {"headers": [SECRET]}}, "in extra, headers must be names and texts, but are of type list"),
        ({"extra": {"headers": {"X-Api-Key": 4711}}}, "in extra, X-Api-Key must be text, but is of type int"),
        ({"extra": {"headers": {"Host": SECRET}}}, "in extra, Host is set by the load generator itself"),
    ],
)
def test_an_unusable_connection(secrets: dict[str, Any], reason: str) -> None:
    """The message says what to change, without the secrets of the connection."""
    with pytest.raises(ConfigurationError) as caught:
        service_secrets(Secrets(**secrets), SERVICE)
    assert str(caught.value).startswith(f"the connection orders_api cannot be used: {reason}")
    assert "4711" not in everything_of(caught.value)


def everything_of(error: BaseException | None) -> str:
    """Return everything that a log could show of an error and its causes."""
    text = ""
    while error is not None:
        text += f"{error!r} {error.args!r} "
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return text


def test_secrets_are_not_printed() -> None:
    """Not even if the object itself is logged."""
    assert "4711" not in repr(Secrets(login=SECRET, password=SECRET, extra={"token": SECRET}))


@pytest.mark.parametrize(
    ("text", "headers"),
    [
        (f"http://ann:{SECRET}@host:8000", basic(f"ann:{SECRET}")),
        (f"http://ann:{quote('p@ss/w%rd#?', safe='')}@host", basic("ann:p@ss/w%rd#?")),
        (f"http://ann:{SECRET}@", basic(f"ann:{SECRET}")),
        (f"http://:{SECRET}@", BEARER),
        (f"  http://:{SECRET}@host\n", BEARER),
        (f"http://host/?token={SECRET}", BEARER),
        (f"http://?__extra__={quote(json.dumps({'headers': {'X-Api-Key': SECRET}}))}", {"X-Api-Key": SECRET}),
        (f"http://host?headers={quote(json.dumps({'X-Api-Key': SECRET}))}", {"X-Api-Key": SECRET}),
        (json.dumps({"login": "ann", "password": SECRET}), basic(f"ann:{SECRET}")),
        (json.dumps({"conn_type": "http", "host": "h", "password": SECRET, "port": 1}), BEARER),
        (json.dumps({"extra": {"token": SECRET}}), BEARER),
        (json.dumps({"extra": json.dumps({"token": SECRET})}), BEARER),
        (json.dumps({"login": None, "password": SECRET, "extra": None}), BEARER),
    ],
)
def test_both_of_airflows_forms_are_read(monkeypatch: pytest.MonkeyPatch, text: str, headers: dict[str, str]) -> None:
    """The command line reads the same variable as Airflow."""
    monkeypatch.setenv(VARIABLE, text)
    assert environment_credentials(SERVICE).headers == headers


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f'{{"password": "{SECRET}"', "it is not valid JSON"),
        ('{"password": 4711}', "password must be text; put it in quotes"),
        (f"http://ann:{SECRET}@[host", "it is neither a JSON object nor a URI"),
        (f"http://ann:{SECRET}℀@host", "it is neither a JSON object nor a URI"),  # the message of urllib quotes it
        (SECRET, "it has no credentials"),
    ],
)
def test_a_variable_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    """The message has the problem, but not the value."""
    monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError, match=f"^the connection orders_api cannot be used: {reason}") as caught:
        environment_credentials(SERVICE)
    assert "4711" not in everything_of(caught.value)


@pytest.mark.parametrize("text", [None, "", "  "])
def test_a_missing_connection(monkeypatch: pytest.MonkeyPatch, text: str | None) -> None:
    """The message says which service needs it, what it must contain, and where to set it."""
    monkeypatch.delenv(VARIABLE, raising=False)
    if text is not None:
        monkeypatch.setenv(VARIABLE, text)
    with pytest.raises(ConfigurationError) as caught:
        environment_credentials(SERVICE)
    assert str(caught.value) == (
        "there is no connection orders_api, which orders-service names in services.yaml; add one with login and "
        'password, a password alone (sent as a Bearer token), or extra {"headers": {"X-Api-Key": "…"}} (Airflow: '
        """Admin → Connections; command line: AIRFLOW_CONN_ORDERS_API='{"login": "…", "password": "…"}')"""
    )


def test_a_service_without_a_connection_has_no_credentials() -> None:
    """No variable is read."""
    assert environment_credentials(small_service()) == ServiceSecrets()


SIGNED = {"parts": ["body"], "header": "X-Sign", "key_id": {"header": "X-Key"}, "secret_encoding": "base64"}


def signed(**changes: Any) -> Service:
    return service_at("https://broker.example", connection="orders_api", signing=SIGNED | changes)


@pytest.mark.parametrize(
    "extra",
    [
        {"signing": {"secret": "c2VjcmV0", "key_id": "k-1"}, "headers": {"X-Passphrase": SECRET}},
        json.dumps(
            {"signing": json.dumps({"secret": "c2VjcmV0", "key_id": "k-1"}), "headers": {"X-Passphrase": SECRET}}
        ),
    ],
)
def test_the_key_of_a_signed_service(extra: Any) -> None:
    """Alone or with other credentials; a connection URI has it as text."""
    found = service_secrets(Secrets(extra=extra), signed())
    assert found.signing_key == SigningKey(secret="c2VjcmV0", key_id="k-1")
    assert found.headers == {"X-Passphrase": SECRET}
    assert set(found.texts()) == {"c2VjcmV0", "k-1", SECRET}


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({}, 'the requests of the service are signed; set extra {"signing": {"key_id": "…", "secret": "…"}}'),
        ({"signing": SECRET}, "signing in extra is not valid JSON"),
        ({"signing": {"key": SECRET}}, "the requests of the service are signed; set extra"),
        ({"signing": {"secret": "c2VjcmV0"}}, "key_id of signing in extra must be text in ASCII without spaces"),
        ({"signing": {"secret": 4711, "key_id": "k"}}, "secret of signing in extra must be text"),
        ({"signing": {"secret": f"{SECRET}-", "key_id": "k"}}, "in signing, the secret is not base64; correct it"),
        (
            {"signing": {"secret": "c2VjcmV0", "key_id": "k"}, "headers": {"x-sign": SECRET}},
            "it and the signature would both set x-sign; keep one of them",
        ),
    ],
)
def test_an_unusable_key(extra: Any, reason: str) -> None:
    """The message says what to change, without the secrets of the connection."""
    with pytest.raises(ConfigurationError) as caught:
        service_secrets(Secrets(extra=extra), signed())
    assert str(caught.value).startswith(f"the connection orders_api cannot be used: {reason}")
    assert "4711" not in everything_of(caught.value)


def test_a_key_without_an_id() -> None:
    """Only where the requests name no key."""
    found = service_secrets(Secrets(extra={"signing": {"secret": "00ff"}}), signed(key_id=None, secret_encoding="hex"))
    assert found.signing_key == SigningKey(secret="00ff")


def test_a_missing_connection_of_a_signed_service(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is a key, not a login."""
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(ConfigurationError) as caught:
        environment_credentials(signed())
    assert str(caught.value).endswith(
        'add one with extra {"signing": {"key_id": "…", "secret": "…"}} (Airflow: Admin → Connections; command line: '
        """AIRFLOW_CONN_ORDERS_API='{"extra": {"signing": {"key_id": "…", "secret": "…"}}}')"""
    )
