"""The key that the master of a load shares with its workers: 32 random bytes, written as text.

Whoever watches a connection can try keys offline, so a key must be too random to be found by trying. A text that a
person made up is refused even if it has the right length.
"""

import base64
import binascii
import string

KEY_VARIABLE = "BELLWETHER_LOCUST_KEY"

KEY_BYTES = 32
HEX_DIGITS = 2 * KEY_BYTES

LEAST_DIFFERENT_BYTES = 20
"""32 random bytes have 30 different values on average; fewer than 20 occur once in 10¹⁰ keys."""

LONGEST_REPEAT = 4
"""Random text of this size repeats nothing longer: five characters of base64 once in a million keys."""

HOW_TO_CREATE = 'create one with make env, or with python -c "import secrets; print(secrets.token_hex(32))"'


def channel_key(text: str | None, *, named: str) -> bytes:
    """Return the 32 bytes of a key.

    Args:
        text: 64 hexadecimal digits, or 43 or 44 characters of base64 with either alphabet.
        named: what the message calls the key.

    Raises:
        ValueError: it is no such key; the message does not contain it.
    """
    written = (text or "").strip()
    key = _decoded(written)
    if key is not None and _is_random(written, key):
        return key
    if not written:
        found = "is not set"
    elif key is None:
        found = f"is neither (it has {len(written)} characters)"
    else:
        found = "is not random"
    raise ValueError(
        f"{named} must be {KEY_BYTES} random bytes in hexadecimal or base64, the same for the master and its workers, "
        f"but {found}; {HOW_TO_CREATE}, and set it on both sides"
    )


def _decoded(written: str) -> bytes | None:
    """Return the bytes that a text stands for; ``None`` unless there are exactly `KEY_BYTES`."""
    if len(written) == HEX_DIGITS and set(written) <= set(string.hexdigits):
        return bytes.fromhex(written)
    try:
        key = base64.b64decode(written.rstrip("=").translate(str.maketrans("-_", "+/")) + "=", validate=True)
    except (ValueError, binascii.Error):
        return None
    return key if len(key) == KEY_BYTES else None


def _is_random(written: str, key: bytes) -> bool:
    """Whether a key looks like random bytes, and not like words, a pattern, or encoded text."""
    if len(set(key)) < LEAST_DIFFERENT_BYTES or (key.isascii() and key.decode("ascii").isprintable()):
        return False
    is_hexadecimal = len(written) == HEX_DIGITS
    if not is_hexadecimal and (written.islower() or written.isupper()):
        return False
    longest = 2 * LONGEST_REPEAT if is_hexadecimal else LONGEST_REPEAT
    pieces = [written[at : at + longest + 1] for at in range(len(written) - longest)]
    return len(set(pieces)) == len(pieces)
