"""A history: who does what and when, and what goes wrong; how it is drawn from a seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tests.explorer.decisions import Decisions, Drawn, Interruption
from tests.explorer.world import SCENARIOS, SERVICES

HISTORIES = 50
"""How many histories every run of the tests explores."""

ALL = "all"
LATE_EVERY = 5
"""One history in five has its faults only where alerts are sent and baselines change, and begins with something to
report."""

HALTED_AT_S = (5, 25, 60, 160)
"""Later than a night can begin, which has no load otherwise."""


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
    scenario, other = source.sample(tuple(SCENARIOS), k=2)
    scenarios = source.choice(((scenario,), (scenario, scenario), (scenario, other), (scenario, other)))
    actors = [_drawn_night(source, focus, starts, scenario=name) for name in scenarios]
    for does in ("promote", "promote", "roll back", "look", "deliver", "halt"):
        if source.random() < (0.6 if is_rush and does in ("promote", "roll back") else 0.3):
            service = focus if focus != ALL else source.choice(tuple(SERVICES))
            at_s = source.choice(HALTED_AT_S if does == "halt" else starts)
            actors.append(Actor(does=does, at_s=at_s, scenario=scenario, service=service))
    faults, steps = source.choice((0, 2, 3, 4, 5, 6, 8)), source.choice((50, 100))
    switches = source.choice((0, 0.1, 0.4) if is_rush else (0, 0, 0.02, 0.1))
    is_late = seed % LATE_EVERY == LATE_EVERY - 1
    if is_late:
        faults += 2
        actors[0] = replace(actors[0], is_slow=True)
    decisions = Drawn(source, faults=faults, steps=steps, switches=switches, is_late=is_late)
    history = History(
        seed=seed,
        in_object_store=source.random() < 0.5,
        has_baselines=source.random() < 0.85,
        actors=tuple(actors),
    )
    return history, decisions


def _drawn_night(source: random.Random, focus: str, starts: Sequence[float], *, scenario: str) -> Actor:
    return Actor(
        does="night",
        at_s=source.choice(starts),
        scenario=scenario,
        service=focus if source.random() < 0.7 else ALL,
        is_slow=source.random() < 0.4,
        update_baseline=source.random() < 0.4,
        is_cleared=source.random() < 0.6,
    )
