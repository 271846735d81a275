"""The address of the master of a load, as a person writes it."""

import pytest

from include.perf.load.load_plan import host_and_port


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("10.0.0.7:6000", ("10.0.0.7", 6000)),
        ("load-master", ("load-master", 5557)),
        (" load-master:5557 ", ("load-master", 5557)),
        ("[fd00::7]:6000", ("fd00::7", 6000)),
        ("[fd00::7]", ("fd00::7", 5557)),
    ],
)
def test_host_and_port(given: str, found: tuple[str, int]) -> None:
    """The default is Locust's own port."""
    assert host_and_port(given, named="X") == found


@pytest.mark.parametrize("given", ["", ":5557", "host:", "host:abc", "host:0", "host:65536"])
def test_any_other_form_is_an_error(given: str) -> None:
    """The error names the setting."""
    with pytest.raises(ValueError, match=r"BELLWETHER_LOCUST_MASTER must be host or host:port, but is"):
        host_and_port(given, named="BELLWETHER_LOCUST_MASTER")


@pytest.mark.parametrize("given", ["fd00::7", "fd00::7:5557", "::1"])
def test_an_ipv6_address_needs_brackets(given: str) -> None:
    """Without them its last part looks like a port."""
    with pytest.raises(ValueError, match=r"^X must have brackets around an IPv6 address, as in "):
        host_and_port(given, named="X")
