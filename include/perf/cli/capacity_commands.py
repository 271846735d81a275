"""The command ``capacity`` of the command line: it measures what the load generators can send."""

import argparse
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from rich.console import Console
from rich.table import Table

from include.perf.catalogue.network import literal_of
from include.perf.catalogue.scenario.load_profile import MAX_RATE_RPS, MIN_DURATION_S
from include.perf.cli.arguments import LOOPBACK
from include.perf.model.errors import ConfigurationError
from include.perf.model.metric import Unit
from include.perf.model.numbers import format_value
from include.perf.pipeline.capacity import Capacity, Trial, described, most_for, search, within_reach
from include.perf.pipeline.capacity_trials import LEAST_RATE_RPS, Aim, CapacityTrials, aim_at_own

NOT_HELD = 3


class AnsweringProcess(Protocol):
    """Bellwether's own process that answers every request."""

    @property
    def url(self) -> str:
        """Where it answers."""

    def wanted_cores(self) -> float | None:
        """Return how many cores it wanted since the last call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityCommands:
    """Measures the capacity of the load generators.

    Attributes:
        trials: returns the trials, given the seconds per rate.
        answering: runs a process that answers at an address of this machine.
    """

    trials: Callable[[int], CapacityTrials]
    answering: Callable[[str], AbstractContextManager[AnsweringProcess]]

    def execute(self, options: argparse.Namespace, console: Console) -> int:
        """Search for the capacity; return 3 if no rate held."""
        _check(options)
        trials = replace(self.trials(options.step_seconds), workers=1 if options.one_worker else None)
        tried: list[Trial] = []
        with ExitStack() as running:
            aim = trials.aim_at(options.service) if options.service else self._own_aim(options.listen, running)
            most_rps = _most_rps(options.max_rate, aim, trials)
            trial = running.enter_context(trials.reserved(aim))
            for result in search(trial, most_rps=most_rps):
                tried.append(result)
                if not options.json:
                    console.print(_line(result))
        capacity = Capacity(
            trials=tuple(tried),
            most_rps=within_reach(most_rps, tried),
            service=aim.service.name if options.one_worker else None,
        )
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
    """Check the options.

    Raises:
        ConfigurationError: with everything that is wrong with them.
    """
    problems = []
    if options.step_seconds < MIN_DURATION_S:
        problems.append(f"--step-seconds must be at least {MIN_DURATION_S}, but is {options.step_seconds}")
    if options.max_rate is not None and not LEAST_RATE_RPS <= options.max_rate <= MAX_RATE_RPS:
        problems.append(f"--max-rate must be from {LEAST_RATE_RPS:g} to {MAX_RATE_RPS}, but is {options.max_rate:g}")
    if options.one_worker and not options.service:
        problems.append("--one-worker needs --service: what a worker holds depends on how it calls the service")
    address = literal_of(options.listen)
    if address is None or address.is_unspecified:
        problems.append(
            f"--listen must be an address of this machine that the workers reach, such as {LOOPBACK}, but is "
            f"{options.listen!r}"
        )
    if problems:
        raise ConfigurationError(problems)


def _most_rps(given: float | None, aim: Aim, trials: CapacityTrials) -> float:
    """Return the highest rate to try: what one worker per core can send, and at most what is allowed."""
    is_distributed = trials.outside.generator.shared() is not None
    own = float(MAX_RATE_RPS) if is_distributed else most_for(trials.workers or len(os.sched_getaffinity(0)))
    most = aim.service.max_rate_rps
    allowed = None if most is None else most / aim.service.most_requests_per_arrival
    return min(limit for limit in (own, given, allowed) if limit is not None)


def _line(trial: Trial) -> str:
    """Return the result of one rate, with the reasons why it did not hold."""
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
            "capacity_rps": None if capacity.service else capacity.capacity_rps,
            "worker_rps": capacity.worker_rps,
            "limited_by_target": capacity.is_targets_limit,
        },
        indent=2,
    )
