"""The command ``capacity``: loads that are judged like those of runs, and the proposed rate."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from include.perf.catalogue.forbidden_hosts import read_forbidden_hosts
from include.perf.cli.arguments import argument_parser
from include.perf.cli.capacity_commands import CapacityCommands
from include.perf.load.generator import LoadOrder, LoadWatch
from include.perf.model.errors import ConfigurationError, HostRefused, Occupied, RunSkipped
from include.perf.pipeline.capacity_trials import CapacityTrials
from tests.fakes.generator import FakeGenerator
from tests.fakes.resolver import FakeResolver
from tests.fakes.small_platform import Platform


class Limited(FakeGenerator):
    """Generators that are saturated beyond 500/s."""

    def run(self, order: LoadOrder, *, watch: LoadWatch) -> None:
        """Demand more CPU time than a worker may."""
        self.log_changes = {"wanted_cores": 0.95} if order.load.rate_rps > 500 else {}
        super().run(order, watch=watch)


class Answers:
    """A stand-in for the answering process."""

    def __init__(self, address: str) -> None:
        self.url = f"http://{address}:8080"

    def wanted_cores(self) -> float | None:
        """Demand little."""
        return 0.2


class Bench:
    """The command on fakes, with what it printed.

    Attributes:
        addresses: where the answering process was asked to listen.
    """

    def __init__(self, platform: Platform) -> None:
        self.generator = Limited(clock=platform.clock)
        self.addresses: list[str] = []
        self._platform = platform
        self.halted: Callable[[], str | None] = lambda: None

    def trials(self, step_s: int) -> CapacityTrials:
        outside = replace(self._platform.outside, generator=self.generator, halted=self.halted)
        return CapacityTrials(outside=outside, step_s=step_s)

    @contextmanager
    def answering(self, address: str) -> Iterator[Answers]:
        self.addresses.append(address)
        yield Answers(address)

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run the command and return what it printed."""
        commands = CapacityCommands(trials=self.trials, answering=self.answering)
        options = argument_parser().parse_args(["capacity", *arguments])
        out = io.StringIO()
        assert commands.execute(options, Console(file=out, width=200)) == code
        return out.getvalue()


@pytest.fixture
def bench(platform: Platform) -> Bench:
    return Bench(platform)


def test_the_highest_rate_that_holds_is_found_and_a_capacity_proposed(bench: Bench) -> None:
    """200 and 400 hold, 800 does not; √(400 × 800) = 566 → 570 does not, √(400 × 570) = 477 → 480 holds."""
    out = bench("--max-rate", "3000")
    assert [order.load.rate_rps for order in bench.generator.orders] == [200, 400, 800, 800, 570, 570, 480, 520, 520]
    assert "800/s does not hold: the generator was saturated: it needed 0.95 cores" in out
    assert "the highest rate that held is 480/s, by one worker: 480/s per worker" in out
    assert "set capacity_rps: 330 in include/scenarios.yaml" in out  # 70 % of 480 are 336
    assert bench.addresses == ["127.0.0.1"]
    order = bench.generator.orders[0]
    assert (order.addresses, order.load.duration_s, order.load.warmup_s) == (("127.0.0.1",), 10, 2)


def test_what_one_worker_holds_with_a_service_is_found(bench: Bench) -> None:
    """It is proposed for that service, without the headroom that the plan of a load takes."""
    out = bench("--service", "orders", "--one-worker", "--max-rate", "400")
    assert [order.load.workers for order in bench.generator.orders] == [1, 1]
    assert "set worker_rps: 400 for orders-service in include/services.yaml" in out
    assert "capacity_rps" not in out


def test_as_json(bench: Bench) -> None:
    """Each step with its reasons, for programs."""
    found = json.loads(bench("--max-rate", "800", "--step-seconds", "12", "--json"))
    assert (found["highest_rps"], found["workers"], found["capacity_rps"]) == (480.0, 1, 330.0)
    assert (found["worker_rps"], found["limited_by_target"]) == (480.0, False)
    assert [(step["rate_rps"], step["holds"]) for step in found["steps"][:3]] == [
        (200, True),
        (400, True),
        (800, False),
    ]
    assert found["steps"][0]["due"] == 200 * 12
    assert found["steps"][0]["target_cores"] == 0.2


def test_a_rate_with_failed_requests_does_not_hold(bench: Bench) -> None:
    """The generators may be fine, but the target is not."""
    bench.generator.failed_every = 10
    out = bench("--max-rate", "200", code=3)
    assert "requests failed (" in out
    assert "no rate held; see the reasons above" in out


def test_a_service_gets_at_most_its_max_rate(bench: Bench, platform: Platform) -> None:
    """Its own requests go to the checked addresses, at most at max_rate_rps."""
    service = platform.catalogue.service("orders-service")
    limited = replace_service(platform, service.model_copy(update={"max_rate_rps": 300.0}))
    out = bench("--service", "orders")
    assert [order.load.rate_rps for order in bench.generator.orders] == [200, 300]
    assert bench.generator.orders[0].addresses == ("10.0.0.7",)
    assert bench.generator.orders[0].service == limited
    assert "no rate above 300/s was tried" in out
    assert bench.addresses == []


def replace_service(platform: Platform, service: Any) -> Any:
    """Replace the service of the same name in the catalogue."""
    services = dict(platform.catalogue.services) | {service.name: service}
    platform.catalogue = replace(platform.catalogue, services=services)
    return service


def test_production_is_never_tried(bench: Bench, platform: Platform) -> None:
    """Not even if load on it is allowed."""
    service = platform.catalogue.service("orders-service")
    replace_service(platform, service.model_copy(update={"environment": "production", "allow_production": True}))
    with pytest.raises(
        ConfigurationError, match="orders-service is production; the capacity of generators is not measured"
    ):
        bench("--service", "orders")
    assert bench.generator.orders == []


def test_a_host_that_is_not_allowed_gets_nothing(bench: Bench, platform: Platform) -> None:
    """The rules for hosts are those of a run."""
    platform.resolve = FakeResolver(**{"orders-service": [["203.0.113.9"]]})
    with pytest.raises(HostRefused):
        bench("--service", "orders")
    assert bench.generator.orders == []


def test_the_host_is_checked_again_before_each_rate(bench: Bench, platform: Platform) -> None:
    """Its address changes twice during the search: to an allowed one, which is reserved instead, and to another."""
    before, after, refused = ["10.0.0.7"], ["10.0.0.8"], ["203.0.113.9"]
    # asked for the aim, and before and after each reservation
    answers = [before, before, before, before, after, after, after, refused]
    platform.resolve = FakeResolver(**{"orders-service": answers})
    with pytest.raises(HostRefused, match=r"its host orders-service resolves to 203\.0\.113\.9"):
        bench("--service", "orders")
    assert [order.addresses[0] for order in bench.generator.orders] == ["10.0.0.7", "10.0.0.8", "10.0.0.8"]
    assert [claim.targets for claim in platform.reservations.claims] == [("10.0.0.7:8000",), ("10.0.0.8:8000",)]


def test_a_host_that_becomes_forbidden_gets_no_further_rate(bench: Bench, platform: Platform) -> None:
    """A forbidden name moves to the address of the service between two rates."""
    platform.catalogue = replace(platform.catalogue, forbidden_hosts=read_forbidden_hosts(["payments"]))

    class Moving(FakeResolver):
        def __call__(self, host: str, port: int) -> Sequence[str]:
            is_elsewhere = host == "payments" and not bench.generator.orders
            return ("10.0.0.9",) if is_elsewhere else ("10.0.0.7",)

    platform.resolve = Moving()
    with pytest.raises(HostRefused, match="payments"):
        bench("--service", "orders")
    assert len(bench.generator.orders) == 1


def test_while_load_is_halted_nothing_is_sent(bench: Bench) -> None:
    """Not even to Bellwether's own process."""
    bench.halted = lambda: "load is halted by ops: deploy"
    with pytest.raises(RunSkipped, match="load is halted by ops: deploy"):
        bench()
    assert bench.generator.orders == []


def test_a_halt_during_the_search_ends_it(bench: Bench) -> None:
    """After the current step."""
    bench.halted = lambda: "load is halted by ops: deploy" if bench.generator.orders else None
    with pytest.raises(RunSkipped, match="load is halted by ops"):
        bench()
    assert len(bench.generator.orders) == 1


def test_nothing_is_tried_while_another_load_runs(bench: Bench, platform: Platform) -> None:
    """The capacity of two loads does not show that of one."""
    platform.reservations.problems = [Occupied("of the generators' 600/s (capacity_rps) 40/s are reserved by run r0")]
    with pytest.raises(RunSkipped, match="can only be measured while no other load runs: of the generators' 600/s"):
        bench()


def test_a_pool_of_workers_is_reserved(bench: Bench, platform: Platform) -> None:
    """No other load may use the workers in the meantime."""
    bench.generator.pool = "Locust workers at 0.0.0.0:5557"
    bench("--max-rate", "200", "--listen", "10.0.0.9")
    assert bench.addresses == ["10.0.0.9"]
    (claim,) = platform.reservations.claims
    assert claim.targets == ("10.0.0.9:8080", "Locust workers at 0.0.0.0:5557")


def test_all_wrong_options_are_reported_at_once(bench: Bench, tmp_path: Path) -> None:
    """In one message."""
    with pytest.raises(ConfigurationError) as raised:
        bench("--max-rate", "10", "--step-seconds", "5", "--listen", "0.0.0.0")  # noqa: S104 - it is refused
    assert raised.value.problems == (
        "--step-seconds must be at least 10, but is 5",
        "--max-rate must be from 50 to 512000, but is 10",
        "--listen must be an address of this machine that the workers reach, such as 127.0.0.1, but is '0.0.0.0'",
    )
    assert not list(tmp_path.glob("bellwether-capacity-*"))
