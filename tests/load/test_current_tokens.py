"""The tokens of a running load: requests take the current one when they are due."""

from include.load.schedule import Due
from include.load.tokens import PLACE, CurrentTokens, TokenRequests
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import Slot, SlotRequests, marker

WIRE = f"GET /a HTTP/1.1\r\nAuthorization: {PLACE}\r\n\r\n".encode()


def due(number: int) -> Due:
    return Due(due_s=0.1, endpoint=0, ordinal=number, is_measured=True, number=number)


def test_requests_take_the_tokens_in_turn_and_new_ones_at_once() -> None:
    tokens = CurrentTokens()
    requests = TokenRequests([WIRE], None, tokens)
    requests.start(0.0)
    tokens.renew(["Bearer a", "Bearer b"])
    sent = [requests.wire(0, due(number)).split(b"\r\n")[1] for number in range(3)]
    assert sent == [b"Authorization: Bearer a", b"Authorization: Bearer b", b"Authorization: Bearer a"]
    tokens.renew(["Bearer c"])
    assert requests.wire(0, due(1)) == b"GET /a HTTP/1.1\r\nAuthorization: Bearer c\r\n\r\n"


def test_the_tokens_before_count_as_in_use() -> None:
    """A request in flight may still have one of them."""
    tokens = CurrentTokens()
    for values in (["a"], ["b"], ["c", "d"]):
        tokens.renew(values)
    assert tokens.in_use == ("c", "d", "b")


def test_other_slots_are_filled_too_and_a_body_stays_as_it_is() -> None:
    """A body may have the byte that stands for the token."""
    wire = f"GET /{marker(0)} HTTP/1.1\r\nX-Token: {PLACE}\r\n\r\n{PLACE}".encode()
    slots = SlotRequests([wire], SlotValues([Slot("sequence", (), "path")], {}, Draw()))
    tokens = CurrentTokens()
    tokens.renew(["t"])
    requests = TokenRequests([wire], slots, tokens)
    requests.start(1.0)
    assert requests.wire(0, due(7)) == b"GET /1000007 HTTP/1.1\r\nX-Token: t\r\n\r\n\x00"
