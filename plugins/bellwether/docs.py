"""The documentation that Airflow's UI shows for a scenario's DAG."""

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.pipeline.planning.fingerprint import describe_load
from include.perf.pipeline.planning.time_plan import TimePlan, time_plan

TASKS = """\
| `plan` | checks the parameters and plans a run for each chosen service |
| `run_service` | for each service: `stage_data` prepares the requests, `preflight` checks that load may start, \
`run_load` sends the load, `scrape` reads Prometheus for exactly the measured window |
| `plan_reruns` | plans two re-runs of each service that looks suspicious, within the limit and the deadline |
| `rerun_service` | measures the re-runs; skipped on most nights |
| `compare` | judges all services of the night together, against their baselines and earlier nights |
| `conclude` | for each service: `report` writes the report, the charts and the record, `promote` updates the baseline \
if requested, `ask_for_approval` asks a person if the run is worse |
| `alert` | sends to Slack what is new, worse or over, and to the operations channel which runs have no verdict; \
otherwise sends nothing |
| `verdict` | fails if a service regressed, is over a limit or has no verdict; its log says which and why |"""


def dag_docs(scenario: Scenario, catalogue: Catalogue) -> str:
    """Return the documentation in Markdown."""
    services = catalogue.services_of(scenario)
    when = scenario.schedule.description if scenario.schedule else "only when triggered"
    names = "\n".join(f"- `{service.name}`: {service.description}" for service in services)
    return f"""# {scenario.title}

{scenario.description}

- **Load:** {describe_load(scenario.load)}, for each service, {_order(scenario)}
- **Data:** `{scenario.data}`
- **Schedule:** {when}
- **Re-runs:** two each of at most {scenario.reruns} services per night
- **Time:** {_time(time_plan(scenario, catalogue))}

Trigger it with the form, over REST, or on the command line:

```
airflow dags trigger {scenario.name} --conf '{{"service": "{services[0].short_name}", "duration": 60}}'
```

| task | what it does |
|---|---|
{TASKS}

Services:

{names}
"""


def _order(scenario: Scenario) -> str:
    return "one after another" if scenario.parallel == 1 else f"at most {scenario.parallel} at once"


def _time(plan: TimePlan) -> str:
    return plan.description if plan.problem is None else f"{plan.description}\n\n**Too little time:** {plan.problem}."
