"""The parameters of a scenario's DAG: the form in the UI, and what REST and the command line must keep to."""

from airflow.sdk import Param

from include.perf.catalogue import ALL_SERVICES, Catalogue
from include.perf.scenario import MAX_DURATION_S, MAX_RATE_RPS, MIN_DURATION_S, MIN_RATE_RPS, LoadProfile, Scenario


def scenario_params(scenario: Scenario, catalogue: Catalogue) -> dict[str, Param]:
    """Return the parameters by name, with their rules and help texts."""
    load = scenario.load
    return {
        "service": Param(
            ALL_SERVICES,
            type="string",
            enum=catalogue.accepted_names(scenario),
            values_display=_labels(scenario, catalogue),
            title="Service",
            description="Load all of them, one after another, or only one. A short name means the same service.",
        ),
        "duration": Param(
            load.duration_s,
            type="integer",
            minimum=MIN_DURATION_S,
            maximum=MAX_DURATION_S,
            title="Duration (s)",
            description=f"Measured seconds, from {MIN_DURATION_S} to {MAX_DURATION_S}. Before them comes a warm-up of "
            f"{load.warmup_s} s, or less in a shorter run. Runs are only compared at the same duration.",
        ),
        "rate": Param(
            load.rate_rps,
            type="number",
            minimum=MIN_RATE_RPS,
            maximum=MAX_RATE_RPS,
            title="Rate (requests/s)",
            description=f"Requests sent each second to each service, at most {MAX_RATE_RPS}, however slowly it "
            f"answers. {_profile(load)}Runs are only compared at the same rate.",
        ),
        "update_baseline": Param(
            default=False,
            type="boolean",
            title="Update the baseline",
            description="Each run that is valid and did not regress becomes part of its baseline. Needs a reason.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why this is the right level from now on; kept with the baseline, together with your name.",
        ),
    }


def _profile(load: LoadProfile) -> str:
    """Say what a rate profile makes of the rate."""
    if not load.profile:
        return ""
    return f"The scenario's profile multiplies it over time, by {load.peak_rate_rps / load.rate_rps:.3g} at its peak. "


def _labels(scenario: Scenario, catalogue: Catalogue) -> dict[str, str]:
    services = catalogue.services_of(scenario)
    labels = {service.short_name: f"{service.short_name} (short name)" for service in services}
    labels |= {service.name: service.name for service in services}
    return labels | {ALL_SERVICES: f"all {len(services)} services" if len(services) > 1 else "the one service"}
