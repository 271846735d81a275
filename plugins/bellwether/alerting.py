"""Tells people what a night showed: writes it down first, then delivers all that waits."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from bellwether.wiring import links_of, run_links, storage
from include.perf.alerts import slack_messages
from include.perf.alerts.book import AlertBook
from include.perf.alerts.delivery import OutboxSender
from include.perf.alerts.desk import AlertWriter
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.errors import DeliveryError
from include.perf.pipeline.planning.overdue import overdue
from include.perf.runs.dag_run import results_of


def tell_night(uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> None:
    """Tell what the runs of a DAG run showed; a task that is tried again tells nothing twice.

    Raises:
        DeliveryError: something did not arrive; it is kept, and the verdicts stand all the same.
    """
    catalogue = load_catalogue()
    night = results_of(storage().results(), uris, dag_id=dag_id, dag_run_id=dag_run_id)
    links = run_links(dag_id, dag_run_id)

    def write(desk: AlertWriter) -> None:
        if not desk.is_told(night.run_ids):
            ServiceAlerts(desk=desk, policy=_policy(catalogue), words=slack_messages, links_of=links_of).tell(night)
            _of_pipeline(desk, catalogue).tell(night, links=links)

    _write(write)
    deliver()


def tell_failed(reason: str, *, dag_id: str, dag_run_id: str) -> None:
    """Tell that nothing came of a DAG run."""
    _tell_pipeline(lambda alerts: alerts.tell_failed(dag_id, reason, links=run_links(dag_id, dag_run_id)))


def tell_late(late_since: datetime, *, dag_id: str, dag_run_id: str) -> None:
    """Tell that a DAG run takes longer than it may."""
    links = run_links(dag_id, dag_run_id)
    _tell_pipeline(lambda alerts: alerts.tell_late(dag_id, dag_run_id, late_since=late_since, links=links))


def tell_overdue() -> None:
    """Tell which scenarios should have run, and which run again."""
    catalogue, store = load_catalogue(), storage().results()

    now = _now()
    since = storage().alerts().read().watched_since or now
    found = {
        name: overdue(scenario, catalogue, store, since=since, now=now)
        for name, scenario in catalogue.scenarios.items()
    }

    def write(desk: AlertWriter) -> None:
        desk.book.watched_since = desk.book.watched_since or since
        for scenario, late in found.items():
            _of_pipeline(desk, catalogue).tell_overdue(scenario, late)

    _write(write)
    deliver()


def tell_limits(changes: Sequence[str]) -> None:
    """Tell which limits of the alert rules changed with the baselines."""
    _tell_pipeline(lambda alerts: alerts.tell_limits(changes))


def _tell_pipeline(tell: Callable[[PipelineAlerts], None]) -> None:
    catalogue = load_catalogue()
    _write(lambda desk: tell(_of_pipeline(desk, catalogue)))
    deliver()


def _write(write: Callable[[AlertWriter], None]) -> None:
    def change(book: AlertBook) -> None:
        desk = AlertWriter(book=book, now=_now())
        write(desk)
        desk.forget()

    storage().alerts().update(change)


def _now() -> datetime:
    return datetime.now(UTC)


def _of_pipeline(desk: AlertWriter, catalogue: Catalogue) -> PipelineAlerts:
    return PipelineAlerts(desk=desk, channel=catalogue.operations.ops_channel, words=slack_messages)


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
    """Deliver all that waits, also what did not arrive before.

    Raises:
        DeliveryError: something did not arrive, and is kept for the next time.
    """
    store = storage().alerts()
    if not store.read().outbox:
        return
    from bellwether.notifier import messenger
    from bellwether.other_channels import also_through_apprise

    deliverer = OutboxSender(
        store=store,
        messenger=messenger(),
        runs=storage().results(),
        clock=_now,
        also=also_through_apprise,
    )
    if problems := deliverer.deliver():
        raise DeliveryError(f"{'; '.join(problems)}. What did not arrive is kept and sent with the next run")
