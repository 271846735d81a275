"""Tokens are renewed before they expire; a login that fails is tried again until there is no valid token."""

import threading
from collections.abc import Sequence

import pytest

from include.perf.load.token_renewal import TokenRenewal, TokenWatch
from include.perf.load.tokens import SingleTokens, Token, TokenPool
from include.perf.model.errors import ConfigurationError, TargetError
from tests.fakes.small_catalogue import small_service


class Logins:
    """Fetches tokens on a clock that only moves when a test says so.

    Attributes:
        now: the time of the clock.
        fails: whether a login fails now.
        count: how many logins there were.
    """

    def __init__(self, lifetime_s: float | None) -> None:
        self.now = 100.0
        self.fails = False
        self.count = 0
        self._lifetime_s = lifetime_s

    def clock(self) -> float:
        return self.now

    def log_in(self, number: int) -> Token:
        self.count += 1
        if self.fails:
            raise TargetError("the login failed")
        return Token(value=f"Bearer {number}-{self.count}", lifetime_s=self._lifetime_s)

    def pool(self, count: int = 1) -> TokenPool:
        return TokenPool(self.log_in, count=count, clock=self.clock)


@pytest.mark.parametrize(
    ("lifetime_s", "renewed_after_s"),
    [(1.2, 0.8), (30, 20), (180, 120), (300, 240), (3600, 3540)],  # a third before the end, but at most a minute
)
def test_a_token_is_renewed_in_time(lifetime_s: float, renewed_after_s: float) -> None:
    logins = Logins(lifetime_s)
    pool = logins.pool()
    assert pool.wait_s == pytest.approx(renewed_after_s)
    logins.now += renewed_after_s - 0.01
    assert not pool.renew()
    logins.now += 0.02
    assert pool.wait_s == 0
    assert pool.renew()
    assert (pool.values, logins.count) == (("Bearer 0-2",), 2)


def test_a_token_without_a_lifetime_is_never_renewed() -> None:
    pool = Logins(None).pool()
    assert pool.wait_s is None
    assert not pool.renew()


def test_only_the_tokens_that_are_due_are_renewed() -> None:
    logins = Logins(30)
    pool = logins.pool(3)
    assert pool.values == ("Bearer 0-1", "Bearer 1-2", "Bearer 2-3")
    logins.now += 20.5
    assert pool.renew()
    assert pool.values == ("Bearer 0-4", "Bearer 1-5", "Bearer 2-6")
    assert not pool.renew()


def test_a_login_that_fails_is_tried_again_while_the_token_is_valid() -> None:
    """A lifetime of 30 s: due after 20 s, and tried again every 2.5 s, at the latest when it expires."""
    logins = Logins(30)
    pool = logins.pool()
    logins.fails = True
    logins.now = 120.1
    while logins.now < 130:
        assert not pool.renew()
        assert pool.values == ("Bearer 0-1",)
        wait_s = pool.wait_s
        assert wait_s is not None
        assert 0 < wait_s <= 2.5
        logins.now += wait_s
    assert logins.count == 1 + 4
    with pytest.raises(TargetError, match="the login failed"):
        pool.renew()


def test_a_login_that_works_again_in_time_is_no_problem() -> None:
    logins = Logins(30)
    pool = logins.pool()
    logins.fails, logins.now = True, 121.0
    assert not pool.renew()
    logins.fails, logins.now = False, 125.0
    assert pool.renew()
    assert pool.values == ("Bearer 0-3",)


def test_a_first_login_that_fails_is_an_error() -> None:
    logins = Logins(30)
    logins.fails = True
    with pytest.raises(TargetError):
        logins.pool()


class Published:
    """Receives tokens, and wakes a test."""

    def __init__(self) -> None:
        self.values: list[Sequence[str]] = []
        self.arrived = threading.Condition()

    def __call__(self, values: Sequence[str]) -> None:
        with self.arrived:
            self.values.append(values)
            self.arrived.notify_all()

    def await_count(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.values) >= count, timeout=30)


def test_tokens_are_published_at_once_and_whenever_one_is_new() -> None:
    published = Published()
    lives = iter([1.0, 1.0])
    renewal = TokenRenewal(TokenPool(lambda _: Token(value="Bearer x", lifetime_s=next(lives, None))), published)
    with renewal.running():
        assert published.values == [("Bearer x",)]
        published.await_count(3)
        assert renewal.problem() is None


def test_an_expired_token_is_a_reason_to_stop() -> None:
    """The reason of the load's own watch comes after it."""
    logins = Logins(1.0)
    pool = TokenPool(logins.log_in)
    logins.fails = True
    renewal = TokenRenewal(pool, Published())
    stopped = threading.Event()

    class Watch:
        def take_in(self, progress: object) -> None:
            raise AssertionError(progress)

        def reason_to_stop(self) -> str | None:
            return None

    watch = TokenWatch(Watch(), renewal.problem)
    with renewal.running():
        while watch.reason_to_stop() is None:
            assert not stopped.wait(0.02)
    assert watch.reason_to_stop() == "a token has expired and could not be renewed: the login failed"


def test_a_login_without_an_answer_ends_the_load_when_the_token_expires() -> None:
    """The login may take longer than the rest of the lifetime; the end of the load does not wait for it."""
    is_asked, may_answer = threading.Event(), threading.Event()
    logins = Logins(1.0)

    def log_in(number: int) -> Token:
        if logins.count:
            is_asked.set()
            may_answer.wait(30)
        return logins.log_in(number)

    published = Published()
    renewal = TokenRenewal(TokenPool(log_in), published)
    stopped = threading.Event()
    with renewal.running():
        assert is_asked.wait(30)
        while (problem := renewal.problem()) is None:
            assert not stopped.wait(0.02)
    may_answer.set()
    assert problem == "a token has expired and could not be renewed: its login still waits for an answer"
    assert len(published.values) == 1


def test_an_unexpected_error_ends_the_load_without_its_text() -> None:
    """It may contain a secret."""
    tokens = iter([Token(value="Bearer x", lifetime_s=1.0)])

    def log_in(_: int) -> Token:
        for token in tokens:
            return token
        raise ValueError("s3cret")

    renewal = TokenRenewal(TokenPool(log_in), Published())
    stopped = threading.Event()
    with renewal.running():
        while renewal.problem() is None:
            assert not stopped.wait(0.02)
    assert renewal.problem() == "the tokens could not be renewed because of an unexpected ValueError"


def test_single_requests_share_a_token_until_it_is_due() -> None:
    service = small_service(connection="orders_api", login={"url": "/login", "header": "X-Auth-Token", "scheme": ""})
    logins = Logins(30)

    class Issuer:
        def log_in(self, _: object, number: int) -> Token:
            return logins.log_in(number)

    tokens = SingleTokens(Issuer())
    assert tokens.known(service) == ()
    assert tokens.header(service) == tokens.header(service) == {"X-Auth-Token": "Bearer 0-1"}
    assert tokens.known(service) == ("Bearer 0-1",)
    assert tokens.header(small_service()) == {}
    assert logins.count == 1
    with pytest.raises(ConfigurationError, match="no tokens can be fetched here"):
        SingleTokens(None).header(service)


def test_a_token_is_not_printed() -> None:
    assert "s3cret" not in repr(Token(value="Bearer s3cret", lifetime_s=3.0))
