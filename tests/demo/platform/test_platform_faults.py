"""All parts of fault injection, with clocks that tests advance."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from demo.platform.faults import PlatformFault, PlatformFaults, burn

PATH = "/api/v1/positions"
SERVICE = "trading-gateway-service"


class Sleeper:
    """Records the sleeps."""

    def __init__(self) -> None:
        self.slept_s: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.slept_s.append(seconds)


@pytest.fixture
def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
def faults(clock: Any, sleeper: Sleeper) -> PlatformFaults:
    return PlatformFaults(clock=clock, sleep=sleeper)


@pytest.fixture
def service(start: Callable[..., Any], faults: PlatformFaults) -> Any:
    return start(SERVICE, faults=faults)


def put(service: Any, **fault: float) -> dict[str, Any]:
    answer = service.ask("PUT", "/admin/fault", json=fault)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def statuses(service: Any, count: int) -> list[int]:
    return [service.ask("GET", PATH).status_code for _ in range(count)]


def test_without_the_flag_there_is_no_fault_injection(start: Callable[..., Any]) -> None:
    service = start(SERVICE)
    assert service.ask("GET", "/admin/fault").status_code == 404
    assert service.ask("PUT", "/admin/fault", json={"error_ratio": 1}).status_code == 404
    assert statuses(service, 3) == [200] * 3


def test_no_fault_is_active_at_first(service: Any) -> None:
    assert service.ask("GET", "/admin/fault").json() == {
        "active": False,
        "fault": None,
        "remaining_s": 0.0,
        "stall_remaining_s": 0.0,
        "held_bytes": 0,
        "requests": 0,
        "errors": 0,
    }


def test_errors_are_spread_evenly(service: Any) -> None:
    """5 % of 1,000 requests are exactly 50 errors, one in every 20."""
    put(service, error_ratio=0.05)
    answers = statuses(service, 1000)
    assert answers.count(503) == 50
    assert answers.count(200) == 950
    assert [answers[i : i + 20].count(503) for i in range(0, 1000, 20)] == [1] * 50
    assert service.metric("http_requests_total", endpoint=PATH, method="GET", status="503") == 50
    assert service.metric("http_requests_total", endpoint=PATH, method="GET", status="200") == 950
    status = service.ask("GET", "/admin/fault").json()
    assert (status["requests"], status["errors"]) == (1000, 50)


@pytest.mark.parametrize(("ratio", "count", "errors"), [(1.0, 7, 7), (0.29, 100, 29), (0.001, 1000, 1), (0, 9, 0)])
def test_the_error_ratio_is_exact(faults: PlatformFaults, ratio: float, count: int, errors: int) -> None:
    async def strike() -> int:
        await faults.set(PlatformFault(error_ratio=ratio))
        return sum([await faults.strike() for _ in range(count)])

    assert asyncio.run(strike()) == errors


def test_an_injected_error_says_what_it_is(service: Any) -> None:
    put(service, error_ratio=1)
    answer = service.ask("GET", PATH)
    assert answer.status_code == 503
    assert answer.json()["detail"].startswith("injected fault")


def test_latency_is_spread_around_its_mean_and_seeded(service: Any, sleeper: Sleeper) -> None:
    """200 draws cover 0.2 ± 0.05 s, and the same fault draws the same values again."""
    put(service, latency_s=0.2, latency_spread_s=0.05)
    statuses(service, 200)
    first = sleeper.slept_s.copy()
    assert all(0.15 <= s <= 0.25 for s in first)
    assert sum(first) / 200 == pytest.approx(0.2, abs=0.006)
    assert max(first) - min(first) > 0.09
    sleeper.slept_s.clear()
    put(service, latency_s=0.2, latency_spread_s=0.05)
    statuses(service, 200)
    assert sleeper.slept_s == first


def test_faults_leave_health_metrics_and_admin_alone(service: Any, sleeper: Sleeper) -> None:
    put(service, latency_s=1, error_ratio=1)
    for path in ("/healthz", "/metrics", "/openapi.json", "/admin/fault"):
        assert service.ask("GET", path).status_code == 200
    assert sleeper.slept_s == []


def test_cpu_is_really_burned() -> None:
    before_s = time.process_time()
    burn(0.05)
    assert 0.05 <= time.process_time() - before_s < 0.2


def test_each_request_burns_its_cpu(start: Callable[..., Any], clock: Any) -> None:
    service = start(SERVICE, faults=PlatformFaults(clock=clock))
    put(service, cpu_s=0.02)
    before_s = time.thread_time()
    statuses(service, 5)
    assert time.thread_time() - before_s >= 0.1


def test_memory_is_held_until_the_fault_ends(service: Any) -> None:
    """The status shows the memory; another test measures it in a separate process."""
    assert put(service, memory_bytes=40_000_000)["held_bytes"] == 40_000_000
    assert service.ask("DELETE", "/admin/fault").json()["held_bytes"] == 0


def test_a_fault_ends_after_its_time(service: Any, clock: Any) -> None:
    put(service, error_ratio=1, memory_bytes=1_000_000, for_s=60)
    clock.now_s += 59.5
    status = service.ask("GET", "/admin/fault").json()
    assert (status["active"], status["remaining_s"]) == (True, 0.5)
    assert status["fault"]["error_ratio"] == 1
    assert statuses(service, 1) == [503]
    clock.now_s += 0.5
    assert statuses(service, 2) == [200, 200]
    status = service.ask("GET", "/admin/fault").json()
    assert (status["active"], status["held_bytes"]) == (False, 0)


def test_a_fault_ends_without_any_request(clock: Any) -> None:
    """A timer of the event loop releases the memory."""
    faults = PlatformFaults(clock=clock)

    async def wait() -> int:
        await faults.set(PlatformFault(memory_bytes=1_000_000, for_s=0.02))
        await asyncio.sleep(0.05)
        return sum(len(chunk) for chunk in faults._ballast)

    assert asyncio.run(wait()) == 0


def test_a_new_fault_replaces_the_old(service: Any) -> None:
    put(service, error_ratio=1)
    put(service, memory_bytes=0)
    assert statuses(service, 1) == [200]


def test_deleting_ends_the_fault(service: Any) -> None:
    put(service, error_ratio=1)
    assert service.ask("DELETE", "/admin/fault").json()["active"] is False
    assert statuses(service, 1) == [200]


def test_a_stall_delays_requests_until_its_end(clock: Any) -> None:
    """Requests wait during a stall; the end of the fault releases them at once."""
    faults = PlatformFaults(clock=clock)

    async def stall() -> tuple[bool, bool]:
        await faults.set(PlatformFault(stall_s=30))
        request = asyncio.create_task(faults.strike())
        await asyncio.sleep(0.02)
        waiting = not request.done()
        assert faults.status().stall_remaining_s == 30
        faults.clear()
        return waiting, await asyncio.wait_for(request, 1)

    assert asyncio.run(stall()) == (True, False)


def test_a_stall_ends_on_time() -> None:
    faults = PlatformFaults()

    async def stall() -> float:
        await faults.set(PlatformFault(stall_s=0.1))
        began_s = time.monotonic()
        await asyncio.gather(*(faults.strike() for _ in range(50)))
        took_s = time.monotonic() - began_s
        await faults.strike()
        faults.clear()
        return took_s

    assert 0.09 <= asyncio.run(stall()) < 0.5


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"latency_s": 31}, "less than or equal to 30"),
        ({"latency_s": 0.1, "latency_spread_s": 0.2}, "latency_spread_s must be at most latency_s (0.1)"),
        ({"error_ratio": 1.1}, "less than or equal to 1"),
        ({"cpu_s": -1}, "greater than or equal to 0"),
        ({"memory_bytes": 2**31 + 1}, "less than or equal to 2147483648"),
        ({"stall_s": 121}, "less than or equal to 120"),
        ({"for_s": 0}, "greater than 0"),
        ({"latency": 1}, "Extra inputs are not permitted"),
    ],
)
def test_a_fault_out_of_range_is_refused(service: Any, fault: dict[str, float], message: str) -> None:
    answer = service.ask("PUT", "/admin/fault", json=fault)
    assert answer.status_code == 422
    assert message in answer.json()["detail"][0]["msg"]
    assert service.ask("GET", "/admin/fault").json()["active"] is False
