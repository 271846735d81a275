"""Alert people to the results of a night: write the alerts into the book first, then deliver the outbox."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

from bellwether.wiring import links_of, run_links, storage
from include.perf.adapters.wiring.last_catalogue import usable_catalogue
from include.perf.alerts.alert_writer import AlertWriter, paths_looked_for
from include.perf.alerts.book import AlertBook, Links
from include.perf.alerts.channels import Messenger, NoMessenger
from include.perf.alerts.dag_run_alerts import DagRunAlerts, is_open_dag_run
from include.perf.alerts.delivery import OutboxSender
from include.perf.alerts.outbox import is_idle
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.alerts.schedule_pauses import SchedulePauses
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.alerts.slack_messages import SlackWords
from include.perf.alerts.slack_pipeline import SlackPipelineWords
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.operations import Operations
from include.perf.catalogue.reading import read_operations
from include.perf.model.errors import CatalogueError, DeliveryError, ItemError
from include.perf.pipeline.planning.overdue import overdue
from include.perf.runs.dag_run import DagRunName, DagRunResults, Overdue, results_at, results_of

SUCCESS = "success"
ENDED = (SUCCESS, "failed")
"""Airflow's states of a DAG run that has ended."""

StateOf = Callable[[str, str], str | None]


def alert_night(uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> None:
    """Alert to the results of a DAG run. A repeated task alerts nobody twice, and reports what it can read only now.

    Raises:
        StoreError: a store cannot be read now; nothing of this DAG run is reported, so that a retry reports it.
        DeliveryError: a message did not arrive; it stays in the outbox, and the verdicts are not affected.
    """
    from include.perf.adapters.wiring.environment import catalogue_of

    results = storage().results()
    catalogue = catalogue_of(uris, results)
    night = results_of(results, uris, dag_id=dag_id, dag_run_id=dag_run_id)
    links = run_links(dag_id, dag_run_id)

    def write(writer: AlertWriter) -> None:
        _write_results(writer, night, catalogue, links=links)
        _dag_run_alerts(writer, catalogue.operations).close(night)

    _write(write)
    deliver()


def _write_results(writer: AlertWriter, night: DagRunResults, catalogue: Catalogue, *, links: Links) -> None:
    news = writer.take_news(night)
    ServiceAlerts(writer=writer, policy=_policy(catalogue), words=SlackWords(), links_of=links_of).alert(news)
    _pipeline_alerts(writer, catalogue.operations).alert(news, links=links)


def alert_failed(reason: str, *, dag_id: str, dag_run_id: str) -> None:
    """Alert to a DAG run without any result, once."""
    run, links = DagRunName(dag_id=dag_id, dag_run_id=dag_run_id), run_links(dag_id, dag_run_id)
    _alert_to_dag_runs(lambda alerts: alerts.alert_failed(run, reason, links=links))


def pause_is_due(uris: Sequence[str], scenario: str, *, dag_id: str, dag_run_id: str, is_scheduled: bool) -> bool:
    """Return whether the schedule of a scenario must pause after this DAG run; write the message about it."""
    catalogue, results = usable_catalogue(storage), storage().results()
    night = results_of(results, uris, dag_id=dag_id, dag_run_id=dag_run_id)
    known = catalogue.scenarios.get(scenario)
    is_due: list[bool] = []

    def write(writer: AlertWriter) -> None:
        pauses = SchedulePauses(writer=writer, channel=catalogue.operations.ops_channel, words=SlackPipelineWords())
        is_due[:] = [
            pauses.is_due(
                scenario,
                night,
                is_scheduled=is_scheduled,
                pause_after=known.pause_after if known else 0,
                links=run_links(dag_id, dag_run_id),
            )
        ]

    _write(write)
    return is_due == [True]


def alert_late(late_since: datetime, *, dag_id: str, dag_run_id: str) -> None:
    """Alert to a DAG run that missed its deadline, once, unless its end was reported already."""
    run, links = DagRunName(dag_id=dag_id, dag_run_id=dag_run_id), run_links(dag_id, dag_run_id)
    _alert_to_dag_runs(lambda alerts: alerts.alert_late(run, late_since=late_since, links=links))


def watch(state_of: StateOf = lambda dag_id, dag_run_id: None) -> None:
    """Report problems of the catalogue, late DAG runs and records, and overdue scenarios; then deliver.

    None makes another wait: each is tried, and then the last error is raised.

    Args:
        state_of: returns Airflow's state of a DAG run, given the ids of the DAG and of the run; ``None`` if unknown.

    Raises:
        CatalogueError: no scenario can be read.
        ItemError: of a scenario it cannot be found out whether it is overdue.
        StoreError: a store cannot be read now.
        DeliveryError: something did not arrive.
    """
    with ExitStack() as last_in_first_out:
        last_in_first_out.callback(deliver)
        last_in_first_out.callback(_write_overdue)
        last_in_first_out.callback(_write_late_records)
        last_in_first_out.callback(_write_ended, state_of)
        last_in_first_out.callback(_write_catalogue)


def _write_ended(state_of: StateOf) -> None:
    """Report which late DAG runs ended without reporting their results, such as those that Airflow timed out."""
    problems = storage().alerts().read().problems
    found = [DagRunName.from_id(problem.id) for problem in problems if is_open_dag_run(problem)]
    ended = {run: state for run in found if (state := state_of(run.dag_id, run.dag_run_id)) in ENDED}

    def write(alerts: DagRunAlerts) -> None:
        for run, state in ended.items():
            alerts.alert_ended(run, is_success=state == SUCCESS, links=run_links(run.dag_id, run.dag_run_id))

    if ended:
        _write_to_dag_runs(write)


def _write_late_records() -> None:
    """Alert to records that were written after their runs had been reported as missing.

    That is possible: Airflow gives up a task whose process goes on, and the next task reports what it finds.

    Raises:
        StoreError: a store cannot be read now; nothing is reported.
    """
    late = results_at(storage().results(), paths_looked_for(storage().alerts().read()))
    if not late:
        return
    catalogue = usable_catalogue(storage)

    def write(writer: AlertWriter) -> None:
        for night in late:
            _write_results(writer, night, catalogue, links=run_links(night.dag_id, night.dag_run_id))

    _write(write)


def _write_overdue() -> None:
    """Alert to scenarios that did not run when they were due, and report those that run again.

    Raises:
        ItemError: of a scenario it cannot be found out; the others are reported.
        StoreError: a store cannot be read now; nothing is reported.
    """
    catalogue, store = usable_catalogue(storage), storage().results()
    now = _now()
    since = storage().alerts().read().watched_since or now
    found: dict[str, Overdue | None] = {}
    with ExitStack() as unknown:
        for name, scenario in catalogue.scenarios.items():
            try:
                found[name] = overdue(scenario, catalogue, store, since=since, now=now)
            except ItemError as err:
                unknown.callback(_raise, err)

        def write(writer: AlertWriter) -> None:
            writer.book.watched_since = writer.book.watched_since or since
            for scenario, late in found.items():
                _pipeline_alerts(writer, catalogue.operations).alert_overdue(scenario, late)

        _write(write)


def _raise(err: ItemError) -> None:
    raise err


def _write_catalogue() -> None:
    """Report the problems of the catalogue, once for each distinct set of them."""
    try:
        catalogue = usable_catalogue(storage)
        problems, is_usable = catalogue.problems, not catalogue.broken
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
    operations = _operations()
    _write(lambda writer: alert(_pipeline_alerts(writer, operations)))


def _alert_to_dag_runs(alert: Callable[[DagRunAlerts], None]) -> None:
    _write_to_dag_runs(alert)
    deliver()


def _write_to_dag_runs(alert: Callable[[DagRunAlerts], None]) -> None:
    operations = _operations()
    _write(lambda writer: alert(_dag_run_alerts(writer, operations)))


def _operations() -> Operations:
    try:
        return usable_catalogue(storage).operations
    except CatalogueError:
        return read_operations()


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


def _dag_run_alerts(writer: AlertWriter, operations: Operations) -> DagRunAlerts:
    return DagRunAlerts(writer=writer, channel=operations.ops_channel, words=SlackPipelineWords())


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
