"""Fault injection: makes a service slow, failing, wasteful or unresponsive for some time.

A fault ends after `for_s` seconds, with or without requests. Its parts combine. For a request, they apply in this
order: latency, stall, CPU time, error.
"""

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

_CHUNK_BYTES = 16 * 1024 * 1024
_PAGE_BYTES = 4096
_SEED = 20_240_603


class PlatformFault(BaseModel):
    """A fault; a value of 0 switches a part off.

    Unknown fields are refused: a misspelt fault without effect would look like a healthy service.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    latency_s: Annotated[float, Field(ge=0, le=30, description="Added to each request")] = 0.0
    latency_spread_s: Annotated[
        float, Field(ge=0, le=30, description="Uniform within latency_s ± this; at most latency_s")
    ] = 0.0
    error_ratio: Annotated[float, Field(ge=0, le=1, description="Share of 503 responses, evenly spread")] = 0.0
    cpu_s: Annotated[float, Field(ge=0, le=1, description="CPU time burned per request")] = 0.0
    memory_bytes: Annotated[int, Field(ge=0, le=2 * 1024**3, description="Resident memory held")] = 0
    stall_s: Annotated[float, Field(ge=0, le=120, description="One stall: no API response for this long")] = 0.0
    for_s: Annotated[float, Field(gt=0, le=7200, description="Duration of the fault")] = 600.0

    @model_validator(mode="after")
    def _check_spread(self) -> Self:
        if self.latency_spread_s > self.latency_s:
            raise ValueError(
                f"latency_spread_s must be at most latency_s ({self.latency_s}), but is {self.latency_spread_s}"
            )
        return self


class FaultStatus(BaseModel):
    """The active fault and its remaining time.

    Attributes:
        active: whether there is a fault.
        fault: the fault, None without one.
        remaining_s: until the fault ends.
        stall_remaining_s: until the stall ends.
        held_bytes: memory that the fault holds.
        requests: API requests since the fault was set.
        errors: those of them that got status 503.
    """

    active: bool
    fault: PlatformFault | None
    remaining_s: float
    stall_remaining_s: float
    held_bytes: int
    requests: int
    errors: int


class PlatformFaults:
    """Holds the active fault and applies it.

    Args:
        clock: monotonic seconds.
        cpu_clock: seconds of CPU time used by this thread.
        sleep: waits for seconds.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        cpu_clock: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self._sleep = sleep
        self._timer: asyncio.TimerHandle | None = None
        self._reset()

    def _reset(self) -> None:
        self._fault: PlatformFault | None = None
        self._ends_at_s = 0.0
        self._stalled_until_s = 0.0
        self._released = asyncio.Event()
        self._ballast: list[bytearray] = []
        self._random = random.Random(_SEED)
        self._requests = 0
        self._errors = 0

    async def set(self, fault: PlatformFault) -> None:
        """Replace the active fault; the new one starts now."""
        self.clear()
        now_s = self._clock()
        self._fault = fault
        self._ends_at_s = now_s + fault.for_s
        self._stalled_until_s = now_s + min(fault.stall_s, fault.for_s)
        self._timer = asyncio.get_running_loop().call_later(fault.for_s, self._expire)
        await self._hold(fault)

    def clear(self) -> None:
        """End the fault: release its memory and the requests that wait for its stall."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._released.set()
        self._reset()

    def status(self) -> FaultStatus:
        """Return the active fault and its counters."""
        fault, now_s = self._current(), self._clock()
        return FaultStatus(
            active=fault is not None,
            fault=fault,
            remaining_s=max(0.0, self._ends_at_s - now_s) if fault else 0.0,
            stall_remaining_s=max(0.0, self._stalled_until_s - now_s),
            held_bytes=sum(len(chunk) for chunk in self._ballast),
            requests=self._requests,
            errors=self._errors,
        )

    async def strike(self) -> bool:
        """Apply the active fault to one request; True when it is to be answered with an error."""
        fault = self._current()
        if fault is None:
            return False
        fails = self._is_next_failing(fault)
        if fault.latency_s:
            spread = fault.latency_spread_s
            await self._sleep(fault.latency_s + self._random.uniform(-spread, spread))
        await self._wait_out_stall()
        burn(fault.cpu_s, cpu_clock=self._cpu_clock)
        return fails

    def _current(self) -> PlatformFault | None:
        if self._fault is not None and self._clock() >= self._ends_at_s:
            self.clear()
        return self._fault

    def _expire(self) -> None:
        # The loop's timer may come a little early by our clock; it is due all the same.
        self.clear()

    def _is_next_failing(self, fault: PlatformFault) -> bool:
        """Spread errors evenly: after n requests round(ratio · n) have failed."""
        self._requests += 1
        due = math.floor(fault.error_ratio * self._requests + 0.5)
        fails = due > self._errors
        self._errors += fails
        return fails

    async def _wait_out_stall(self) -> None:
        while (left_s := self._stalled_until_s - self._clock()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._released.wait()
            except TimeoutError:
                continue

    async def _hold(self, fault: PlatformFault) -> None:
        """Allocate and touch memory in pieces, so that requests are served in between."""
        ballast: list[bytearray] = []
        for start in range(0, fault.memory_bytes, _CHUNK_BYTES):
            chunk = bytearray(min(_CHUNK_BYTES, fault.memory_bytes - start))
            chunk[::_PAGE_BYTES] = b"\x01" * len(range(0, len(chunk), _PAGE_BYTES))
            ballast.append(chunk)
            await asyncio.sleep(0)
        # Another request may have replaced or ended this fault meanwhile.
        if self._fault is fault:
            self._ballast = ballast


def burn(cpu_s: float, *, cpu_clock: Callable[[], float] = time.thread_time) -> None:
    """Keep this thread's CPU busy until it has used `cpu_s` seconds more."""
    until_s = cpu_clock() + cpu_s
    while cpu_s > 0 and cpu_clock() < until_s:
        sum(range(200))
