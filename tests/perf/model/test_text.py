"""Secrets in what a server returns are masked in every known form, and nothing else is."""

import base64
from collections.abc import Callable

import pytest

from include.perf.model.text import Mask

TOKEN = "tok/en+12345"
BASIC = "Basic " + base64.b64encode(b"ana:p4ss word").decode()


@pytest.mark.parametrize(
    ("given", "masked"),
    [
        (f"Bearer {TOKEN}", "***"),
        (f"got {TOKEN}!", "got ***!"),
        ("got TOK/EN+12345!", "got ***!"),
        ("t=tok%2fen%2B12345&u=1", "t=***&u=1"),
        ("746f6b2f656e2b3132333435 746F6B2F656E2B3132333435", "*** ***"),
        (r'{"t": "tok\/en+12345"}', '{"t": "***"}'),
        ("tok/en of another", "tok/en of another"),
    ],
)
def test_forms_of_a_token(given: str, masked: str) -> None:
    """Unchanged, with its scheme, in another case, percent-encoded, in hexadecimal, escaped."""
    assert Mask([f"Bearer {TOKEN}"])(given) == masked


@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_at_any_place(before: int, encode: Callable[[bytes], bytes]) -> None:
    """The letters at its ends also encode neighbouring bytes; each reveals at most five bits."""
    masked = Mask([TOKEN])(encode(b"x" * before + TOKEN.encode() + b"yz").decode())
    assert "***" in masked
    # a letter is six bits: x's take 2 at most, the ends 1 each, y and z 3, and there may be padding
    assert len(masked.replace("***", "").rstrip("=")) <= 4 * ((before + 2) // 3) + 5


@pytest.mark.parametrize("given", ["p4ss word", "ana:p4ss word", BASIC, BASIC.removeprefix("Basic "), "p4ss+word"])
def test_parts_of_a_basic_login(given: str) -> None:
    """A server may return the decoded login."""
    assert Mask([BASIC])(f"<{given}>") == "<***>"


@pytest.mark.parametrize("scheme", ["basic", "BASIC"])
def test_a_scheme_is_recognised_in_any_case(scheme: str) -> None:
    """Servers ignore its case, too."""
    assert Mask([BASIC.replace("Basic", scheme)])("<p4ss word>") == "<***>"


def test_a_short_secret_is_masked_unencoded_only() -> None:
    """Its hexadecimal form occurs in other text by chance."""
    mask = Mask(["ab"])
    assert mask("xabx 6162") == "x***x 6162"


def test_without_secrets_nothing_changes() -> None:
    """An empty secret is ignored."""
    for mask in (Mask(), Mask([""])):
        assert mask("text") == "text"
        assert mask.of_bytes(b"\xff\x00") == b"\xff\x00"


def test_bytes_that_are_not_text_stay_unchanged() -> None:
    """Only the secret among them is replaced."""
    assert Mask([TOKEN]).of_bytes(b"\xff\xfe " + TOKEN.encode() + b" \x00") == b"\xff\xfe *** \x00"
