"""The prepared requests of journeys: all steps of one journey have the same rows."""

from pathlib import Path
from typing import Any

import pytest

from include.perf.catalogue.service import Service
from include.perf.load.examples import ExampleMoment, example_requests
from include.perf.load.feed import Feed, read_feed
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.staging import build_feed
from include.perf.model.errors import DataError
from tests.fakes.small_catalogue import small_scenario, small_service, write_csv

ACCOUNTS = 50
MARKET = {"instrument": "$instrument", "close": "$close"}
STEPS: list[dict[str, Any]] = [
    {"name": "quote", "method": "GET", "path": "/quotes/${accounts.id}", "query": MARKET},
    {"name": "place", "method": "GET", "path": "/orders/${accounts.id}", "query": MARKET},
]
OTHER: dict[str, Any] = {"name": "other", "method": "GET", "path": "/other/${accounts.id}", "query": MARKET}


def service_with(folder: Path, rows: str, *, count: int = ACCOUNTS, **journey: Any) -> Service:
    path = folder / "accounts.csv"
    path.write_text("id\n" + "".join(f"a{number}\n" for number in range(count)), encoding="utf-8")
    life = {"name": "life", "steps": STEPS} | journey
    return small_service(endpoints=[OTHER, life], data_files={"accounts": {"file": path, "rows": rows}})


def feed_of(folder: Path, service: Service) -> Feed:
    return build_feed(write_csv(folder / "brief.csv"), service, small_scenario().load)


def accounts_of(feed: Feed, endpoint: int, *, worker: int = 0) -> list[bytes]:
    """Return the account of the first 40 requests of an endpoint."""
    known = feed.endpoints[endpoint]
    draw = Draw(seed=7, worker=worker, endpoint=endpoint, journey=known.journey)
    values = SlotValues(known.slots, feed.rows_of(known), draw)
    return [values.at(ExampleMoment(3 * number, number))[0] for number in range(40)]


def test_the_steps_of_a_journey_have_the_same_row_of_the_market_data(tmp_path: Path) -> None:
    """So they name the same instrument and price."""
    feed = feed_of(tmp_path, service_with(tmp_path, "sequential"))
    assert [(endpoint.name, endpoint.journey) for endpoint in feed.endpoints] == [
        ("other", ""),
        ("life/quote", "life"),
        ("life/place", "life"),
    ]
    _, quote, place = [[request.target.partition("?")[2] for request in of_kind] for of_kind in feed.requests]
    assert quote == place
    assert len(set(quote)) > 1


@pytest.mark.parametrize("rows", ["sequential", "random", "unique"])
def test_the_steps_of_a_journey_have_the_same_row_of_a_data_file(tmp_path: Path, rows: str) -> None:
    """Whatever the order of the rows; random rows do not depend on the worker either."""
    feed = feed_of(tmp_path, service_with(tmp_path, rows, count=600))
    assert accounts_of(feed, 1) == accounts_of(feed, 2)
    assert len(set(accounts_of(feed, 1))) > 30
    if rows == "random":
        assert accounts_of(feed, 1) == accounts_of(feed, 1, worker=1)


def test_a_journey_takes_one_row_that_is_used_once(tmp_path: Path) -> None:
    """600 arrivals, half of them journeys of two steps, need 600 rows."""
    feed = feed_of(tmp_path, service_with(tmp_path, "unique", count=600))
    assert [endpoint.files["accounts"].first for endpoint in feed.endpoints] == [0, 300, 300]
    with pytest.raises(DataError, match=r"600 requests \(other 300, life 300\), but has 599"):
        feed_of(tmp_path, service_with(tmp_path, "unique", count=599))


def test_a_journey_has_data_files_of_its_own(tmp_path: Path) -> None:
    """For all its steps."""
    own = tmp_path / "own.csv"
    own.write_text("id\nown\n", encoding="utf-8")
    service = service_with(tmp_path, "sequential", data_files={"accounts": {"file": own}})
    feed = feed_of(tmp_path, service)
    (quote,) = example_requests(feed, 1, [0])
    (other,) = example_requests(feed, 0, [0])
    assert quote.target.startswith("/quotes/own?")
    assert other.target.startswith("/other/a0?")


def test_a_feed_file_keeps_the_journeys(tmp_path: Path) -> None:
    """A load process groups the steps by them."""
    feed = feed_of(tmp_path, service_with(tmp_path, "sequential"))
    feed.write(tmp_path / "feed.jsonl")
    assert read_feed(tmp_path / "feed.jsonl").endpoints == feed.endpoints
