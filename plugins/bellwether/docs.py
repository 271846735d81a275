"""The documentation that a scenario's DAG shows in the UI."""

from include.perf.catalogue import Catalogue
from include.perf.fingerprint import describe_load
from include.perf.scenario import Scenario


def dag_docs(scenario: Scenario, catalogue: Catalogue) -> str:
    """Return what the DAG does, in Markdown."""
    services = catalogue.services_of(scenario)
    schedule = scenario.schedule
    when = f"`{schedule.cron}` in {schedule.timezone}" if schedule else "only when triggered"
    names = "\n".join(f"- `{service.name}`: {service.description}" for service in services)
    return f"""
# {scenario.title}

{scenario.description}

**Load:** {describe_load(scenario.load)}, for each service, one after another.
**Data:** `{scenario.data}` · **Schedule:** {when}

Services:

{names}

Trigger it with **service** = all, or one of them. `plan` checks the parameters; then, for each service,
`stage_data` makes the requests ready, `preflight` makes sure that load may start, `run_load` drives it,
`scrape` reads Prometheus for exactly the measured window, `compare` judges, `report` writes the record,
`alert` tells Slack if the service really got worse, `promote` updates the baseline if asked to.
`verdict` is red when any service regressed or could not be judged; its log says which and why.
"""
