"""The command ``capacity`` of the command line."""

import argparse
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass
from typing import Protocol

from rich.console import Console
from rich.table import Table

from include.perf.catalogue.network import literal_of
from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS, MIN_DURATION_S
from include.perf.model.errors import ConfigurationError
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.pipeline.capacity import Capacity, Trial, described, most_for, search, within_reach
from include.perf.pipeline.capacity_trials import Aim, CapacityTrials, aim_at_own

STEP_S = 10
LOOPBACK = "127.0.0.1"
LEAST_RATE_RPS = 50.0
"""With fewer a step of ten seconds has too few requests for a 99th percentile."""

NOT_HELD = 3


class AnsweringProcess(Protocol):
    """A process of our own that answers whatever it is asked."""

    @property
    def url(self) -> str:
        """Where it answers."""

    def wanted_cores(self) -> float | None:
        """Return how many cores it wanted since this was last asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityCommands:
    """Finds out what the present load generators can send.

    Attributes:
        trials: gives what tries rates, for so many seconds each.
        answering: lends a process that answers at an address of this machine.
    """

    trials: Callable[[int], CapacityTrials]
    answering: Callable[[str], AbstractContextManager[AnsweringProcess]]

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add it to the commands there are."""
        capacity = commands.add_parser(
            "capacity", help="find what rate the present load generators hold, and what capacity_rps to set"
        )
        capacity.add_argument(
            "--service", help="send to this service of the catalogue instead of a process of our own that answers"
        )
        capacity.add_argument(
            "--listen",
            metavar="ADDRESS",
            default=LOOPBACK,
            help="where that process answers; workers elsewhere need one that they reach (default: %(default)s)",
        )
        capacity.add_argument(
            "--max-rate",
            type=float,
            metavar="RPS",
            help="try no higher rate (default: what one worker a core can hold)",
        )
        capacity.add_argument(
            "--step-seconds", type=int, metavar="S", default=STEP_S, help="how long each rate is measured (default: 10)"
        )
        capacity.add_argument("--json", action="store_true", help="print the result as JSON")
        capacity.set_defaults(command=self._capacity)

    def _capacity(self, options: argparse.Namespace, console: Console) -> int:
        """Search; 3 when no rate held."""
        _check(options)
        trials = self.trials(options.step_seconds)
        tried: list[Trial] = []
        with ExitStack() as running:
            aim = trials.aim_at(options.service) if options.service else self._own_aim(options.listen, running)
            most_rps = _most_rps(options.max_rate, aim, is_distributed=trials.outside.generator.shared() is not None)
            trial = running.enter_context(trials.reserved(aim))
            for each in search(trial, most_rps=most_rps):
                tried.append(each)
                if not options.json:
                    console.print(_line(each))
        capacity = Capacity(trials=tuple(tried), most_rps=within_reach(most_rps, tried))
        if options.json:
            console.print(_as_json(capacity))
        else:
            console.print(_table(capacity))
            for sentence in described(capacity):
                console.print(sentence)
        return 0 if capacity.best else NOT_HELD

    def _own_aim(self, address: str, running: ExitStack) -> Aim:
        process = running.enter_context(self.answering(address))
        return aim_at_own(process.url, address, process.wanted_cores)


def _check(options: argparse.Namespace) -> None:
    """Make sure that the options make sense.

    Raises:
        ConfigurationError: with everything that is wrong with them.
    """
    problems = []
    if options.step_seconds < MIN_DURATION_S:
        problems.append(f"--step-seconds must be at least {MIN_DURATION_S}, but is {options.step_seconds}")
    if options.max_rate is not None and not LEAST_RATE_RPS <= options.max_rate <= MAX_RATE_RPS:
        problems.append(f"--max-rate must be from {LEAST_RATE_RPS:g} to {MAX_RATE_RPS}, but is {options.max_rate:g}")
    address = literal_of(options.listen)
    if address is None or address.is_unspecified:
        problems.append(
            f"--listen must be an address of this machine that the workers reach, such as {LOOPBACK}, but is "
            f"{options.listen!r}"
        )
    if problems:
        raise ConfigurationError(problems)


def _most_rps(given: float | None, aim: Aim, *, is_distributed: bool) -> float:
    """Return the highest rate to try: one worker a core that this process may use, and never more than is allowed."""
    own = float(MAX_RATE_RPS) if is_distributed else most_for(len(os.sched_getaffinity(0)))
    return min(each for each in (own, given, aim.service.max_rate_rps) if each is not None)


def _line(trial: Trial) -> str:
    """Say how a step went, with the first reason why it did not hold."""
    return f"{trial.rate_rps:g}/s {'holds' if trial.holds else 'does not hold: ' + '; '.join(trial.problems)}"


def _table(capacity: Capacity) -> Table:
    table = Table()
    for name in ("rate", "workers", "due", "answered", "lag p99", "cores wanted by a worker", "by the target", ""):
        table.add_column(name, justify="right" if name else "left")
    for trial in capacity.trials:
        table.add_row(
            f"{trial.rate_rps:g}/s",
            str(trial.workers),
            str(trial.due),
            str(trial.answered),
            format_value(trial.lag_p99_s, Unit.SECONDS),
            _cores(trial.wanted_cores),
            _cores(trial.target_cores),
            "holds" if trial.holds else "does not hold",
        )
    return table


def _cores(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _as_json(capacity: Capacity) -> str:
    best = capacity.best
    return json.dumps(
        {
            "steps": [asdict(trial) | {"holds": trial.holds} for trial in capacity.trials],
            "highest_rps": best.rate_rps if best else None,
            "workers": best.workers if best else None,
            "capacity_rps": capacity.capacity_rps,
            "limited_by_target": capacity.is_targets_limit,
        },
        indent=2,
    )
