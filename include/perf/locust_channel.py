"""What both ends of Locust's channel must know: the master beside a task, and the workers elsewhere."""

KEY_VARIABLE = "BELLWETHER_LOCUST_KEY"
DEFAULT_PORT = 5557
"""Locust's own."""

LEAST_KEY = 16
"""Characters of a key that nobody guesses."""


def host_and_port(given: str, *, named: str) -> tuple[str, int]:
    """Return host and port of ``host``, ``host:port`` or ``[address]:port``.

    Raises:
        ValueError: it is none of these; ``named`` says where it stands.
    """
    host, colon, port = given.strip().rpartition(":")
    if not colon or port.endswith("]"):
        host, port = given.strip(), str(DEFAULT_PORT)
    if ":" in host and not (host.startswith("[") and host.endswith("]")):
        raise ValueError(f"{named} must have brackets around an IPv6 address, as in [fd00::7]:5557, but is {given!r}")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{named} must be host or host:port, but is {given!r}")
    return host, int(port)
