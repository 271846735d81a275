"""The feed file: a written feed can be read, and a damaged one is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from include.perf.load.feed import Feed, FeedEndpoint, Request, read_feed
from include.perf.model.errors import LoadError

FEED = Feed(
    endpoints=(
        FeedEndpoint(name="place", method="POST", weight=4, rows=2),
        FeedEndpoint(name="list", method="GET", weight=1, rows=1),
    ),
    requests=(
        (Request("/orders", b'{"price":1.1}'), Request("/orders", b'{"note":"\xe2\x82\xac\\n"}')),
        (Request("/orders?at=2026-03-02T06%3A30%3A00Z", None),),
    ),
)


def written(folder: Path) -> Path:
    path = folder / "feed.jsonl"
    FEED.write(path)
    return path


def test_a_written_feed_is_read_unchanged(tmp_path: Path) -> None:
    """Endpoints, order, bodies and the lack of one."""
    assert read_feed(written(tmp_path)) == FEED


def test_the_file_has_one_document_per_line(tmp_path: Path) -> None:
    """First the header, then the requests with the number of their endpoint."""
    lines = [json.loads(line) for line in written(tmp_path).read_text(encoding="utf-8").splitlines()]
    assert lines[0]["endpoints"][0] == {"name": "place", "method": "POST", "weight": 4, "rows": 2}
    assert lines[1] == [0, "/orders", '{"price":1.1}']
    assert lines[3] == [1, "/orders?at=2026-03-02T06%3A30%3A00Z", None]


@pytest.mark.parametrize(
    "damage",
    [
        lambda lines: [],
        lambda lines: lines[1:],  # no header
        lambda lines: lines[:-1],  # an endpoint without requests
        lambda lines: [*lines, lines[1]],  # more than the header says
        lambda lines: [*lines[:-1], lines[-1][:9]],  # cut off
        lambda lines: [*lines, '[7, "/x", null]'],  # of no endpoint
        lambda lines: [*lines, '{"a": 1}'],
        lambda lines: ['{"endpoints": [{"name": "place"}]}', *lines[1:]],
        lambda lines: ["[]", *lines[1:]],
    ],
)
def test_a_damaged_feed_is_refused(tmp_path: Path, damage: Callable[[list[str]], list[str]]) -> None:
    """Half a feed would be another load; the error names the remedy."""
    path = written(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(damage(lines)), encoding="utf-8")
    with pytest.raises(LoadError) as caught:
        read_feed(path)
    assert re.fullmatch(
        rf"the request feed {re.escape(str(path))} is (damaged|incomplete: .* rows, its header says \d); "
        "stage the data again",
        str(caught.value),
    )


def test_a_missing_feed_is_refused(tmp_path: Path) -> None:
    """The error names the file and the remedy."""
    path = tmp_path / "feed.jsonl"
    with pytest.raises(LoadError) as caught:
        read_feed(path)
    assert str(caught.value) == (
        f"the request feed {path} cannot be read (No such file or directory); stage the data again"
    )


def test_the_counts_must_match_the_header(tmp_path: Path) -> None:
    """The error names both numbers."""
    path = written(tmp_path)
    path.write_text(path.read_text(encoding="utf-8").replace('"rows": 2', '"rows": 3'), encoding="utf-8")
    with pytest.raises(LoadError, match="place has 2 rows, its header says 3"):
        read_feed(path)
