"""The task that lets the alert rules follow the baselines."""

import logging

from airflow.sdk import TriggerRule, task
from airflow.sdk.exceptions import AirflowSkipException

from bellwether.context import SHORT
from bellwether.failures import told_to_airflow

log = logging.getLogger(__name__)


@task(execution_timeout=SHORT, trigger_rule=TriggerRule.NONE_FAILED)
def write_rules() -> list[str]:
    """Write the alert rules where ``BELLWETHER_RULES`` says, if they are others now, and tell which limits changed."""
    from bellwether import alerting
    from bellwether.wiring import airflow_rule_writer
    from include.perf.adapters.wiring.rules import are_rules_wanted
    from include.perf.monitoring.rule_changes import describe_changes

    if not are_rules_wanted():
        raise AirflowSkipException("BELLWETHER_RULES does not say where alert rules go")
    with told_to_airflow():
        writer = airflow_rule_writer()
        if writer.is_current():
            raise AirflowSkipException("the rules in place are those of the baselines")
        changes = list(describe_changes(writer.write(), writer.baselines.read()))
        for change in changes:
            log.info("%s", change)
        if changes:
            alerting.report_limits(changes)
    return changes
