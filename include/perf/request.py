"""What a person or a schedule asks for, and what is wrong with it."""

from dataclasses import dataclass
from datetime import datetime

from pydantic import ValidationError

from include.perf.catalogue import ALL_SERVICES
from include.perf.entry import problem_of
from include.perf.errors import ConfigurationError
from include.perf.load_profile import LoadProfile
from include.perf.scenario import Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What a person or a schedule asks for; one run a service comes of it.

    Attributes:
        duration_s, rate_rps: instead of the scenario's own; its rate profile keeps its times and is cut off at
            the end, and multiplies the rate asked for.
        update_baseline: promote each run that is valid; needs a ``reason``.
        due_at: when a schedule wanted it, which may be long ago; ``None`` for a person's request.
        may_rerun: measure again, twice, what looks suspicious; without it one run decides alone, and only warns.
    """

    scenario: str
    service: str = ALL_SERVICES
    duration_s: int | None = None
    rate_rps: float | None = None
    update_baseline: bool = False
    reason: str | None = None
    may_rerun: bool = True
    triggered_by: str = "unknown"
    dag_id: str | None = None
    dag_run_id: str | None = None
    due_at: datetime | None = None

    def problems(self) -> list[str]:
        """Return what is wrong with it by itself, a sentence each."""
        if self.update_baseline and not (self.reason or "").strip():
            return ["update_baseline needs a reason: it is kept with the baseline, say why the level is right"]
        return []


def load_of(scenario: Scenario, request: RunRequest) -> LoadProfile:
    """Return the scenario's load with what was asked for instead; a short run gets a short warm-up and ramp."""
    load = scenario.load
    changes: dict[str, float] = {}
    if request.rate_rps is not None:
        changes["rate_rps"] = request.rate_rps
    if request.duration_s is not None:
        warmup_s = min(load.warmup_s, max(0, request.duration_s))
        changes |= {"duration_s": request.duration_s, "warmup_s": warmup_s, "ramp_s": min(load.ramp_s, warmup_s)}
    try:
        return LoadProfile.model_validate(load.model_dump() | changes)
    except ValidationError as err:
        raise ConfigurationError([problem_of(error) for error in err.errors()]) from err
