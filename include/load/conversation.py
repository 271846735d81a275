"""Sealed messages between a master and a worker: Locust's channel has neither authentication nor encryption.

A worker's first message, its hello, proves that it has the key: it answers the session number that the master made for
this load, and names its own connection. The master proves the same with its next messages, which are sealed with keys
derived from the session number and from the worker's nonce. So no message of one load can be replayed in another load
or on another connection, and nobody without the key can read or change a message.

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
"""The type of Bellwether's messages on Locust's channel."""

PROTOCOL = b"bellwether load 1"

KEY_BYTES = 32
HEADER = struct.Struct(">QB")
"""Precedes the content: the number of the message, and its kind."""


def packet(sealed: bytes) -> dict[str, Any]:
    """Return sealed content as the data of a Locust message."""
    return {"sealed": sealed}


def sealed_in(data: object) -> object:
    """Return the sealed content of received data, which may be anything; ``None`` without any."""
    return data.get("sealed") if isinstance(data, dict) else None


class MessageRejected(Exception):
    """A message was not sealed with the key, or belongs to another session."""


class MessageMissing(Exception):
    """A message was lost: the connection broke in between."""


class MessageKind(enum.IntEnum):
    """What a message holds."""

    JSON = 0
    ROWS = 1


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message that was opened."""

    kind: MessageKind
    content: bytes

    @property
    def data(self) -> dict[str, Any]:
        """The content of `MessageKind.JSON`."""
        data: dict[str, Any] = json.loads(self.content)
        return data


class Seal:
    """Seals and opens with a key derived for one purpose."""

    def __init__(self, key: str, *, purpose: bytes, salt: bytes = b"") -> None:
        derived = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=PROTOCOL + b" " + purpose)
        self._fernet = Fernet(base64.urlsafe_b64encode(derived.derive(key.encode())))

    def seal(self, content: bytes) -> bytes:
        """Return the content, encrypted and authenticated."""
        return self._fernet.encrypt(content)

    def open(self, sealed: object) -> bytes:
        """Return the content that was sealed.

        Raises:
            MessageRejected: it was not sealed, or sealed with another key.
        """
        if not isinstance(sealed, bytes):
            raise MessageRejected
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as err:
            raise MessageRejected from err


class Introduction:
    """Seals the first message of each side, before they have keys of their own."""

    def __init__(self, key: str) -> None:
        self._seal = Seal(key, purpose=b"introduction")

    def seal(self, data: Mapping[str, Any]) -> bytes:
        """Return the bytes to send."""
        return self._seal.seal(json.dumps(data).encode())

    def open(self, sealed: object) -> dict[str, Any]:
        """Return the data that the other side sent.

        Raises:
            MessageRejected: it has another key.
        """
        data: dict[str, Any] = json.loads(self._seal.open(sealed))
        return data


class Conversation:
    """One side of a session: numbers the messages it seals, and opens every received message once and in order.

    Args:
        session: made by the master for this load.
        nonce: made by the worker for this session.
    """

    def __init__(self, key: str, *, session: str, nonce: str, is_master: bool) -> None:
        salt = f"{session} {nonce}".encode()
        to_worker, to_master = (Seal(key, purpose=purpose, salt=salt) for purpose in (b"to worker", b"to master"))
        self._out, self._in = (to_worker, to_master) if is_master else (to_master, to_worker)
        self._sent = self._received = 0

    def seal_json(self, data: Mapping[str, Any]) -> bytes:
        """Return data as the bytes to send; they must be sent before the next message is sealed."""
        return self.seal(json.dumps(data).encode(), MessageKind.JSON)

    def seal(self, content: bytes, kind: MessageKind) -> bytes:
        """Return content as the bytes to send; they must be sent before the next message is sealed."""
        self._sent += 1
        return self._out.seal(HEADER.pack(self._sent, kind) + content)

    def open(self, sealed: object) -> OpenedMessage:
        """Open the next message of the other side.

        Raises:
            MessageRejected: it is not of this session, or was received before.
            MessageMissing: a message before it was never received.
        """
        opened = self._in.open(sealed)
        number, kind = HEADER.unpack_from(opened)
        if number <= self._received:
            raise MessageRejected
        if number > self._received + 1:
            raise MessageMissing
        self._received = number
        return OpenedMessage(MessageKind(kind), opened[HEADER.size :])
