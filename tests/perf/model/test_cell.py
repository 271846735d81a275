"""The names of cells and runs."""

import pytest

from include.perf.model.cell import CellName, RunAddress
from include.perf.model.errors import StoreError

ADDRESS = RunAddress(service="trading-gateway-service", scenario="market_open", run_id="20260105T070000Z-abc123")
PATH = "trading-gateway-service/market_open/20260105T070000Z-abc123"


@pytest.mark.parametrize("uri", [f"file:///results/{PATH}", f"s3://bucket/prefix/{PATH}", f"file:///results/{PATH}/"])
def test_an_address_is_the_last_three_parts_of_a_uri(uri: str) -> None:
    """The kind of store does not matter, nor does a slash at the end."""
    assert RunAddress.from_uri(uri) == ADDRESS


def test_an_address_has_a_cell_and_a_path() -> None:
    """Both without the root of the store."""
    assert ADDRESS.cell == CellName("trading-gateway-service", "market_open")
    assert ADDRESS.path == PATH


@pytest.mark.parametrize("root", ["file:///results", "s3://bucket/prefix/"])
def test_a_uri_is_made_below_a_root(root: str) -> None:
    """The URI leads back to the same address."""
    uri = ADDRESS.uri_below(root)
    assert uri == f"{root.rstrip('/')}/{PATH}"
    assert RunAddress.from_uri(uri) == ADDRESS


@pytest.mark.parametrize("run_id", ["manual 1+2", "100%", "ü"])
def test_names_are_encoded_in_a_uri(run_id: str) -> None:
    """Names with other characters survive the way to a URI and back."""
    address = RunAddress(service="orders", scenario="calm", run_id=run_id)
    uri = address.uri_below("file:///results")
    assert uri.isascii()
    assert " " not in uri
    assert RunAddress.from_uri(uri) == address


def test_a_name_that_is_not_utf_8_has_a_uri() -> None:
    """A folder may have any name; its bytes are encoded."""
    address = RunAddress(service="orders", scenario="calm", run_id="\udcff")
    assert address.uri_below("file:///results") == "file:///results/orders/calm/%FF"


@pytest.mark.parametrize("uri", ["", "orders", "calm/1", "file:///1", "file:///calm/1", "file:///results//1"])
def test_a_uri_that_is_too_short_is_refused(uri: str) -> None:
    """The message names the expected form."""
    with pytest.raises(StoreError, match="must end with <service>/<scenario>/<run id>"):
        RunAddress.from_uri(uri)
