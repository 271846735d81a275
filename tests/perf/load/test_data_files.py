"""Data files of a service: which rows and columns are used, and what is refused."""

import os
from pathlib import Path
from typing import Any

import pytest

from include.perf.catalogue.service import Service
from include.perf.load.data_files import data_files_fingerprint
from include.perf.load.feed import Feed, FileUse, read_feed
from include.perf.load.staging import build_feed
from include.perf.model.errors import DataError
from tests.fakes.small_catalogue import small_scenario, small_service, write_csv

LOAD = small_scenario(load={"rate_rps": 40, "duration_s": 10, "warmup_s": 5}).load
"""600 arrivals: 450 of orders, 150 of positions."""

ORDERS = {"name": "orders", "method": "POST", "path": "/accounts/${accounts.id}/orders", "weight": 3}
POSITIONS = {"name": "positions", "method": "GET", "path": "/positions", "query": {"id": "${accounts.id}"}}


def service(path: Path, *endpoints: dict[str, Any], rows: str = "sequential") -> Service:
    return small_service(
        data_files={"accounts": {"file": str(path), "rows": rows}}, endpoints=list(endpoints or (ORDERS, POSITIONS))
    )


def accounts(folder: Path, text: str = "", *, rows: int = 3) -> Path:
    path = folder / "accounts.csv"
    path.write_text(text or "id,limit\n" + "".join(f"A{n},{n}00\n" for n in range(rows)), encoding="utf-8")
    return path


def feed_of(folder: Path, made: Service) -> Feed:
    data = folder / "brief.csv"
    write_csv(data)
    return build_feed(data, made, LOAD)


def test_only_the_named_columns_are_in_the_feed(tmp_path: Path) -> None:
    """And they survive the feed file."""
    feed = feed_of(tmp_path, service(accounts(tmp_path)))
    assert feed.columns == {"accounts": {"id": ["A0", "A1", "A2"]}}
    assert feed.endpoints[0].files == {"accounts": FileUse(key="accounts", order="sequential")}
    feed.write(tmp_path / "feed.jsonl")
    assert read_feed(tmp_path / "feed.jsonl") == feed


def test_unique_rows_are_shared_by_the_endpoints(tmp_path: Path) -> None:
    """Each begins where the one before ends."""
    feed = feed_of(tmp_path, service(accounts(tmp_path, rows=600), rows="unique"))
    assert [endpoint.files["accounts"].first for endpoint in feed.endpoints] == [0, 450]


def test_too_few_rows_are_reported_before_the_load(tmp_path: Path) -> None:
    path = accounts(tmp_path, rows=599)
    with pytest.raises(DataError) as caught:
        feed_of(tmp_path, service(path, rows="unique"))
    assert str(caught.value) == (
        f"{path}: must have a row for each of 600 requests (orders 450, positions 150), but has 599; add rows, or set "
        "rows to sequential or random"
    )


def test_an_endpoint_may_have_its_own_file(tmp_path: Path) -> None:
    """It comes before the service's file with the same name."""
    own = tmp_path / "own.csv"
    own.write_text("id\nB\n", encoding="utf-8")
    orders = ORDERS | {"data_files": {"accounts": str(own)}}
    feed = feed_of(tmp_path, service(accounts(tmp_path), orders, POSITIONS))
    assert feed.columns == {"orders.accounts": {"id": ["B"]}, "accounts": {"id": ["A0", "A1", "A2"]}}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("name\nx\n", " line 1: must have the column id, which a request names, but has name; correct one of them"),
        ("id,limit\nA\n", " line 2: must have 2 fields like the header, but has 1; correct or remove the row"),
        ("id\n", ": must have from 1 to 2,000,000 rows, but has 0"),
        ("id\nA\n..\n", " line 3: accounts.id must not lead to another path, but is '..'"),
        ("id,limit\nA,1\n,2\n", " line 3: accounts.id must not be empty in a path"),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    """With file, line, rule and value."""
    path = accounts(tmp_path, text)
    with pytest.raises(DataError) as caught:
        feed_of(tmp_path, service(path))
    assert str(caught.value) == f"{path}{problem}"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot be read \(No such file or directory\); name a CSV file that exists$"):
        feed_of(tmp_path, service(tmp_path / "nothing.csv"))


def test_only_so_many_problems_are_listed(tmp_path: Path) -> None:
    path = accounts(tmp_path, "id\n" + "..\n" * 30)
    with pytest.raises(DataError) as caught:
        feed_of(tmp_path, service(path))
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "… and 10 more"


def test_the_fingerprint_follows_the_content_and_the_order(tmp_path: Path) -> None:
    """A copy at another place is the same."""
    path = accounts(tmp_path)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(path.read_bytes())
    same = {data_files_fingerprint(service(file)) for file in (path, copy)}
    assert len(same) == 1
    others = {data_files_fingerprint(service(path, rows="random"))}
    accounts(tmp_path, rows=4)
    others.add(data_files_fingerprint(service(path)))
    assert len(others | same) == 3
    assert data_files_fingerprint(small_service()) is None


def test_a_column_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """It is not known which one the request means."""
    path = accounts(tmp_path, "id,id\nA,B\n")
    with pytest.raises(DataError) as caught:
        feed_of(tmp_path, service(path))
    assert str(caught.value) == (
        f"{path} line 1: must have the column id once, because a request names it, but has it 2 times; "
        "rename one of them"
    )


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """It would be waited for without an end."""
    path = tmp_path / "accounts.csv"
    os.mkfifo(path)
    with pytest.raises(DataError, match=r"accounts.csv: must be a file, but is a pipe or a device; name a CSV file"):
        feed_of(tmp_path, service(path))
