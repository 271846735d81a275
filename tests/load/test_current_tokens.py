"""The tokens of a running load: requests take the current one when they are sent."""

from include.load.tokens import PLACE, CurrentTokens

WIRE = f"GET /a HTTP/1.1\r\nAuthorization: {PLACE}\r\n\r\n".encode()


def test_requests_take_the_tokens_in_turn_and_new_ones_at_once() -> None:
    tokens = CurrentTokens()
    tokens.renew(["Bearer a", "Bearer b"])
    sent = [tokens.put_into(WIRE, number).split(b"\r\n")[1] for number in range(3)]
    assert sent == [b"Authorization: Bearer a", b"Authorization: Bearer b", b"Authorization: Bearer a"]
    tokens.renew(["Bearer c"])
    assert tokens.put_into(WIRE, 1) == b"GET /a HTTP/1.1\r\nAuthorization: Bearer c\r\n\r\n"


def test_the_tokens_before_count_as_in_use() -> None:
    """A request in flight may still have one of them."""
    tokens = CurrentTokens()
    for values in (["a"], ["b"], ["c", "d"]):
        tokens.renew(values)
    assert tokens.in_use == ("c", "d", "b")


def test_a_body_stays_as_it_is() -> None:
    """It may have the byte that stands for the token."""
    tokens = CurrentTokens()
    tokens.renew(["t"])
    wire = f"GET / HTTP/1.1\r\nX-Token: {PLACE}\r\n\r\n{PLACE}".encode()
    assert tokens.put_into(wire, 7) == b"GET / HTTP/1.1\r\nX-Token: t\r\n\r\n\x00"
