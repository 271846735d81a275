"""The parameters of a scenario's DAG: the form in the UI, and what REST and the command line must keep to."""

from airflow.sdk import Param

from include.perf.catalogue import ALL_SERVICES, Catalogue
from include.perf.scenario import MAX_DURATION_S, MAX_RATE_RPS, MIN_DURATION_S, Scenario


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
            description="Which service to load: all of them one after another, or one. "
            "Names are accepted with and without -service.",
        ),
        "duration": Param(
            load.duration_s,
            type="integer",
            minimum=MIN_DURATION_S,
            maximum=MAX_DURATION_S,
            title="Duration, s",
            description=f"Measured seconds; {load.warmup_s} s of warm-up (never longer than the duration) come before. "
            "Another duration than the baseline's cannot be compared with it.",
        ),
        "rate": Param(
            load.rate_rps,
            type="number",
            exclusiveMinimum=0,
            maximum=MAX_RATE_RPS,
            title="Rate, requests/s",
            description="Arrivals per second and service, whatever the service does. "
            "Another rate than the baseline's cannot be compared with it.",
        ),
        "update_baseline": Param(
            default=False,
            type="boolean",
            title="Update the baseline",
            description="Make each valid run that did not regress part of its baseline. Needs a reason.",
        ),
        "reason": Param(
            None,
            type=["null", "string"],
            maxLength=500,
            title="Reason",
            description="Why the baseline is updated; kept with it, together with your name.",
        ),
    }


def _labels(scenario: Scenario, catalogue: Catalogue) -> dict[str, str]:
    services = catalogue.services_of(scenario)
    labels = {service.short_name: f"{service.short_name} (short name)" for service in services}
    labels |= {service.name: service.name for service in services}
    return labels | {ALL_SERVICES: f"all {len(services)} services"}
