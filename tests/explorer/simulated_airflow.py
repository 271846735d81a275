"""Airflow, as far as it matters to the stages: the tasks of a scenario's DAG in their order, with their retries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.perf.baselines.promotion import promote, requested_approval
from include.perf.model.errors import BaselineError, PrometheusUnavailable, RunSkipped
from include.perf.pipeline.planning.request import RunRequest
from include.perf.runs.stage_files import StageFiles
from tests.explorer.alerting import alert_night
from tests.explorer.world import End, Session, World

RETRY_DELAY_S = 10.0
SCRAPE_RETRIES, SCRAPE_DELAY_S = 3, 20.0
AFTER_A_KILL, AFTER_PROMETHEUS = "after a kill", "while Prometheus does not answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """A change of a baseline that was confirmed to its caller."""

    service: str
    scenario: str
    version: int
    reason: str


@dataclass(slots=True, kw_only=True)
class DagRun:
    """A DAG run of a scenario.

    Attributes:
        uris: of its planned runs; empty if the plan failed.
        reruns: of the re-runs.
        reported: of the runs whose task report has succeeded.
        failed: by task, why it failed.
        is_cleared: whether somebody clears what failed, once everything has ended.
        is_alerted: whether its last task ``alert`` succeeded.
        is_running: whether some of its tasks have not ended; a scenario has one such DAG run at a time.
    """

    world: World
    number: int
    scenario: str
    service: str
    host: str
    is_slow: bool = False
    update_baseline: bool = False
    is_cleared: bool = False
    uris: list[str] = field(default_factory=list)
    reruns: list[str] = field(default_factory=list)
    reported: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    is_alerted: bool = False
    is_running: bool = False

    @property
    def dag_run_id(self) -> str:
        """Its id in Airflow."""
        return f"run {self.number}"

    def __call__(self) -> None:
        """Run all its tasks."""
        self.is_running = True
        if self.is_slow:
            self.world.slow.add(self.dag_run_id)
        self.uris = self._task("plan", self._plan) or []
        self.world.dag_run_of.update((_id_of(uri), self.dag_run_id) for uri in self.uris)
        self._measure_and_judge(self.uris)
        self.is_running = False

    def clear(self) -> None:
        """Run what failed once more."""
        self.is_running = True
        self.world.machine.note(f"the failed tasks of {self.scenario} {self.dag_run_id} are cleared")
        unreported = [uri for uri in self.uris if uri not in self.reported]
        self.world.wanted_again |= {_id_of(uri) for uri in unreported}
        self._measure_and_judge(unreported)
        self.is_running = False

    def _measure_and_judge(self, uris: Sequence[str]) -> None:
        self._measure(uris)
        if self.uris:
            self._judge()
        self.is_alerted = False
        self._task("alert", self._alert)

    def _judge(self) -> None:
        self.reruns = self._task("plan_reruns", lambda session: session.night_stages.plan_reruns(self.uris)) or []
        self.world.dag_run_of.update((_id_of(uri), self.dag_run_id) for uri in self.reruns)
        self._measure(self.reruns)
        compared = self._task("compare", lambda session: [session.night_stages.compare(self.uris)])
        for uri in self.uris if compared else ():
            if uri in self.reported:
                continue
            if self._task(f"report of {_service_of(uri)}", lambda session, uri=uri: [session.night_stages.report(uri)]):
                self.reported.append(uri)
                self._promote(uri)

    def _plan(self, session: Session) -> list[str]:
        request = RunRequest(
            scenario=self.scenario,
            service=self.service,
            update_baseline=self.update_baseline,
            reason=f"requested by {self.dag_run_id}" if self.update_baseline else None,
            dag_id=self.scenario,
            dag_run_id=self.dag_run_id,
        )
        return session.night_stages.plan(request)

    def _measure(self, uris: Sequence[str]) -> None:
        """Measure runs side by side; the pool and the scenario let one load run at a time."""
        machine = self.world.machine
        tasks = [machine.start(None, lambda uri=uri: self._measure_one(uri), name=f"run of {uri}") for uri in uris]
        machine.wait_for(lambda: all(task.is_done for task in tasks))

    def _measure_one(self, uri: str) -> None:
        which = f"of {_service_of(uri)}" + (" (re-run)" if uri in self.reruns else "")
        if not self._task(f"stage_data {which}", lambda session: [session.run_stages.stage_data(uri)]):
            return
        if not self._task(f"preflight {which}", lambda session: [session.run_stages.preflight(uri)]):
            return
        load = self._task(f"run_load {which}", lambda session: [session.run_stages.run_load(uri)], retried=AFTER_A_KILL)
        if load:
            self._task(f"scrape {which}", lambda session: [session.run_stages.scrape(uri)], retried=AFTER_PROMETHEUS)

    def _promote(self, uri: str) -> None:
        def work(session: Session) -> list[Acknowledged]:
            record = StageFiles(session.results, uri).read_record()
            if not record.provenance.update_baseline or not record.verdict.is_measured:
                return []
            approval = requested_approval(record, at=session.clock())
            made = promote(record, approval=approval, force=False, store=session.results, baselines=session.baselines)
            return [
                Acknowledged(
                    service=record.service, scenario=record.scenario, version=made.version, reason=approval.reason
                )
            ]

        self.acknowledged += self._task(f"promote of {_service_of(uri)}", work) or []

    def _alert(self, session: Session) -> list[None]:
        alert_night(session, self.uris, dag_id=self.scenario, dag_run_id=self.dag_run_id)
        self.is_alerted = True
        return [None]

    def _task(self, name: str, work: Callable[[Session], Any], *, retried: str | None = None) -> Any:
        """Run a task with the retries that it has in the DAG; return its result, ``None`` if it failed or skipped."""
        tries = {None: 1, AFTER_A_KILL: 2, AFTER_PROMETHEUS: 1 + SCRAPE_RETRIES}[retried]
        for number in range(1, tries + 1):
            label = f"{self.scenario} {self.dag_run_id}: {name}" + (f", try {number}" if number > 1 else "")
            end = self.world.execute(label, self.host, work)
            if end.is_done:
                return end.value
            self.failed[name] = str(end.error) if end.error else "its process was killed"
            if not _is_retried(end, retried):
                break
            delay_s = RETRY_DELAY_S if retried == AFTER_A_KILL else SCRAPE_DELAY_S
            if number < tries:
                self.world.machine.sleep(delay_s)
        return None


def _is_retried(end: End, retried: str | None) -> bool:
    if isinstance(end.error, (RunSkipped, BaselineError)):
        return False
    if retried == AFTER_PROMETHEUS:
        return end.is_killed or isinstance(end.error, PrometheusUnavailable | OSError)
    return retried == AFTER_A_KILL and end.is_killed


def _service_of(uri: str) -> str:
    return uri.rstrip("/").split("/")[-3]


def _id_of(uri: str) -> str:
    return uri.rstrip("/").rpartition("/")[2]
