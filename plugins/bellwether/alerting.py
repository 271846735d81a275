"""Alert people to the results of a night: write the alerts into the book first, then deliver the outbox."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from bellwether.wiring import links_of, run_links, storage
from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook
from include.perf.alerts.channels import Messenger, NoMessenger
from include.perf.alerts.delivery import OutboxSender
from include.perf.alerts.outbox import is_idle
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.alerts.slack_messages import SlackWords
from include.perf.alerts.slack_pipeline import SlackPipelineWords
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.operations import Operations
from include.perf.catalogue.reading import read_catalogue, read_operations
from include.perf.model.errors import CatalogueError, DeliveryError
from include.perf.pipeline.planning.overdue import overdue
from include.perf.runs.dag_run import results_of


def alert_night(uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> None:
    """Alert to the results of a DAG run. A retried task alerts nobody twice.

    Raises:
        DeliveryError: a message did not arrive; it stays in the outbox, and the verdicts are not affected.
    """
    from include.perf.adapters.wiring.environment import catalogue_of

    results = storage().results()
    catalogue = catalogue_of(uris, results)
    night = results_of(results, uris, dag_id=dag_id, dag_run_id=dag_run_id)
    links = run_links(dag_id, dag_run_id)

    def write(writer: AlertWriter) -> None:
        if writer.mark_processed(night.run_ids):
            alerts = ServiceAlerts(writer=writer, policy=_policy(catalogue), words=SlackWords(), links_of=links_of)
            alerts.alert(night)
            _pipeline_alerts(writer, catalogue.operations).alert(night, links=links)

    _write(write)
    deliver()


def alert_failed(reason: str, *, dag_id: str, dag_run_id: str) -> None:
    """Alert to a DAG run without any result."""
    _alert_operators(lambda alerts: alerts.alert_failed(dag_id, reason, links=run_links(dag_id, dag_run_id)))


def alert_late(late_since: datetime, *, dag_id: str, dag_run_id: str) -> None:
    """Alert to a DAG run that missed its deadline."""
    links = run_links(dag_id, dag_run_id)
    _alert_operators(lambda alerts: alerts.alert_late(dag_id, dag_run_id, late_since=late_since, links=links))


def watch() -> None:
    """Report problems of the catalogue and overdue scenarios, and deliver what is pending; none makes another wait.

    Raises:
        CatalogueError: no scenario can be read.
        DeliveryError: something did not arrive.
    """
    try:
        _write_catalogue()
        _write_overdue()
    finally:
        deliver()


def _write_overdue() -> None:
    """Alert to scenarios that did not run when they were due, and report those that run again."""
    catalogue, store = read_catalogue(), storage().results()
    now = _now()
    since = storage().alerts().read().watched_since or now
    found = {
        name: overdue(scenario, catalogue, store, since=since, now=now)
        for name, scenario in catalogue.scenarios.items()
    }

    def write(writer: AlertWriter) -> None:
        writer.book.watched_since = writer.book.watched_since or since
        for scenario, late in found.items():
            _pipeline_alerts(writer, catalogue.operations).alert_overdue(scenario, late)

    _write(write)


def _write_catalogue() -> None:
    """Report the problems of the catalogue, once for each distinct set of them."""
    try:
        problems, is_usable = read_catalogue().problems, True
    except CatalogueError as err:
        problems, is_usable = err.problems, False
    _write_to_operators(lambda alerts: alerts.report_catalogue(problems, is_usable=is_usable))


def report_limits(changes: Sequence[str]) -> None:
    """Report which limits of the alert rules changed with the baselines."""
    _alert_operators(lambda alerts: alerts.report_limits(changes))


def _alert_operators(alert: Callable[[PipelineAlerts], None]) -> None:
    _write_to_operators(alert)
    deliver()


def _write_to_operators(alert: Callable[[PipelineAlerts], None]) -> None:
    operations = read_operations()
    _write(lambda writer: alert(_pipeline_alerts(writer, operations)))


def _write(write: Callable[[AlertWriter], None]) -> None:
    def change(book: AlertBook) -> None:
        writer = AlertWriter(book=book, now=_now())
        write(writer)
        writer.forget()

    storage().alerts().update(change)


def _now() -> datetime:
    return datetime.now(UTC)


def _pipeline_alerts(writer: AlertWriter, operations: Operations) -> PipelineAlerts:
    return PipelineAlerts(writer=writer, channel=operations.ops_channel, words=SlackPipelineWords())


def _policy(catalogue: Catalogue) -> Policy:
    operations = catalogue.operations

    def channel_of(service: str) -> str:
        known = catalogue.services.get(service)
        return known.slack_channel if known else operations.ops_channel

    return Policy(
        channel_of=channel_of,
        digest_channel=operations.digest_channel,
        is_summary_wanted=operations.quiet_summary,
        mention=operations.critical_mention,
    )


def deliver() -> None:
    """Deliver the outbox, with what earlier runs left in it.

    Raises:
        DeliveryError: something did not arrive; it stays in the outbox for the next run, or was set aside.
    """
    store = storage().alerts()
    if is_idle(store.read()):
        return
    from bellwether.other_channels import AppriseChannels

    sender = OutboxSender(
        store=store,
        messenger=_messenger(),
        others=AppriseChannels(),
        runs=storage().results(),
        report=SlackPipelineWords().undeliverable,
        ops_channel=read_operations().ops_channel,
        clock=_now,
    )
    if problems := sender.deliver():
        raise DeliveryError(
            f"{'; '.join(problems)}. What was not delivered is kept; `python -m include.perf alerts list` shows it"
        )


def _messenger() -> Messenger:
    """Return the messenger; without a usable connection one that keeps everything pending, so that others are sent."""
    from bellwether.notifier import messenger

    try:
        return messenger()
    except DeliveryError as err:
        return NoMessenger(err)
