"""The text of a dry run and of a smoke run."""

from dataclasses import replace
from datetime import timedelta

import pytest

from include.perf.load.wire import Answered
from include.perf.pipeline.previews import MAX_BODY, PlannedEndpoint, PlannedLoad, loads_in_words
from include.perf.pipeline.smoke import SmokeResult, smoke, smoke_in_words
from tests.fakes.clock import START
from tests.fakes.small_platform import Platform

PLACE = PlannedEndpoint(
    name="place",
    method="POST",
    requests=240_040,
    rows=2000,
    example=("/orders", '{"price":1.1031,"side":"buy"}'),
)
POSITIONS = PlannedEndpoint(
    name="positions",
    method="GET",
    requests=7,
    rows=7,
    example=("/positions?instrument=EUR_USD", None),
)
LOAD = PlannedLoad(
    service="orders-service",
    scenario="brief",
    environment="staging",
    base_url="http://orders-service:8000",
    addresses=("10.0.0.7", "10.0.0.8"),
    starts_at=START,
    ends_at=START + timedelta(seconds=25),
    load="40/s for 10 s after 5 s of warm-up",
    endpoints=(PLACE, POSITIONS),
    refused=(),
)
RESULT = SmokeResult(
    service="orders-service",
    endpoint="place",
    path="POST /orders",
    sent=3,
    failed=0,
    slowest_s=0.0123,
    problem=None,
)
FAILED = replace(RESULT, endpoint="positions", path="GET /positions?instrument=EUR_USD", failed=2)


# A dry run


def test_a_load_that_would_be_sent() -> None:
    """Its target, its time, its requests by endpoint, and the first request to each."""
    assert loads_in_words([LOAD]) == (
        "brief · orders-service (staging): would be sent\n"
        "  to       http://orders-service:8000 (10.0.0.7, 10.0.0.8)\n"
        "  when     2026-03-02 06:30:00 UTC at the earliest, over by 2026-03-02 06:30:25 UTC\n"
        "  load     40/s for 10 s after 5 s of warm-up: 240,047 requests\n"
        '    240,040  POST /orders  {"price":1.1031,"side":"buy"}\n'
        "          7  GET /positions?instrument=EUR_USD"
    )


def test_a_load_that_would_be_refused() -> None:
    """This comes first, with all reasons; unknown parts are left out."""
    refused = replace(LOAD, refused=("load is halted", "it is too late"), addresses=(), endpoints=())
    assert loads_in_words([refused]) == (
        "brief · orders-service (staging): would NOT be sent\n"
        "  refused: load is halted\n"
        "  refused: it is too late\n"
        "  to       http://orders-service:8000\n"
        "  when     2026-03-02 06:30:00 UTC at the earliest, over by 2026-03-02 06:30:25 UTC\n"
        "  load     40/s for 10 s after 5 s of warm-up: 0 requests"
    )


def test_loads_are_separated_by_an_empty_line() -> None:
    """They are in order; without loads the text is empty."""
    other = replace(LOAD, service="rates-service", environment="live")
    one, two = loads_in_words([LOAD, other]).split("\n\n")
    assert one == loads_in_words([LOAD])
    assert two.startswith("brief · rates-service (live): would be sent\n")
    assert loads_in_words([]) == ""


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"note":"two\nlines\x1b[31m"}', '  {"note":"two lines [31m"}'),
        ("x" * MAX_BODY, "  " + "x" * MAX_BODY),
        ("x" * (MAX_BODY + 1), "  " + "x" * (MAX_BODY - 1) + "…"),
    ],
)
def test_a_body_is_one_short_line(body: str, shown: str) -> None:
    """Market data is also text from outside."""
    endpoint = replace(PLACE, example=("/orders", body))
    assert loads_in_words([replace(LOAD, endpoints=(endpoint,))]).splitlines()[4:] == [
        f"    240,040  POST /orders{shown}"
    ]


# A smoke run


def test_endpoints_that_are_all_good() -> None:
    """Only a table; an endpoint without an answer has no time."""
    other = replace(RESULT, service="engine", endpoint="state", slowest_s=None)
    assert smoke_in_words([RESULT, other]) == (
        "| service        | endpoint | answers | slowest |\n"
        "| -------------- | -------- | ------- | ------: |\n"
        "| orders-service | place    | good    | 12.3 ms |\n"
        "| engine         | state    | good    |       – |"
    )


def test_problems_follow_the_table() -> None:
    """They contain the failed request, so that a person can repeat it."""
    assert smoke_in_words([RESULT, replace(FAILED, problem='HTTP 422: {"detail": "instrument"}')]) == (
        "| service        | endpoint  | answers       | slowest |\n"
        "| -------------- | --------- | ------------- | ------: |\n"
        "| orders-service | place     | good          | 12.3 ms |\n"
        "| orders-service | positions | 2 of 3 failed | 12.3 ms |\n"
        'GET /positions?instrument=EUR_USD: HTTP 422: {"detail": "instrument"}'
    )


def test_a_hostile_answer_stays_on_its_line(platform: Platform) -> None:
    """A service can add neither a row nor a problem, nor colour the terminal."""
    hostile = b"| x | y | good | 0 |\n\x1b[32mGET /positions: all is well\r\n\xe2\x80\xa8 <b>\xff" + b"z" * 300
    platform.target.answers["/orders"] = Answered(status=500, body=hostile)
    lines = smoke_in_words(smoke("orders", platform.outside)).splitlines()
    assert lines[:-1] == [
        "| service        | endpoint  | answers       | slowest |",
        "| -------------- | --------- | ------------- | ------: |",
        "| orders-service | place     | 3 of 3 failed |    0 ms |",
        "| orders-service | positions | good          | 10.0 ms |",
    ]
    assert lines[-1].startswith(
        "POST /orders: HTTP 500: | x | y | good | 0 | [32mGET /positions: all is well <b>\ufffdz"
    )
    assert lines[-1].endswith("z…")
    assert lines[-1].isprintable()
