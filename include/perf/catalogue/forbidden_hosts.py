"""Hosts that never receive load, regardless of the settings of a service.

They are listed in ``forbidden_hosts`` of ``services.yaml``. In addition, the hosts of production services are forbidden
for all other services, with every port: whatever else listens there is production, too. Loopback addresses are the
exception, because on a machine of its own a demo runs both; only the port of the production service is forbidden there.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, collapse_addresses
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

from include.perf.catalogue.network import (
    PRIVATE_NETWORKS,
    Address,
    Network,
    is_within,
    literal_of,
    network_of,
    network_with,
    problem_of_host,
    same_host,
)
from include.perf.catalogue.service import Service, is_production
from include.perf.model.errors import CatalogueError, collected

FORBIDDEN_KEY = "forbidden_hosts"

_WITH_PORT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
_WANTED = (
    "must be a name, an address or a network, such as gateway.example, 10.1.0.0/16 or [fd00::7], alone or with a port "
    "as in gateway.example:8000"
)
_MAX_PORT = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class ForbiddenHost:
    """A host or network that never receives load.

    Attributes:
        rule: where it is forbidden, for messages.
        name: in the form of `include.perf.catalogue.network.same_host`; ``None`` for an address or a network.
        network: its addresses; ``None`` for a name that is not resolved yet.
        port: the only forbidden port; ``None`` for all ports.
        loopback_port: the only forbidden port if the name turns out to be a loopback address; ``None`` for `port`.
    """

    rule: str
    name: str | None = None
    network: Network | None = None
    port: int | None = None
    loopback_port: int | None = None

    def __str__(self) -> str:
        host = self.name or self._network_name
        if self.port is None:
            return host
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"

    @property
    def _network_name(self) -> str:
        return str(self.address or self.network)

    def has_port(self, port: int) -> bool:
        """Whether a port is forbidden."""
        return self.port in (None, port)

    def at_address(self, address: Address) -> "ForbiddenHost":
        """Return the forbidden host for one address of its name."""
        port = self.loopback_port if address.is_loopback and self.loopback_port is not None else self.port
        return replace(self, network=network_with(address), port=port)

    def is_named(self, host: str) -> bool:
        """Whether a host has this name."""
        return self.name is not None and self.name == same_host(host)

    @property
    def address(self) -> Address | None:
        """The forbidden address, if it is exactly one."""
        network = self.network
        return network.network_address if network is not None and network.num_addresses == 1 else None

    def holds(self, address: Address) -> bool:
        """Whether an address is forbidden. All loopback addresses are the same machine."""
        if self.network is None:
            return False
        return is_within(address, self.network) or (address.is_loopback and self.network.is_loopback)


def read_forbidden_hosts(given: Any) -> tuple[ForbiddenHost, ...]:
    """Parse the list from the YAML file.

    Raises:
        CatalogueError: with all its problems.
    """
    if given is None:
        return ()
    if not isinstance(given, list):
        raise CatalogueError(f"{FORBIDDEN_KEY} must be a list of hosts, but is {given!r}")
    hosts: list[ForbiddenHost] = []
    problems: list[str] = []
    for number, entry in enumerate(given):
        with collected(problems):
            hosts.append(_forbidden_host(entry, where=f"{FORBIDDEN_KEY}[{number}]"))
    if problems:
        raise CatalogueError(problems)
    return tuple(hosts)


def _forbidden_host(given: Any, *, where: str) -> ForbiddenHost:
    if not isinstance(given, str):
        raise CatalogueError(f"{where} {_WANTED}, but is {given!r}")
    text = given.strip().lower()
    found = _WITH_PORT.fullmatch(text)
    # Without brackets, a text with several colons is an IPv6 address or network.
    host, port = (text, None) if found is None else (found["host"], found["port"])
    if port is not None and not 1 <= int(port) <= _MAX_PORT:
        raise CatalogueError(f"{where} must have a port of 1 to {_MAX_PORT}, but is {given!r}")
    try:
        return _host_of(host, port=None if port is None else int(port), rule=f"{FORBIDDEN_KEY} in services.yaml")
    except ValueError as err:
        raise CatalogueError(f"{where} {_WANTED}, but is {given!r}: {err}") from None


def _host_of(text: str, *, port: int | None, rule: str) -> ForbiddenHost:
    """Parse a host or a network, with or without brackets.

    Raises:
        ValueError: it is neither.
    """
    plain = text[1:-1] if text.startswith("[") else text
    if literal_of(plain) is not None or "/" in plain or ":" in plain:
        return ForbiddenHost(rule=rule, network=network_of(plain), port=port)
    if problem := problem_of_host(plain):
        raise ValueError(problem)
    return ForbiddenHost(rule=rule, name=same_host(plain), port=port)


def forbidden_by_production(
    service: Service, services: Iterable[Service], *, left_out: Sequence[ForbiddenHost] = ()
) -> list[ForbiddenHost]:
    """Return the hosts of all production services with every port; none if the service itself is production.

    Args:
        left_out: the hosts of production services whose entries are wrong.
    """
    return [] if service.is_production else [*hosts_of_production(services), *left_out]


def hosts_of_production(services: Iterable[Service]) -> list[ForbiddenHost]:
    """Return the hosts of the production services among these, with every port."""
    return [
        _production_host(
            service.host,
            port=service.port,
            rule=_of_production(service.name, service.environment),
            is_only_own_port=service.forbidden_ports == "own",
        )
        for service in services
        if service.is_production
    ]


def _production_host(host: str, *, port: int | None, rule: str, is_only_own_port: bool) -> ForbiddenHost:
    """Return a forbidden host with every port; at loopback, or if the entry says so, only with its own.

    Raises:
        ValueError: it is no host.
    """
    found = _host_of(host, port=port, rule=rule)
    return found if is_only_own_port or _is_loopback(host) else replace(found, port=None, loopback_port=port)


def _is_loopback(host: str) -> bool:
    """Whether a host is a loopback address, or one of the names that RFC 6761 reserves for them."""
    plain = same_host(host)
    address = literal_of(plain)
    return f".{plain}".endswith(".localhost") if address is None else address.is_loopback


def warning_without_list(services: Iterable[Service], listed: Sequence[ForbiddenHost]) -> str | None:
    """Return a warning if ``forbidden_hosts`` is empty although load may go to a whole private network; else ``None``.

    Production is often in the same private network as what is loaded.
    """
    if listed:
        return None
    open_to = {service.name: networks for service in services if (networks := _whole_private_networks(service))}
    if not open_to:
        return None
    covered = ", ".join(map(str, dict.fromkeys(chain.from_iterable(open_to.values()))))
    return (
        f"{FORBIDDEN_KEY} is empty, while the allowed_networks of {', '.join(open_to)} cover all of {covered}; list "
        "the hosts and networks of production there, or narrow allowed_networks to those of the services"
    )


def _whole_private_networks(service: Service) -> list[Network]:
    """Return the private networks, other than loopback, that the allowed networks of a service cover together."""
    allowed: list[Network] = [
        *collapse_addresses(network for network in service.allowed_networks if isinstance(network, IPv4Network)),
        *collapse_addresses(network for network in service.allowed_networks if isinstance(network, IPv6Network)),
    ]
    return [
        private
        for private in PRIVATE_NETWORKS
        if not private.is_loopback and any(_covers(network, private) for network in allowed)
    ]


def _covers(network: Network, other: Network) -> bool:
    return is_within(other.network_address, network) and is_within(other.broadcast_address, network)


def hosts_of_unread_service(name: str, settings: Mapping[str, Any]) -> list[ForbiddenHost]:
    """Return what can be read of the hosts of a wrong entry that is, or may be, production.

    These are the host of ``base_url``, and ``allowed_hosts`` with the same port.

    Raises:
        CatalogueError: it may be production, and no host can be read.
    """
    environment = settings.get("environment", Service.model_fields["environment"].default)
    if isinstance(environment, str) and not is_production(environment):
        return []
    host, port = _host_and_port(settings.get("base_url"))
    allowed = settings.get("allowed_hosts")
    hosts: list[ForbiddenHost] = []
    for text in dict.fromkeys([host, *(allowed if isinstance(allowed, list | tuple) else [allowed])]):
        with suppress(ValueError):
            hosts.append(
                _production_host(
                    str(text or "").lower(),
                    port=port,
                    rule=_of_production(name, environment),
                    is_only_own_port=settings.get("forbidden_ports") == "own",
                )
            )
    if not hosts:
        raise CatalogueError(
            f"{name} is in environment {environment!r}, but its host cannot be read, so no load to it can be refused; "
            "correct base_url"
        )
    return hosts


def _host_and_port(base_url: object) -> tuple[str | None, int | None]:
    """Return the host and the port of an address, each ``None`` where it cannot be read."""
    try:
        parts = urlsplit(str(base_url))
        return parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None, None


def _of_production(name: str, environment: object) -> str:
    return f"the host of {name}, environment {environment}"


def problems_of_service(service: Service, never: Sequence[ForbiddenHost]) -> list[str]:
    """Return a problem for each forbidden host that is the service's own, without resolving names."""
    address = literal_of(service.host)
    return [
        f"load to {service.base_url} is refused: that is {host} ({host.rule}); correct {service.url_setting}"
        for host in never
        if any(map(host.has_port, service.ports)) and (host.holds(address) if address else host.is_named(service.host))
    ]
