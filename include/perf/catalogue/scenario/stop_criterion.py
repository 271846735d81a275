"""When a load must not go on: a figure of the load itself, or one of the target out of Prometheus, over a while.

The model is an entry of ``stop_when`` in ``scenarios.yaml``. `include.perf.guards.load_limits` follows the figures,
`include.perf.guards.query_limits` asks Prometheus.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, field_validator, model_validator

from include.perf.model.yaml_entries import Entry

MAX_WINDOW_S = 3600
MAX_LATENCY_S = 300
"""No request may take longer; a limit beyond it was meant in milliseconds."""

MAX_CRITERIA = 20

_UNKNOWN_FIELD = re.compile(r"\$(?!selector\b)[A-Za-z_]\w*")


class StopFigure(StrEnum):
    """What a load may be stopped for, over a window of its last seconds; base units.

    * ``error_ratio``: failed requests over those that were answered or failed in the window. A request that has
      been waiting for the whole window counts as failed so far: where the window is longer than the service's
      time-out there is none.
    * ``latency_p50``, ``latency_p95``, ``latency_p99`` (s, from the due time): of the answers and the time-outs of
      the window, as in a run's figures. Requests in flight that have waited for longer than the limit are counted
      in, with their age so far: what it will be at least.
    * ``achieved_ratio``: requests that were sent in the window over arrivals that were released in it. A target
      that hangs takes every connection, and then arrivals wait. More than 1 when they catch up.
    * ``schedule_lag_p99`` (s): how late the generator released the arrivals of the window, by its own fault.
    * ``generator_cores`` (cores): what the worker that wanted most would have used, had it never waited for a
      processor; the mean over the window.
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
        """The figure in the middle of a sentence: ``error ratio``."""
        return self.value.replace("_", " ")

    @property
    def unit(self) -> str:
        """The unit, empty where the name says it."""
        return "s" if self.is_delay else ""

    @property
    def is_delay(self) -> bool:
        """Whether it is in seconds."""
        return self.value.startswith(("latency", "schedule_lag"))

    @property
    def most(self) -> float:
        """The highest limit that makes sense."""
        if self in (StopFigure.ERROR_RATIO, StopFigure.ACHIEVED_RATIO):
            return 1
        return MAX_LATENCY_S if self.is_delay else 1024


class StopCriterion(Entry):
    """A limit and the window over which it is passed before the load is stopped.

    A metric is looked at once a second, over the last ``window_s`` seconds of all workers together and not before so
    many seconds of the load have gone by, the warm-up among them. At the limit itself nothing happens, and a window
    with nothing in it is no reason: no data is never zero.

    A query is asked every two seconds, or twice a window where that is shorter, and must be beyond the limit each
    time for ``window_s``. A question that Prometheus has no data for changes nothing, unless it has none for a whole
    window: then the time begins anew.

    Attributes:
        name: said instead of the metric or query.
        metric: a figure of the load.
        query: PromQL of one series; ``$selector`` is the service's own.
        above, below: the limit, one of the two, in base units (s, ratio, cores; a query's own).
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
            yield "needs either metric or query, to say what is looked at"
        if (self.above is None) == (self.below is None):
            yield "needs either above or below, to say where the limit is"
        elif self.metric is not None and not 0 <= self.limit <= self.metric.most:
            unit = " seconds" if self.metric.is_delay else ""
            yield (
                f"{self.side} must be 0 to {self.metric.most:g}{unit} for {self.metric}, but is {self.limit:g}; "
                "limits are in base units"
            )
        elif self.metric is not None and self._is_out_of_reach:
            yield f"{self.side} {self.limit:g} is never reached by {self.metric}; correct the limit"

    @property
    def _is_out_of_reach(self) -> bool:
        """Whether no value of the metric could be beyond the limit: 1 is not one percent."""
        return self.limit == (1 if self.above is not None else 0) and (
            self.below is not None or self.metric is StopFigure.ERROR_RATIO
        )

    @property
    def limit(self) -> float:
        """The limit, on whichever side."""
        return self.above if self.above is not None else self.below or 0.0

    @property
    def side(self) -> str:
        """``above`` or ``below``."""
        return "below" if self.above is None else "above"

    @property
    def subject(self) -> str:
        """What is looked at, in words."""
        return self.name or (self.metric.words if self.metric else self.query or "")

    def is_beyond(self, value: float) -> bool:
        """Whether a value is on the wrong side; the limit itself is not."""
        return value > self.limit if self.above is not None else value < self.limit

    def describe(self) -> str:
        """Say it in words: ``error ratio above 0.5 over 30 s``."""
        return f"{self.subject} {self.side} {self.amount(self.limit)} over {self.window_s} s"

    def told(self, value: float) -> str:
        """Write a value that is beyond the limit, with as many digits as it takes to see that."""
        digits = next((digits for digits in range(3, 17) if self.is_beyond(float(f"{value:.{digits}g}"))), 17)
        return self.amount(value, digits=digits)

    def amount(self, value: float, *, digits: int = 12) -> str:
        """Write a value with its unit."""
        unit = self.metric.unit if self.metric else ""
        return f"{value:.{digits}g} {unit}".rstrip()


def _differ(criteria: tuple[StopCriterion, ...]) -> tuple[StopCriterion, ...]:
    """Refuse two of a kind: the laxer of them could never be the first to be reached."""
    kinds: dict[tuple[object, ...], int] = {}
    names: dict[str, int] = {}
    for number, criterion in enumerate(criteria):
        kind = (criterion.metric, criterion.query, criterion.side, criterion.window_s)
        if kind in kinds:
            raise ValueError(
                f"[{kinds[kind]}] and [{number}] look at the same ({criterion.describe()}); remove one of them, or "
                "give it another window_s"
            )
        if criterion.name in names:
            raise ValueError(f"[{names[criterion.name]}] and [{number}] are both called {criterion.name!r}; rename one")
        kinds[kind] = number
        if criterion.name is not None:
            names[criterion.name] = number
    return criteria


StopCriteria = Annotated[tuple[StopCriterion, ...], Field(max_length=MAX_CRITERIA), AfterValidator(_differ)]
