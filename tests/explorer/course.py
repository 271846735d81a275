"""The course of a history: the actors act, then everything goes well, and what is left is judged."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType

from include.perf.baselines.entry import Approval
from include.perf.baselines.promotion import promote, roll_back
from include.perf.model.cell import CellName
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.stage_files import StageFiles
from tests.explorer import invariants
from tests.explorer.alerting import problems_of_alerts, watch
from tests.explorer.history import Actor, History
from tests.explorer.simulated_airflow import Acknowledged, DagRun
from tests.explorer.world import SCENARIOS, SERVICES, Session, World

DAY_S = 86_400.0
CLEARED_AFTER_S = 600.0
PREPARED = 3
"""The version of the baselines that a history begins with."""


class Course:
    """The course of a history.

    Args:
        known: a run by service and scenario, which people may promote.
    """

    def __init__(
        self, world: World, history: History, *, known: Mapping[tuple[str, str], RunRecord] = MappingProxyType({})
    ) -> None:
        self._world = world
        self._history = history
        self._known = known
        self._acknowledged: list[Acknowledged] = []
        self.dag_runs: list[DagRun] = []

    @property
    def steps(self) -> int:
        """The number of all operations."""
        return self._world.machine.steps

    def run(self) -> None:
        """Let the actors act, then let everything go well and judge what is left."""
        machine = self._world.machine
        for number, actor in enumerate(self._history.actors, start=1):
            if actor is None:
                continue
            machine.start(None, lambda number=number, actor=actor: self._act(number, actor), name=str(actor))
        machine.run()
        machine.calm()
        machine.note("from now on nothing goes wrong")
        self._world.halt_reason = None
        for host in self._world.hosts.values():
            host.offset_s = 0.0
        machine.start(None, self._judge_index)
        machine.run()
        machine.start(None, self._recover)
        machine.run()

    def _act(self, number: int, actor: Actor) -> None:
        if actor.at_s:
            self._world.machine.sleep(actor.at_s)
        match actor.does:
            case "deliver":
                self._world.execute(f"alert_watch {number}", "worker 2", watch)
            case "night":
                self._run(number, self._dag_run(number, actor))
            case "promote":
                self._change(f"promote {number}", lambda session: self._promote_known(session, number, actor))
            case "roll back":
                self._change(f"roll back {number}", lambda session: self._roll_back(session, number, actor))
            case "look":
                self._look(number)
            case "halt":
                self._halt()

    def _run(self, number: int, dag_run: DagRun) -> None:
        """Run a DAG run in its turn; once it is over the page is looked at, and what failed is cleared later on."""
        machine = self._world.machine

        def is_turn() -> bool:
            return not any(other.is_running for other in self.dag_runs if other.scenario == dag_run.scenario)

        machine.wait_for(is_turn)
        dag_run()
        self._look(number)
        if dag_run.is_cleared and dag_run.failed and dag_run.uris:
            machine.sleep(CLEARED_AFTER_S)
            machine.wait_for(is_turn)
            dag_run.clear()
        self._acknowledged += dag_run.acknowledged

    def _look(self, number: int) -> None:
        self._world.execute(f"page {number}", "web", _look)

    def _dag_run(self, number: int, actor: Actor) -> DagRun:
        dag_run = DagRun(
            world=self._world,
            number=number,
            scenario=actor.scenario,
            service=actor.service,
            host=f"worker {number % 2 + 1}",
            is_slow=actor.is_slow,
            update_baseline=actor.update_baseline,
            is_cleared=actor.is_cleared,
        )
        self.dag_runs.append(dag_run)
        return dag_run

    def _change(self, name: str, work: Callable[[Session], Acknowledged | None]) -> None:
        end = self._world.execute(name, "desk", work)
        if end.is_done and end.value is not None:
            self._acknowledged.append(end.value)

    def _promote_known(self, session: Session, number: int, actor: Actor) -> Acknowledged:
        """Promote a run that its promoter looked at before, by force."""
        known = self._known[actor.service, actor.scenario]
        record = replace(known, run_id=f"{known.run_id}-{PREPARED + number}", verdict=Verdict.PASS)
        approval = Approval(by="ana", at=session.clock(), reason=f"promotion {number}", run_id=record.run_id)
        made = promote(record, approval=approval, force=True, store=session.results, baselines=session.baselines)
        return Acknowledged(
            service=record.service, scenario=record.scenario, version=made.version, reason=approval.reason
        )

    def _roll_back(self, session: Session, number: int, actor: Actor) -> Acknowledged | None:
        cell = CellName(actor.service, actor.scenario)
        current = session.baselines.read().get(cell.service, cell.scenario)
        if current is None or not current.previous:
            return None
        approval = Approval(by="ana", at=session.clock(), reason=f"roll-back {number}", run_id="")
        made = roll_back(cell, version=current.previous[0].version, approval=approval, baselines=session.baselines)
        return Acknowledged(service=cell.service, scenario=cell.scenario, version=made.version, reason=approval.reason)

    def _halt(self) -> None:
        self._world.halt_reason = "load is halted by ana: maintenance"
        self._world.halted_at_s = self._world.machine.now_s
        self._world.machine.note("load is halted")
        self._world.machine.sleep(90)
        self._world.halt_reason = None
        self._world.machine.note("load is resumed")

    def _recover(self) -> None:
        """Run a night without faults, and judge everything."""
        self._world.machine.sleep(DAY_S)
        self._world.execute("alert_watch", "worker 1", watch)
        self._world.machine.sleep(DAY_S / 24)
        night = self._dag_run(len(self._history.actors) + 1, self._last)
        night()
        self._judge(lambda session: self._problems(session, night))

    def _judge_index(self) -> None:
        """Judge the index as soon as everything is over: within an hour it compares no names of early runs."""
        self._judge(invariants.problems_of_index)

    def _judge(self, problems: Callable[[Session], Iterator[str]]) -> None:
        end = self._world.execute("judge", "web", lambda session: list(problems(session)))
        for problem in end.value if end.is_done else [f"the end cannot be judged: {end.error}"]:
            self._world.break_rule(problem)

    @property
    def _last(self) -> Actor:
        """A night like the first one, but without faults."""
        first = next((actor for actor in self._history.actors if actor and actor.does == "night"), None)
        calm = Actor(does="night", at_s=0)
        return calm if first is None else replace(calm, scenario=first.scenario, service=first.service)

    def _problems(self, session: Session, night: DagRun) -> Iterator[str]:
        yield from invariants.problems_of_runs(session, self.dag_runs)
        yield from invariants.problems_of_store(session)
        yield from invariants.problems_of_index(session)
        prepared = [
            Acknowledged(service=service, scenario=scenario, version=PREPARED, reason="prepared")
            for service in SERVICES
            for scenario in SCENARIOS
            if self._history.has_baselines
        ]
        yield from invariants.problems_of_baselines(session, [*prepared, *self._acknowledged])
        yield from invariants.problems_of_loads(self._world)
        yield from problems_of_alerts(session, list(self._alerted(session)))
        for task, reason in night.failed.items():
            yield f"{task} of a night without faults failed: {reason}"
        for uri in night.uris:
            record = StageFiles(session.results, uri).record.read()
            if record is not None and not record.verdict.is_measured:
                yield f"a night without faults is {record.verdict}: {'; '.join(record.reasons + record.validity)}"

    def _alerted(self, session: Session) -> Iterator[RunRecord]:
        for dag_run in self.dag_runs:
            for uri in dag_run.uris if dag_run.is_alerted else ():
                record = StageFiles(session.results, uri).record.read()
                if record is not None:
                    yield record


def _look(session: Session) -> None:
    """Do what the page does."""
    index = session.index
    index.sync()
    index.latest(runs=14)
    index.left_out()
    session.baselines.read()
