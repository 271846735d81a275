"""Real loads on services that expect more than a good status, have secrets, or are unreachable."""

import gzip
import signal
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.load.generator import LoadOrder, Progress
from include.perf.measure.measurement import measure
from tests.certificates import self_signed
from tests.real_loads import (
    LOAD,
    Onlooker,
    Target,
    drive,
    folder_in,
    kinds,
    loads_of,
    rows_in,
    service_at,
    summary_in,
    when_finished,
)
from tests.socket_servers import SocketServer, Talk, answer, free_port

pytestmark = pytest.mark.integration

SECRET = "t0p-s3cret-0451"
SECRETS = {"Authorization": f"Bearer {SECRET}", "X-Api-Key": f"key-{SECRET}"}
SLOW = LOAD.model_copy(update={"rate_rps": 20})  # 20/s × 10 s = 200 arrivals, 120 of them orders


class Strict:
    """A service that answers orders unexpectedly, and repeats the request in its answer."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def __call__(self, talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            head = request.decode("latin-1").lower()
            with self._lock:
                self.seen["requests"] += 1
                self.seen["with both secrets"] += (
                    f"authorization: bearer {SECRET}\r\nx-api-key: key-{SECRET}\r\n" in head
                )
                self.seen["with their own header"] += "\r\nx-client: bellwether\r\n" in head
            if head.startswith("post"):
                talk.send(answer(f'{{"status":"rejected","token":"{SECRET}"}}'.encode()))
            else:
                talk.send(answer(b'{"positions":[]}'))


def _drive_strict(folder: Path, tls: Path) -> tuple[Strict, list[dict[str, str]], list[list[str]], int]:
    """Drive a load over TLS; return the received requests, and the environments and command lines meanwhile."""
    strict, environments, commands = Strict(), [], []

    def look(_: Progress) -> None:
        for process in loads_of(folder):
            environments.append(process.environ())
            commands.append(process.cmdline())
            _assert_no_secret_in(folder)

    endpoints = [
        {"name": "orders", "method": "POST", "path": "/o", "expect": {"json": {"status": ["filled", "resting"]}}},
        {"name": "positions", "method": "GET", "path": "/p", "expect": {"has": ["positions"]}},
    ]
    with SocketServer(strict, tls=self_signed(tls)) as server:
        drive(
            folder,
            server.url,
            load=SLOW,
            secrets=SECRETS,
            on_progress=look,
            headers={"X-Client": "bellwether"},
            ca_file=tls / "server.pem",
            endpoints=endpoints,
        )
        return strict, environments, commands, server.accepted


def _assert_no_secret_in(folder: Path) -> None:
    for path in folder.rglob("*"):
        content = path.read_bytes()
        assert SECRET.encode() not in content, path
        if path.suffix == ".gz" and path.stat().st_size > 100 and not loads_of(folder):
            assert SECRET.encode() not in gzip.decompress(content), path


def test_secrets_reach_the_service_and_nothing_else(tmp_path: Path) -> None:
    """Over TLS verified with the service's bundle: no file, environment or command line has them."""
    folder = folder_in(tmp_path, "run")
    strict, environments, commands, connections = _drive_strict(folder, tmp_path)
    assert strict.seen == {"requests": 200, "with both secrets": 200, "with their own header": 200}
    assert len(environments) >= 8
    assert SECRET not in str(environments) + str(commands)
    _assert_no_secret_in(folder)
    # Every order is answered fast, and wrong.
    rows = rows_in(folder)
    assert kinds(rows) == {"": 80, "wrong answer: status": 120}
    assert set(rows["status"]) == {200}
    assert summary_in(folder).error_examples == {"orders wrong answer: status": '{"status":"rejected","token":"***"}'}
    assert measure(folder).metrics["error_rate"].value == pytest.approx(120 / 200)
    # Kept alive: far fewer connections than requests
    assert connections < 100


def _drive_hanging(folder: Path, target: Target) -> None:
    """Suspend the target during the load; with 20 connections and a timeout of 60 s all are soon busy."""
    load = LOAD.model_copy(update={"max_concurrency": 20, "drain_s": 1.0})
    target_stops = when_finished(200, lambda: target.process.send_signal(signal.SIGSTOP))
    drive(folder, target.url, load=load, timeout_s=60.0, on_progress=target_stops)


def _drive_without_keep_alive(folder: Path) -> int:
    with SocketServer(Strict()) as server:
        drive(folder, server.url, load=SLOW, keep_alive=False)
        return server.accepted


def test_a_load_goes_to_the_given_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is only for the Host header: it cannot be resolved, and no proxy gets it."""
    hosts: Counter[str] = Counter()

    def note(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            hosts[request.decode().partition("Host: ")[2].partition("\r\n")[0]] += 1
            talk.send(answer(status="302 Found", headers=f"Location: {elsewhere.url}/\r\n"))

    with SocketServer(note) as server, SocketServer(Strict()) as elsewhere:
        for name in ("HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"):
            monkeypatch.setenv(name, elsewhere.url)
        service = service_at(f"http://gateway.invalid:{server.port}")
        folder = folder_in(tmp_path, "run")
        order = LoadOrder(service=service, load=SLOW, folder=folder, addresses=("127.0.0.1",))
        LocustGenerator().run(order, watch=Onlooker())
        assert hosts == {f"gateway.invalid:{server.port}": 200}
        assert kinds(rows_in(folder)) == {"HTTP 302": 200}
        assert elsewhere.accepted == 0


def test_failing_loads_end_on_time_with_complete_records(start: Callable[..., Target], tmp_path: Path) -> None:
    """At once: a host on which nothing listens, a target that hangs with all connections busy, and no keep-alive."""
    target = start()
    nowhere, hanging, closing = (folder_in(tmp_path, name) for name in ("nowhere", "hanging", "closing"))
    with ThreadPoolExecutor(3) as pool:
        jobs = [
            pool.submit(drive, nowhere, f"http://127.0.0.1:{free_port()}", load=SLOW),
            pool.submit(_drive_hanging, hanging, target),
            pool.submit(_drive_without_keep_alive, closing),
        ]
        results = [job.result(timeout=60) for job in jobs]

    assert kinds(rows_in(nowhere)) == {"connection refused": 200}
    assert summary_in(nowhere).ended == "completed"
    assert "Connection refused" in summary_in(nowhere).error_examples["orders connection refused"]

    rows, summary = rows_in(hanging), summary_in(hanging)
    assert len(rows) == summary.arrivals == 1_000
    assert set(kinds(rows)) == {"", "unfinished"}
    assert (summary.ended, summary.concurrency_peak) == ("completed", 20)
    # 10 s of load, the last arrival due at 9.995 s, and 1 s for the answers: that is when every one of them ended.
    unfinished = rows[rows["error"] == "unfinished"]
    ends_s = unfinished["due_at"] + unfinished["latency_s"] - summary.started_at
    assert ends_s.between(10.99, 15).all()
    assert ends_s.max() - ends_s.min() < 1
    assert (unfinished["service_time_s"] > 0).sum() == 20

    assert (kinds(rows_in(closing)), results[2]) == ({"": 200}, 200)
