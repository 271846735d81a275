"""Refusals that begin in mid-run have a kind of their own, and make a run invalid; others are errors as before."""

import pandas as pd
import pytest

from include.perf.measure.refusals import kind_of, refusals_in, refusals_of
from include.perf.runs.figures import RefusedRequests

START = 1_767_787_200.0


def rows(*statuses: int, endpoint: str = "orders", shuffled: bool = False) -> pd.DataFrame:
    """Return rows that were due one per second; a status of 200 is a good answer."""
    table = pd.DataFrame(
        {
            "due_at": [START + second for second in range(len(statuses))],
            "endpoint": endpoint,
            "status": statuses,
            "error": ["" if status == 200 else f"HTTP {status}" for status in statuses],
        }
    )
    table = table.sample(frac=1, random_state=1) if shuffled else table
    return table.astype({"endpoint": "category", "error": "category", "status": "int16"})


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("shuffled", [False, True])
def test_refusals_after_many_good_answers_began_in_mid_run(status: int, shuffled: bool) -> None:
    """Rows are in the order in which requests ended, and that does not matter."""
    table = rows(*[200] * 60, *[status] * 40, shuffled=shuffled)
    refusals = refusals_of(table)
    assert refusals == {"orders": START + 60}
    assert refusals_in(table, refusals, started_at=START) == RefusedRequests(statuses=(status,), count=40, since_s=60)
    assert kind_of(f"HTTP {status}", "orders", refusals) == f"HTTP {status} (began in mid-run)"
    assert kind_of("HTTP 500", "orders", refusals) == "HTTP 500"
    assert kind_of(f"HTTP {status}", "positions", refusals) == f"HTTP {status}"


@pytest.mark.parametrize(
    "statuses",
    [
        [401] * 50,  # from the start
        [200] * 50,  # never
        [200, *[401] * 50],  # after a single good answer: (1 - 50/51)^1 = 0.02
        [200, 200, 403, 200] * 25,  # some of all from the start
        [*[200] * 20, 403, *[200] * 9] * 5,  # one of 30: (1 - 5/131)^20 = 0.46
        [*[500] * 50, *[401] * 50],  # before it, nothing was let in
    ],
)
def test_other_refusals_did_not_begin_in_mid_run(statuses: list[int]) -> None:
    table = rows(*statuses)
    assert refusals_of(table) == {}
    assert refusals_in(table, {}, started_at=START) is None


def test_one_expired_token_of_ten_is_found() -> None:
    """A tenth of the requests from some moment on: (1 - 20/201)^100 = 0.00003."""
    assert refusals_of(rows(*[200] * 100, *[401, *[200] * 9] * 20)) == {"orders": START + 100}


def test_an_expected_refusal_is_a_good_answer() -> None:
    table = rows(*[200] * 60, *[401] * 40)
    table["error"] = ""
    assert refusals_of(table) == {}


def test_endpoints_are_separate() -> None:
    table = pd.concat([rows(*[200] * 60, *[401] * 40), rows(*[403] * 100, endpoint="admin")], ignore_index=True)
    assert refusals_of(table.astype({"endpoint": "category"})) == {"orders": START + 60}
