"""What the charts of two runs draw."""

from include.perf.pages.compare_page import MOST_POINTS, compare_chart
from tests.records import TIMESERIES_HEADER


def series(*rows: str) -> bytes:
    """Return a ``timeseries.csv``."""
    return "\n".join([TIMESERIES_HEADER, *rows]).encode()


def test_time_begins_with_the_measured_part() -> None:
    """The warm-up is left out, so that runs of different warm-ups lie over each other; a gap is no zero."""
    content = series(
        "0,warmup,10,10,10,0,0.5,0.5,0.5",
        "30,measured,10,10,10,0,0.020,0.040,0.080",
        "31,measured,10,10,0,0,,,",
    )
    p95 = compare_chart((content, None), (None, None))["latency"][1]
    assert p95["title"] == "Latency p95"
    assert p95["runs"] == [[[0.0, 1.0], [0.040, None]], [[], []]]


def test_a_long_run_is_thinned() -> None:
    """3 600 seconds are drawn as every sixth, which is what a screen can show."""
    rows = [f"{second},measured,1,1,1,0,0.1,0.2,0.3" for second in range(3600)]
    (at, values), _ = compare_chart((series(*rows), None), (None, None))["latency"][0]["runs"]
    assert len(at) == len(values) == MOST_POINTS
    assert at[:3] == [0.0, 6.0, 12.0]


def test_shares_of_a_distribution() -> None:
    """Of 4 requests 1 was faster than 10 ms and all were faster than 30 ms."""
    content = b"lower_s,upper_s,count\n0.000,0.010,1\n0.010,0.020,2\n0.020,0.030,1\n"
    assert compare_chart((None, None), (content, None))["distribution"] == [
        [[0.010, 0.020, 0.030], [0.25, 0.75, 1.0]],
        [[], []],
    ]


def test_damaged_files_draw_nothing() -> None:
    """Words for numbers, bytes that are no text, other columns: each is left out, and nothing fails."""
    rubbish = b"\xff\xfe,x\n1,2\n"
    broken = series("x,measured,1,1,1,0,much,,")
    data = compare_chart((rubbish, broken), (rubbish, b""))
    assert data["latency"][0]["runs"] == [[[], []], [[0.0], [None]]]
    assert data["distribution"] == [[[], []], [[], []]]
