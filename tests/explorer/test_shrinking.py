"""A failing history is made short before anybody has to read it."""

from dataclasses import replace

from tests.explorer.decisions import Fault, Interruption
from tests.explorer.history import Actor, History, Outcome
from tests.explorer.shrinking import shortest


def test_what_is_not_needed_is_dropped() -> None:
    """Of nine interruptions and three actors, two and one break the rule."""
    interruptions = tuple(Interruption(process="report", step=step, fault=Fault.FAILS) for step in range(9))
    actors = tuple(Actor(does=does, at_s=0, is_slow=True) for does in ("look", "night", "halt"))
    history = History(seed=1, in_object_store=False, has_baselines=True, actors=actors, interruptions=interruptions)

    def replay(tried: History) -> Outcome:
        steps = {planned.step for planned in tried.interruptions}
        is_broken = {3, 7} <= steps and tried.actors[1] is not None
        return Outcome(history=tried, broken=["a rule"] if is_broken else [])

    found = shortest(Outcome(history=history, broken=["a rule"]), replay=replay).history
    assert [planned.step for planned in found.interruptions] == [3, 7]
    assert found.actors == (None, replace(actors[1], is_slow=False), None)
