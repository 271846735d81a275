"""Where load may go: the name is resolved once, each address is checked, and only those are ever connected to.

So a name that means something else a second later leads nowhere else. A guard that cannot tell refuses, with one
exception: a forbidden name that the resolver knows nothing of has no address that could be protected.
"""

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

from include.perf.catalogue.forbidden_hosts import ForbiddenHost, problems_of_service
from include.perf.catalogue.network import Address, address_of, is_own, is_within, literal_of, network_of, why_no_host
from include.perf.catalogue.service import Service
from include.perf.load.wire import Resolver
from include.perf.model.errors import HostRefused, TargetError

log = logging.getLogger(__name__)

NOBODY_KNOWS = (socket.EAI_NONAME, socket.EAI_NODATA)
"""There is no such name, or no address of it. Any other error says that the resolver itself could not tell."""


def allowed_addresses(
    service: Service,
    *,
    never: Sequence[ForbiddenHost],
    resolve: Resolver,
    is_own: Callable[[Address], bool] = is_own,
) -> tuple[str, ...]:
    """Return the addresses of a service's host, in the resolver's order; load may go to each of them.

    Args:
        never: hosts that no load goes to; their names are resolved, too.
        is_own: says whether an address is this machine's, which is one machine by all of its addresses.

    Raises:
        HostRefused: load may not go to one of them, or nobody can tell.
        TargetError: the host has no address.
    """
    never = [each for each in never if each.has_port(service.port)]
    for problem in problems_of_service(service, never):
        raise HostRefused(f"{service.name} is not loaded: {problem}")
    addresses = _addresses_of(service, resolve)
    forbidden = _Forbidden([each for host in never for each in _with_addresses(host, service, resolve)], is_own)
    for address in addresses:
        if reason := _why_refused(address, service, forbidden):
            raise HostRefused(f"{service.name} is not loaded: {_found(service, address)}, {reason}")
    return tuple(map(str, addresses))


def _addresses_of(service: Service, resolve: Resolver) -> list[Address]:
    """Return every address of the host, each once."""
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
        return list(dict.fromkeys(address_of(each) for each in found))
    except ValueError as err:
        raise HostRefused(
            f"{service.name} is not loaded: its host {service.host} resolves to what is no address that load could "
            f"go to ({err}); correct the name, or base_url in services.yaml"
        ) from err


def _unknown(service: Service, what: str) -> TargetError:
    return TargetError(
        f"{service.name} is not reachable: its host {service.host} {what}; correct base_url in services.yaml, or the "
        "name"
    )


def _with_addresses(host: ForbiddenHost, service: Service, resolve: Resolver) -> list[ForbiddenHost]:
    """Return a forbidden host once for each address of its name."""
    if host.name is None:
        return [host]
    try:
        found = [network_of(str(address_of(each.partition("%")[0]))) for each in resolve(host.name, service.port)]
    except (OSError, ValueError) as err:
        if not (isinstance(err, socket.gaierror) and err.errno in NOBODY_KNOWS):
            raise _cannot_tell(host, service, err) from err
        found = []
    if not found:
        log.warning(
            "the forbidden host %s has no address, so that only its name is refused; is it the right one?", host
        )
    return [replace(host, network=network) for network in found]


def _cannot_tell(host: ForbiddenHost, service: Service, err: OSError | ValueError) -> HostRefused:
    reason = (err.strerror if isinstance(err, OSError) else None) or err
    return HostRefused(
        f"{service.name} is not loaded: {host} ({host.rule}) cannot be resolved ({reason}), so that nobody can tell "
        f"whether {service.host} is the same machine; try again when the resolver answers, or list its addresses in "
        "forbidden_hosts"
    )


class _Forbidden:
    """All forbidden hosts, once their names are resolved."""

    def __init__(self, hosts: Sequence[ForbiddenHost], is_own: Callable[[Address], bool]) -> None:
        self._hosts = hosts
        self._is_own = is_own
        self._own = [each for each in hosts if each.address is not None and is_own(each.address)]

    def at(self, address: Address) -> ForbiddenHost | None:
        """Return the one that an address reaches, if there is one."""
        found = next((each for each in self._hosts if each.holds(address)), None)
        if found is None and self._own and self._is_own(address):
            return self._own[0]
        return found


def _why_refused(address: Address, service: Service, forbidden: _Forbidden) -> str | None:
    if what := why_no_host(address):
        return f"which is {what}; load goes to one machine's own address, correct base_url or the name"
    if host := forbidden.at(address):
        return f"and that is {host} ({host.rule}); correct base_url or the name"
    if not any(is_within(address, network) for network in service.allowed_networks):
        networks = ", ".join(map(str, service.allowed_networks))
        return f"which is in none of its allowed_networks ({networks}); add it there if load may go to it"
    return None


def _found(service: Service, address: Address) -> str:
    return f"its host is {address}" if literal_of(service.host) else f"its host {service.host} resolves to {address}"
