"""Messages between master and worker: numbered, so that each side notices a missing one, and never trusted."""

import struct

import pytest

from include.load.conversation import Conversation, MessageKind, MessageMalformed, MessageMissing


def test_messages_arrive_in_order() -> None:
    """JSON and rows, in both directions."""
    master, worker = Conversation(), Conversation()
    first, second = master.pack_json({"order": {"headers": {}}}), master.pack_json({"stop": "enough"})
    assert worker.open(first).data == {"order": {"headers": {}}}
    assert worker.open(second).data == {"stop": "enough"}
    message = master.open(worker.pack(b"\x1f\x8b rows", MessageKind.ROWS))
    assert (message.kind, message.content) == (MessageKind.ROWS, b"\x1f\x8b rows")


def test_a_missing_message_is_noticed() -> None:
    """The connection broke and was opened again: rows may be missing."""
    master, worker = Conversation(), Conversation()
    worker.pack(b"rows of a second", MessageKind.ROWS)
    with pytest.raises(MessageMissing):
        master.open(worker.pack(b"rows of the next", MessageKind.ROWS))


def test_a_message_is_opened_only_once() -> None:
    """Its number was used before."""
    master, worker = Conversation(), Conversation()
    packed = master.pack_json({"start": 1})
    worker.open(packed)
    with pytest.raises(MessageMalformed, match="its header is wrong"):
        worker.open(packed)


@pytest.mark.parametrize(
    ("packed", "problem"),
    [
        (b"", "it is too short"),
        (b"noise", "it is too short"),
        (struct.pack(">QB", 1, 7), "its header is wrong"),
        (struct.pack(">QB", 0, 0) + b"{}", "its header is wrong"),
    ],
)
def test_noise_is_no_message(packed: bytes, problem: str) -> None:
    """Too short, of an unknown kind, or with an impossible number."""
    with pytest.raises(MessageMalformed, match=problem):
        Conversation().open(packed)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"9" * 10_000, "it is not JSON"),
        (b"[1]", "it is not a JSON object"),
        (b'"text"', "it is not a JSON object"),
        (b"null", "it is not a JSON object"),
    ],
)
def test_content_that_is_no_object_is_reported(content: bytes, problem: str) -> None:
    """Also when it is nested too deeply or has too many digits; the problem contains nothing of it."""
    message = Conversation().open(Conversation().pack(content, MessageKind.JSON))
    with pytest.raises(MessageMalformed, match=f"^{problem}$"):
        message.data  # noqa: B018 - reading it is the test
