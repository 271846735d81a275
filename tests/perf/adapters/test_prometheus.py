"""Prometheus asked for single values: a real server for what it says, a false one for what can go wrong."""

import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from urllib3.util import Retry

from include.perf.adapters.prometheus import Prometheus
from include.perf.errors import NoData, PrometheusUnavailable, QueryRejected
from include.perf.run import ServerFigures, Window
from include.perf.scraping import is_scraped, scrape_figures
from include.perf.service import Service
from include.perf.validity import server_problems
from tests.socket_servers import SocketServer, Talk, answer, eventually, free_port, prometheus, python

INTERVAL_S = 0.2
AT = datetime(2026, 1, 7, 12, 0, 0, 125_000, tzinfo=UTC)
BURNER = """
import sys, time
from prometheus_client import start_http_server
start_http_server(int(sys.argv[1]), "127.0.0.1")
print("ready", flush=True)
while True:  # 40 ms of work in each 100 ms
    began = time.monotonic()
    used = time.thread_time()
    while time.thread_time() - used < 0.04:
        pass
    time.sleep(max(0.0, 0.1 - (time.monotonic() - began)))
"""


class Exporter:
    """A target whose figures are known and which can be made to fail its scrapes."""

    TEXT = (
        b"process_resident_memory_bytes 104857600\n"
        b"process_cpu_seconds_total %.3f\n"
        b'node_filesystem_avail_bytes{mountpoint="/"} 250\n'
        b'node_filesystem_size_bytes{mountpoint="/"} 1000\n'
        b'two_series{half="a"} 1\ntwo_series{half="b"} 2\n'
        b"not_a_number NaN\ninfinite +Inf\n"
    )

    def __init__(self) -> None:
        self.is_up = True
        self.good = 0
        self.bad = 0
        self._began = time.monotonic()
        self.server = SocketServer(self._script)

    def _script(self, talk: Talk) -> None:
        while talk.read_request() is not None:
            if self.is_up:
                # 0.25 s of CPU a second
                body = self.TEXT % ((time.monotonic() - self._began) * 0.25)
                talk.send(answer(body, headers="Content-Type: text/plain; version=0.0.4\r\n"))
                self.good += 1
            else:
                talk.send(answer(b"", status="500 Oops"))
                self.bad += 1


@dataclass(frozen=True, slots=True)
class Stack:
    """A real Prometheus and what it scrapes."""

    source: Prometheus
    exporter: Exporter
    burner: psutil.Process


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Started once; it scrapes five times a second."""
    exporter, burner_port = Exporter(), free_port()
    try:
        with python("-c", BURNER, str(burner_port), stdout=subprocess.PIPE) as burner:
            assert burner.stdout is not None
            assert burner.stdout.readline() == b"ready\n"
            targets = {"known": exporter.server.port, "burner": burner_port, "gone": free_port()}
            with prometheus(tmp_path_factory.mktemp("prometheus"), targets=targets) as url:
                source = Prometheus(url)
                eventually(lambda: exporter.good >= 3)
                eventually(lambda: is_scraped(service_named("burner"), source, at=datetime.now(UTC)))
                yield Stack(source, exporter, psutil.Process(burner.pid))
    finally:
        exporter.server.close()


def service_named(name: str, *, interval_s: float = INTERVAL_S, **queries: str) -> Service:
    return Service.model_validate(
        {
            "name": name,
            "base_url": "http://127.0.0.1:9",
            "allowed_hosts": ["127.0.0.1"],
            "prometheus": {
                "selector": f'service="{name}",environment="staging"',
                "scrape_interval_s": interval_s,
                "queries": queries,
            },
            "endpoints": [{"name": "orders", "method": "POST", "path": "/api/v1/orders"}],
        }
    )


@pytest.mark.integration
def test_a_value_is_what_was_scraped(stack: Stack) -> None:
    """One series, one number, at the time asked for."""
    assert stack.source.value('process_resident_memory_bytes{service="known"}', at=datetime.now(UTC)) == 104857600


@pytest.mark.integration
@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ("no_such_metric", NoData, "no data for no_such_metric"),
        ("two_series", NoData, "2 series instead of one for two_series"),
        ("not_a_number", NoData, "the value of not_a_number is nan"),
        ("infinite", NoData, "the value of infinite is inf"),
        ("rate(", QueryRejected, "Prometheus refused rate(: HTTP Status Code 400"),
        ('process_resident_memory_bytes{service="known"}[5s]', QueryRejected, "does not return a vector"),
        ("1", QueryRejected, "1 does not return a vector"),
        ('"text"', QueryRejected, "does not return a vector"),
    ],
)
def test_what_is_not_one_number_is_said_so(stack: Stack, query: str, error: type[Exception], message: str) -> None:
    """Empty, NaN, several series and wrong queries are told apart; none is a value."""
    with pytest.raises(error, match=re.escape(message)):
        stack.source.value(query, at=datetime.now(UTC))


@pytest.mark.integration
def test_a_target_is_scraped_when_it_is_up(stack: Stack) -> None:
    """A target that is known but down, or not known at all, is not."""
    now = datetime.now(UTC)
    assert is_scraped(service_named("known"), stack.source, at=now)
    assert not is_scraped(service_named("gone"), stack.source, at=now)
    assert not is_scraped(service_named("unknown"), stack.source, at=now)


def await_scrapes(stack: Stack, *, good: int = 0, bad: int = 0) -> None:
    """Wait until the exporter was asked so many times more."""
    wanted = (stack.exporter.good + good, stack.exporter.bad + bad)
    eventually(lambda: stack.exporter.good >= wanted[0] and stack.exporter.bad >= wanted[1], within_s=60)


def figures_over(stack: Stack, window: Window, service: Service) -> ServerFigures:
    """Ask for a window once its last samples are stored."""
    await_scrapes(stack, good=3)
    return scrape_figures(service, window, stack.source)


@pytest.mark.integration
def test_figures_are_averages_over_exactly_the_window(stack: Stack) -> None:
    """A constant is found exactly, a counter's rate to what its samples allow."""
    start = datetime.now(UTC)
    await_scrapes(stack, good=20)
    figures = figures_over(stack, Window(start=start, end=datetime.now(UTC)), service_named("known"))
    values = {name: each.value for name, each in figures.metrics.items()}
    assert values["memory_usage"] == 104857600
    assert values["disk_usage"] == pytest.approx(0.75)  # 1 − 250 / 1000
    assert values["cpu_usage"] == pytest.approx(0.25, rel=0.10)
    assert figures.coverage_ratio == pytest.approx(1.0, abs=0.2)
    assert figures.problem is None


@pytest.mark.integration
def test_a_window_that_was_half_scraped_has_half_the_coverage(stack: Stack) -> None:
    """The averages still look normal: only the coverage tells, and it makes the run invalid."""
    exporter = stack.exporter
    start, good = datetime.now(UTC), exporter.good
    await_scrapes(stack, good=12)
    exporter.is_up = False
    good = exporter.good - good
    await_scrapes(stack, bad=12)
    end = datetime.now(UTC)
    exporter.is_up = True
    window = Window(start=start, end=end)
    figures = figures_over(stack, window, service_named("known"))
    assert figures.coverage_ratio is not None
    # A scrape under way at either end may count or not.
    assert figures.coverage_ratio == pytest.approx(good / (window.duration_s / INTERVAL_S - 1), abs=0.12)
    assert figures.coverage_ratio < 0.8
    assert figures.metrics["memory_usage"].value == 104857600
    (problem,) = server_problems(figures)
    assert re.match(r"Prometheus has \d\d% of the service's scrapes in the measured window", problem)


@pytest.mark.integration
def test_a_wrong_scrape_interval_shows_in_the_coverage(stack: Stack) -> None:
    """A catalogue that says 100 ms where Prometheus scrapes each 200 ms finds half of it."""
    start = datetime.now(UTC)
    await_scrapes(stack, good=15)
    window = Window(start=start, end=datetime.now(UTC))
    figures = figures_over(stack, window, service_named("known", interval_s=0.1))
    assert figures.coverage_ratio is not None
    assert figures.coverage_ratio == pytest.approx(0.5, abs=0.15)


@pytest.mark.integration
def test_the_cpu_figure_is_what_the_process_used(stack: Stack) -> None:
    """Against the kernel's own account of a process that works 40 % of the time."""
    start, used = datetime.now(UTC), stack.burner.cpu_times()
    await_scrapes(stack, good=25)
    end, used_then = datetime.now(UTC), stack.burner.cpu_times()
    window = Window(start=start, end=end)
    truth = (used_then.user + used_then.system - used.user - used.system) / window.duration_s
    figures = figures_over(stack, window, service_named("burner"))
    # The disk's metric is not there, and that is no value.
    assert figures.metrics["disk_usage"].value is None
    assert (figures.metrics["disk_usage"].reason or "").startswith("no data for 1 - min(")
    assert figures.metrics["cpu_usage"].value == pytest.approx(truth, rel=0.15)
    assert truth < 0.6


@pytest.mark.integration
def test_a_service_that_was_never_scraped_has_no_figures(stack: Stack) -> None:
    """Its run is invalid, with the reason."""
    end = datetime.now(UTC)
    window = Window(start=datetime.fromtimestamp(end.timestamp() - 2, tz=UTC), end=end)
    figures = scrape_figures(service_named("unknown"), window, stack.source)
    assert (figures.coverage_ratio, figures.metrics) == (None, {})
    (problem,) = server_problems(figures)
    assert problem.startswith("Prometheus has no scrapes of unknown: no data for min(sum_over_time(up{")


@pytest.mark.integration
def test_an_empty_window_is_not_asked_about(stack: Stack) -> None:
    """A load that ended in its warm-up measured nothing."""
    now = datetime.now(UTC)
    figures = scrape_figures(service_named("known"), Window(start=now, end=now), stack.source)
    assert server_problems(figures) == ["the measured window is empty"]


@pytest.mark.integration
def test_a_wrong_query_of_the_catalogue_is_a_metric_without_a_value(stack: Stack) -> None:
    """The other metrics are there all the same."""
    start = datetime.now(UTC)
    await_scrapes(stack, good=5)
    wrong = {"memory_usage": "process_resident_memory_bytes{$selector}[$window]", "disk_usage": "nonsense([$window])"}
    figures = figures_over(stack, Window(start=start, end=datetime.now(UTC)), service_named("known", **wrong))
    assert figures.metrics["cpu_usage"].value == pytest.approx(0.25, rel=0.2)
    assert (figures.metrics["memory_usage"].reason or "").endswith("does not return a vector")
    assert (figures.metrics["disk_usage"].reason or "").startswith("Prometheus refused nonsense([")


VECTOR = {
    "status": "success",
    "data": {"resultType": "vector", "result": [{"metric": {}, "value": [1767787200, "0.25"]}]},
}


@pytest.fixture
def false_server() -> Iterator[Callable[..., SocketServer]]:
    """Servers that answer every query with the same, and keep what they were asked."""
    servers: list[SocketServer] = []

    def start(*answers: bytes, seen: list[bytes] | None = None) -> SocketServer:
        left = list(answers)
        lock = threading.Lock()

        def script(talk: Talk) -> None:
            while (request := talk.read_request()) is not None:
                if seen is not None:
                    seen.append(request)
                with lock:
                    data = left.pop(0) if len(left) > 1 else left[0]
                talk.send(data)

        servers.append(SocketServer(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def as_json(document: object, *, status: str = "200 OK") -> bytes:
    return answer(json.dumps(document).encode(), status=status, headers="Content-Type: application/json\r\n")


def asked(url: str, **options: object) -> float:
    settings = {"timeout_s": 5.0, "retries": Retry(total=0)} | options
    return Prometheus(url, **settings).value("up", at=AT)  # type: ignore[arg-type]


def test_the_query_is_asked_at_the_millisecond(false_server: Callable[..., SocketServer]) -> None:
    """The window's end is not rounded to seconds: a rate over another window is another rate."""
    seen: list[bytes] = []
    assert asked(false_server(as_json(VECTOR), seen=seen).url) == 0.25
    method, target, _ = seen[0].split(b"\r\n")[0].decode().split(" ")
    assert (method, urlsplit(target).path) == ("GET", "/api/v1/query")
    assert parse_qs(urlsplit(target).query) == {"query": ["up"], "time": ["1767787200.125"]}


def series(*labels: dict[str, str]) -> bytes:
    """Return an answer of so many series of value 1."""
    result = [{"metric": each, "value": [1767787200, "1"]} for each in labels]
    return as_json({"status": "success", "data": {"resultType": "vector", "result": result}})


def label(server: SocketServer, name: str = "version") -> str:
    return Prometheus(server.url, timeout_s=5.0, retries=Retry(total=0)).label("build_info", name, at=AT)


def test_a_label_of_the_single_series(false_server: Callable[..., SocketServer]) -> None:
    """Asked at the same moment as a value; the value itself does not matter."""
    seen: list[bytes] = []
    assert label(false_server(series({"version": "2.4.1", "job": "x"}), seen=seen)) == "2.4.1"
    query = parse_qs(urlsplit(seen[0].split(b" ")[1].decode()).query)
    assert query == {"query": ["build_info"], "time": ["1767787200.125"]}


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (series(), "^no data for build_info$"),
        (series({"version": "1"}, {"version": "2"}), "^2 series instead of one for build_info$"),
        (series({"job": "x", "a": "y"}), "^the series of build_info has no label 'version'; it has a, job$"),
        (series({}), "^the series of build_info has no label 'version'; it has none$"),
        (series({"version": ""}), "has no label 'version'"),
    ],
)
def test_no_label_is_no_data(false_server: Callable[..., SocketServer], data: bytes, message: str) -> None:
    """Two versions at once are no version."""
    with pytest.raises(NoData, match=message):
        label(false_server(data))


def test_a_label_of_a_server_that_talks_nonsense(false_server: Callable[..., SocketServer]) -> None:
    """As with a value."""
    with pytest.raises(PrometheusUnavailable):
        label(false_server(answer(b"no", status="401 Unauthorized")))
    with pytest.raises(QueryRejected):
        label(false_server(as_json({"status": "error", "error": "parse error"}, status="400 Bad Request")))


def test_a_login_and_headers_are_sent(false_server: Callable[..., SocketServer]) -> None:
    """Basic authentication: user:password in base 64."""
    seen: list[bytes] = []
    server = false_server(as_json(VECTOR), seen=seen)
    assert asked(server.url, auth=("perf", "s3cret"), headers={"X-Scope-OrgID": "fx"}) == 0.25
    assert b"Authorization: Basic cGVyZjpzM2NyZXQ=\r\n" in seen[0]
    assert b"X-Scope-OrgID: fx\r\n" in seen[0]


@pytest.mark.parametrize("prefix", ["/prometheus", "/prometheus/"])
def test_a_path_prefix_is_kept(false_server: Callable[..., SocketServer], prefix: str) -> None:
    """Prometheus often lives below a path of a reverse proxy."""
    seen: list[bytes] = []
    assert asked(false_server(as_json(VECTOR), seen=seen).url + prefix) == 0.25
    assert seen[0].startswith(b"GET /prometheus/api/v1/query?")


UNAVAILABLE = [
    (answer(b"oops", status="500 Oops"), r"cannot be asked \(RetryError\)|HTTP Status Code 500"),
    (answer(b"<html>Login</html>", headers="Content-Type: text/html\r\n"), r"cannot be asked \(JSONDecodeError\)"),
    (answer(b"no", status="401 Unauthorized"), "answered HTTP Status Code 401"),
    (answer(b"not here", status="404 Not Found"), "answered HTTP Status Code 404"),
    (as_json({"status": "error", "error": "boom"}), r"cannot be asked \(KeyError\)"),
    (as_json([1, 2]), r"cannot be asked \(TypeError\)"),
    (as_json({"status": "success", "data": None}), r"cannot be asked \(TypeError\)"),
    (b"SSH-2.0\r\n", r"cannot be asked \(ConnectionError\)"),
]


@pytest.mark.parametrize(("data", "message"), UNAVAILABLE, ids=[str(number) for number in range(len(UNAVAILABLE))])
def test_a_server_that_talks_nonsense_is_unavailable(
    false_server: Callable[..., SocketServer], data: bytes, message: str
) -> None:
    """Worth a retry, and never a value; the message names the address."""
    url = false_server(data).url
    with pytest.raises(PrometheusUnavailable, match=message) as caught:
        asked(url)
    assert url in str(caught.value)


@pytest.mark.parametrize("status", ["400 Bad Request", "422 Unprocessable Entity"])
def test_a_bad_query_is_rejected(false_server: Callable[..., SocketServer], status: str) -> None:
    """A retry cannot help; the message has what Prometheus said of it."""
    document = {"status": "error", "errorType": "bad_data", "error": "parse error: unclosed left parenthesis"}
    with pytest.raises(QueryRejected, match=r"Prometheus refused up: .*unclosed left parenthesis"):
        asked(false_server(as_json(document, status=status)).url)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([], "no data for up"),
        ([{"metric": {}, "value": [1, "NaN"]}], "the value of up is nan"),
        ([{"metric": {}, "value": [1, "-Inf"]}], "the value of up is -inf"),
        (
            [{"metric": {"a": "1"}, "value": [1, "1"]}, {"metric": {"a": "2"}, "value": [1, "2"]}],
            "2 series instead of one",
        ),
    ],
)
def test_no_single_number_is_no_data(
    false_server: Callable[..., SocketServer], result: list[object], message: str
) -> None:
    """No data is never zero."""
    document = {"status": "success", "data": {"resultType": "vector", "result": result}}
    with pytest.raises(NoData, match=message):
        asked(false_server(as_json(document)).url)


def test_a_server_that_is_down_is_unavailable() -> None:
    """The message says where its address is set."""
    with pytest.raises(PrometheusUnavailable, match="connection prometheus_default"):
        asked(f"http://127.0.0.1:{free_port()}")


def _never(talk: Talk) -> None:
    talk.read_request()
    talk.closing.wait()


def test_a_slow_server_is_given_up() -> None:
    """The client library itself would wait for ever."""
    with SocketServer(_never) as server:
        began = time.monotonic()
        with pytest.raises(PrometheusUnavailable, match=r"ConnectionError|ReadTimeout"):
            asked(server.url, timeout_s=0.3)
        assert 0.29 <= time.monotonic() - began < 10


def test_a_server_that_recovers_is_asked_again(false_server: Callable[..., SocketServer]) -> None:
    """503 twice, then an answer."""
    busy = answer(b"", status="503 Service Unavailable")
    retries = Retry(total=2, backoff_factor=0.0, status_forcelist=(503,), allowed_methods=None)
    seen: list[bytes] = []
    assert asked(false_server(busy, busy, as_json(VECTOR), seen=seen).url, retries=retries) == 0.25
    assert len(seen) == 3
