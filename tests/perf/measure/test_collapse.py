"""What shows that a service did not survive a load, and what proves nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from include.perf.measure.collapse import collapse_of, unreachable_in
from include.perf.measure.validity import load_problems
from include.perf.runs.figures import ErrorGroup, LoadFigures, UnreachableService
from tests.records import generator_figures
from tests.stages import FIGURES, LOAD, SCRAPED

STOPPED = "stopped: error ratio 0.97 over the last 60 s is above 0.9 (stop_when)"
REFUSED = "connection refused"
LAG = "stopped: schedule lag p99 0.3 s over the last 30 s is above 0.25 s (stop_when, not the target)"
RESET = ErrorGroup(kind="connection reset", endpoint="orders", count=8, example="")
RESTARTED_AT = FIGURES.window.start + timedelta(seconds=4)


def load(count: int = 0, *, ended: str = "completed", errors: tuple[ErrorGroup, ...] = ()) -> LoadFigures:
    """Return a load of 600 requests; ``count`` of them were refused from 9 s on."""
    unreachable = UnreachableService(count=count, kind=REFUSED, refused_share=count / 600, since_s=9) if count else None
    generator = generator_figures(ended=ended)
    return replace(FIGURES, unreachable=unreachable, generator=generator, errors=errors)


def test_a_service_that_is_killed_is_found_by_what_happened_first() -> None:
    """It refuses, a new process starts, and the load is stopped; the load began at 06:30:01."""
    server = replace(SCRAPED, restarted_at=FIGURES.started_at + timedelta(seconds=12), problem="no scrape")
    assert collapse_of(load(434, ended=STOPPED, errors=(RESET,)), server, was_deployed=False) == (
        "could not be reached from 06:30:10 UTC on (434 requests, mostly connection refused)",
        "started a new process at 06:30:13 UTC: it had crashed or restarted",
        "made the load stop: error ratio 0.97 over the last 60 s is above 0.9 (stop_when)",
    )


@pytest.mark.parametrize(
    ("figures", "server", "is_collapse"),
    [
        (load(), SCRAPED, False),
        (load(7), SCRAPED, True),  # 7 of 600 are more than 1 %
        (load(6), SCRAPED, False),  # one pod of many, for a moment
        (load(6), replace(SCRAPED, problem="no scrape in the last 10 s"), True),  # nor does Prometheus reach it
        (load(6), replace(SCRAPED, coverage_ratio=0.9), True),
        (load(), replace(SCRAPED, problem="no scrape in the last 10 s"), False),  # only Prometheus does not
        (load(), replace(SCRAPED, restarted_at=RESTARTED_AT), False),  # it was scaled
        (load(errors=(RESET,)), replace(SCRAPED, restarted_at=RESTARTED_AT), True),
        (load(errors=(RESET,)), SCRAPED, False),
        (load(ended=STOPPED), None, True),
        (load(ended=LAG), SCRAPED, False),
        (load(ended="stopped: load is halted by ana"), SCRAPED, False),
    ],
)
def test_what_is_a_collapse(figures: LoadFigures, server: Any, *, is_collapse: bool) -> None:
    """The generator, Prometheus, scaling and people are no fault of the service."""
    assert bool(collapse_of(figures, server, was_deployed=False)) is is_collapse


def test_a_deployment_is_no_collapse() -> None:
    """The version changed: somebody wanted it."""
    server = replace(SCRAPED, restarted_at=RESTARTED_AT)
    assert collapse_of(load(434, errors=(RESET,)), server, was_deployed=True) == ()


def test_an_early_end_is_a_doubt_unless_the_service_caused_it() -> None:
    """The same stop is a reason against the figures, or a finding."""
    for ended in (STOPPED, LAG):
        assert [reason[:20] for reason in load_problems(LOAD, load(ended=ended))] == ["the load ended early"]
    assert load_problems(LOAD, load(ended=STOPPED), has_collapsed=True) == []
    assert len(load_problems(LOAD, load(ended=LAG), has_collapsed=True)) == 1


def rows_of(*errors: str) -> pd.DataFrame:
    """Return a request per second from 100 s on."""
    return pd.DataFrame({"due_at": [100.0 + number for number in range(len(errors))], "error": errors})


def test_the_service_is_down_from_when_on_most_requests_are_lost() -> None:
    """Behind a proxy they are reset or get a 503; a single lost request before does not count."""
    down = ["HTTP 503"] * 5 + ["connection reset"] * 8
    found = unreachable_in(rows_of("", "connection reset", *[""] * 20, *down), started_at=100.0)
    assert found == UnreachableService(count=14, kind="connection reset", refused_share=0.0, since_s=22.0)


def test_refused_connections_are_counted_apart() -> None:
    """They need no other sign that the service is down; an error that it answers itself is none."""
    found = unreachable_in(rows_of("", REFUSED, "HTTP 500", "host unreachable"), started_at=100.0)
    assert found == UnreachableService(count=2, kind=REFUSED, refused_share=0.5, since_s=1.0)
    assert unreachable_in(rows_of("", "HTTP 500"), started_at=100.0) is None


def test_lost_requests_need_another_sign() -> None:
    """503 alone is an error rate; with missing scrapes the service was down."""
    lost = UnreachableService(count=206, kind="HTTP 503", refused_share=0.0, since_s=9)
    figures = replace(load(), unreachable=lost)
    assert collapse_of(figures, SCRAPED, was_deployed=False) == ()
    assert collapse_of(figures, replace(SCRAPED, problem="no scrape in the last 2 s"), was_deployed=False) == (
        "could not be reached from 06:30:10 UTC on (206 requests, mostly HTTP 503)",
    )
