"""Run a history, drawn from a seed or replayed, and judge it."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from tests.explorer.course import Course
from tests.explorer.decisions import Decisions, Drawn, Replayed
from tests.explorer.history import History, Outcome, drawn
from tests.explorer.machine import Hangs
from tests.explorer.opening import NewClient, opened
from tests.explorer.preparation import prepared
from tests.fakes.object_client import MemoryClient


def explored(seed: int, *, objects: NewClient = MemoryClient) -> Outcome:
    """Draw the history of a seed and run it; the outcome has its interruptions."""
    history, decisions = drawn(seed)
    return run(history, decisions, objects=objects)


def replayed(history: History, *, objects: NewClient = MemoryClient) -> Outcome:
    """Run a history again."""
    return run(history, Replayed(history.interruptions), objects=objects)


def run(history: History, decisions: Decisions, *, objects: NewClient = MemoryClient) -> Outcome:
    """Run a history to its end, then a night without faults, and judge it."""
    known = prepared()
    baselines = known.baselines if history.has_baselines else None
    with opened(decisions, history, objects=objects, baselines=baselines) as world:
        course = Course(world, history, known=known.records)
        outcome = Outcome(history=history)
        try:
            course.run()
        except Hangs as err:
            world.break_rule(str(err))
        outcome.broken = [_without(world.folder, rule) for rule in dict.fromkeys(world.broken_rules)]
        outcome.story = [_without(world.folder, line) for line in world.machine.story]
        outcome.steps = course.steps
    if isinstance(decisions, Drawn):
        outcome.history = replace(history, interruptions=tuple(decisions.interruptions))
    return outcome


def _without(folder: Path, text: str) -> str:
    """Return a text that is the same wherever the history ran."""
    return text.replace(str(folder), "").replace(quote(str(folder)), "")
