"""Messages on Locust's channel: without the key nobody can read, change or replay one."""

import pytest

from include.load.conversation import (
    Conversation,
    Introduction,
    MessageKind,
    MessageMissing,
    MessageRejected,
    packet,
    sealed_in,
)

KEY = "a key that only master and workers have"


def sides(key: str = KEY, *, session: str = "s1", nonce: str = "n1") -> tuple[Conversation, Conversation]:
    """Return master and worker of a session."""
    master = Conversation(key, session=session, nonce=nonce, is_master=True)
    return master, Conversation(key, session=session, nonce=nonce, is_master=False)


def test_messages_arrive_in_order() -> None:
    """JSON and rows, in both directions."""
    master, worker = sides()
    first, second = (
        master.seal_json({"order": {"headers": {"Authorization": "Bearer t0ken"}}}),
        master.seal_json({"stop": "enough"}),
    )
    assert worker.open(first).data == {"order": {"headers": {"Authorization": "Bearer t0ken"}}}
    assert worker.open(second).data == {"stop": "enough"}
    message = master.open(worker.seal(b"\x1f\x8b rows", MessageKind.ROWS))
    assert (message.kind, message.content) == (MessageKind.ROWS, b"\x1f\x8b rows")


def test_nothing_can_be_read_without_the_key() -> None:
    """With another key, session or nonce the message cannot be opened."""
    master, _ = sides()
    sealed = master.seal_json({"headers": {"Authorization": "Bearer t0ken"}})
    assert b"t0ken" not in sealed
    for key, session, nonce in ((KEY + "x", "s1", "n1"), (KEY, "s2", "n1"), (KEY, "s1", "n2")):
        _, other = sides(key, session=session, nonce=nonce)
        with pytest.raises(MessageRejected):
            other.open(sealed)


def test_a_message_cannot_be_replayed() -> None:
    """A recorded message is rejected, and so is a message of one's own side."""
    master, worker = sides()
    sealed = master.seal_json({"start": 1})
    worker.open(sealed)
    with pytest.raises(MessageRejected):
        worker.open(sealed)
    with pytest.raises(MessageRejected):
        master.open(master.seal_json({"stop": "me"}))


def test_a_missing_message_is_noticed() -> None:
    """The connection broke and was opened again: rows may be missing."""
    master, worker = sides()
    worker.seal(b"rows of a second", MessageKind.ROWS)
    with pytest.raises(MessageMissing):
        master.open(worker.seal(b"rows of the next", MessageKind.ROWS))


@pytest.mark.parametrize("sent", [b"", b"noise", "text", None, 7, {"sealed": b"x"}])
def test_noise_is_rejected(sent: object) -> None:
    """Anybody may send anything, of any type."""
    _, worker = sides()
    with pytest.raises(MessageRejected):
        worker.open(sent)
    with pytest.raises(MessageRejected):
        Introduction(KEY).open(sent)


def test_a_changed_byte_is_noticed() -> None:
    """Every byte is authenticated."""
    master, _ = sides()
    sealed = master.seal_json({"start": 1})
    for at in range(0, len(sealed), 7):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        _, worker = sides()
        with pytest.raises(MessageRejected):
            worker.open(changed)


def test_introductions_need_the_key_only() -> None:
    """They are sent before the sides have their own keys, and cannot pass for a later message."""
    sealed = Introduction(KEY).seal({"session": "s1"})
    assert Introduction(KEY).open(sealed) == {"session": "s1"}
    with pytest.raises(MessageRejected):
        Introduction("another key altogether").open(sealed)
    with pytest.raises(MessageRejected):
        sides()[1].open(sealed)


@pytest.mark.parametrize(("data", "sealed"), [(packet(b"x"), b"x"), ({}, None), (None, None), ([1], None), ("x", None)])
def test_a_packet_contains_sealed_content(data: object, sealed: object) -> None:
    """Data that is no packet contains none."""
    assert sealed_in(data) == sealed
