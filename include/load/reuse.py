"""For how long a connection is used, and what all connections of a load process did."""

import math
import random
from collections import Counter
from dataclasses import dataclass, field

EARLY_S = 1.0
"""How long before the server does so an idle connection is closed; half of the server's time if that is shorter."""

AGE_SPREAD = 0.1
"""Part of the maximum age by which connections differ, so that they are not all replaced at once."""


@dataclass(slots=True)
class ConnectionUse:
    """What all connections of a load process did.

    Attributes:
        resent: requests that were sent again, because the server had closed an idle connection.
        requests: by address, the requests that were sent to it.
    """

    resent: int = 0
    requests: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReuseLimits:
    """When a connection is replaced; ``None`` for never.

    Attributes:
        max_requests: after how many requests.
        max_age_s: how long after it was opened.
        idle_timeout_s: after how long without a request, also if the server names no limit.
    """

    max_requests: int | None = None
    max_age_s: float | None = None
    idle_timeout_s: float | None = None


class Lifetime:
    """The life of one connection; times are on the clock of ``time.perf_counter``."""

    def __init__(self, limits: ReuseLimits, *, opened: float) -> None:
        self._limits = limits
        self._requests = 0
        age_s = limits.max_age_s
        self._ends_at = math.inf if age_s is None else opened + age_s * random.uniform(1 - AGE_SPREAD, 1)
        self._idle_until = math.inf

    def is_over(self, now: float) -> bool:
        """Whether the connection has become too old, or was idle for too long."""
        return now >= self._idle_until or now >= self._ends_at

    def is_last(self, answered: float, *, server_idle_s: float | None) -> bool:
        """Count an answer; return whether it was the last one of the connection.

        Args:
            answered: when it arrived.
            server_idle_s: after how many idle seconds the server closes the connection, if it says so.
        """
        self._requests += 1
        own = self._limits.idle_timeout_s
        if server_idle_s is not None or own is not None:
            self._idle_until = answered + _shorter(server_idle_s, own)
        return self._requests == self._limits.max_requests


def _shorter(of_server: float | None, own: float | None) -> float:
    limit = math.inf if own is None else own
    return limit if of_server is None else min(limit, max(of_server - EARLY_S, of_server / 2))
