"""Explore random histories: ``python -m tests.explorer --seed 7`` replays one, ``--histories 1000`` runs many."""

import argparse
import contextlib
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.explorer.exploring import explored
from tests.explorer.history import Outcome
from tests.explorer.mutants import MUTANTS
from tests.explorer.preparation import prepared
from tests.explorer.shrinking import shortest


def report(outcome: Outcome) -> str:
    """Return a broken rule with its seed and the shortest history that breaks it, step by step."""
    seed = outcome.history.seed
    lines = [f"seed {seed}: {'; '.join(outcome.broken) or 'no rule was broken'}", "", str(outcome.history), ""]
    return "\n".join([*lines, "what happened:", *outcome.story, "", f"replay: python -m tests.explorer --seed {seed}"])


def broken_histories(seeds: Sequence[int]) -> Iterator[Outcome]:
    """Yield the outcome of each history that broke a rule."""
    for seed in seeds:
        outcome = explored(seed)
        if outcome.broken:
            yield outcome


def main() -> int:
    """Explore, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.explorer", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed (default: 0)")
    parser.add_argument("--histories", type=int, default=1, help="how many seeds, from the first on (default: 1)")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="put this bug into Bellwether first")
    parser.add_argument("--whole", action="store_true", help="do not look for a shorter history")
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    prepared()
    with MUTANTS[given.mutant]() if given.mutant else contextlib.nullcontext():
        return _explore(given)


def _explore(given: Any) -> int:
    began = time.monotonic()
    found = 0
    for seed in range(given.seed, given.seed + given.histories):
        outcome = explored(seed)
        if outcome.broken and not given.whole:
            outcome = shortest(outcome)
        if outcome.broken or given.histories == 1:
            print(report(outcome), flush=True)
        found += bool(outcome.broken)
        if seed % 50 == 49:
            print(f"{seed + 1 - given.seed} histories in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
