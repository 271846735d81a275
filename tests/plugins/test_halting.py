"""Why a load must stop: the Variable, the file, and the end of the task or of its worker."""

import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bellwether.halting import WorkerEndsError, ended_with_its_worker, halted, halted_or_ended

from include.perf.adapters.wiring.environment import halt_file
from include.perf.guards.halt import Halt
from include.perf.model.errors import StoreError

VARIABLE = "AIRFLOW_VAR_BELLWETHER_HALT"
LIFT_IT = "(to resume, remove the Variable bellwether_halt)"


@pytest.fixture(autouse=True)
def switch_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A halt file of this test, not set."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("BELLWETHER_HALT_FILE", str(tmp_path / "halt.json"))
    return tmp_path / "halt.json"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("incident 4711", f"load is halted: incident 4711 {LIFT_IT}"),
        (
            '{"by": "ana", "reason": "release", "at": "2026-03-02T06:30:00+00:00"}',
            f"load is halted by ana since 2026-03-02 06:30:00 UTC: release {LIFT_IT}",
        ),
        ('{"by": "ana"}', f"load is halted by ana: no reason was given {LIFT_IT}"),
        ("false", f"load is halted: false {LIFT_IT}"),  # whatever stands there halts
        ("", None),
        ("  \n", None),
    ],
)
def test_the_variable_halts(monkeypatch: pytest.MonkeyPatch, text: str, reason: str | None) -> None:
    """The reason has the text of the Variable and the remedy; the Variable is read each time."""
    assert halted() is None
    monkeypatch.setenv(VARIABLE, text)
    assert halted() == reason
    monkeypatch.delenv(VARIABLE)
    assert halted() is None


def test_the_file_also_halts(switch_file: Path) -> None:
    """The command line can stop the loads of Airflow."""
    halt_file().set(Halt(by="ana", reason="release"))
    assert halted() == f"load is halted by ana: release (to resume, remove the file {switch_file})"
    halt_file().clear()
    assert halted() is None


def test_the_variable_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is removed, the file still halts load."""
    halt_file().set(Halt(by="ana", reason="release"))
    monkeypatch.setenv(VARIABLE, "incident 4711")
    assert halted() == f"load is halted: incident 4711 {LIFT_IT}"
    monkeypatch.setenv(VARIABLE, "")
    assert str(halted()).startswith("load is halted by ana: release (to resume, remove the file ")


def test_a_file_that_cannot_be_read_is_an_error(switch_file: Path) -> None:
    """An unknown state must not count as not halted."""
    switch_file.mkdir()
    with pytest.raises(StoreError, match=r"it is unknown whether load is halted$"):
        halted()


# The end of the task


class Task:
    """A task instance with the states that Airflow reports."""

    def __init__(self, states: Any, *, map_index: int = 3) -> None:
        self.dag_id, self.task_id, self.run_id = "market_open", "run_service.run_load", "manual__1"
        self.map_index = map_index
        self.states = states
        self.asked: list[dict[str, Any]] = []

    def get_task_states(self, **question: Any) -> Any:
        """Answer as Airflow does: state by task, by run."""
        self.asked.append(question)
        if isinstance(self.states, Exception):
            raise self.states
        return self.states


def test_a_running_task_continues() -> None:
    """Only the state of this task instance is read, each time."""
    task = Task({"manual__1": {"run_service.run_load_3": "running"}})
    reason = halted_or_ended(task)
    assert reason() is reason() is None
    assert task.asked == 2 * [
        {
            "dag_id": "market_open",
            "task_ids": ["run_service.run_load"],
            "run_ids": ["manual__1"],
            "map_index": 3,
        }
    ]


@pytest.mark.parametrize(
    ("states", "state"),
    [
        ({"manual__1": {"run_service.run_load_3": "failed"}}, "failed"),
        ({"manual__1": {"run_service.run_load_3": "success"}}, "success"),
        ({"manual__1": {"run_service.run_load_3": "restarting"}}, "restarting"),
        ({"manual__1": {"run_service.run_load_3": None}}, "cleared"),
        ({"manual__1": {}}, "gone"),
        ({}, "gone"),  # its run was deleted
    ],
)
def test_a_task_that_airflow_ended_ends_its_load(states: Any, state: str) -> None:
    """It was marked as failed or cleared in the UI; its process may still run for a while."""
    assert halted_or_ended(Task(states))() == f"Airflow ended its task, which is {state}"


def test_a_halt_comes_before_the_end_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow is not even asked."""
    task = Task({})
    monkeypatch.setenv(VARIABLE, "incident 4711")
    assert str(halted_or_ended(task)()).startswith("load is halted: incident 4711")
    assert task.asked == []


def test_an_airflow_that_does_not_answer_is_an_error() -> None:
    """The watch waits a minute for an answer."""
    ask: Callable[[], str | None] = halted_or_ended(Task(RuntimeError("supervisor is gone")))
    with pytest.raises(RuntimeError, match="supervisor is gone"):
        ask()


def test_airflows_task_instance_accepts_the_call() -> None:
    """The names of the arguments are those of Airflow 3.3."""
    import inspect

    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    task = Task({"manual__1": {"run_service.run_load_3": "running"}})
    halted_or_ended(task)()
    inspect.signature(RuntimeTaskInstance.get_task_states).bind(**task.asked[0])


def test_every_task_checks_the_halt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless it passes a check of its own."""
    from bellwether.wiring import airflow_outside

    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "http://prometheus:9090")
    assert airflow_outside().halted is halted
    other = SimpleNamespace(reason=lambda: "other")
    assert airflow_outside(halted=other.reason).halted() == "other"


def test_a_terminating_worker_ends_the_load_of_its_task() -> None:
    """The reason can be read several times; the task then ends in a way that Airflow retries."""
    before = signal.getsignal(signal.SIGTERM)
    reasons: list[str | None] = []

    def load() -> None:
        with ended_with_its_worker() as reason:
            reasons.append(reason())
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGTERM)
            reasons.append(reason())
            raise StoreError("what the end of the load led to")

    with pytest.raises(WorkerEndsError):
        load()
    assert reasons == [None, "the worker of its task was asked to end"]
    assert signal.getsignal(signal.SIGTERM) is before
    assert not issubclass(WorkerEndsError, Exception)  # for which `tasks.ONLY_AFTER_A_KILL` has a rule


def test_without_a_signal_nothing_is_raised() -> None:
    """The task ends normally."""
    with ended_with_its_worker() as reason:
        assert reason() is None
