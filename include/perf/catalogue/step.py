"""A step of a journey: a request as that of an endpoint, what it captures, and when it is sent."""

import math
import random
import re
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, field_validator, model_validator

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.expectation import LONGEST_PATH, PATH, Expectation
from include.perf.catalogue.own_values import OWN_VALUES
from include.perf.catalogue.template import FIELDS
from include.perf.model.yaml_entries import Entry, matching

MAX_PAUSE_S = 600.0
"""Of one think time, and of all pauses between the tries of a step together."""

MAX_TRIES = 1_000
TAIL = 10
"""Random think times are cut at this many times their mean, unless ``at_most`` says otherwise."""

MAX_PATTERN = 200

Pause = Annotated[float, Field(ge=0, le=MAX_PAUSE_S, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, le=MAX_PAUSE_S, allow_inf_nan=False)]

Variable = Annotated[
    str,
    Field(max_length=40),
    matching(r"[A-Za-z_][A-Za-z0-9_]*", "must consist of letters, digits and _, and not start with a digit"),
]

FieldName = Annotated[
    str, Field(max_length=100), matching(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "must be the name of a header or a cookie")
]


class Capture(Entry):
    """What a variable takes from an answer: text, a number, true or false.

    Attributes:
        path: ``json`` in the YAML file: of a value in the JSON body, as in ``expect``.
        header: name of a header; its first field counts.
        cookie: name of a cookie that the answer sets.
        regex: a regular expression with one group, which is captured: in the value of the other setting, or, alone, in
            the body.
    """

    model_config = ConfigDict(str_strip_whitespace=False, serialize_by_alias=True)

    path: Annotated[str, Field(max_length=LONGEST_PATH)] | None = Field(default=None, alias="json")
    header: FieldName | None = None
    cookie: FieldName | None = None
    regex: Annotated[str, Field(max_length=MAX_PATTERN)] | None = None

    @field_validator("path")
    @classmethod
    def _check_path(cls, path: str | None) -> str | None:
        if path is not None and not re.fullmatch(PATH, path):
            raise ValueError(f"must be keys separated by dots, such as order.id or orders.0.id, but is {path!r}")
        return path

    @field_validator("regex")
    @classmethod
    def _check_regex(cls, regex: str | None) -> str | None:
        if regex is None:
            return None
        try:
            groups = re.compile(regex).groups
        except (re.error, RecursionError, OverflowError) as err:
            raise ValueError(f"must be a regular expression ({err}), but is {regex!r}") from err
        if groups != 1:
            raise ValueError(f"must have one group, the part to capture, but {regex!r} has {groups}; (?:…) is no group")
        return regex

    @property
    def reads_body(self) -> bool:
        """Whether it needs the body."""
        return self.path is not None or (self.header is None and self.cookie is None)

    @model_validator(mode="after")
    def _check(self) -> Self:
        sources = {"json": self.path, "header": self.header, "cookie": self.cookie}
        named = [name for name, value in sources.items() if value is not None]
        if len(named) > 1:
            raise ValueError(f"has both {' and '.join(named)}; capture from one of them")
        if not named and self.regex is None:
            raise ValueError("needs json, header, cookie or regex, such as {json: order.id}")
        return self


class Lognormal(Entry):
    """A lognormal distribution: of the median, and sigma of the logarithm."""

    median: Positive
    sigma: Annotated[float, Field(gt=0, le=3, allow_inf_nan=False)]


class ThinkTime(Entry):
    """How long a user thinks before a step, in seconds: a constant, or a random time.

    Attributes:
        constant: what a plain number in the YAML file stands for.
        uniform: the shortest and the longest.
        exponential: the mean.
        at_most: the longest of an exponential or lognormal time; longer ones become this. By default `TAIL` times the
            mean, and 600 s at most.
    """

    constant: Pause | None = None
    uniform: tuple[Pause, Pause] | None = None
    exponential: Positive | None = None
    lognormal: Lognormal | None = None
    at_most: Positive | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, given: Any) -> Any:
        return {"constant": given} if isinstance(given, (int, float)) and not isinstance(given, bool) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        kinds = ("constant", "uniform", "exponential", "lognormal")
        named = [kind for kind in kinds if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError("needs seconds, or one of uniform, exponential and lognormal, such as {uniform: [0.5, 2]}")
        if self.uniform and self.uniform[0] > self.uniform[1]:
            raise ValueError(f"uniform must name the shortest time first, but is {list(self.uniform)}")
        if self.at_most is not None and named[0] in ("constant", "uniform"):
            raise ValueError(f"at_most has no effect with {named[0]}; remove it")
        return self

    @property
    def mean_s(self) -> float:
        """The mean, without the cut of ``at_most``."""
        if self.uniform is not None:
            return sum(self.uniform) / 2
        if self.lognormal is not None:
            return self.lognormal.median * math.exp(self.lognormal.sigma**2 / 2)
        return self.exponential or self.constant or 0.0

    @property
    def longest_s(self) -> float:
        """The longest time."""
        if self.constant is not None:
            return self.constant
        if self.uniform is not None:
            return self.uniform[1]
        return min(MAX_PAUSE_S, self.at_most or TAIL * self.mean_s)

    def draw(self, source: random.Random) -> float:
        """Return the next time."""
        if self.constant is not None:
            return self.constant
        if self.uniform is not None:
            return source.uniform(*self.uniform)
        if self.lognormal is not None:
            drawn = source.lognormvariate(math.log(self.lognormal.median), self.lognormal.sigma)
        else:
            drawn = source.expovariate(1 / self.mean_s)
        return min(drawn, self.longest_s)


class Repeat(Entry):
    """A step that is tried again until its answer is as wanted, such as the polling of a state.

    Attributes:
        until: the wanted answer; others are no failures as long as ``expect`` of the step holds.
        at_most: tries; when none had the wanted answer, the step has failed.
        every_s: from an answer to the next try.
    """

    until: Expectation
    at_most: Annotated[int, Field(ge=2, le=MAX_TRIES)]
    every_s: Annotated[float, Field(ge=0.001, le=60, allow_inf_nan=False)]

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.longest_s > MAX_PAUSE_S:
            raise ValueError(
                f"at_most {self.at_most} tries, one every {self.every_s:g} s, take {self.longest_s:g} s; they may take "
                f"{MAX_PAUSE_S:g} s"
            )
        if self.until == Expectation():
            raise ValueError("until must name a status, json or has")
        return self

    @property
    def longest_s(self) -> float:
        """All pauses between tries together."""
        return (self.at_most - 1) * self.every_s


class Step(Endpoint):
    """A step of a journey.

    Attributes:
        capture: by the variables that later steps may name in their templates, where their values come from.
        think_s: how long the user thinks before this step.
        repeat: to try it again until its answer is as wanted.
        on_failure: whether a failure ends the journey.
    """

    model_config = ConfigDict(serialize_by_alias=True)
    known_variables: ClassVar[None] = None

    capture: dict[Variable, Capture] = Field(default_factory=dict)
    think_s: ThinkTime | None = None
    repeat: Repeat | None = None
    on_failure: Literal["abort", "continue"] = "abort"

    @field_validator("capture")
    @classmethod
    def _check_names(cls, capture: dict[str, Capture]) -> dict[str, Capture]:
        for name in capture:
            if name in FIELDS or name in OWN_VALUES:
                kind = "a field of the market data" if name in FIELDS else "a value of the request's own"
                raise ValueError(f"{name} is {kind} already; give the variable another name")
        return capture

    @model_validator(mode="after")
    def _check_step(self) -> Self:
        if self.weight != 1:
            raise ValueError("weight belongs to the journey; every step is sent once")
        if self.data_files:
            raise ValueError("data_files belong to the journey, so that all its steps have the same row")
        if self.method == "HEAD" and self.reads_body:
            raise ValueError("the answer to HEAD has no body; capture from its headers only")
        return self

    @property
    def reads_body(self) -> bool:
        """Whether the bodies of its answers are read, to check them or to capture from them."""
        is_repeated = self.repeat is not None and self.repeat.until.reads_body
        return is_repeated or super().reads_body or any(source.reads_body for source in self.capture.values())

    @property
    def most_tries(self) -> int:
        """How often it is sent at most."""
        return self.repeat.at_most if self.repeat else 1

    @property
    def mean_pause_s(self) -> float:
        """The mean time before it in which nothing is sent, if its first try is good."""
        return self.think_s.mean_s if self.think_s else 0.0

    @property
    def longest_pause_s(self) -> float:
        """The longest time, before it and between its tries, in which nothing is sent."""
        return (self.think_s.longest_s if self.think_s else 0.0) + (self.repeat.longest_s if self.repeat else 0.0)
