"""The comparison with production, on a real Prometheus with several days of known data.

``promtool`` creates the data as blocks with a scrape every 15 s. Latencies are log-normal, and each counter has exactly
the value that follows from its rate.
"""

import math
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
import requests

from demo.platform.metrics import duration_buckets
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.measure.production.buckets import Bucket
from include.perf.measure.production.comparing import ProductionComparing, RunMeasurement
from include.perf.measure.production.comparison import ProductionComparison, RequestSource
from include.perf.model.metric import MetricValue, Unit
from include.perf.runs.figures import ServerFigures, Window
from tests.fakes.small_catalogue import small_scenario, small_service
from tests.socket_servers import prometheus
from tests.stages import FIGURES

pytestmark = pytest.mark.integration

SCRAPE_S = 15
MEDIAN_S, SPREAD = 0.040, 0.6
TRUE_RATIO = 1.3
CPU_S = 0.020
ERRORS = 0.005
RATE_RPS, BURST_RPS = 20.0, 50.0
BURST_FROM_S, BURST_TO_S = 1200, 1500  # five of the sixty minutes
MEAN_RPS = (RATE_RPS * 3300 + BURST_RPS * 300) / 3600
SHARES = {"/orders": 0.75, "/positions": 0.25}
DEFAULT_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

DAYS = [datetime(2026, month, day, 8, 0, tzinfo=UTC) for month, day in ((3, 4), (3, 3), (3, 2), (2, 27), (2, 26))]
HALF_DAY, RESET_DAY = DAYS[1], DAYS[3]
RUN = Window(start=datetime(2026, 3, 5, 4, 0, tzinfo=UTC), end=datetime(2026, 3, 5, 4, 10, tzinfo=UTC))


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The traffic of a service during some time.

    Attributes:
        steps: pairs of a second and the rate from then on.
        median_s: the median latency.
        bounds: the upper bounds of the buckets.
        reset_at_s: when its counters are reset.
        shares: the shares of its endpoints.
    """

    service: str
    environment: str
    begins: datetime
    for_s: int
    steps: Sequence[tuple[float, float]]
    median_s: float = MEDIAN_S
    bounds: Sequence[float] = duration_buckets()
    reset_at_s: float | None = None
    shares: dict[str, float] = field(default_factory=lambda: dict(SHARES))

    def requests_by(self, second: float) -> float:
        """Return the value of its counter of requests at a second."""
        sent = self._sent_by(second)
        return sent - self._sent_by(self.reset_at_s) if self.reset_at_s and second >= self.reset_at_s else sent

    def _sent_by(self, second: float) -> float:
        ends = [begin for begin, _ in self.steps[1:]] + [math.inf]
        return sum(
            rate * max(0.0, min(second, end) - begin) for (begin, rate), end in zip(self.steps, ends, strict=True)
        )

    def share_within(self, bound: float) -> float:
        """Return the share of requests that took no longer than a bound."""
        return NormalDist().cdf(math.log(bound / self.median_s) / SPREAD) if bound < math.inf else 1.0

    def lines(self) -> Iterator[str]:
        """Yield all series as OpenMetrics."""
        labels = f'service="{self.service}",environment="{self.environment}"'
        yield from self._series(f"up{{{labels}}}", share=None)
        yield from self._series(f"process_cpu_seconds_total{{{labels}}}", share=CPU_S)
        for status, share in (("200", 1 - ERRORS), ("500", ERRORS)):
            yield from self._series(f'http_requests_total{{{labels},status="{status}"}}', share=share)
        for path, share in self.shares.items():
            own = f'{labels},method="POST",endpoint="{path}"'
            yield from self._series(f"http_request_duration_seconds_count{{{own}}}", share=share)
            for bound in (*self.bounds, math.inf):
                le = "+Inf" if bound == math.inf else f"{bound:g}"
                name = f'http_request_duration_seconds_bucket{{{own},le="{le}"}}'
                yield from self._series(name, share=share * self.share_within(bound))

    def _series(self, name: str, *, share: float | None) -> Iterator[str]:
        """Yield the values of a counter that grows with the requests; without a share, the value is always 1."""
        for second in range(0, self.for_s + 1, SCRAPE_S):
            value = 1.0 if share is None else self.requests_by(second) * share
            yield f"{name} {value!r} {self.begins.timestamp() + second:.0f}"


def production(day: datetime, **changes: Any) -> Traffic:
    """Return 70 minutes of production, five minutes more than the compared hour on both sides."""
    steps = [(0, RATE_RPS), (300 + BURST_FROM_S, BURST_RPS), (300 + BURST_TO_S, RATE_RPS)]
    made: dict[str, Any] = {
        "service": "orders",
        "environment": "production",
        "begins": day - timedelta(minutes=5),
        "for_s": 4200,
        "steps": steps,
    }
    return Traffic(**(made | changes))


def under_test(service: str, bounds: Sequence[float]) -> Traffic:
    """Return a run at 400/s with 1.3 times the latency of production, and with orders only."""
    return Traffic(
        service=service,
        environment="staging",
        begins=RUN.start - timedelta(minutes=1),
        for_s=720,
        steps=[(0, 400.0)],
        median_s=TRUE_RATIO * MEDIAN_S,
        bounds=bounds,
        shares={"/orders": 1.0},
    )


def blocks(folder: Path, traffics: Iterable[Traffic]) -> None:
    """Create the blocks of Prometheus."""
    text = "\n".join(line for traffic in traffics for line in traffic.lines())
    (folder / "history.txt").write_text(f"{text}\n# EOF\n", encoding="utf-8")
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(folder / "history.txt"), str(folder / "tsdb")],
        check=True,
        capture_output=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with five days of production and the runs of three services."""
    folder = tmp_path_factory.mktemp("history")
    days = [production(day) for day in DAYS if day not in (HALF_DAY, RESET_DAY)]
    coarse = (*duration_buckets()[::2], 3.0, 7.0)
    blocks(
        folder,
        [
            *days,
            production(HALF_DAY, for_s=2100),
            production(RESET_DAY, reset_at_s=2400),
            under_test("same-buckets", duration_buckets()),
            under_test("coarse-buckets", coarse),
            under_test("default-buckets", DEFAULT_BOUNDS),
        ],
    )
    with prometheus(folder, targets={}) as address:
        yield address


def compared(url: str, service: str) -> ProductionComparison:
    """Compare the run of a service with production."""
    source = Prometheus(url)
    cores = MetricValue(value=400 * CPU_S, unit=Unit.CORES)
    comparing = ProductionComparing(
        own=source, production=lambda: None, market=load_market_hours(OWN_FILE), clock=lambda: RUN.end
    )
    found = comparing.compare(
        RunMeasurement(
            service=small_service(
                prometheus={"selector": f'service="{service}",environment="staging"', "scrape_interval_s": SCRAPE_S},
                production={"selector": 'service="orders",environment="production"'},
            ),
            scenario=small_scenario(
                production_hours={"session": "london", "minutes": 60}, load={"rate_rps": 400, "duration_s": 600}
            ),
            load=replace(FIGURES, window=RUN, sent=240_000),
            server=ServerFigures(coverage_ratio=1.0, metrics={"cpu_usage": cores}),
            folder=Path("/nowhere"),
        )
    )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def same(url: str) -> ProductionComparison:
    """The comparison of the run whose service has the same buckets as production."""
    return compared(url, "same-buckets")


def test_percentiles_agree_with_the_distribution(same: ProductionComparison) -> None:
    """Percentiles of the log-normal distribution are 40 ms · e^(0.6 z); those of the run are 30 % larger."""
    assert (same.problem, same.measured_by) == (None, RequestSource.SERVICE)
    for figure, share in zip(same.figures, (0.50, 0.95, 0.99), strict=False):
        expected_s = MEDIAN_S * math.exp(SPREAD * NormalDist().inv_cdf(share))
        assert figure.production is not None
        assert figure.production.median == pytest.approx(expected_s, rel=0.02)
        assert figure.run == pytest.approx(TRUE_RATIO * expected_s, rel=0.02)
        assert figure.ratio == pytest.approx(TRUE_RATIO, rel=0.03)


def test_a_quantile_agrees_with_prometheus(url: str, same: ProductionComparison) -> None:
    """histogram_quantile returns the same value for the run, within a billionth."""
    query = (
        "histogram_quantile(0.95, sum by (le) (increase("
        'http_request_duration_seconds_bucket{service="same-buckets"}[600000ms])))'
    )
    assert same.figures[1].run == pytest.approx(Prometheus(url).value(query, at=RUN.end), rel=1e-9)


def test_rate_errors_and_cpu_agree_with_the_data(same: ProductionComparison) -> None:
    """The mean is 22.5/s, with five minutes at 50/s, 0.5 % errors and 20 ms of CPU per request."""
    rate = same.rate
    assert rate is not None
    assert rate.busiest is not None
    assert rate.production.median == pytest.approx(MEAN_RPS, rel=0.01)
    assert rate.busiest.median == pytest.approx(BURST_RPS, rel=0.02)
    assert rate.proposed_rps == pytest.approx(BURST_RPS, rel=0.02)
    errors, cpu = same.figures[3:]
    assert errors.production is not None
    assert errors.production.median == pytest.approx(ERRORS, rel=0.01)
    assert errors.run == pytest.approx(ERRORS, rel=0.01)
    assert cpu.production is not None
    assert cpu.production.median == pytest.approx(CPU_S, rel=0.01)
    assert cpu.ratio == pytest.approx(1.0, rel=0.01)


def test_a_counter_reset_changes_nothing(same: ProductionComparison) -> None:
    """On one day, all counters are reset during the hour; its figures agree with those of the other days."""
    assert RESET_DAY in [window.start for window in same.days]
    p95 = same.figures[1].production
    assert p95 is not None
    assert p95.high == pytest.approx(p95.low, rel=0.02)
    assert same.rate is not None
    assert same.rate.production.low == pytest.approx(MEAN_RPS, rel=0.01)


def test_a_day_with_half_of_its_scrapes_is_left_out(same: ProductionComparison) -> None:
    """Its figures would look normal but be wrong."""
    (left_out,) = same.left_out
    assert left_out.window.start == HALF_DAY
    assert left_out.reason.startswith("Prometheus has only 5")
    assert [window.start for window in same.days] == [day for day in DAYS if day != HALF_DAY]


def test_the_mix_agrees_with_the_counters(same: ProductionComparison) -> None:
    """Three quarters of the requests in production are orders."""
    mix = {share.kind: (share.run, round(share.production, 6)) for share in same.mix}
    assert mix == {"POST /orders": (1.0, 0.75), "POST /positions": (0.0, 0.25)}


def test_different_buckets_are_compared_in_the_common_ones(url: str) -> None:
    """With every second bound in common (factor 1.56), the ratio is accurate to 15 % and fits its buckets."""
    found = compared(url, "coarse-buckets")
    assert set(found.bounds) == set(duration_buckets()[::2])
    assert "both sides are compared in the common ones" in found.remarks[0]
    for figure in found.figures[:3]:
        assert figure.ratio == pytest.approx(TRUE_RATIO, rel=0.15)
        own, theirs = figure.run_bucket, figure.production_bucket
        assert own is not None
        assert own.high is not None
        assert theirs is not None
        assert theirs.high is not None
        assert own.low / theirs.high <= TRUE_RATIO <= own.high / theirs.low


def test_buckets_with_one_common_bound_are_not_compared(url: str) -> None:
    """Production and the defaults of the client library share only the bound of 10 s, below which all requests are."""
    found = compared(url, "default-buckets")
    assert found.bounds == (10.0,)
    assert [figure.name for figure in found.figures] == ["error_rate", "cpu_per_request"]
    assert found.remarks[0].startswith("the latencies cannot be compared")


def test_production_is_only_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request to Prometheus is a query."""
    requested: set[tuple[str, str]] = set()
    send = requests.Session.send

    def recorded(self: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        assert request.url is not None
        requested.add((request.method or "", request.url.partition("?")[0].removeprefix(url)))
        return send(self, request, **options)

    monkeypatch.setattr(requests.Session, "send", recorded)
    compared(url, "same-buckets")
    assert requested == {("GET", "/api/v1/query")}


def test_percentiles_have_their_bucket(same: ProductionComparison) -> None:
    """The bucket contains the percentile; its bounds differ by 25 %."""
    for figure in same.figures[:3]:
        assert figure.run is not None
        bucket = figure.run_bucket
        assert isinstance(bucket, Bucket)
        assert bucket.high is not None
        assert bucket.low <= figure.run <= bucket.high
        assert bucket.high / bucket.low == pytest.approx(1.25, rel=0.001)
