"""The tokens of a service: fetched before they are needed, and renewed before they expire.

A token is renewed when two thirds of its lifetime have passed, at the latest a minute before its end. While its login
fails, it is tried again until the token has expired. Only then there is a problem: up to that moment no request was
sent without a valid token.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from include.perf.catalogue.service import Service
from include.perf.model.errors import BellwetherError, ConfigurationError

log = logging.getLogger(__name__)

MIN_LIFETIME_S = 1.0
"""A shorter token would be renewed so often that the logins are a load of their own."""

MAX_LIFETIME_S = 10_000_000.0
"""Longer than any load; a thread cannot wait for arbitrarily long."""

RENEWED_SHARE = 2 / 3
MAX_MARGIN_S = 60.0

RETRIES = 4
"""How often a login that fails is tried again, at least, while its token is still valid."""

MAX_RETRY_S = 10.0
MIN_RETRY_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it was fetched.

    Attributes:
        value: of the header that it goes into.
        lifetime_s: from the moment of the login; ``None`` if it does not expire.
    """

    value: str = field(repr=False)
    lifetime_s: float | None


class TokenIssuer(Protocol):
    """Fetches tokens."""

    def log_in(self, service: Service, number: int) -> Token:
        """Fetch a token for a service with a login.

        Args:
            number: of the token, from 0: tokens may be those of different users.

        Raises:
            TargetError: the login failed; names the request and the answer, without any secret.
            HostRefused: the host of the login must not be called.
            ConfigurationError: the secrets cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A token with the times at which it is renewed and expires."""

    value: str = field(repr=False)
    renew_at: float
    expires_at: float


class TokenPool:
    """The tokens that a load uses in turn; fetched when it is made.

    Args:
        log_in: fetches a token by its number.
        clock: in seconds, never set back.

    Attributes:
        problem: why the latest login failed; ``None`` if it did not.

    Raises:
        TargetError, HostRefused, ConfigurationError: as `TokenIssuer.log_in`.
    """

    def __init__(
        self, log_in: Callable[[int], Token], *, count: int = 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log_in = log_in
        self._clock = clock
        self.problem: str | None = None
        self._held = [self._fetched(number) for number in range(count)]
        self._retry_at = [0.0] * count

    @property
    def values(self) -> tuple[str, ...]:
        """The header values, by the number of the token."""
        return tuple(held.value for held in self._held)

    @property
    def wait_s(self) -> float | None:
        """How long until a token must be renewed; ``None`` if none ever expires."""
        next_at = min(max(held.renew_at, retry) for held, retry in zip(self._held, self._retry_at, strict=True))
        return None if next_at == float("inf") else max(0.0, next_at - self._clock())

    @property
    def has_expired(self) -> bool:
        """Whether a token has expired."""
        return min(held.expires_at for held in self._held) <= self._clock()

    def renew(self) -> bool:
        """Renew the tokens whose time has come, and return whether one is new.

        Raises:
            TargetError, HostRefused, ConfigurationError: the login failed, and the token has expired.
        """
        is_new = False
        for number, held in enumerate(self._held):
            if self._clock() < max(held.renew_at, self._retry_at[number]):
                continue
            try:
                self._held[number] = self._fetched(number)
            except BellwetherError as err:
                self.problem = str(err)
                left_s = held.expires_at - self._clock()
                if left_s <= 0:
                    raise
                log.warning("a token that expires in %.1f s could not be renewed, trying again: %s", left_s, err)
                pause_s = (held.expires_at - held.renew_at) / RETRIES
                pause_s = max(MIN_RETRY_S, min(MAX_RETRY_S, pause_s, left_s))
                self._retry_at[number] = self._clock() + pause_s
            else:
                self.problem, is_new = None, True
        return is_new

    def _fetched(self, number: int) -> _Held:
        asked_at = self._clock()
        token = self._log_in(number)
        if token.lifetime_s is None:
            return _Held(value=token.value, renew_at=float("inf"), expires_at=float("inf"))
        margin_s = min(MAX_MARGIN_S, token.lifetime_s * (1 - RENEWED_SHARE))
        expires_at = asked_at + token.lifetime_s
        return _Held(value=token.value, renew_at=expires_at - margin_s, expires_at=expires_at)


def pool_of(service: Service, issuer: TokenIssuer | None, *, count: int = 1) -> TokenPool:
    """Return new tokens of a service with a login.

    Args:
        issuer: ``None`` where no tokens can be fetched.

    Raises:
        TargetError, HostRefused, ConfigurationError: as `TokenIssuer.log_in`.
    """
    if issuer is None:
        raise ConfigurationError(f"{service.name} has a login, and no tokens can be fetched here; pass an issuer")
    return TokenPool(partial(issuer.log_in, service), count=count)


class SingleTokens:
    """The tokens of single requests, such as health checks and smoke runs: one per service, fetched when it is needed.

    Args:
        issuer: fetches them.
    """

    def __init__(self, issuer: TokenIssuer | None) -> None:
        self._issuer = issuer
        self._pools: dict[str, TokenPool] = {}

    def header(self, service: Service) -> Mapping[str, str]:
        """Return the header with a valid token; none for a service without a login.

        Raises:
            TargetError, HostRefused, ConfigurationError: as `TokenIssuer.log_in`.
        """
        if service.login is None:
            return {}
        pool = self._pools.get(service.name)
        if pool is None:
            pool = self._pools[service.name] = pool_of(service, self._issuer)
        else:
            pool.renew()
        return {service.login.header: pool.values[0]}

    def known(self, service: Service) -> tuple[str, ...]:
        """Return the token of a service, if one was fetched."""
        pool = self._pools.get(service.name)
        return () if pool is None else pool.values
