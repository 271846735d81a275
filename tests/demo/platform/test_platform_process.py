"""Real services in processes of their own, on loopback."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from demo.platform import __main__ as command_line
from demo.platform import traffic
from demo.platform.examples import ExampleRequest
from demo.platform.server import exit_with_parent
from tests.certificates import Authority
from tests.demo.platform.conftest import Process
from tests.waiting import until

PATH = "/api/v1/positions"
LABELS = {"endpoint": PATH, "method": "GET"}


@pytest.fixture
def service(gateway_process: Any) -> Iterator[Any]:
    yield gateway_process
    gateway_process.http.delete("/admin/fault")


def put(service: Any, **fault: float) -> None:
    service.http.put("/admin/fault", json=fault).raise_for_status()


def test_a_process_tells_who_it_is(service: Any) -> None:
    assert service.http.get("/healthz").json() == {
        "status": "ok",
        "service": "trading-gateway-service",
        "version": "9.8.7",
        "environment": "lab",
    }
    assert service.metric("service_build_info", version="9.8.7") == 1
    assert "_created" not in service.http.get("/metrics").text


def test_injected_latency_is_waited_and_measured(service: Any) -> None:
    """Ten requests at 50 ms each: at least 0.5 s in the histogram's sum."""
    before_s = service.metric("http_request_duration_seconds_sum", **LABELS)
    put(service, latency_s=0.05)
    began_s = time.monotonic()
    assert {service.http.get(PATH).status_code for _ in range(10)} == {200}
    assert time.monotonic() - began_s >= 0.48
    assert service.metric("http_request_duration_seconds_sum", **LABELS) - before_s >= 0.48


def test_injected_errors_are_counted(service: Any) -> None:
    before = service.metric("http_requests_total", **LABELS, status="503")
    put(service, error_ratio=0.25)
    answers = [service.http.get(PATH).status_code for _ in range(20)]
    assert answers.count(503) == 5
    assert service.metric("http_requests_total", **LABELS, status="503") - before == 5


def test_burned_cpu_shows_in_the_process_metrics(service: Any) -> None:
    before_s = service.metric("process_cpu_seconds_total")
    put(service, cpu_s=0.03)
    for _ in range(10):
        service.http.get(PATH)
    assert service.metric("process_cpu_seconds_total") - before_s >= 0.29


def test_held_memory_shows_in_the_process_metrics_and_goes_again(service: Any) -> None:
    before = service.metric("process_resident_memory_bytes")
    put(service, memory_bytes=64_000_000)
    assert service.metric("process_resident_memory_bytes") - before > 60_000_000
    service.http.delete("/admin/fault")
    assert service.metric("process_resident_memory_bytes") - before < 10_000_000


def test_a_stalled_service_still_answers_prometheus(service: Any) -> None:
    """API requests hang for 0.5 s while metrics, health and the knob answer; the wait is in the histogram."""
    before_s = service.metric("http_request_duration_seconds_sum", **LABELS)
    put(service, stall_s=0.5)
    began_s = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(service.http.get, PATH) for _ in range(4)]
        assert service.http.get("/metrics").status_code == 200
        assert service.http.get("/healthz").status_code == 200
        assert 0 < service.http.get("/admin/fault").json()["stall_remaining_s"] < 0.5
        assert time.monotonic() - began_s < 0.4
        assert {answer.result().status_code for answer in waiting} == {200}
    assert 0.45 <= time.monotonic() - began_s < 2
    assert service.metric("http_request_duration_seconds_sum", **LABELS) - before_s > 4 * 0.35


def test_waiting_behind_another_request_is_measured(service: Any) -> None:
    """Of eight requests sent at once with 30 ms of CPU each, later ones wait for earlier ones."""
    before_s = service.metric("http_request_duration_seconds_sum", **LABELS)
    connections = [http.client.HTTPConnection("127.0.0.1", service.port, timeout=10) for _ in range(8)]
    for connection in connections:
        connection.request("GET", "/healthz")
        connection.getresponse().read()
    put(service, cpu_s=0.03)
    for connection in connections:
        connection.request("GET", PATH)
    for connection in connections:
        connection.getresponse().read()
        connection.close()
    # 8 · 30 ms without any wait; (1 + 2 + … + 8) · 30 ms = 1.08 s if all had been read at once
    waited_s = service.metric("http_request_duration_seconds_sum", **LABELS) - before_s
    assert waited_s > 2 * 8 * 0.03


@pytest.fixture
def strict_process(tmp_path: Path) -> Iterator[Any]:
    """A service at two addresses that wants a client certificate and closes idle connections after 50 ms."""
    authority = Authority(tmp_path)
    authority.server()
    process = Process(
        *("trading-gateway-service", "--host", "127.0.0.1", "127.0.0.2", "--idle-timeout", "0.05"),
        *("--certificate", str(tmp_path / "server.pem"), "--client-ca", str(authority.bundle)),
    )
    context = ssl.create_default_context(cafile=str(authority.bundle))
    context.check_hostname = False  # the certificate is for the first address
    context.load_cert_chain(authority.client())
    try:
        until(lambda: _is_listening(process.port), within_s=60, every_s=0.05, what="the service listens")
        yield process.port, context, str(authority.bundle)
    finally:
        process.stop()


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.2", port)) == 0


def test_a_client_certificate_is_required(strict_process: Any) -> None:
    """At every address; a client without one is refused by TLS."""
    port, context, bundle = strict_process
    assert [_status(address, port, context) for address in ("127.0.0.1", "127.0.0.2")] == [200, 200]
    with pytest.raises((ssl.SSLError, ConnectionError)):
        _status("127.0.0.1", port, ssl.create_default_context(cafile=bundle))


def _status(address: str, port: int, context: ssl.SSLContext) -> int:
    with contextlib.closing(http.client.HTTPSConnection(address, port, context=context, timeout=10)) as connection:
        connection.request("GET", PATH)
        return connection.getresponse().status


def test_an_idle_connection_is_closed(strict_process: Any) -> None:
    """The server closes it after its time-out."""
    port, context, _ = strict_process
    plain = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as talk:
        talk.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        received = b""
        while part := talk.recv(65536):  # ends when the server closes the connection
            received += part
        assert received.startswith(b"HTTP/1.1 200 ")


def test_sigterm_is_a_clean_exit_while_starting() -> None:
    """The shared process shows the same while it serves: its fixture checks the exit code."""
    command = [sys.executable, "-m", "demo.platform", "--service", "feature-store", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert "feature-store-service 2.4.0 (staging)" in process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    _, rest = process.communicate(timeout=10)
    assert process.returncode == 0
    assert "stopped" in rest


def test_a_service_does_not_outlive_its_parent() -> None:
    """A shell starts a service and is killed; the service goes as well."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-m', 'demo.platform', '--service', 'feature-store',"
        " '--port', '0', '--exit-with-parent'], stderr=subprocess.PIPE)\n"
        "child.stderr.readline()\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert _ends_within(child, seconds=10)


def _ends_within(pid: int, *, seconds: float) -> bool:
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


def test_the_watch_stops_only_for_another_parent() -> None:
    stopped = threading.Event()
    parents = iter([7, 7, 7, 1])
    exit_with_parent(parent=lambda: next(parents), stop=stopped.set, poll_s=0.001).join(timeout=5)
    assert stopped.is_set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--service", "fax", "--port", "1"], "unknown service 'fax'"),
        (["--service", "feature-store", "--port", "1", "--data-dir", "/no/such"], "not an existing folder"),
        (["--service", "feature-store"], "--port"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        command_line.parse(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_a_service_listens_on_loopback_unless_told_otherwise() -> None:
    options = command_line.parse(["--service", "ml-integration", "--port", "8104"])
    assert (options.service, options.host, options.with_faults) == ("ml-integration-service", ["127.0.0.1"], False)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8201",
        "http://127.9.9.9:1",
        "http://[::1]:8201",
        "trading-gateway=http://localhost:8201",
    ],
)
def test_traffic_goes_to_loopback(url: str) -> None:
    assert traffic.parse_target(url).port in (8201, 1)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://10.0.0.1:8000", "loopback addresses only"),
        ("http://trading-gateway-service:8000", "loopback addresses only"),
        ("http://localhost.example.com:8000", "loopback addresses only"),
        ("http://127.0.0.1@example.com:8000", "loopback addresses only"),
        ("https://127.0.0.1:8000", "must be"),
        ("http://127.0.0.1", "must be"),
        ("fax=http://127.0.0.1:8000", "unknown service"),
    ],
)
def test_traffic_refuses_other_addresses(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        traffic.parse_target(url)


class Wait:
    """Moves a clock instead of waiting; stops after so many waits."""

    def __init__(self, clock: Any, stop_after: int = 1_000_000) -> None:
        self._clock = clock
        self._left = stop_after

    def __call__(self, seconds: float) -> bool:
        self._clock.now_s += seconds
        self._left -= 1
        return self._left < 0


def test_traffic_keeps_its_rate_and_ends(clock: Any) -> None:
    """5/s for 60 s are 300 requests, each due 0.2 s after the last, and catch up after one slow response."""
    began_s, sent_s = clock.now_s, []

    def send(request: ExampleRequest) -> int:
        sent_s.append(round(clock.now_s - began_s, 6))
        clock.now_s += 1.0 if len(sent_s) == 10 else 0.01
        return 200

    pace = traffic.Pace(rate_rps=5, for_s=60, clock=clock, wait=Wait(clock))
    assert traffic.send_steadily("data-pipeline-service", send, pace) == {"200": 300}
    # due at 1.8 s and answered at 2.8 s, so those due at 2.0 … 2.8 s follow at once
    assert sent_s[:10] == pytest.approx([0.2 * i for i in range(10)])
    assert sent_s[10:14] == pytest.approx([2.8, 2.81, 2.82, 2.83])
    assert sent_s[-1] == pytest.approx(59.8)


def test_traffic_survives_missing_responses_and_stops_on_request(clock: Any) -> None:
    def send(request: ExampleRequest) -> int:
        raise ConnectionRefusedError("refused")

    pace = traffic.Pace(rate_rps=5, for_s=60, clock=clock, wait=Wait(clock, stop_after=12))
    assert traffic.send_steadily("data-pipeline-service", send, pace)["unanswered"] == 12


def test_traffic_reaches_a_real_service(service: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The service returns its name, gets 40/s for half a second, and then no more requests."""
    caplog.set_level("INFO", logger=traffic.__name__)
    labels = {"endpoint": "/api/v1/orders", "method": "POST", "status": "200"}
    before = service.metric("http_requests_total", **labels)
    pace = traffic.Pace(rate_rps=40, for_s=0.5, clock=time.monotonic, wait=threading.Event().wait)
    traffic.serve_target(traffic.parse_target(f"http://127.0.0.1:{service.port}"), pace)
    assert "trading-gateway-service: done, {'200': 20}" in caplog.text
    assert service.metric("http_requests_total", **labels) - before == 5  # one in four
