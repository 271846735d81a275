"""The parameters of the DAGs: the trigger forms in the UI, and the rules for REST and the command line.

Airflow checks the parameters again before each task, by the rules in the DAG file at that time. But a run in flight
must not fail because the catalogue changed since it was triggered: a service was removed, or a limit lowered. So there
are no rules in the process of a task. The first task checks the request itself.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import ParamSpec

from airflow.sdk import Param, get_parsing_context

from include.perf.catalogue.catalogue import ALL_SCENARIOS, ALL_SERVICES, Catalogue
from include.perf.catalogue.scenario.load_profile import MAX_DURATION_S, MIN_DURATION_S, MIN_RATE_RPS, LoadProfile
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service

NUMBER_OR_NONE = ["null", "number"]

P = ParamSpec("P")


def without_rules_in_tasks(params_of: Callable[P, dict[str, Param]]) -> Callable[P, dict[str, Param]]:
    """Return only the defaults of the parameters in the process of a task."""

    @wraps(params_of)
    def params(*args: P.args, **kwargs: P.kwargs) -> dict[str, Param]:
        found = params_of(*args, **kwargs)
        if get_parsing_context().task_id is None:
            return found
        return {name: Param(param.value) for name, param in found.items()}

    return params


@without_rules_in_tasks
def scenario_params(scenario: Scenario, catalogue: Catalogue) -> dict[str, Param]:
    """Return the parameters of a scenario's DAG by name, with their rules and help texts."""
    load = scenario.load
    return {
        "service": _service(catalogue.services_of(scenario), catalogue, catalogue.accepted_names(scenario)),
        "duration": Param(
            load.duration_s,
            type="integer",
            minimum=MIN_DURATION_S,
            maximum=MAX_DURATION_S,
            title="Duration (s)",
            description=f"Measured seconds, from {MIN_DURATION_S} to {MAX_DURATION_S}. Before them comes a warm-up of "
            f"{load.warmup_s} s, or less in a shorter run. Only runs of the same duration are compared.",
        ),
        "rate": Param(
            load.rate_rps,
            type="number",
            minimum=MIN_RATE_RPS,
            maximum=catalogue.operations.capacity_rps,
            title="Rate (requests/s)",
            description=f"Requests per second to each service, at most {catalogue.operations.capacity_rps:g}; the rate "
            f"does not depend on how fast it answers. {_profile(load)}Only runs of the same rate are compared.",
        ),
        **_baseline(),
        "asked_by": Param(
            None,
            type=["null", "string"],
            maxLength=100,
            title="Requested by",
            description="Set by another DAG that triggers this one; otherwise it is you.",
        ),
    }


@without_rules_in_tasks
def run_all_params(catalogue: Catalogue) -> dict[str, Param]:
    """Return the parameters of the DAG that runs every scenario."""
    scenarios = [*catalogue.scenarios, *catalogue.left_out_scenarios]
    return {
        "service": _service(list(catalogue.services.values()), catalogue, catalogue.accepted_names()),
        "scenarios": Param(
            scenarios,
            type="array",
            items={"type": "string", "enum": scenarios},
            examples=scenarios,
            values_display={scenario.name: scenario.title for scenario in catalogue.scenarios.values()},
            title="Scenarios",
            description="They run one after another: first those that must end before the market opens, then the "
            "shortest.",
        ),
        "duration": Param(
            None,
            type=["null", "integer"],
            minimum=MIN_DURATION_S,
            maximum=MAX_DURATION_S,
            title="Duration (s)",
            description="Measured seconds of every run, instead of each scenario's own. Only runs of the same duration "
            "are compared.",
        ),
        **_baseline(),
    }


@without_rules_in_tasks
def dry_run_params(catalogue: Catalogue) -> dict[str, Param]:
    """Return the parameters of a dry run: those of a scenario, and the scenario."""
    return {
        "scenario": Param(
            ALL_SCENARIOS,
            type="string",
            enum=[ALL_SCENARIOS, *catalogue.scenarios, *catalogue.left_out_scenarios],
            title="Scenario",
            description="The scenario to preview.",
        ),
        "service": _service(list(catalogue.services.values()), catalogue, catalogue.accepted_names()),
        "duration": Param(
            None, type=["null", "integer"], title="Duration (s)", description="Instead of the scenario's own."
        ),
        "rate": Param(
            None, type=NUMBER_OR_NONE, title="Rate (requests/s)", description="Instead of the scenario's own."
        ),
    }


@without_rules_in_tasks
def smoke_params(catalogue: Catalogue) -> dict[str, Param]:
    """Return the parameters of a smoke run."""
    return {"service": _service(list(catalogue.services.values()), catalogue, catalogue.accepted_names())}


def _service(services: Sequence[Service], catalogue: Catalogue, accepted: Sequence[str]) -> Param:
    # Airflow checks the parameters before every task: a run in flight must not fail because an entry became wrong.
    left_out = [name for full in catalogue.left_out_services for name in (full, full.removesuffix("-service"))]
    return Param(
        ALL_SERVICES,
        type="string",
        enum=list(dict.fromkeys([*accepted, *left_out])),
        values_display=_labels(services),
        title="Service",
        description="All services, or one. A short name means the same service.",
    )


def _baseline() -> dict[str, Param]:
    return {
        "update_baseline": Param(
            default=False,
            type="boolean",
            title="Update the baseline",
            description="Each valid run without a regression becomes part of its baseline. Needs a reason.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why this is the right baseline from now on; stored with it, together with your name.",
        ),
    }


def _profile(load: LoadProfile) -> str:
    """Return how the scenario's rate profile changes the rate."""
    if not load.profile:
        return ""
    return f"The scenario's profile multiplies it over time, by {load.peak_rate_rps / load.rate_rps:.3g} at its peak. "


def _labels(services: Sequence[Service]) -> dict[str, str]:
    labels = {service.short_name: f"{service.short_name} (short name)" for service in services}
    labels |= {service.name: service.name for service in services}
    return labels | {ALL_SERVICES: f"all {len(services)} services" if len(services) > 1 else "the one service"}
