"""Checks where load may go: a name is resolved once, and load connects only to the addresses that were checked.

A later change of the name therefore does not redirect the load. The names of forbidden hosts are resolved again during
the load: one of them may move to an address of the load. A check without a clear answer refuses the load, with one
exception: a forbidden name that does not exist has no address to protect.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from include.perf.catalogue.forbidden_hosts import ForbiddenHost, problems_of_service
from include.perf.catalogue.network import Address, address_of, is_own, is_within, literal_of, why_no_host
from include.perf.catalogue.service import Service
from include.perf.load.wire import Resolver
from include.perf.model.errors import HostRefused, TargetError

log = logging.getLogger(__name__)

NO_ADDRESS = (socket.EAI_NONAME, socket.EAI_NODATA)
"""The name does not exist, or has no address. With any other error the addresses are unknown."""


def allowed_addresses(
    service: Service,
    *,
    never: Sequence[ForbiddenHost],
    resolve: Resolver,
    is_own: Callable[[Address], bool] = is_own,
) -> tuple[str, ...]:
    """Return the addresses of a service's host, in the resolver's order; load to all of them is allowed.

    Args:
        never: forbidden hosts; their names are resolved, too.
        is_own: whether an address belongs to this machine. If one of them is forbidden, all are.

    Raises:
        HostRefused: load to one of them is not allowed, or may not be.
        TargetError: the host has no address.
    """
    never = [host for host in never if any(map(host.has_port, service.ports))]
    for problem in problems_of_service(service, never):
        raise HostRefused(f"{_refused(service)}: {problem}")
    addresses = _addresses_of(service, resolve)
    known = _all_resolved(never, service, resolve)
    for host in known.without_address:
        log.warning("the forbidden host %s has no address, so only its name is refused; check the name", host)
    forbidden = _Forbidden(known.hosts, is_own)
    for address in addresses:
        if reason := _why_refused(address, service, forbidden):
            raise HostRefused(f"{_refused(service)}: {_found(service, address)}, {reason}")
    return tuple(map(str, addresses))


def why_forbidden_now(
    service: Service,
    addresses: Sequence[str],
    *,
    never: Sequence[ForbiddenHost],
    resolve: Resolver,
    is_own: Callable[[Address], bool] = is_own,
) -> str | None:
    """Return why load on a service must end: a forbidden host now has one of its load's addresses; else ``None``.

    Args:
        addresses: those that the load goes to; the name of the service itself is not resolved again.
        never: forbidden hosts; their names are resolved again.

    Raises:
        HostRefused: a forbidden name cannot be resolved.
    """
    never = [host for host in never if any(map(host.has_port, service.ports))]
    known = _all_resolved(never, service, resolve)
    forbidden = _Forbidden(known.hosts, is_own)
    for text in addresses:
        if host := forbidden.at(address_of(text)):
            return f"its load goes to {text}, and that is now {host} ({host.rule})"
    return None


def _addresses_of(service: Service, resolve: Resolver) -> list[Address]:
    """Return the addresses of the host without duplicates."""
    literal = literal_of(service.host)
    if literal is not None:
        return [literal]
    try:
        found = resolve(service.host, service.port)
    except OSError as err:
        raise _unknown(service, f"cannot be resolved ({err.strerror or err})") from err
    if not found:
        raise _unknown(service, "has no address")
    try:
        return list(dict.fromkeys(address_of(text) for text in found))
    except ValueError as err:
        raise HostRefused(
            f"{_refused(service)}: its host {service.host} resolves to an address that cannot be used ({err}); correct "
            f"the name, or {service.url_setting} in services.yaml"
        ) from err


def _unknown(service: Service, what: str) -> TargetError:
    return TargetError(
        f"{service.name} is not reachable: its host {service.host} {what}; correct {service.url_setting} in "
        "services.yaml, or the name"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """Forbidden hosts, one for each address or network, and those whose names have no address."""

    hosts: Sequence[ForbiddenHost]
    without_address: Sequence[ForbiddenHost]


def _all_resolved(never: Sequence[ForbiddenHost], service: Service, resolve: Resolver) -> _Known:
    hosts: list[ForbiddenHost] = []
    without_address: list[ForbiddenHost] = []
    for host in never:
        resolved = _resolved(host, service, resolve)
        hosts += [one for one in resolved if any(map(one.has_port, service.ports))]
        if not resolved:
            without_address.append(host)
    return _Known(hosts=hosts, without_address=without_address)


def _resolved(host: ForbiddenHost, service: Service, resolve: Resolver) -> list[ForbiddenHost]:
    """Return a copy of a forbidden host for each address of its name."""
    if host.name is None:
        return [host]
    try:
        found = [address_of(text.partition("%")[0]) for text in resolve(host.name, service.port)]
    except (OSError, ValueError) as err:
        if not (isinstance(err, socket.gaierror) and err.errno in NO_ADDRESS):
            raise _unresolved(host, service, err) from err
        found = []
    return [host.at_address(address) for address in found]


def _unresolved(host: ForbiddenHost, service: Service, err: OSError | ValueError) -> HostRefused:
    reason = (err.strerror if isinstance(err, OSError) else None) or err
    return HostRefused(
        f"{_refused(service)}: {host} ({host.rule}) cannot be resolved ({reason}), so it is unknown whether "
        f"{service.host} is the same machine; try again when the resolver works, or list its addresses in "
        "forbidden_hosts"
    )


class _Forbidden:
    """The forbidden hosts with their addresses."""

    def __init__(self, hosts: Sequence[ForbiddenHost], is_own: Callable[[Address], bool]) -> None:
        self._hosts = hosts
        self._is_own = is_own
        self._own = [host for host in hosts if host.address is not None and is_own(host.address)]

    def at(self, address: Address) -> ForbiddenHost | None:
        """Return the forbidden host that an address belongs to, or ``None``."""
        found = next((host for host in self._hosts if host.holds(address)), None)
        if found is None and self._own and self._is_own(address):
            return self._own[0]
        return found


def _why_refused(address: Address, service: Service, forbidden: _Forbidden) -> str | None:
    if what := why_no_host(address):
        return f"which is {what}, not the address of one machine; correct {service.url_setting} or the name"
    if host := forbidden.at(address):
        return f"and that is {host} ({host.rule}); correct {service.url_setting} or the name"
    if not any(is_within(address, network) for network in service.allowed_networks):
        networks = ", ".join(map(str, service.allowed_networks))
        return f"which is in none of its allowed_networks ({networks}); add it there if load may go to it"
    return None


def _refused(service: Service) -> str:
    return f"load on {service.name} is refused"


def _found(service: Service, address: Address) -> str:
    return f"its host is {address}" if literal_of(service.host) else f"its host {service.host} resolves to {address}"
