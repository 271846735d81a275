"""Secrets in what a server returns are masked in every known form, and nothing else is."""

import base64
import html
import json
import random
import string
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from include.perf.model.masking import BEGINNING, MASK, Mask

TOKEN = "tok/en+12345"
PASSWORD = "p4ss wörd/+&9"
BASIC = "Basic " + base64.b64encode(f"ana:{PASSWORD}".encode()).decode()

HEADERS: dict[str, tuple[str, str]] = {
    "plain": (TOKEN, TOKEN),
    "bearer": (f"Bearer {TOKEN}", TOKEN),
    "token parameter": (f'Token token="{TOKEN}", nonce="def"', TOKEN),
    "cookie": (f"theme=dark; session={TOKEN}; lang=en", TOKEN),
    "encoded cookie": (f"theme=dark; session={quote(TOKEN, safe='')}", TOKEN),
    "basic": (BASIC, PASSWORD),
    "basic pair": (BASIC, f"ana:{PASSWORD}"),
    "basic, encoded": (BASIC, BASIC.removeprefix("Basic ")),
    "digest": (f'Digest username="ana", realm="x", response="{TOKEN}"', TOKEN),
    "aws": (f"AWS4-HMAC-SHA256 Credential=AKIA/1/s3, SignedHeaders=host, Signature={TOKEN}", TOKEN),
    "url": (f"https://ana:{quote(TOKEN, safe='')}@hook.test/?v=1", TOKEN),
    "query": (f"https://hook.test/?v=1&key={quote(TOKEN, safe='')}", TOKEN),
    "json": (json.dumps({"a": {"b": PASSWORD}}), PASSWORD),
}
"""Header values, and the secret in each of them."""

Encoding = Callable[[str], str]


def every_letter(form: str) -> Encoding:
    """Return an encoding that escapes every byte."""
    return lambda text: "".join(form % byte for byte in text.encode())


def code_points(form: str) -> Encoding:
    """Return an encoding that escapes every character."""
    return lambda text: "".join(form % ord(letter) for letter in text)


def in_base64(*, columns: int | None = None, break_: str = "\n", before: str = "", alphabet: bytes = b"+/") -> Encoding:
    """Return base64 of a longer text, wrapped."""

    def encode(text: str) -> str:
        letters = base64.b64encode((before + text + " and more").encode(), altchars=alphabet).decode()
        return letters if columns is None else break_.join(textwrap.wrap(letters, columns))

    return encode


ENCODINGS: dict[str, Encoding] = {
    "itself": str,
    "upper case": str.upper,
    "quoted": quote,
    "quoted, all": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "quoted twice": lambda text: quote(quote(text, safe=""), safe=""),
    "every byte quoted": every_letter("%%%02X"),
    "json": lambda text: json.dumps(text)[1:-1],
    "json, slashes": lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    "json, every letter": code_points(r"\u%04x"),
    "json in json": lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    "python bytes": lambda text: repr(text.encode())[2:-1],
    "html": lambda text: html.escape(text),
    "html, decimal": code_points("&#%d;"),
    "html, hexadecimal": code_points("&#x%X;"),
    "hexadecimal": lambda text: text.encode().hex(),
    "hexadecimal, colons": lambda text: text.encode().hex(":").upper(),
    "mojibake": lambda text: text.encode().decode("latin-1"),
    **{f"base64 after {n}": in_base64(before="x" * n) for n in range(4)},
    **{f"base64url after {n}": in_base64(before="x" * n, alphabet=b"-_") for n in range(4)},
    **{
        f"base64 at {columns} columns after {before}": in_base64(columns=columns, break_=break_, before="x" * before)
        for columns in (64, 76)
        for before in (0, 1, columns * 3 // 4 - 3, columns * 3 // 4 - 5)
        for break_ in ("\r\n",)
    },
    "base64 in json at 64 columns": in_base64(columns=64, break_="\\n", before="x" * 43),
    "base64 indented": in_base64(columns=64, break_="\n    ", before="x" * 44),
    "base64 of json": lambda text: base64.b64encode(json.dumps({"t": text}).encode()).decode(),
}

PLACES = ("{}", "<{}>", "a {} b", 'you sent "{}"\n', "x={}&y=1", "{} {}")


def longest_common(text: str, other: str) -> int:
    """Return the length of the longest text that occurs in both."""
    length = 0
    for end in range(1, len(text) + 1):
        while text[end - length - 1 : end] in other and length < end:
            length += 1
    return length


@pytest.mark.parametrize("structure", sorted(HEADERS))
def test_no_encoding_of_a_secret_stays(structure: str) -> None:
    """Wherever the secret stands in the header, however it is encoded, and wherever in the text."""
    header, secret = HEADERS[structure]
    mask = Mask(["another-secret", header])
    for encoding, encode in ENCODINGS.items():
        form = encode(secret)
        for place in PLACES:
            masked = mask(place.format(form, form))
            assert MASK in masked, (encoding, place)
            # base64 letters at the ends of a secret also hold neighbouring bytes
            left = masked.replace(MASK, " ").lower()
            assert longest_common(form.lower(), left) <= _allowed(encoding), (encoding, masked)


def _allowed(encoding: str) -> int:
    """Return how many letters of an encoded text may stay, those of what stands around the secret."""
    return 80 if "base64" in encoding else 4


@pytest.mark.parametrize("encoding", [name for name in sorted(ENCODINGS) if "base64" in name])
def test_what_stays_of_base64_is_not_the_secret(encoding: str) -> None:
    """The letters around it may encode neighbouring bytes and at most five bits of the secret."""
    masked = Mask([f"Bearer {TOKEN}"])(ENCODINGS[encoding](TOKEN))
    for part in masked.replace("\\n", "").replace("\r", "").replace("\n", "").replace(" ", "").split(MASK):
        for skipped in range(4):
            letters = part[skipped:].replace("-", "+").replace("_", "/").rstrip("=")
            decoded = base64.b64decode(letters[: len(letters) // 4 * 4])
            assert longest_common(TOKEN, decoded.decode("latin-1")) <= 2


@pytest.mark.parametrize("structure", ["bearer", "cookie", "basic"])
def test_a_text_that_ends_within_a_secret_shows_only_its_beginning(structure: str) -> None:
    """A long answer is cut at any place, also within an escape."""
    header, secret = HEADERS[structure]
    mask = Mask([header])
    for encoding, encode in ENCODINGS.items():
        text = f"you sent {encode(secret)}"
        for end in range(len("you sent "), len(text)):
            masked = mask(text[:end], is_cut=True)
            shown = masked.removeprefix("you sent ")
            # each of the first letters may be escaped with up to twelve characters
            assert MASK in shown or len(shown) <= _allowed(encoding) + BEGINNING * 12, (encoding, masked)
            assert longest_common(secret, masked) <= BEGINNING, (encoding, masked)


def test_nothing_else_is_masked() -> None:
    """Random text of the alphabets of all encodings stays as it is."""
    source = random.Random(7)
    masks = [Mask([header]) for header, _ in HEADERS.values()]
    for letters in (string.printable, string.hexdigits, string.ascii_letters + string.digits + "+/", "%\\u0&#;x1aä€😀"):
        for _ in range(30):
            text = "".join(source.choices(letters, k=200))
            for mask in masks:
                assert mask(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"got {TOKEN}!", "got ***!"),
        (f"{TOKEN}{TOKEN}", "******"),
        ("t=tok%2fen%2B12345&u=1", "t=***&u=1"),
        (r'{"t": "tok\/en+12345"}', '{"t": "***"}'),
        ("tok/en of another", "tok/en of another"),
        ("\ud800 tok/en+12345 \udfff", "\ud800 *** \udfff"),
    ],
)
def test_what_stands_around_a_secret_stays(text: str, masked: str) -> None:
    """Only the secret is replaced."""
    assert Mask([f"Bearer {TOKEN}"])(text) == masked


@pytest.mark.parametrize(
    ("secrets", "text"),
    [
        (["1"], '{"version": "1.4.1", "id": 1}'),
        ([f"Basic {base64.b64encode(b'test:test').decode()}"], '{"env": "test", "tests": ["test"]}'),
        (["staging", "application/json"], "content-type: application/json of staging"),
        ([], "text"),
        ([""], "text"),
    ],
)
def test_short_and_common_values_stay(secrets: list[str], text: str) -> None:
    """A login `test` or a tenant 1 would make every answer unreadable."""
    assert Mask(secrets)(text) == text


def test_overlapping_secrets_are_masked_as_one() -> None:
    """Whichever begins first, nothing of the other stays."""
    assert Mask(["abcdefghij", "fghijklmno"])("<abcdefghijklmno>") == "<***>"


def test_a_short_secret_is_masked_as_a_word() -> None:
    """Within a longer word it is something else."""
    assert Mask(["k3y55"])("k3y55 k3y55s (k3y55) %20k3y55") == "*** k3y55s (***) %20***"
