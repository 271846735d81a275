"""What goes over Locust's channel: whoever has no key learns and changes nothing, and nothing can be said twice."""

import pytest

from include.load.conversation import (
    Conversation,
    Introduction,
    MessageKind,
    MessageMissing,
    NotOurs,
    packet,
    sealed_in,
)

KEY = "a key that only master and workers have"


def sides(key: str = KEY, *, session: str = "s1", nonce: str = "n1") -> tuple[Conversation, Conversation]:
    """Return master and worker of a session."""
    master = Conversation(key, session=session, nonce=nonce, is_master=True)
    return master, Conversation(key, session=session, nonce=nonce, is_master=False)


def test_what_one_side_says_the_other_hears_in_order() -> None:
    """Words and rows, both ways."""
    master, worker = sides()
    first, second = (
        master.say({"order": {"headers": {"Authorization": "Bearer t0ken"}}}),
        master.say({"stop": "enough"}),
    )
    assert worker.hear(first).words == {"order": {"headers": {"Authorization": "Bearer t0ken"}}}
    assert worker.hear(second).words == {"stop": "enough"}
    letter = master.hear(worker.seal(b"\x1f\x8b rows", MessageKind.ROWS))
    assert (letter.kind, letter.content) == (MessageKind.ROWS, b"\x1f\x8b rows")


def test_nothing_can_be_read_without_the_key() -> None:
    """Not even that it is JSON."""
    master, _ = sides()
    sealed = master.say({"headers": {"Authorization": "Bearer t0ken"}})
    assert b"t0ken" not in sealed
    for key, session, nonce in ((KEY + "x", "s1", "n1"), (KEY, "s2", "n1"), (KEY, "s1", "n2")):
        _, other = sides(key, session=session, nonce=nonce)
        with pytest.raises(NotOurs):
            other.hear(sealed)


def test_a_message_counts_once() -> None:
    """Recorded and sent again it is refused, and so is what one said oneself."""
    master, worker = sides()
    sealed = master.say({"start": 1})
    worker.hear(sealed)
    with pytest.raises(NotOurs):
        worker.hear(sealed)
    with pytest.raises(NotOurs):
        master.hear(master.say({"stop": "me"}))


def test_a_message_that_never_came_is_noticed() -> None:
    """The connection broke and was made again: rows may be missing."""
    master, worker = sides()
    worker.seal(b"rows of a second", MessageKind.ROWS)
    with pytest.raises(MessageMissing):
        master.hear(worker.seal(b"rows of the next", MessageKind.ROWS))


@pytest.mark.parametrize("sent", [b"", b"noise", "text", None, 7, {"sealed": b"x"}])
def test_noise_is_not_ours(sent: object) -> None:
    """Whatever somebody sends, of whatever kind."""
    _, worker = sides()
    with pytest.raises(NotOurs):
        worker.hear(sent)
    with pytest.raises(NotOurs):
        Introduction(KEY).open(sent)


def test_a_changed_byte_is_noticed() -> None:
    """Each byte is under the seal."""
    master, _ = sides()
    sealed = master.say({"start": 1})
    for at in range(0, len(sealed), 7):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        _, worker = sides()
        with pytest.raises(NotOurs):
            worker.hear(changed)


def test_introductions_need_the_key_only() -> None:
    """They come before the sides have keys of their own, and cannot be taken for what comes after."""
    sealed = Introduction(KEY).seal({"session": "s1"})
    assert Introduction(KEY).open(sealed) == {"session": "s1"}
    with pytest.raises(NotOurs):
        Introduction("another key altogether").open(sealed)
    with pytest.raises(NotOurs):
        sides()[1].hear(sealed)


@pytest.mark.parametrize(("data", "sealed"), [(packet(b"x"), b"x"), ({}, None), (None, None), ([1], None), ("x", None)])
def test_what_is_in_a_packet(data: object, sealed: object) -> None:
    """Anything else than a packet holds nothing."""
    assert sealed_in(data) == sealed
