"""What a master and a worker say to one another, sealed: Locust's channel has neither login nor encryption.

A worker proves with its hello that it has the key, to a session number that the master made just now, for the one
connection that the hello names; the master proves it by what follows, which is sealed with keys made of that number and
of the worker's own. So nothing that was said in one load can be said again in another, nor by another, and nobody
without the key learns or changes anything.

Source: HKDF is RFC 5869; Fernet is AES-128-CBC with HMAC-SHA256 (cryptography.io/en/latest/fernet).
"""

import base64
import enum
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MESSAGE = "bellwether"
"""The type of all our messages on Locust's channel."""

PROTOCOL = b"bellwether load 1"

KEY_BYTES = 32
HEADER = struct.Struct(">QB")
"""Before the content: the number of the message, and what kind it is of."""


def packet(sealed: bytes) -> dict[str, Any]:
    """Return sealed content as the data of a message of Locust's."""
    return {"sealed": sealed}


def sealed_in(data: object) -> object:
    """Return what should be sealed content, of whatever somebody sent."""
    return data.get("sealed") if isinstance(data, dict) else None


class NotOurs(Exception):
    """A message was not sealed with the key, or belongs to another session."""


class MessageMissing(Exception):
    """A message never came: the connection was broken in between."""


class MessageKind(enum.IntEnum):
    """What a message holds."""

    WORDS = 0
    ROWS = 1


@dataclass(frozen=True, slots=True)
class Letter:
    """A message that was opened."""

    kind: MessageKind
    content: bytes

    @property
    def words(self) -> dict[str, Any]:
        """The content of `MessageKind.WORDS`."""
        words: dict[str, Any] = json.loads(self.content)
        return words


class Seal:
    """Seals and opens with a key for one purpose; another purpose is another key."""

    def __init__(self, key: str, *, purpose: bytes, salt: bytes = b"") -> None:
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=PROTOCOL + b" " + purpose)
        self._fernet = Fernet(base64.urlsafe_b64encode(derived.derive(key.encode())))

    def seal(self, content: bytes) -> bytes:
        """Return the content so that only the key opens it."""
        return self._fernet.encrypt(content)

    def open(self, sealed: object) -> bytes:
        """Return what was sealed.

        Raises:
            NotOurs: it was not, or with another key.
        """
        if not isinstance(sealed, bytes):
            raise NotOurs
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as err:
            raise NotOurs from err


class Introduction:
    """The first message of each side, before they have keys of their own."""

    def __init__(self, key: str) -> None:
        self._seal = Seal(key, purpose=b"introduction")

    def seal(self, words: Mapping[str, Any]) -> bytes:
        """Return words as they go over the channel."""
        return self._seal.seal(json.dumps(words).encode())

    def open(self, sealed: object) -> dict[str, Any]:
        """Return the words of the other side.

        Raises:
            NotOurs: it has another key.
        """
        words: dict[str, Any] = json.loads(self._seal.open(sealed))
        return words


class Conversation:
    """One side of a session: numbers what it says, and takes what it hears once and in order.

    Args:
        session: made by the master for this load.
        nonce: made by the worker for this session.
    """

    def __init__(self, key: str, *, session: str, nonce: str, is_master: bool) -> None:
        salt = f"{session} {nonce}".encode()
        to_worker, to_master = (Seal(key, purpose=purpose, salt=salt) for purpose in (b"to worker", b"to master"))
        self._out, self._in = (to_worker, to_master) if is_master else (to_master, to_worker)
        self._said = self._heard = 0

    def say(self, words: Mapping[str, Any]) -> bytes:
        """Return words as they go over the channel."""
        return self.seal(json.dumps(words).encode(), MessageKind.WORDS)

    def seal(self, content: bytes, kind: MessageKind) -> bytes:
        """Return content as it goes over the channel; it must be sent before the next one."""
        self._said += 1
        return self._out.seal(HEADER.pack(self._said, kind) + content)

    def hear(self, sealed: object) -> Letter:
        """Open the next message of the other side.

        Raises:
            NotOurs: it is not of this session, or came before.
            MessageMissing: one before it never came.
        """
        opened = self._in.open(sealed)
        number, kind = HEADER.unpack_from(opened)
        if number <= self._heard:
            raise NotOurs
        if number > self._heard + 1:
            raise MessageMissing
        self._heard = number
        return Letter(MessageKind(kind), opened[HEADER.size :])
