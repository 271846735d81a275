"""Baselines: the level of a service in a scenario, and how it came to be the level.

``baselines.json`` is ``schema_version``, then ``service → scenario → entry``. A run that agrees with the
baseline strengthens it; anything else begins a new one, on purpose and with a reason. The entries before it
are kept, so that going back is possible.
"""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import FiniteFloat, TypeAdapter, ValidationError

from include.perf.errors import BaselineError
from include.perf.run import BaselineReference, RunRecord, Verdict

SCHEMA_VERSION = 1
MAX_RUNS = 45
MAX_HISTORY = 20
CANDIDATE_RUNS = 3
APPROVED_RUNS = 10


class State(StrEnum):
    """How far a baseline can be trusted, by the number of runs behind it."""

    PROVISIONAL = "provisional"
    CANDIDATE = "candidate"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRun:
    """What one run contributed; values in base units."""

    run_id: str
    metrics: Mapping[str, FiniteFloat]


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who made a change of a baseline, when and why."""

    by: str
    at: datetime
    reason: str
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The level of one service in one scenario.

    Attributes:
        version: counts up with every promotion and roll-back.
        metrics: the median over ``runs`` of each metric, in base units.
        previous: the entries before this one, latest first, without their own history.
    """

    version: int
    state: State
    fingerprint: Mapping[str, str]
    metrics: Mapping[str, FiniteFloat]
    runs: tuple[BaselineRun, ...]
    approval: Approval
    previous: tuple["Baseline", ...] = ()

    def reference(self) -> BaselineReference:
        """Return what a run's record keeps of it."""
        return BaselineReference(
            version=self.version,
            state=self.state.value,
            runs=len(self.runs),
            approved_at=self.approval.at,
            metrics=self.metrics,
        )


@dataclass(slots=True)
class Baselines:
    """All baselines, as they stand in the file."""

    entries: dict[str, dict[str, Baseline]] = field(default_factory=dict)

    def get(self, service: str, scenario: str) -> Baseline | None:
        """Return a cell's baseline, if it has one."""
        return self.entries.get(service, {}).get(scenario)

    def promote(self, run: RunRecord, *, approval: Approval, force: bool = False) -> Baseline:
        """Make a run part of its cell's baseline, or the beginning of a new one.

        Args:
            force: accept a run that is a regression or is not comparable as the new level.

        Raises:
            BaselineError: the run may not become a baseline; says why and what to do.
        """
        current = self.get(run.service, run.scenario)
        if current is not None and any(known.run_id == run.run_id for known in current.runs):
            raise BaselineError(f"run {run.run_id} is part of the baseline of {_cell(run)} already")
        _check_promotable(run, current, force=force)
        _check_reason(approval)
        values = {name: metric.value for name, metric in run.metrics.items() if metric.value is not None}
        contribution = BaselineRun(run_id=run.run_id, metrics=values)
        strengthens = current is not None and run.verdict is Verdict.PASS and current.fingerprint == run.fingerprint
        runs = (*current.runs, contribution)[-MAX_RUNS:] if current and strengthens else (contribution,)
        entry = Baseline(
            version=current.version + 1 if current else 1,
            state=_state(len(runs)),
            fingerprint=dict(run.fingerprint),
            metrics=_centre(runs),
            runs=runs,
            approval=approval,
            previous=_history(current),
        )
        self.entries.setdefault(run.service, {})[run.scenario] = entry
        return entry

    def roll_back(self, service: str, scenario: str, *, version: int, approval: Approval) -> Baseline:
        """Make an earlier version the baseline again; the present one joins the history.

        Raises:
            BaselineError: there is no such baseline or version.
        """
        _check_reason(approval)
        current = self.get(service, scenario)
        if current is None:
            raise BaselineError(f"there is no baseline of {service} in {scenario}; `baselines list` shows all")
        wanted = next((old for old in current.previous if old.version == version), None)
        if wanted is None:
            versions = ", ".join(str(old.version) for old in current.previous) or "none"
            raise BaselineError(f"{service} in {scenario} has no earlier version {version}; there are: {versions}")
        entry = replace(wanted, version=current.version + 1, approval=approval, previous=_history(current))
        self.entries[service][scenario] = entry
        return entry


def _check_promotable(run: RunRecord, current: Baseline | None, *, force: bool) -> None:
    """Refuse what is no level to hold later runs to; a verdict may be older than the present baseline."""
    if not run.verdict.is_measured:
        why = "; ".join(run.reasons)
        raise BaselineError(f"run {run.run_id} is {run.verdict} and can never be a baseline: {why}")
    if force:
        return
    remedy = f"python -m include.perf baselines promote {run.run_id} --force --reason '…'"
    if run.verdict in (Verdict.REGRESSION, Verdict.NOT_COMPARABLE):
        raise BaselineError(
            f"run {run.run_id} is {run.verdict}, so it does not become the baseline by itself; to accept it as "
            f"the new level: {remedy}"
        )
    if current is not None and (run.verdict is Verdict.NO_BASELINE or run.fingerprint != current.fingerprint):
        raise BaselineError(
            f"run {run.run_id} was never compared with the present baseline (version {current.version}); run the "
            f"scenario again, or to replace the baseline: {remedy}"
        )


def _check_reason(approval: Approval) -> None:
    if not approval.reason.strip():
        raise BaselineError("a baseline is changed for a reason, which is kept with it; say why the level is right")


def _cell(run: RunRecord) -> str:
    return f"{run.service} in {run.scenario}"


def _state(runs: int) -> State:
    if runs < CANDIDATE_RUNS:
        return State.PROVISIONAL
    return State.CANDIDATE if runs < APPROVED_RUNS else State.APPROVED


def _centre(runs: tuple[BaselineRun, ...]) -> dict[str, float]:
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return {name: statistics.median(run.metrics[name] for run in runs if name in run.metrics) for name in names}


def _history(current: Baseline | None) -> tuple[Baseline, ...]:
    if current is None:
        return ()
    return (replace(current, previous=()), *current.previous)[:MAX_HISTORY]


_ENTRIES: TypeAdapter[dict[str, dict[str, Baseline]]] = TypeAdapter(dict[str, dict[str, Baseline]])
_ENTRY: TypeAdapter[Baseline] = TypeAdapter(Baseline)


def parse_baselines(content: bytes, *, where: str) -> Baselines:
    """Read the file's content.

    Raises:
        BaselineError: it is not what it should be; it is never repaired by guessing.
    """
    remedy = "restore it from version control"
    try:
        document: Any = json.loads(content)
    except ValueError as err:
        raise BaselineError(f"{where} is not valid JSON ({err}); {remedy}") from err
    if not isinstance(document, dict) or document.pop("schema_version", None) != SCHEMA_VERSION:
        raise BaselineError(f"{where} must be an object with schema_version {SCHEMA_VERSION}; {remedy}")
    try:
        return Baselines(entries=_ENTRIES.validate_python(document))
    except ValidationError as err:
        problems = [f"{where}: {'.'.join(map(str, each['loc']))}: {each['msg']}; {remedy}" for each in err.errors()]
        raise BaselineError(problems) from err


def format_baselines(baselines: Baselines) -> bytes:
    """Write the file's content: keys in stable order, so that a diff shows just what changed."""
    document: dict[str, Any] = {"schema_version": SCHEMA_VERSION}
    for service in sorted(baselines.entries):
        scenarios = baselines.entries[service]
        document[service] = {name: _dump(scenarios[name]) for name in sorted(scenarios)}
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def _dump(entry: Baseline) -> Any:
    return _ENTRY.dump_python(entry, mode="json")
