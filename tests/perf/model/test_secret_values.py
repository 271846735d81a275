"""The secrets within a header value are found; what is too short or too common is none."""

import base64
import json
from urllib.parse import quote

import pytest

from include.perf.model.secret_values import MAX_VALUES, secret_values

AWS = (
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host;range;x-amz-date, Signature=fe5f80f77d5fa3beca038a248ff027d0"
)
DIGEST = (
    'Digest username="mufasa", realm="orders@example.test", nonce="dcd98b7102dd2f0e", uri="/api/v1/orders", '
    'qop=auth, nc=00000001, cnonce="0a4f113b", response="6629fae49393a053"'
)


def encoded(text: str) -> str:
    """Return a text in base64."""
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    ("header", "secrets"),
    [
        ("Bearer t0k-3n/1", {"t0k-3n/1"}),
        ("token t0k-3n/1", {"t0k-3n/1"}),
        ('Token token="t0k-3n/1", nonce="d3f"', {"t0k-3n/1"}),
        ("Token token=t0k-3n/1,realm=orders", {"t0k-3n/1"}),
        (f"Basic {encoded('ana.lytics:p4ss: word')}", {"ana.lytics", "p4ss: word", "ana.lytics:p4ss: word"}),
        (f"basic {encoded('ana%40x.test:p%2Fss99')}", {"p%2Fss99", "p/ss99", "ana@x.test"}),
        ("session=s3ss10n; csrf=t0k-3n==; theme=dark", {"s3ss10n", "t0k-3n=="}),
        ("sid=s%3Aab%2Fcd.sign", {"s%3Aab%2Fcd.sign", "s:ab/cd.sign"}),
        ('sid="quoted \\"s3ss10n\\""', {'quoted "s3ss10n"'}),
        (f"state={quote(json.dumps({'token': 't0k-3n/1'}))}", {"t0k-3n/1"}),
        (f"state={encoded(json.dumps({'token': 't0k-3n/1'}))}", {"t0k-3n/1"}),
        (DIGEST, {"mufasa", "dcd98b7102dd2f0e", "0a4f113b", "6629fae49393a053"}),
        (AWS, {"AKIAIOSFODNN7EXAMPLE", "fe5f80f77d5fa3beca038a248ff027d0"}),
        ("https://ana:hunter22@hook.test/a?key=t0k-3n%2F1&version=20", {"hunter22", "t0k-3n/1"}),
        ('{"token": "t0k-3n/1", "more": {"key": "s3ss10n"}}', {"t0k-3n/1", "s3ss10n"}),
    ],
)
def test_the_parts_of_a_header_are_secrets(header: str, secrets: set[str]) -> None:
    """The value itself, and what stands in it as a value."""
    found = set(secret_values(header))
    assert found >= secrets | {header}


@pytest.mark.parametrize(
    "public", ["orders@example.test", "/api/v1/orders", "00000001", "host;range;x-amz-date", "dark"]
)
@pytest.mark.parametrize("header", [DIGEST, AWS, "session=s3ss10n; theme=dark"])
def test_names_and_public_parameters_are_no_secrets(header: str, public: str) -> None:
    """Otherwise paths and names would be unreadable in every text."""
    assert not {public, "username", "response", "Signature", "Credential", "session"} & set(secret_values(header))


@pytest.mark.parametrize(
    "value",
    [
        *("", "1", "42", "test", "1234567", "staging", "Production", "admin", "password"),
        *("10.0.0.1", "v1.4.1", "1.4.1-rc.1", "2026-12-01", "application/json", "text/plain", "xxxxxxxx", "--------"),
    ],
)
def test_a_short_or_common_value_is_no_secret(value: str) -> None:
    """A login, a password or a header may have such a value, and other text contains it by chance."""
    assert secret_values(value) == ()


def test_a_common_login_with_a_common_password() -> None:
    """Only the values that contain both are left."""
    assert set(secret_values(f"Basic {encoded('test:test')}")) == {
        f"Basic {encoded('test:test')}",
        encoded("test:test"),
        "test:test",
    }


def test_the_number_of_values_is_limited() -> None:
    """A header of ten thousand cookies would take minutes to search for."""
    assert len(secret_values("; ".join(f"cookie{n}=value-{n:06}" for n in range(10_000)))) == MAX_VALUES


@pytest.mark.parametrize(
    "header", ["=;=;=", "Basic ", "Basic ====", "://", "https://[", 'a="', "%", "{", "\\", "a=b=c=d"]
)
def test_no_value_fails(header: str) -> None:
    """A header may be anything."""
    secret_values(header)
