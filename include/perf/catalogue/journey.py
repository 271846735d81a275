"""A journey: steps that one virtual user takes one after another, as a client of the service does.

One arrival of a load is one journey. A journey is an entry among the endpoints of a service; its requests have the
names ``<journey>/<step>``.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from include.perf.catalogue.data_file import DataFiles
from include.perf.catalogue.headers import looks_secret
from include.perf.catalogue.step import Step
from include.perf.catalogue.template import variables_of
from include.perf.model.yaml_entries import Entry, Name

MAX_STEPS = 50

CLEAN_UP_S = 2.0
"""How long the ``finally`` steps of all journeys together may take after the end of a load."""

EXPECTED_TRIES = 3
"""How often a repeated step is expected to be sent, unless ``at_most`` is lower: its share of the workers' capacity."""


class Journey(Entry):
    """A journey of a service.

    Attributes:
        weight: share of the arrivals, relative to the service's other endpoints.
        data_files: in addition to those of the service; all steps of one journey have the same row.
        steps: in their order.
        finally_steps: ``finally`` in the YAML file: cleans up after the journey, also when a step failed or the load
            was stopped. A step whose variables were not captured is left out.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: Name
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    data_files: DataFiles = Field(default_factory=dict)
    steps: Annotated[tuple[Step, ...], Field(min_length=1, max_length=MAX_STEPS)]
    finally_steps: Annotated[tuple[Step, ...], Field(max_length=MAX_STEPS, alias="finally")] = ()

    @property
    def requests(self) -> tuple[Step, ...]:
        """The kinds of requests that an arrival sends: all steps, those of ``finally`` last, by their full names."""
        shared = {"weight": self.weight, "data_files": self.data_files}
        return tuple(
            step.model_copy(update={"name": f"{self.name}/{step.name}", **shared})
            for step in (*self.steps, *self.finally_steps)
        )

    @property
    def secret_variables(self) -> frozenset[str]:
        """The variables that a step sends in a header for secrets, such as the token of a login."""
        headers = [header for step in self.requests for header in step.headers.items()]
        return frozenset(name for header, value in headers if looks_secret(header) for name in variables_of(value))

    @property
    def request_count(self) -> int:
        """How many requests a journey is expected to send: see `EXPECTED_TRIES`."""
        return sum(min(EXPECTED_TRIES, step.most_tries) for step in (*self.steps, *self.finally_steps))

    @property
    def most_requests(self) -> int:
        """How many requests a journey sends at most."""
        return sum(step.most_tries for step in (*self.steps, *self.finally_steps))

    @property
    def mean_pause_s(self) -> float:
        """The mean time in which its user thinks."""
        return sum(step.mean_pause_s for step in self.steps)

    @property
    def longest_pause_s(self) -> float:
        """The longest time in which its user thinks or waits for the next try."""
        return sum(step.longest_pause_s for step in self.steps)

    def problems(self, *, files: Collection[str], allowed_headers: Collection[str]) -> Iterator[str]:
        """Yield the problems that only its service knows.

        Args:
            files: the names of the data files that the service names.
            allowed_headers: the further headers that the service allows.
        """
        known: set[str] = set()
        everything = {name for step in self.steps for name in step.capture}
        for index, step in enumerate(self.requests):
            variables = known if index < len(self.steps) else everything | known
            yield from step.problems(files=files, allowed_headers=allowed_headers, variables=variables)
            if step.on_failure == "abort" or index >= len(self.steps):
                known |= set(step.capture)

    @model_validator(mode="after")
    def _check(self) -> Self:
        problems = [*self._problems_of_names(), *self._problems_of_finally(), *self._problems_of_variables()]
        if self.steps[0].think_s is not None:
            problems.append("the first step is due with the journey, so it has no think_s")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _problems_of_names(self) -> Iterator[str]:
        names = Counter(step.name for step in (*self.steps, *self.finally_steps))
        doubles = sorted(name for name, count in names.items() if count > 1)
        if doubles:
            yield f"step names must differ, but {', '.join(doubles)} occurs more than once"

    def _problems_of_finally(self) -> Iterator[str]:
        for step in self.finally_steps:
            settings = {"think_s": step.think_s, "repeat": step.repeat, "on_failure": step.on_failure != "abort"}
            useless = [name for name, value in settings.items() if value]
            if useless:
                yield f"finally, {step.name}: {' and '.join(useless)} has no effect in finally; remove it"

    def _problems_of_variables(self) -> Iterator[str]:
        """Yield where a variable is used that the step before may have failed to capture."""
        uncertain: dict[str, str] = {}
        for step in self.steps:
            for name in sorted(variables_of(step.templates) & uncertain.keys()):
                yield (
                    f"{step.name}: ${name} may be missing, because {uncertain[name]} captures it and has on_failure: "
                    "continue; let its failure abort the journey"
                )
            for name in step.capture:
                if step.on_failure == "continue":
                    uncertain.setdefault(name, step.name)
                else:
                    uncertain.pop(name, None)
