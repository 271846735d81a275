"""Leases: time-limited locks for machines that share nothing but an object store.

All leases of one kind are in one object, changed by compare-and-swap, so a new holder has seen all other leases. A
holder renews its lease by increasing a counter every `RENEW_S` seconds.

Clocks of different machines are never compared. A waiting process considers a lease expired when the counter has not
changed for `LEASE_S` seconds of its own monotonic clock. A holder that could not renew its lease for `GIVE_UP_S`
seconds considers it lost, and has the difference (`LEASE_S` - `GIVE_UP_S`) to stop its work.
"""

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from pydantic import TypeAdapter, ValidationError

from include.perf.adapters.files.locked_file import Changed
from include.perf.adapters.s3.shared_object import SharedObject
from include.perf.model.errors import StoreError
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.results_store import log_left_out

log = logging.getLogger(__name__)

RENEW_S = 5.0
GIVE_UP_S = 60.0
LEASE_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A lease as it is stored.

    Attributes:
        holder: a unique id of the holder.
        count: the number of renewals.
        about: what other processes need to know about it.
    """

    holder: str
    count: int = 0
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Register:
    """All leases by name."""

    leases: Mapping[str, Lease] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StoredRegister:
    """All leases by name before they are checked one by one."""

    leases: Mapping[str, Any] = field(default_factory=dict)


_LEASE: TypeAdapter[Lease] = TypeAdapter(Lease)


@dataclass(slots=True, kw_only=True)
class RenewedLease:
    """A lease that this process holds; a thread renews it.

    Attributes:
        renewed_at: when the last successful renewal started.
        is_taken: whether another process has taken the lease over.
    """

    name: str
    holder: str
    renewed_at: float
    clock: Callable[[], float]
    is_taken: bool = False

    def lost(self) -> str | None:
        """Return why the lease is or may be lost; ``None`` while it is held."""
        if self.is_taken:
            return f"the lease of {self.name} was taken over because it had not been renewed for {LEASE_S:g} s"
        if self.clock() - self.renewed_at > GIVE_UP_S:
            return f"the lease of {self.name} could not be renewed for {GIVE_UP_S:g} s"
        return None


class Leases:
    """The leases in an object.

    An instance remembers the counters that it has seen, so a waiting process must keep using the same instance.

    Args:
        clock: a monotonic clock in seconds.
    """

    def __init__(self, content: SharedObject, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._content = content
        self._clock = clock
        self._seen: dict[str, tuple[str, int, float]] = {}
        self._lock = threading.Lock()

    def running(self) -> Mapping[str, Lease] | None:
        """Return the leases that have not expired, by name; ``None`` if there never was a lease."""
        read_from, content = self._clock(), self._content.read()
        return None if content is None else self._unexpired(self._parsed(content), read_from=read_from)

    @contextmanager
    def held(self, name: str, about: str, *, admit: Callable[[Mapping[str, Lease]], None]) -> Iterator[RenewedLease]:
        """Hold a lease until the block ends.

        Args:
            admit: receives the leases of others, and raises if this lease must not be granted.

        Raises:
            StoreError: the leases cannot be read or changed.
        """
        lease = Lease(holder=uuid.uuid4().hex, about=about)
        started_at = self._clock()

        def take(content: bytes | None) -> Changed[None]:
            others = self._unexpired(self._parsed(content), read_from=started_at)
            admit(others)
            return Changed(content=_register({**others, name: lease}), result=None)

        self._content.update(take)
        held = RenewedLease(name=name, holder=lease.holder, renewed_at=started_at, clock=self._clock)
        ended = threading.Event()
        renewing = threading.Thread(target=self._renew_until, args=(held, ended), name=f"lease {name}", daemon=True)
        renewing.start()
        try:
            yield held
        finally:
            ended.set()
            renewing.join()
            self._release(held)

    def _renew_until(self, held: RenewedLease, ended: threading.Event) -> None:
        while not held.is_taken and not ended.wait(RENEW_S):
            self.renew(held)

    def renew(self, held: RenewedLease) -> None:
        """Increase the counter of a lease; a failed renewal is repeated after `RENEW_S`."""
        started_at = self._clock()

        def renewed(content: bytes | None) -> Changed[bool]:
            leases = self._parsed(content)
            own = leases.get(held.name)
            if own is None or own.holder != held.holder:
                return Changed(content=content or b"", result=False)
            increased = {**leases, held.name: replace(own, count=own.count + 1)}
            return Changed(content=_register(increased), result=True)

        try:
            held.is_taken = not self._content.update(renewed)
        except Exception as err:  # noqa: BLE001 - the thread must go on renewing, or the lease is lost
            log.warning("the lease of %s was not renewed: %s", held.name, err)
        else:
            held.renewed_at = started_at

    def _release(self, held: RenewedLease) -> None:
        """Remove a lease; if that fails, it expires after `LEASE_S`."""

        def removed(content: bytes | None) -> Changed[None]:
            leases = self._parsed(content)
            others = {name: lease for name, lease in leases.items() if lease.holder != held.holder}
            return Changed(content=_register(others), result=None)

        try:
            self._content.update(removed)
        except StoreError as err:
            log.warning("the lease of %s was not released and expires in %g s: %s", held.name, LEASE_S, err)

    def _unexpired(self, leases: Mapping[str, Lease], *, read_from: float) -> dict[str, Lease]:
        """Return the leases that have not expired.

        Args:
            read_from: when reading the leases started. A counter counts as seen only when it was read, not earlier.
        """
        with self._lock:
            now = self._clock()
            self._seen = {
                name: seen if (seen := self._seen.get(name)) and seen[:2] == state else (*state, now)
                for name, lease in leases.items()
                for state in [(lease.holder, lease.count)]
            }
            return {name: lease for name, lease in leases.items() if read_from - self._seen[name][2] < LEASE_S}

    def _parsed(self, content: bytes | None) -> Mapping[str, Lease]:
        if not content:
            return {}
        register = from_json(_StoredRegister, content, where=self._content.where)
        return {name: self._lease(name, stored) for name, stored in register.leases.items()}

    def _lease(self, name: str, stored: Any) -> Lease:
        """Return a lease; of a damaged one, whatever its holder needs to renew it, else it expires unless removed."""
        try:
            return _LEASE.validate_python(stored)
        except ValidationError:
            where = f"the lease of {name} in {self._content.where}"
            log_left_out(where, f"{where} is damaged; it counts until it expires")
        fields = stored if isinstance(stored, dict) else {}
        holder, about = fields.get("holder"), fields.get("about")
        text = json.dumps(stored, sort_keys=True)
        return Lease(
            holder=holder if isinstance(holder, str) else f"damaged {sha256(text.encode()).hexdigest()}",
            about=about if isinstance(about, str) else text,
        )


def _register(leases: Mapping[str, Lease]) -> bytes:
    return to_json(_Register(leases=leases))
