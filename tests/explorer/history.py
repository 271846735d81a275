"""A history: who does what and when, and what goes wrong; how it is drawn from a seed, run, and judged."""

import atexit
import logging
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock
from urllib.parse import quote

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline
from include.perf.baselines.file_format import format_baselines
from include.perf.baselines.promotion import promote, roll_back
from include.perf.catalogue.catalogue import Catalogue
from include.perf.model.cell import CellName
from include.perf.runs.record import BaselineReference, RunRecord, Verdict
from include.perf.runs.stage_files import StageFiles
from tests.explorer import invariants
from tests.explorer.airflow import Acknowledged, DagRun
from tests.explorer.alerting import deliver, problems_of_alerts
from tests.explorer.boundaries import Boundaries
from tests.explorer.decisions import Decisions, Drawn, Interruption, Replayed
from tests.explorer.machine import Hangs, Machine
from tests.explorer.object_requests import simulated_client
from tests.explorer.world import SCENARIOS, SERVICES, Session, World, catalogue
from tests.fakes.object_client import MemoryClient

DAY_S = 86_400.0
HISTORIES = 50
"""How many histories every run of the tests explores."""

ALL = "all"
PREPARED = 3
"""The version of the baselines that a history begins with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Somebody or something that uses Bellwether during a history.

    Attributes:
        does: ``night``, ``promote``, ``roll back``, ``look`` (at the page),
            ``deliver`` (as the DAG alert_watch) or ``halt``.
        at_s: when.
        is_slow: whether the services are slow in this night.
        is_cleared: whether somebody clears what failed, so that Airflow tries it again.
    """

    does: str
    at_s: float
    scenario: str = "brief"
    service: str = ALL
    is_slow: bool = False
    update_baseline: bool = False
    is_cleared: bool = False

    def __str__(self) -> str:
        extras = {"slow": self.is_slow, "update_baseline": self.update_baseline, "cleared if it fails": self.is_cleared}
        words = [self.does, *([] if self.does in ("look", "halt") else [self.scenario, self.service])]
        return f"at {self.at_s:g} s: {', '.join([' '.join(words), *(word for word, holds in extras.items() if holds)])}"


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Everything that decides what happens.

    Attributes:
        in_object_store: where the results are, otherwise in a folder.
        actors: ``None`` takes the place of one that was dropped, because processes have the numbers of their actors.
    """

    seed: int
    in_object_store: bool
    has_baselines: bool
    actors: tuple[Actor | None, ...]
    interruptions: tuple[Interruption, ...] = ()

    def __str__(self) -> str:
        store = "an object store" if self.in_object_store else "a folder"
        lines = [f"results in {store}, {'with' if self.has_baselines else 'without'} baselines"]
        lines += [f"  {number}. {actor}" for number, actor in enumerate(self.actors, start=1) if actor is not None]
        return "\n".join([*lines, *(f"  {planned}" for planned in self.interruptions)])


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a history.

    Attributes:
        broken: the rules that were broken, a sentence each.
        story: what happened, line by line.
        steps: the number of all operations.
    """

    history: History
    broken: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    steps: int = 0


def drawn(seed: int) -> tuple[History, Decisions]:
    """Return the actors of a seed, and what decides about its interruptions."""
    source = random.Random(seed)
    focus = source.choice((ALL, *SERVICES, *SERVICES))
    is_rush = source.random() < 0.5
    starts = (0, 0, 0, 1) if is_rush else (0, 1, 20, 150, 400)
    actors = [_drawn_night(source, focus, starts) for _ in range(source.choice((1, 1, 2)))]
    scenario = source.choice(tuple(SCENARIOS))
    for does in ("promote", "promote", "roll back", "look", "deliver", "halt"):
        if source.random() < (0.6 if is_rush and does in ("promote", "roll back") else 0.3):
            service = focus if focus != ALL else source.choice(tuple(SERVICES))
            actors.append(Actor(does=does, at_s=source.choice(starts), scenario=scenario, service=service))
    decisions = Drawn(
        source,
        faults=source.choice((1, 2, 3, 5, 8)),
        steps=source.choice((100, 200, 400)),
        switches=source.choice((0, 0.1, 0.4) if is_rush else (0, 0, 0.02, 0.1)),
    )
    history = History(
        seed=seed,
        in_object_store=source.random() < 0.4,
        has_baselines=source.random() < 0.85,
        actors=tuple(actors),
    )
    return history, decisions


def _drawn_night(source: random.Random, focus: str, starts: Sequence[float]) -> Actor:
    return Actor(
        does="night",
        at_s=source.choice(starts),
        scenario=source.choice(tuple(SCENARIOS)),
        service=focus if source.random() < 0.7 else ALL,
        is_slow=source.random() < 0.4,
        update_baseline=source.random() < 0.4,
        is_cleared=source.random() < 0.4,
    )


NewClient = Callable[[], Any]
"""Returns the client of an empty object store."""


def explored(seed: int, *, objects: NewClient = MemoryClient) -> Outcome:
    """Draw the history of a seed and run it; the outcome has its interruptions."""
    history, decisions = drawn(seed)
    return run(history, decisions, objects=objects)


def replayed(history: History, *, objects: NewClient = MemoryClient) -> Outcome:
    """Run a history again."""
    return run(history, Replayed(history.interruptions), objects=objects)


def run(history: History, decisions: Decisions, *, objects: NewClient = MemoryClient) -> Outcome:
    """Run a history to its end, then a night without faults, and judge it."""
    with _world(decisions, history, objects) as world:
        course = _Course(world, history)
        outcome = Outcome(history=history)
        try:
            course.run()
        except Hangs as err:
            world.break_rule(str(err))
        outcome.broken = [_without(world.folder, rule) for rule in dict.fromkeys(world.broken_rules)]
        outcome.story = [_without(world.folder, line) for line in world.machine.story]
        outcome.steps = course.steps
    if isinstance(decisions, Drawn):
        outcome.history = History(
            seed=history.seed,
            in_object_store=history.in_object_store,
            has_baselines=history.has_baselines,
            actors=history.actors,
            interruptions=tuple(decisions.interruptions),
        )
    return outcome


def _without(folder: Path, text: str) -> str:
    """Return a text that is the same wherever the history ran."""
    return text.replace(str(folder), "").replace(quote(str(folder)), "")


class _Course:
    """The course of a history."""

    def __init__(self, world: World, history: History) -> None:
        self._world = world
        self._history = history
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
        machine.start(None, self._recover)
        machine.run()

    def _act(self, number: int, actor: Actor) -> None:
        if actor.at_s:
            self._world.machine.sleep(actor.at_s)
        match actor.does:
            case "deliver":
                self._world.execute(f"alert_watch {number}", "worker 2", deliver)
            case "night":
                earlier = [dag_run for dag_run in self.dag_runs if dag_run.scenario == actor.scenario]
                dag_run = self._dag_run(number, actor)
                self._world.machine.wait_for(lambda: all(other.is_over for other in earlier))
                dag_run()
                self._acknowledged += dag_run.acknowledged
            case "promote":
                self._change(f"promote {number}", lambda session: self._promote_known(session, number, actor))
            case "roll back":
                self._change(f"roll back {number}", lambda session: self._roll_back(session, number, actor))
            case "look":
                self._world.execute(f"page {number}", "web", _look)
            case "halt":
                self._halt()

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
        known = prepared().records[actor.service, actor.scenario]
        record = replace(known, run_id=f"{known.run_id}-{number}", verdict=Verdict.PASS)
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
        self._world.execute("alert_watch", "worker 1", deliver)
        self._world.machine.sleep(DAY_S / 24)
        night = self._dag_run(len(self._history.actors) + 1, Actor(does="night", at_s=0, service=self._focus))
        night()
        end = self._world.execute("judge", "web", lambda session: list(self._problems(session, night)))
        for problem in end.value if end.is_done else [f"the end cannot be judged: {end.error}"]:
            self._world.break_rule(problem)

    @property
    def _focus(self) -> str:
        """The service of the first night, or all of them."""
        return next((actor.service for actor in self._history.actors if actor and actor.does == "night"), ALL)

    def _problems(self, session: Session, night: DagRun) -> Iterator[str]:
        yield from invariants.problems_of_runs(session, self.dag_runs)
        yield from invariants.problems_of_store(session)
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


@contextmanager
def _world(decisions: Decisions, history: History, objects: NewClient = MemoryClient) -> Iterator[World]:
    machine = Machine(decisions)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bellwether-history-")))
        (folder / "results").mkdir()
        (folder / "tmp").mkdir()
        client = objects() if history.in_object_store else None
        boundaries = Boundaries(machine, folder, source=random.Random(history.seed))
        world = World(
            machine=machine,
            boundaries=boundaries,
            folder=folder,
            catalogue=_catalogue(),
            objects=client,
        )
        if history.has_baselines:
            world.place_baselines(prepared().baselines)
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        stack.enter_context(mock.patch.object(tempfile, "tempdir", str(folder / "tmp")))
        stack.enter_context(boundaries.replaced())
        stack.enter_context(simulated_client(client, machine))
        try:
            yield world
        finally:
            machine.bury()


@lru_cache(maxsize=1)
def _catalogue() -> Catalogue:
    folder = Path(tempfile.mkdtemp(prefix="bellwether-catalogue-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return catalogue(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What histories begin with.

    Attributes:
        baselines: ``baselines.json`` with three nights of every service under every scenario.
        records: a run by service and scenario.
    """

    baselines: bytes
    records: Mapping[tuple[str, str], RunRecord]


@lru_cache(maxsize=1)
def prepared() -> Prepared:
    """Measure one night, and make three of it; to be called before a bug is put in."""
    nights = tuple(
        Actor(does="night", at_s=600 * number, scenario=scenario, update_baseline=True)
        for number, scenario in enumerate(SCENARIOS)
    )
    calm = History(seed=0, in_object_store=False, has_baselines=False, actors=nights)
    baselines = Baselines()
    with _world(Replayed(()), calm) as world:
        course = _Course(world, calm)
        course.run()
        assert not world.broken_rules, world.broken_rules
        store = FolderStore(str(world.folder / "results"))
        records = [StageFiles(store, uri).read_record() for run in course.dag_runs[:-1] for uri in run.uris]
    for number in range(PREPARED, 0, -1):
        for record in records:
            moment = record.started_at - timedelta(days=number)
            earlier = replace(record, run_id=f"{record.run_id}-{number}", started_at=moment, verdict=Verdict.PASS)
            approval = Approval(by="ana", at=moment, reason="prepared", run_id=earlier.run_id)
            since = current.runs if (current := baselines.get(record.service, record.scenario)) else ()
            baselines.promote(_compared_with(current, earlier), approval=approval, since=since)
    return Prepared(
        baselines=format_baselines(baselines),
        records={(record.service, record.scenario): record for record in records},
    )


def _compared_with(current: Baseline | None, record: RunRecord) -> RunRecord:
    """Return a record as if it had passed against a baseline."""
    if current is None:
        return replace(record, verdict=Verdict.NO_BASELINE, baseline=None)
    reference = BaselineReference(
        version=current.version,
        state=current.state,
        runs=len(current.runs),
        approved_at=current.approval.at,
        metrics=current.metrics,
    )
    return replace(record, baseline=reference)
