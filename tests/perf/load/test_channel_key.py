"""The key of the channel between master and workers: random bytes are accepted, what a person made up is refused."""

import base64
import random
import secrets

import pytest

from include.perf.load.channel_key import channel_key

RULE = "KEY must be 32 random bytes in hexadecimal or base64, the same for the master and its workers, but "
REMEDY = (
    '; create one with make env, or with python -c "import secrets; print(secrets.token_hex(32))", and set it on both '
    "sides"
)


def refusal(text: str | None) -> str:
    """Return why a key is refused."""
    with pytest.raises(ValueError, match="KEY must be") as raised:
        channel_key(text, named="KEY")
    return str(raised.value)


def test_random_bytes_are_accepted_in_every_usual_form() -> None:
    """Hexadecimal, and both alphabets of base64 with and without padding; white space around them does not count."""
    generator = random.Random(7)
    for _ in range(2_000):
        key = generator.randbytes(32)
        standard, url_safe = base64.b64encode(key).decode(), base64.urlsafe_b64encode(key).decode()
        forms = [key.hex(), key.hex().upper(), standard, url_safe, url_safe.rstrip("="), f" {url_safe}\n"]
        assert {channel_key(form, named="KEY") for form in forms} == {key}


def test_a_key_of_the_documented_command_is_accepted() -> None:
    """The command that the message recommends."""
    assert len(channel_key(secrets.token_hex(32), named="KEY")) == 32


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (None, "is not set"),
        ("", "is not set"),
        ("  ", "is not set"),
        ("secret", "is neither (it has 6 characters)"),
        ("a key that only master and workers have", "is neither (it has 39 characters)"),
        ("a7465e0c" * 7 + "a7465e", "is neither (it has 62 characters)"),
        ("a7465e0c" * 16, "is neither (it has 128 characters)"),
        (base64.b64encode(bytes(range(33))).decode(), "is neither (it has 44 characters)"),
        ("é" * 44, "is neither (it has 44 characters)"),
    ],
)
def test_another_length_or_form_is_refused(text: str | None, found: str) -> None:
    """With the rule and the remedy, and without the key."""
    assert refusal(text) == RULE + found + REMEDY


@pytest.mark.parametrize(
    "text",
    [
        "A" * 43 + "=",
        "0123456789abcdef" * 4,
        "correcthorsebatterystaplecorrecthorsebatter",
        "correcthorsebatterystapleandmanymorewordsxy",
        "Password1Password1Password1Password1Passwor",
        b"a key that only a person chose!!".hex(),
        base64.b64encode(b"Tr0ub4dor&3 is not a random key!").decode(),
        bytes(range(19)).hex() + "00" * 13,
    ],
)
def test_a_key_that_a_person_made_up_is_refused(text: str) -> None:
    """It has the right length, but consists of words, a pattern, or encoded text."""
    message = refusal(text)
    assert message == RULE + "is not random" + REMEDY
    assert text not in message
