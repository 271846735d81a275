"""Numbered messages between a master and a worker, so that each side notices if one is lost with its connection.

The channel (`include.load.channel`) encrypts them and admits only holders of the key.
"""

import enum
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

HEADER = struct.Struct(">QB")
"""Precedes the content: the number of the message, from 1, and its kind."""


class MessageMalformed(Exception):
    """A message does not have the agreed form; the text says what is wrong, without any of its content."""


class MessageMissing(Exception):
    """A message was lost: the connection broke in between."""


class MessageKind(enum.IntEnum):
    """What a message holds."""

    JSON = 0
    ROWS = 1


@dataclass(frozen=True, slots=True)
class OpenedMessage:
    """A message whose number was in order."""

    kind: MessageKind
    content: bytes

    @property
    def data(self) -> dict[str, Any]:
        """The content of `MessageKind.JSON`.

        Raises:
            MessageMalformed: it is no JSON object.
        """
        try:
            data = json.loads(self.content)
        except (ValueError, RecursionError) as err:
            raise MessageMalformed("it is not JSON") from err
        if not isinstance(data, dict):
            raise MessageMalformed("it is not a JSON object")
        return data


class Conversation:
    """One side of a conversation: numbers what it sends, and opens what it receives in order."""

    def __init__(self) -> None:
        self._sent = self._received = 0

    def pack_json(self, data: Mapping[str, Any]) -> bytes:
        """Return data as the bytes to send; they must be sent before the next message is packed."""
        return self.pack(json.dumps(data).encode(), MessageKind.JSON)

    def pack(self, content: bytes, kind: MessageKind) -> bytes:
        """Return content as the bytes to send; they must be sent before the next message is packed."""
        self._sent += 1
        return HEADER.pack(self._sent, kind) + content

    def open(self, packed: bytes) -> OpenedMessage:
        """Open the next message of the other side.

        Raises:
            MessageMalformed: it is no message of this conversation.
            MessageMissing: a message before it was never received.
        """
        if len(packed) < HEADER.size:
            raise MessageMalformed("it is too short")
        number, kind = HEADER.unpack_from(packed)
        if kind not in tuple(MessageKind) or number <= self._received:
            raise MessageMalformed("its header is wrong")
        if number > self._received + 1:
            raise MessageMissing
        self._received = number
        return OpenedMessage(MessageKind(kind), packed[HEADER.size :])
