"""Processor use of the load process, from the kernel's files."""

import time
from pathlib import Path

import pytest

from include.load import processor
from include.load.processor import ProcessorClock, ProcessorUse, WantedCores

STAT = "cpu  100 20 30 800 5 1 4 40 7 0\ncpu0 50 10 15 400 2 0 2 20 3 0\nintr 1 2 3\n"


class Kernel:
    """Fake files of /proc, and fake clocks."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wait, self.machine = folder / "schedstat", folder / "stat"
        self.wall_s, self.used_s = 1_000.0, 10.0
        monkeypatch.setattr(processor, "WAIT_FILE", self.wait)
        monkeypatch.setattr(processor, "MACHINE_FILE", self.machine)
        monkeypatch.setattr(time, "perf_counter", lambda: self.wall_s)
        monkeypatch.setattr(time, "process_time", lambda: self.used_s)
        self.set(waited_s=3.0)

    def set(self, *, waited_s: float, stat: str = STAT) -> None:
        """Write nanoseconds run, nanoseconds waited and time slices; and the machine's ticks."""
        self.wait.write_text(f"123456789 {int(waited_s * 1e9)} 42\n", encoding="ascii")
        self.machine.write_text(stat, encoding="ascii")


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(tmp_path, monkeypatch)


def test_ratios_cover_the_time_since_the_clock_was_created(kernel: Kernel) -> None:
    """10 s later: 4 s worked, 2 s waited in the run queue; of 200 ticks of the machine 30 were stolen."""
    clock = ProcessorClock()
    kernel.wall_s, kernel.used_s = 1_010.0, 14.0
    # user, nice, system, idle, iowait, irq, softirq and steal: 100 + 0 + 10 + 50 + 5 + 1 + 4 + 30 = 200 more
    kernel.set(waited_s=5.0, stat="cpu  200 20 40 850 10 2 8 70 99 99\ncpu0 1 1\n")
    use = clock.since_start()
    assert use == ProcessorUse(cores=0.4, wait_ratio=pytest.approx(0.2), steal_ratio=pytest.approx(30 / 200))
    assert use.wanted_cores == pytest.approx(0.4 / 0.8)


def test_it_can_be_read_again(kernel: Kernel) -> None:
    """It always covers the time since its creation."""
    clock = ProcessorClock()
    kernel.wall_s, kernel.used_s = 1_001.0, 10.5
    assert clock.since_start().cores == pytest.approx(0.5)
    kernel.wall_s, kernel.used_s = 1_002.0, 10.5
    assert clock.since_start().cores == pytest.approx(0.25)


@pytest.mark.parametrize("content", [None, "", "123\n", "a b c\n"], ids=["no file", "empty", "short", "no numbers"])
def test_a_kernel_that_does_not_report_waiting(kernel: Kernel, content: str | None) -> None:
    """Unknown is not zero: neither the ratio nor the needed cores."""
    clock = ProcessorClock()
    if content is None:
        kernel.wait.unlink()
    else:
        kernel.wait.write_text(content, encoding="ascii")
    kernel.wall_s = 1_001.0
    use = clock.since_start()
    assert (use.wait_ratio, use.wanted_cores, use.steal_ratio) == (None, None, 0.0)


@pytest.mark.parametrize("content", [None, "cpu  a b c\n"], ids=["no file", "no numbers"])
def test_a_kernel_that_does_not_report_the_machine(kernel: Kernel, content: str | None) -> None:
    """Whether it stopped reporting, or never did."""
    clock = ProcessorClock()
    if content is None:
        kernel.machine.unlink()
    else:
        kernel.machine.write_text(content, encoding="ascii")
    kernel.wall_s = 1_001.0
    assert clock.since_start().steal_ratio is None
    silent = ProcessorClock()
    kernel.set(waited_s=3.0)
    kernel.wall_s = 1_002.0
    assert silent.since_start().steal_ratio is None


def test_without_a_tick_nothing_was_stolen(kernel: Kernel) -> None:
    """0 of 0 ticks."""
    clock = ProcessorClock()
    kernel.wall_s = 1_000.001
    assert clock.since_start().steal_ratio == 0.0


@pytest.mark.parametrize(
    ("cores", "wait_ratio", "wanted"),
    [
        (0.5, 0.0, 0.5),
        (0.5, 0.5, 1.0),  # what it did in half of the time it would do twice in all of it
        (0.5, 0.995, 50.0),  # no more than a hundred times
        (0.5, 1.2, 50.0),
    ],
)
def test_wanted_cores(cores: float, wait_ratio: float, wanted: float) -> None:
    """With a share w of waiting, the work took 1 − w of the time."""
    assert ProcessorUse(cores=cores, wait_ratio=wait_ratio, steal_ratio=None).wanted_cores == pytest.approx(wanted)


def test_wanted_cores_cover_the_time_since_the_previous_call(kernel: Kernel) -> None:
    """Half a second worked and half waited in one second; then a quarter worked in half a second."""
    wanted = WantedCores()
    kernel.wall_s, kernel.used_s = 1_001.0, 10.5
    kernel.set(waited_s=3.5)
    assert wanted.take() == pytest.approx(1.0)  # 0.5 / (1 − 0.5)
    kernel.wall_s, kernel.used_s = 1_001.5, 10.75
    assert wanted.take() == pytest.approx(0.5)  # 0.25 s of 0.5 s
    assert wanted.take() is None  # nothing has passed


def test_wanted_cores_are_unknown_when_the_kernel_does_not_report(kernel: Kernel) -> None:
    """Unknown is not zero; they are known again once the kernel reports again."""
    wanted = WantedCores()
    kernel.wait.unlink()
    kernel.wall_s = 1_001.0
    assert wanted.take() is None
    kernel.set(waited_s=4.0)
    kernel.wall_s, kernel.used_s = 1_002.0, 10.3
    assert wanted.take() is None  # unknown since when
    kernel.wall_s, kernel.used_s = 1_003.0, 10.6
    assert wanted.take() == pytest.approx(0.3)


def test_the_processor_clock_measures_real_use() -> None:
    """A busy process uses up to one core, and needs at least as much."""
    clock = ProcessorClock()
    wall, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < 0.2:
        pass
    use = clock.since_start()
    share = (time.process_time() - used) / (time.perf_counter() - wall)
    assert use.cores == pytest.approx(share, rel=0.1)
    assert use.wanted_cores is None or use.wanted_cores >= use.cores


def test_a_waiting_process_uses_nothing() -> None:
    """Waiting for answers uses no processor time."""
    clock = ProcessorClock()
    time.sleep(0.3)
    assert clock.since_start().cores < 0.1
