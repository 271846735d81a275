"""The data of the charts of two runs."""

from include.perf.pages.compare_page import MAX_POINTS, compare_chart
from tests.records import TIMESERIES_HEADER


def series(*rows: str) -> bytes:
    """Return a ``timeseries.csv``."""
    return "\n".join([TIMESERIES_HEADER, *rows]).encode()


def test_time_starts_after_the_warm_up() -> None:
    """Runs with different warm-ups are aligned; a missing value is not zero."""
    content = series(
        "0,warmup,10,10,10,0,0.5,0.5,0.5",
        "30,measured,10,10,10,0,0.020,0.040,0.080",
        "31,measured,10,10,0,0,,,",
    )
    p95 = compare_chart((content, None), (None, None))["latency"][1]
    assert p95["title"] == "Latency p95"
    assert p95["runs"] == [[[0.0, 1.0], [0.040, None]], [[], []]]


def test_a_long_run_is_thinned() -> None:
    """Of 3 600 seconds every sixth is drawn: 3 600 / 6 = 600 points."""
    rows = [f"{second},measured,1,1,1,0,0.1,0.2,0.3" for second in range(3600)]
    (at, values), _ = compare_chart((series(*rows), None), (None, None))["latency"][0]["runs"]
    assert len(at) == len(values) == MAX_POINTS
    assert at[:3] == [0.0, 6.0, 12.0]


def test_the_cumulative_distribution() -> None:
    """One of four requests took at most 10 ms, and all took at most 30 ms."""
    content = b"lower_s,upper_s,count\n0.000,0.010,1\n0.010,0.020,2\n0.020,0.030,1\n"
    assert compare_chart((None, None), (content, None))["distribution"] == [
        [[0.010, 0.020, 0.030], [0.25, 0.75, 1.0]],
        [[], []],
    ]


def test_damaged_files_draw_nothing() -> None:
    """Text instead of numbers, invalid UTF-8 and unknown columns are left out without an error."""
    garbage = b"\xff\xfe,x\n1,2\n"
    broken = series("x,measured,1,1,1,0,much,,")
    data = compare_chart((garbage, broken), (garbage, b""))
    assert data["latency"][0]["runs"] == [[[], []], [[0.0], [None]]]
    assert data["distribution"] == [[[], []], [[], []]]
