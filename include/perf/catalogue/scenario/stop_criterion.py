"""When to stop a load early: a figure of the load, or a Prometheus query about the target, exceeds a limit.

A criterion is an entry of ``stop_when`` in ``scenarios.yaml``. `include.perf.guards.load_limits` checks the figures,
`include.perf.guards.query_limits` the queries.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from include.perf.model.yaml_entries import Entry

MAX_WINDOW_S = 3600
MAX_LATENCY_S = 300
"""No request may take longer; a higher limit was probably meant in milliseconds."""

MAX_CRITERIA = 20

STOPPED_BY_TARGET = "(stop_when)"
"""Ends the reason of a load that a criterion about the target stopped."""

STOPPED_OTHERWISE = "(stop_when, not the target)"
"""Ends the reason if it is about the generator, or about the criterion itself."""

_UNKNOWN_FIELD = re.compile(r"\$(?!selector\b)[A-Za-z_]\w*")


class StopFigure(StrEnum):
    """The figures of a load that can stop it, over a window of the last seconds; base units.

    * ``error_ratio``: failed requests divided by all requests that ended in the window. A request that has been
      waiting for the full window counts as failed; there is none if the window is longer than the service's time-out.
    * ``latency_p50``, ``latency_p95``, ``latency_p99`` (s, from the due time): of the responses and time-outs in the
      window, as in the figures of a run. Requests in flight that have waited longer than the limit are included with
      their current age, a lower bound of their latency.
    * ``achieved_ratio``: requests sent in the window divided by arrivals released in it. It drops if the target holds
      all connections, so that arrivals have to wait. It exceeds 1 when they catch up.
    * ``schedule_lag_p99`` (s): the schedule lag of the arrivals in the window, which the generator itself causes.
    * ``generator_cores`` (cores): the cores that the busiest worker would have used without waiting for a CPU; the
      mean over the window.
    """

    ERROR_RATIO = "error_ratio"
    LATENCY_P50 = "latency_p50"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"
    ACHIEVED_RATIO = "achieved_ratio"
    SCHEDULE_LAG_P99 = "schedule_lag_p99"
    GENERATOR_CORES = "generator_cores"

    @property
    def words(self) -> str:
        """The name of the figure inside a sentence: ``error ratio``."""
        return self.value.replace("_", " ")

    @property
    def unit(self) -> str:
        """The unit; empty if the name implies it."""
        return "s" if self.is_delay else ""

    @property
    def is_of_generator(self) -> bool:
        """Whether the generator itself causes it, and not the target."""
        return self in (StopFigure.SCHEDULE_LAG_P99, StopFigure.GENERATOR_CORES)

    @property
    def is_delay(self) -> bool:
        """Whether it is in seconds."""
        return self.value.startswith(("latency", "schedule_lag"))

    @property
    def max_limit(self) -> float:
        """The highest valid limit."""
        if self in (StopFigure.ERROR_RATIO, StopFigure.ACHIEVED_RATIO):
            return 1
        return MAX_LATENCY_S if self.is_delay else 1024


class StopCriterion(Entry):
    """A limit, and the window over which it must be exceeded to stop the load.

    A metric is checked once a second, over the last ``window_s`` seconds of all workers together, starting
    ``window_s`` seconds after the load (warm-up included). A value equal to the limit does not exceed it, and a window
    without data does not stop the load: no data is never zero.

    A query is sent every two seconds, at least twice per window. Every result must exceed the limit for ``window_s``.
    A missing result is ignored; after a full window without results the time starts again.

    Attributes:
        name: shown instead of the metric or query.
        metric: a figure of the load.
        query: PromQL with one series as its result; ``$selector`` is that of the service.
        above, below: the limit, one of the two, in base units (s, ratio, cores; for a query its own unit).
    """

    name: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    metric: StopFigure | None = None
    query: Annotated[str, Field(min_length=1)] | None = None
    above: Annotated[float, Field(allow_inf_nan=False)] | None = None
    below: Annotated[float, Field(allow_inf_nan=False)] | None = None
    window_s: Annotated[int, Field(ge=1, le=MAX_WINDOW_S)]

    @field_validator("query")
    @classmethod
    def _only_the_selector(cls, query: str | None) -> str | None:
        unknown = _UNKNOWN_FIELD.search(query or "")
        if unknown:
            raise ValueError(
                f"only $selector is filled in, but there is {unknown.group()} in {query!r}; write a range as [1m]"
            )
        return query

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = list(self._problems())
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        if (self.metric is None) == (self.query is None):
            yield "needs either metric or query, to define what is checked"
        if (self.above is None) == (self.below is None):
            yield "needs either above or below, to define the limit"
        elif self.metric is not None and not 0 <= self.limit <= self.metric.max_limit:
            unit = " seconds" if self.metric.is_delay else ""
            yield (
                f"{self.side} must be 0 to {self.metric.max_limit:g}{unit} for {self.metric}, but is {self.limit:g}; "
                "limits are in base units"
            )
        elif self.metric is not None and self._is_out_of_reach:
            yield f"{self.side} {self.limit:g} is never reached by {self.metric}; correct the limit"

    @property
    def _is_out_of_reach(self) -> bool:
        """Whether no value of the metric can exceed the limit: 1 is not one percent."""
        return self.limit == (1 if self.above is not None else 0) and (
            self.below is not None or self.metric is StopFigure.ERROR_RATIO
        )

    @property
    def limit(self) -> float:
        """The limit, upper or lower."""
        return self.above if self.above is not None else self.below or 0.0

    @property
    def side(self) -> str:
        """``above`` or ``below``."""
        return "below" if self.above is None else "above"

    @property
    def subject(self) -> str:
        """What is checked, in words."""
        return self.name or (self.metric.words if self.metric else self.query or "")

    @property
    def mark(self) -> str:
        """The end of a reason to stop: whose fault it is."""
        return STOPPED_OTHERWISE if self.metric is not None and self.metric.is_of_generator else STOPPED_BY_TARGET

    def is_beyond(self, value: float) -> bool:
        """Whether a value exceeds the limit; the limit itself does not."""
        return value > self.limit if self.above is not None else value < self.limit

    def describe(self) -> str:
        """Describe the criterion: ``error ratio above 0.5 over 30 s``."""
        return f"{self.subject} {self.side} {self.amount(self.limit)} over {self.window_s} s"

    def format_beyond(self, value: float) -> str:
        """Format a value that exceeds the limit, with enough digits to show that."""
        digits = next((digits for digits in range(3, 17) if self.is_beyond(float(f"{value:.{digits}g}"))), 17)
        return self.amount(value, digits=digits)

    def amount(self, value: float, *, digits: int = 12) -> str:
        """Format a value with its unit."""
        unit = self.metric.unit if self.metric else ""
        return f"{value:.{digits}g} {unit}".rstrip()


def _differ(criteria: tuple[StopCriterion, ...]) -> tuple[StopCriterion, ...]:
    """Refuse two criteria of the same kind: the less strict one has no effect."""
    kinds: dict[tuple[object, ...], int] = {}
    names: dict[str, int] = {}
    for number, criterion in enumerate(criteria):
        kind = (criterion.metric, criterion.query, criterion.side, criterion.window_s)
        if kind in kinds:
            raise ValueError(
                f"[{kinds[kind]}] and [{number}] check the same ({criterion.describe()}); remove one of them, or "
                "give it another window_s"
            )
        if criterion.name in names:
            raise ValueError(f"[{names[criterion.name]}] and [{number}] are both called {criterion.name!r}; rename one")
        kinds[kind] = number
        if criterion.name is not None:
            names[criterion.name] = number
    return criteria


StopCriteria = Annotated[tuple[StopCriterion, ...], Field(max_length=MAX_CRITERIA), AfterValidator(_differ)]
