"""The documentation that a scenario's DAG shows in the UI."""

from include.perf.catalogue import Catalogue
from include.perf.fingerprint import describe_load
from include.perf.scenario import Scenario

TASKS = """\
| `plan` | checks the parameters and plans a run for each chosen service |
| `stage_data` | checks the market data and makes the requests ready |
| `preflight` | makes sure that load may start |
| `run_load` | drives the load |
| `scrape` | reads Prometheus for exactly the measured window |
| `compare` | judges the run against its baseline |
| `report` | writes the report, the charts and the record |
| `alert` | tells Slack if the service really got worse; skipped otherwise |
| `promote` | updates the baseline if that was asked for; skipped otherwise |
| `verdict` | red when a service regressed or could not be judged; its log says which and why |"""


def dag_docs(scenario: Scenario, catalogue: Catalogue) -> str:
    """Return what the DAG does, in Markdown."""
    services = catalogue.services_of(scenario)
    schedule = scenario.schedule
    when = f"`{schedule.cron}` in {schedule.timezone}" if schedule else "only when triggered"
    names = "\n".join(f"- `{service.name}`: {service.description}" for service in services)
    return f"""# {scenario.title}

{scenario.description}

- **Load:** {describe_load(scenario.load)}, for each service, one after another
- **Data:** `{scenario.data}`
- **Schedule:** {when}

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
