"""The comparison of a run with production: the queries, the figures, and the remarks on missing ones."""

import gzip
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from include.perf.catalogue.prometheus_target import ProductionReference
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.market_week import Holiday
from include.perf.load.load_plan import REQUEST_COLUMNS
from include.perf.measure.metrics_source import LabelledValue
from include.perf.measure.production.buckets import Bucket, Buckets
from include.perf.measure.production.comparing import ProductionComparing, RunMeasurement
from include.perf.measure.production.comparison import ProductionComparison, RequestSource, read_comparison
from include.perf.model.errors import ConfigurationError, ItemError, NoData, PrometheusUnavailable
from include.perf.model.json_files import to_json
from include.perf.model.metric import MetricValue, Unit
from include.perf.pages.run_page import run_page
from include.perf.runs.figures import EndpointFigures, ServerFigures, Window
from include.perf.runs.record import Verdict
from include.perf.runs.results_store import PRODUCTION_FILE, REQUESTS_FILE
from include.perf.runs.run_index import entry_of
from tests.fakes.clock import FixedClock
from tests.fakes.failing import raising
from tests.fakes.metrics import FakeMetrics
from tests.fakes.results_store import MemoryStore
from tests.fakes.small_catalogue import SELECTOR, small_scenario, small_service
from tests.fakes.small_platform import Platform
from tests.records import run_record
from tests.stages import FIGURES, planned

PRODUCTION = 'service="orders",environment="production"'
DAYS = [datetime(2026, 3, day, 8, 0, tzinfo=UTC) for day in (5, 4, 3, 2)]  # Thursday to Monday
RUN = Window(start=datetime(2026, 3, 6, 4, 0, tzinfo=UTC), end=datetime(2026, 3, 6, 4, 10, tzinfo=UTC))
HOUR_MS, RUN_MS = "3600000ms", "600000ms"
BOUNDS = ("0.01", "0.02", "0.04", "+Inf")
REFERENCE = ProductionReference(selector=PRODUCTION, days=4)
SERVICE = small_service(production=REFERENCE)
SCENARIO = small_scenario(
    production_hours={"session": "london", "minutes": 60}, load={"rate_rps": 400, "duration_s": 600}
)


def histogram(*counts: float, bounds: Sequence[str] = BOUNDS) -> tuple[LabelledValue, ...]:
    return tuple(LabelledValue(labels={"le": le}, value=count) for le, count in zip(bounds, counts, strict=True))


def mix(**rates: float) -> tuple[LabelledValue, ...]:
    return tuple(LabelledValue(labels={"method": "GET", "endpoint": f"/{n}"}, value=rate) for n, rate in rates.items())


class Answers(FakeMetrics):
    """A Prometheus whose answers depend on the time of the query.

    Attributes:
        at: by moment, what is answered instead, by query.
    """

    def __init__(self) -> None:
        super().__init__({})
        self.at: dict[datetime, dict[str, Any]] = {}

    def value(self, query: str, *, at: datetime) -> float:
        self.answers = self.at[at]
        return super().value(query, at=at)

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        self.series_of = self.at[at]
        return super().values(query, at=at)


def answers_of(selector: str, window: str, **changes: Any) -> dict[str, Any]:
    """Return the answers of a Prometheus for one side: 20/s, 1 % errors, half of the requests within 10 ms to 20 ms."""
    answers = {
        "requests": 20.0,
        "errors": 0.2,
        "buckets": histogram(20, 70, 100, 100),
        "mix": mix(orders=15.0, positions=5.0),
    } | changes
    return {
        REFERENCE.requests_query(selector, window=window): answers["requests"],
        REFERENCE.errors_query(selector, window=window): answers["errors"],
        REFERENCE.buckets_query(selector, window=window): answers["buckets"],
        REFERENCE.mix_query(selector, window=window): answers["mix"],
    }


def production_answers(
    *, scraped: float = 120.0, busiest: float = 30.0, cores: float = 0.4, **changes: Any
) -> dict[str, Any]:
    """Return the answers of a Prometheus for production in one hour: scraped throughout, in 120 steps of 30 s."""
    return answers_of(PRODUCTION, HOUR_MS, **changes) | {
        REFERENCE.coverage_query(window=HOUR_MS): scraped,
        REFERENCE.busiest_query(PRODUCTION, window_s=3600): busiest,
        REFERENCE.cpu_query(SERVICE.prometheus, window=HOUR_MS): cores,
    }


@pytest.fixture
def prometheus() -> Answers:
    """Four days of production, and a run at 400/s that takes twice as long."""
    made = Answers()
    for at in DAYS:
        made.at[at + timedelta(hours=1)] = production_answers()
    made.at[RUN.end] = answers_of(
        SELECTOR, RUN_MS, requests=400.0, errors=8.0, buckets=histogram(0, 20, 100, 100), mix=mix(orders=400.0)
    )
    return made


def compare(prometheus: Answers, folder: Path = Path("/nowhere"), **changes: Any) -> ProductionComparison:
    """Compare a run of 400/s with 4 cores."""
    cores = MetricValue(value=4.0, unit=Unit.CORES)
    made: dict[str, Any] = {
        "service": SERVICE,
        "scenario": SCENARIO,
        "load": replace(FIGURES, window=RUN, sent=240_000),
        "server": ServerFigures(coverage_ratio=1.0, metrics={"cpu_usage": cores}),
        "folder": folder,
    }
    comparing = ProductionComparing(
        own=prometheus,
        production=changes.pop("production", lambda: None),
        market=changes.pop("market", None) or load_market_hours(OWN_FILE),
        clock=changes.pop("clock", FixedClock()),
    )
    found = comparing.compare(RunMeasurement(**(made | changes)))
    assert found is not None
    return found


def test_both_sides_are_compared_by_the_service_s_metrics(prometheus: Answers) -> None:
    """Both in the same buckets: production's p50 is 10 ms + 10 ms · 30 / 50, the run's 20 ms + 20 ms · 30 / 80."""
    found = compare(prometheus)
    p50, p95, _, errors, cpu = found.figures
    assert (found.problem, found.measured_by, found.bounds) == (None, RequestSource.SERVICE, (0.01, 0.02, 0.04))
    assert p50.name == "latency_p50"
    assert p50.production is not None
    assert p50.production.median == pytest.approx(0.016)
    assert p50.run == pytest.approx(0.0275)
    assert p50.ratio == pytest.approx(0.0275 / 0.016)
    assert (p50.production_bucket, p50.run_bucket) == (Bucket(low=0.01, high=0.02), Bucket(low=0.02, high=0.04))
    assert p95.run_bucket == p95.production_bucket == Bucket(low=0.02, high=0.04)
    assert errors.run == pytest.approx(0.02)  # 8/s of 400/s
    assert errors.production is not None
    assert errors.production.median == pytest.approx(0.01)  # 0.2/s of 20/s
    assert cpu.run == pytest.approx(0.010)  # 4 cores at 400/s
    assert cpu.ratio == pytest.approx(0.5)  # production: 0.4 cores at 20/s
    assert found.remarks == (
        "the mix of requests differs, which affects the latency and the CPU of all requests together",
    )


def test_each_window_is_queried_at_its_end(prometheus: Answers) -> None:
    """The days before the run, latest first, then the run."""
    found = compare(prometheus)
    assert [window.start for window in found.days] == DAYS
    assert list(dict.fromkeys(at for _, at in prometheus.asked)) == [
        *(day + timedelta(hours=1) for day in DAYS),
        RUN.end,
    ]


def test_the_largest_difference_of_the_mix_comes_first(prometheus: Answers) -> None:
    """The run sends orders only, production three quarters of them."""
    shares = [(share.kind, share.run, share.production) for share in compare(prometheus).mix]
    assert shares == [("GET /orders", 1.0, 0.75), ("GET /positions", 0.0, 0.25)]


def test_the_proposed_rate_is_that_of_production(prometheus: Answers) -> None:
    """The median over days of the busiest five minutes, 31.35/s, has two digits: 31."""
    for at, busiest in zip(DAYS, (28.0, 31.2, 31.5, 90.0), strict=True):
        prometheus.at[at + timedelta(hours=1)] = production_answers(busiest=busiest)
    rate = compare(prometheus).rate
    assert rate is not None
    assert (rate.scenario_rps, rate.scenario_peak_rps) == (400, 400)
    assert rate.production.median == 20.0
    assert rate.busiest is not None
    assert (rate.busiest.low, rate.busiest.high) == (28.0, 90.0)
    assert rate.proposed_rps == 31


def test_the_proposed_rate_is_that_of_the_peak_of_a_profile(prometheus: Answers) -> None:
    """A scenario that peaks at three times its rate meets 30/s with a rate of 10/s."""
    load = {"rate_rps": 100, "duration_s": 600, "profile": [{"at_s": 0, "factor": 3}, {"at_s": 300, "factor": 1}]}
    scenario = small_scenario(production_hours={"session": "london", "minutes": 60}, load=load)
    rate = compare(prometheus, scenario=scenario).rate
    assert rate is not None
    assert (rate.scenario_peak_rps, rate.proposed_rps) == (300, 10)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ({"scraped": 60.0}, "Prometheus has only 50% of the scrapes of production"),
        ({"requests": 0.0}, "production had no requests"),
    ],
)
def test_a_day_without_figures_is_left_out_with_its_reason(
    prometheus: Answers, answers: dict[str, float], reason: str
) -> None:
    """Half of the scrapes give normal-looking figures, which are wrong."""
    prometheus.at[DAYS[1] + timedelta(hours=1)] = production_answers(**answers)
    found = compare(prometheus)
    assert [window.start for window in found.days] == [DAYS[0], DAYS[2], DAYS[3]]
    (left_out,) = found.left_out
    assert (left_out.window.start, left_out.reason) == (DAYS[1], reason)


def test_different_buckets_are_compared_in_the_common_ones(prometheus: Answers) -> None:
    """The run counts to 5, 20 and 40 ms, production to 10, 20 and 40: 20 and 40 are left."""
    counts = histogram(1, 20, 100, 100, bounds=("0.005", "0.02", "0.04", "+Inf"))
    prometheus.at[RUN.end][REFERENCE.buckets_query(SELECTOR, window=RUN_MS)] = counts
    found = compare(prometheus)
    assert found.bounds == (0.02, 0.04)
    assert found.figures[0].production is not None
    assert found.figures[0].production.median == pytest.approx(0.02 * 50 / 70)  # in the bucket from 0 to 20 ms
    assert "in the common ones (2 of 4)" in found.remarks[0]


def test_buckets_without_common_bounds_are_not_compared(prometheus: Answers) -> None:
    """The other figures are compared all the same."""
    counts = histogram(1, 20, 100, 100, bounds=("0.003", "0.03", "0.3", "+Inf"))
    prometheus.at[RUN.end][REFERENCE.buckets_query(SELECTOR, window=RUN_MS)] = counts
    found = compare(prometheus)
    assert [figure.name for figure in found.figures] == ["error_rate", "cpu_per_request"]
    assert found.remarks[0].startswith("the latencies cannot be compared")


def requests_file(folder: Path, latencies: Mapping[str, Sequence[float]]) -> None:
    """Write measured requests by their error, and a slow one of the warm-up."""
    rows = [",".join(REQUEST_COLUMNS), "0,warmup,place,200,0,0,9,9,1,"]
    rows += [f"0,measured,place,200,0,0,{s},{s},1,{error}" for error, durations in latencies.items() for s in durations]
    (folder / REQUESTS_FILE).write_bytes(gzip.compress("\n".join([*rows, ""]).encode()))


def test_the_client_s_latencies_are_counted_in_production_s_buckets(prometheus: Answers, tmp_path: Path) -> None:
    """Of ten requests five took up to 20 ms and nine up to 40 ms; a fast failure does not count, a timeout does."""
    del prometheus.at[RUN.end][REFERENCE.buckets_query(SELECTOR, window=RUN_MS)]
    requests_file(tmp_path, {"": [0.011] * 4 + [0.02] + [0.03] * 4, "HTTP 500": [0.001] * 30, "timeout": [10.0]})
    endpoints = tuple(
        EndpointFigures(name=name, due=due, failed=0, latency_p50=None, latency_p95=None, latency_p99=None)
        for name, due in (("place", 30), ("positions", 70))
    )
    load = replace(FIGURES, window=RUN, sent=240_000, endpoints=endpoints)
    found = compare(prometheus, folder=tmp_path, load=load)
    assert found.measured_by is RequestSource.CLIENT
    p50, p95, *_, errors, cpu = found.figures
    assert p50.run == pytest.approx(0.02)
    assert (p95.run_bucket, p95.ratio) == (Bucket(low=0.04, high=None), None)
    assert errors.run == FIGURES.metrics["error_rate"].value
    assert cpu.run == pytest.approx(0.010)
    # what production calls GET /positions is the endpoint positions; it knows no POST /orders
    assert {share.kind: share.run for share in found.mix} == {"GET /positions": 0.7, "place": 0.3, "GET /orders": 0.0}


@pytest.mark.parametrize(
    "server",
    [
        ServerFigures(coverage_ratio=0.5, metrics={}),
        ServerFigures(coverage_ratio=None, metrics={}, problem="Prometheus has no scrapes of orders-service"),
    ],
)
def test_a_service_with_too_few_scrapes_is_measured_by_the_client(
    prometheus: Answers, tmp_path: Path, server: ServerFigures
) -> None:
    """Its metrics would look normal but be wrong; the client has all requests."""
    requests_file(tmp_path, {"": [0.03] * 10})
    found = compare(prometheus, folder=tmp_path, server=server)
    assert (found.measured_by, found.figures[0].run) == (RequestSource.CLIENT, pytest.approx(0.03))
    assert RUN.end not in {at for _, at in prometheus.asked}


def test_missing_requests_of_the_run_are_the_problem(prometheus: Answers, tmp_path: Path) -> None:
    """Then neither the service nor the client has the run's latencies."""
    found = compare(prometheus, folder=tmp_path, server=ServerFigures(coverage_ratio=0.5, metrics={}))
    assert found.problem is not None
    assert "requests.csv.gz" in found.problem


def test_instances_may_write_a_bound_in_different_ways(prometheus: Answers) -> None:
    """Half of the 80 requests up to 20 ms are in 0.02, the other half in 0.020."""
    counts = histogram(0, 40, 40, 100, 100, bounds=("0.01", "0.02", "0.020", "0.04", "+Inf"))
    prometheus.at[RUN.end][REFERENCE.buckets_query(SELECTOR, window=RUN_MS)] = counts
    assert compare(prometheus).figures[0].run == pytest.approx(0.01 + 0.01 * 50 / 80)


def test_the_method_shows_a_ratio_that_raw_percentiles_get_wrong() -> None:
    """Where the true p95 is 1.10 times production's, the raw one against the histogram's has the wrong sign."""
    bounds = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 7.5, 10.0, float("inf"))
    random = np.random.default_rng(5)
    production = random.lognormal(np.log(0.045), 0.6, 200_000)  # p95 = 45 ms · e^(1.645 · 0.6) = 121 ms
    run = 1.10 * random.lognormal(np.log(0.045), 0.6, 200_000)
    theirs, ours = (
        Buckets.of({b: float((latencies <= b).sum()) for b in bounds}).quantile(0.95) for latencies in (production, run)
    )
    assert theirs is not None
    assert ours is not None
    assert np.quantile(run, 0.95) / theirs.value < 1
    assert ours.value / theirs.value > 1


def test_an_unreachable_production_is_the_problem(prometheus: Answers) -> None:
    """Only one day is tried; the others would take as long."""
    down = PrometheusUnavailable("Prometheus does not answer")
    for at in DAYS:
        prometheus.at[at + timedelta(hours=1)] = dict.fromkeys(production_answers(), down)
    found = compare(prometheus)
    assert found.problem == "there are no figures of production for these hours: Prometheus does not answer"
    assert len(prometheus.asked) == 1


def test_a_wrong_connection_to_production_is_the_problem(prometheus: Answers) -> None:
    """It fails no run."""
    found = compare(prometheus, production=raising(ConfigurationError("the connection names no host")))
    assert found.problem == "the connection names no host"


def test_production_may_have_its_own_prometheus(prometheus: Answers) -> None:
    """It is queried only about the days, the other one only about the run."""
    other = Answers()
    other.at = {at: prometheus.at.pop(at) for at in list(prometheus.at) if at != RUN.end}
    found = compare(prometheus, production=lambda: other)
    assert len(found.days) == 4
    assert {at for _, at in prometheus.asked} == {RUN.end}


def test_the_time_for_production_is_limited(prometheus: Answers) -> None:
    """After two minutes no further day is queried."""

    class SlowClock(FixedClock):
        def __call__(self) -> datetime:
            self.move(50)
            return self.now

    found = compare(prometheus, clock=SlowClock())
    assert len(found.days) == 2  # begun after 50 and after 100 s
    assert "Prometheus answers too slowly" in found.left_out[0].reason


def test_hours_without_any_trading_day_are_the_problem(prometheus: Answers) -> None:
    """A market that is always closed has no trading days, and nothing is queried."""
    market = load_market_hours(OWN_FILE)
    closed = tuple(
        Holiday(date=date(2025, 9, 1) + timedelta(days=days), name="closed", closes="market") for days in range(200)
    )
    found = compare(prometheus, market=market.model_copy(update={"holidays": closed}))
    assert found.problem == "there was no trading day before the run"
    assert prometheus.asked == []


def test_missing_figures_are_remarked(prometheus: Answers) -> None:
    """Unknown errors are not zero."""
    for at in DAYS:
        answers = prometheus.at[at + timedelta(hours=1)]
        answers |= dict.fromkeys([REFERENCE.errors_query(PRODUCTION, window=HOUR_MS)], NoData("no data for errors"))
    found = compare(prometheus, server=ServerFigures(coverage_ratio=1.0, metrics={}))
    errors, cpu = found.figures[3:]
    assert (errors.production, errors.ratio, cpu.run) == (None, None, None)
    assert "production's error rate is unknown: no data for errors" in found.remarks
    assert "the run's CPU is unknown: its Prometheus does not have it" in found.remarks


def test_other_clients_of_the_service_are_remarked(prometheus: Answers) -> None:
    """It counted a tenth more requests than the run sent."""
    answers = prometheus.at[RUN.end]
    answers[REFERENCE.requests_query(SELECTOR, window=RUN_MS)] = 440.0
    assert any(
        remark.startswith("the service counted 440/s while the run sent 400/s")
        for remark in compare(prometheus).remarks
    )


def test_the_file_is_read_back(prometheus: Answers) -> None:
    """The written comparison is read; an invalid file is an error of this item."""
    found = compare(prometheus)
    assert read_comparison(to_json(found), where="here") == found
    assert read_comparison(None, where="here") is None
    with pytest.raises(ItemError, match=r"^here cannot be read: compared_at is missing"):
        read_comparison(b'{"schema_version": 9}', where="here")


def test_without_a_reference_nothing_is_queried(prometheus: Answers) -> None:
    """Neither for a service without production, nor for a scenario without hours."""
    with pytest.raises(AssertionError):
        compare(prometheus, service=small_service())
    with pytest.raises(AssertionError):
        compare(prometheus, scenario=small_scenario())
    assert prometheus.asked == []


def test_a_new_load_removes_the_comparison_of_the_previous_one() -> None:
    """Old figures must not be taken for those of the new load."""
    files = planned(store := MemoryStore())
    store.write(files.uri, PRODUCTION_FILE, b"{}")
    files.forget_figures()
    assert store.read(files.uri, PRODUCTION_FILE) is None


def test_the_page_of_a_run_shows_and_links_it(prometheus: Answers) -> None:
    """Next to the report that contains it."""
    record = run_record()
    page = run_page(
        record,
        entry_of(record, "memory://run"),
        history=(),
        baseline=None,
        files=(PRODUCTION_FILE,),
        may_change=False,
        production=compare(prometheus),
    )
    assert "Compared with production" in [section.title for section in page.document.sections]
    assert page.files == ((PRODUCTION_FILE, "comparison with production"),)


def test_the_verdict_does_not_depend_on_production(tmp_path: Path) -> None:
    """The problem is stored next to the record and shown in the report, and the verdict is the same."""
    platform = Platform(tmp_path)
    service = small_service(production={"selector": PRODUCTION})
    scenario = small_scenario(production_hours={"session": "london", "minutes": 60})
    platform.catalogue = replace(
        platform.catalogue, services={service.name: service}, scenarios={scenario.name: scenario}
    )
    down = PrometheusUnavailable("Prometheus does not answer")
    assert service.production is not None
    platform.metrics.answers[service.production.coverage_query(window=HOUR_MS)] = down
    record = platform.execute()
    assert record.verdict is Verdict.NO_BASELINE
    (files,) = platform.store.runs_by_uri.values()
    found = read_comparison(files[PRODUCTION_FILE], where="here")
    assert found is not None
    assert found.problem == "there are no figures of production for these hours: Prometheus does not answer"
    assert b"Compared with production" in files["report.md"]
    assert b"Compared with production" in files["report.html"]
