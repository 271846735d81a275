"""The latency distribution of a run: its file and its quantiles."""

import numpy as np
import pytest

from include.perf.measure.distribution import Distribution, distribution_csv, read_distribution
from include.perf.model.errors import StoreError
from include.perf.model.histogram import Histogram
from tests.fakes.generator import counts_of


def read(*lines: str, header: str = "lower_s,upper_s,count") -> Distribution | None:
    return read_distribution("\n".join([header, *lines, ""]).encode(), where="distribution.csv")


def test_every_step_that_occurred_is_a_row() -> None:
    """Steps are 1 % wide: 20 ms twice is one row around it, 500 ms another."""
    lines = distribution_csv(counts_of(0.02, 0.02, 0.5)).decode().splitlines()
    assert lines[0] == "lower_s,upper_s,count"
    rows = [[float(cell) for cell in line.split(",")] for line in lines[1:]]
    assert [row[2] for row in rows] == [2, 1]
    for (lower, upper, _), latency_s in zip(rows, (0.02, 0.5), strict=True):
        assert lower <= latency_s < upper
        assert upper / lower == pytest.approx(1.01, rel=1e-6)


def test_quantiles_are_accurate_to_a_percent() -> None:
    """Compared with NumPy's quantiles of the same latencies."""
    latencies = np.random.default_rng(5).lognormal(-4, 0.7, 30_000)
    counts = Histogram()
    for latency_s in latencies.tolist():
        counts.add(latency_s)
    found = read_distribution(distribution_csv(counts.counts), where="x")
    assert found is not None
    assert found.total == 30_000
    shares = (0.05, 0.5, 0.95, 0.99, 0.999)
    assert found.quantiles(shares) == pytest.approx(np.quantile(latencies, shares).tolist(), rel=0.01)


def test_a_quantile_lies_within_its_step() -> None:
    """Three requests of 1 to 2 s and one of 4 to 5 s: half is two thirds into the first step."""
    found = read("1,2,3", "4,5,1")
    assert found is not None
    assert found.quantiles((0.0, 0.5, 0.75, 0.875, 1.0)) == pytest.approx((1.0, 1 + 2 / 3, 2.0, 4.5, 5.0))


def test_no_request_is_no_distribution() -> None:
    """A load without an answer writes only the header."""
    assert distribution_csv({}) == b"lower_s,upper_s,count\n"
    assert read() is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1,2"], "every row must have 3 fields, but one has 2"),
        (["1,2,3", "4,5"], "every row must have 3 fields, but one has 2"),
        (["1,2,x"], "'x' is not an integer"),
        (["1,2,0"], "counts must be positive, but one is 0"),
        (["2,1,5"], "bounds must ascend"),
        (["1,2,5", "1.5,3,1"], "bounds must ascend"),
        (["1,nan,5"], "bounds must ascend"),
        (["1,inf,5"], "bounds must ascend"),
        (["-1,1,5"], "bounds must ascend"),
    ],
)
def test_an_invalid_distribution_is_refused(lines: list[str], message: str) -> None:
    """The error names the file and the problem."""
    with pytest.raises(StoreError, match=r"distribution\.csv is not a latency distribution: .*" + message):
        read(*lines)


def test_other_columns_are_refused() -> None:
    """Another table or an empty file is not a distribution."""
    with pytest.raises(StoreError, match=r"the columns must be lower_s,upper_s,count, but are a,b"):
        read(header="a,b")
    with pytest.raises(StoreError, match="the columns must be"):
        read_distribution(b"", where="x")
    with pytest.raises(StoreError, match="is not a latency distribution"):
        read_distribution("größer".encode(), where="x")
