"""Faults around a run, with real parts: no false verdict, nothing lost, and the next run works.

Faults happen in the middle of a load, or before it, when no load must be sent.
"""

import os
import struct
import subprocess
import time
from pathlib import Path

import pytest

from include.perf.runs.record import Verdict
from tests.faults.conftest import DURATION_S, RATE_RPS, WARMUP_S, Bench
from tests.faults.link import State
from tests.waiting import until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

DUE = RATE_RPS * DURATION_S
ROWS = RATE_RPS * (DURATION_S + WARMUP_S)
STEPPED_CLOCK = Path(__file__).with_name("stepped_clock.c")
Process = subprocess.Popen[str]


def test_without_any_fault(bench: Bench) -> None:
    """The test bench itself causes no problems."""
    outcome = bench.measured()
    assert (outcome.code, outcome.record.verdict) == (0, Verdict.NO_BASELINE)
    assert (outcome.record.load.due, outcome.record.load.failed, outcome.rows) == (DUE, 0, ROWS)


# The target


def test_a_target_that_is_down_gets_no_load(bench: Bench) -> None:
    """Record and output name the service that is not reachable."""
    bench.service.kill()
    outcome = bench.run()
    bench.service.start()
    assert (outcome.code, outcome.record.verdict, outcome.record.load.due) == (3, Verdict.INVALID, None)
    assert "feature-store-service is not reachable" in outcome.record.reasons[0]
    assert "feature-store-service is not reachable" in outcome.output


def test_a_target_that_dies(bench: Bench) -> None:
    """Every request has a row, and the record says when it could no longer be reached, not that scrapes are missing."""
    outcome = bench.run(fault=lambda _: bench.service.kill())
    bench.service.start()
    assert (outcome.code, outcome.record.verdict, outcome.record.validity) == (1, Verdict.OVER_LIMIT, ())
    assert outcome.record.collapse is not None
    assert outcome.record.collapse.happened[0].startswith("could not be reached from ")
    assert (outcome.record.load.due, outcome.rows) == (DUE, ROWS)
    assert 0 < (outcome.record.load.failed or 0) < DUE
    assert bench.measured().rows == ROWS


@pytest.mark.parametrize("state", [State.HUNG, State.RESET])
def test_a_target_that_stops_answering(bench: Bench, state: State) -> None:
    """All arrivals count, those without a response as failures, and the run ends in time."""

    def fault(_: Process) -> None:
        bench.link.state = state

    outcome = bench.run(fault=fault)
    bench.link.state = State.WHOLE
    assert (outcome.record.load.due, outcome.rows) == (DUE, ROWS)
    assert (outcome.record.load.failed or 0) > DUE / 4
    assert outcome.record.verdict is not Verdict.PASS
    assert bench.measured().record.load.failed == 0


def test_a_slow_target(bench: Bench) -> None:
    """A delay of 300 ms adds 300 ms to the latency from the due time."""
    normal = bench.measured().record.metrics["latency_p50"].value
    bench.link.state = State.SLOW
    slow = bench.measured().record
    bench.link.state = State.WHOLE
    assert (slow.load.due, slow.load.failed) == (DUE, 0)
    assert slow.metrics["latency_p50"].value == pytest.approx((normal or 0) + bench.link.delay_s, abs=0.05)


# Prometheus


def test_without_prometheus_no_load_is_sent(bench: Bench) -> None:
    """A load that cannot be measured is not sent."""
    since = bench.answered()
    bench.prometheus.kill()
    outcome = bench.run()
    bench.prometheus.start()
    assert (outcome.code, outcome.record.verdict, outcome.record.load.due) == (3, Verdict.INVALID, None)
    assert "cannot check whether Prometheus scrapes feature-store-service" in outcome.record.reasons[0]
    assert bench.answered() - since < RATE_RPS


def test_prometheus_dies_while_the_load_runs(bench: Bench) -> None:
    """The figures of the load are kept; the run is invalid because of Prometheus."""
    outcome = bench.run(fault=lambda _: bench.prometheus.kill())
    bench.prometheus.start()
    assert (outcome.code, outcome.record.verdict, outcome.record.load.due) == (3, Verdict.INVALID, DUE)
    assert any("Prometheus" in reason for reason in outcome.record.reasons)
    assert outcome.record.metrics["latency_p95"].value is not None
    assert bench.measured().rows == ROWS


# The machine


def test_a_full_disk(bench: Bench, tmp_path: Path) -> None:
    """The load ends, no truncated file remains under its final name, and the error names the cause."""
    small, kept = tmp_path / "small", tmp_path / "kept"
    small.mkdir()
    script = f'mount -t tmpfs -o size=220k none {small} && {{ "$@"; code=$?; cp -a {small} {kept}; exit $code; }}'
    as_root = () if os.getuid() == 0 else ("--map-root-user",)
    output = bench.print_run(
        "--duration",
        "60",
        prefix=("unshare", "--mount", *as_root, "sh", "-c", script, "sh"),
        environment={"BELLWETHER_RESULTS_URI": small.as_uri()},
    )
    assert "No space left on device" in output
    for path in kept.rglob("*.json"):
        assert path.read_bytes().endswith(b"}\n"), path
    assert not list(kept.rglob("*.tmp"))
    assert bench.measured().rows == ROWS


@pytest.mark.parametrize("step_s", [45, -45])
def test_a_clock_that_steps(bench: Bench, tmp_path: Path, step_s: float) -> None:
    """The schedule follows the monotonic clock; the run is invalid, as Prometheus has another time window."""
    step, library = tmp_path / "step", tmp_path / "stepped_clock.so"
    step.write_bytes(struct.pack("d", 0))
    options = ("-shared", "-fPIC", "-O2", f'-DSTEP_FILE="{step}"', "-o", str(library))
    subprocess.run(["cc", *options, str(STEPPED_CLOCK), "-ldl"], check=True)

    def fault(_: Process) -> None:
        with step.open("r+b") as file:  # it is mapped, so it must not be truncated
            file.write(struct.pack("d", step_s))

    outcome = bench.run(environment={"LD_PRELOAD": str(library)}, fault=fault)
    assert (outcome.code, outcome.record.verdict, outcome.record.load.due) == (3, Verdict.INVALID, DUE)
    stepped = f"the clock of this machine was set by {step_s:+.2f} s"
    assert any(reason.startswith(stepped) for reason in outcome.record.reasons), outcome.record.reasons


# The run itself


def test_a_run_that_is_killed_leaves_no_load(bench: Bench) -> None:
    """The load stops, there is no record, and the next run starts at once."""
    outcome = bench.run(fault=lambda process: process.kill())
    until(lambda: _is_quiet(bench), what="the load has stopped", within_s=10)
    assert outcome.finished is None
    assert bench.measured().rows == ROWS


def _is_quiet(bench: Bench) -> bool:
    """Return whether the service got no request for a second."""
    now = bench.answered()
    time.sleep(1)
    return bench.answered() == now
