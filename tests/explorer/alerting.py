"""Alerting to the results of a night, as the tasks ``alert`` and ``alert_watch`` do it."""

from collections.abc import Callable, Iterator, Sequence

from include.perf.alerts.alert_writer import AlertWriter, paths_looked_for
from include.perf.alerts.book import AlertBook, DeliveryPart, Links
from include.perf.alerts.channels import NoOtherChannels
from include.perf.alerts.dag_run_alerts import DagRunAlerts
from include.perf.alerts.delivery import OutboxSender
from include.perf.alerts.outbox import is_idle
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.alerts.slack_messages import SlackWords
from include.perf.alerts.slack_pipeline import SlackPipelineWords
from include.perf.model.errors import DeliveryError
from include.perf.runs.dag_run import DagRunName, DagRunResults, results_at, results_of
from include.perf.runs.record import RunRecord
from tests.explorer.decisions import Kind, Operation
from tests.explorer.world import Session
from tests.fakes.channels import ChannelMessenger

OPERATORS = "#ops"


def alert_night(session: Session, uris: Sequence[str], *, dag_id: str, dag_run_id: str) -> None:
    """Write the alerts of a night into the book, then deliver the outbox.

    Raises:
        DeliveryError: a message did not arrive.
    """
    night = results_of(session.results, uris, dag_id=dag_id, dag_run_id=dag_run_id)

    def write(writer: AlertWriter) -> None:
        dag_runs = DagRunAlerts(writer=writer, channel=OPERATORS, words=SlackPipelineWords())
        if not uris:
            run = DagRunName(dag_id=dag_id, dag_run_id=dag_run_id)
            dag_runs.alert_failed(run, "nothing was planned", links=Links())
        else:
            _write_results(writer, night)
            dag_runs.close(night)

    _write(session, write)
    deliver(session)


def watch(session: Session) -> None:
    """Write alerts to records that were found late, then deliver the outbox.

    Raises:
        DeliveryError: a message did not arrive.
    """
    late = results_at(session.results, paths_looked_for(session.alerts.read()))

    def write(writer: AlertWriter) -> None:
        for night in late:
            _write_results(writer, night)

    if late:
        _write(session, write)
    deliver(session)


def _write_results(writer: AlertWriter, night: DagRunResults) -> None:
    news, policy = writer.take_news(night), Policy(channel_of=channel_of)
    ServiceAlerts(writer=writer, policy=policy, words=SlackWords(), links_of=lambda _: Links()).alert(news)
    PipelineAlerts(writer=writer, channel=OPERATORS, words=SlackPipelineWords()).alert(news, links=Links())


def _write(session: Session, write: Callable[[AlertWriter], None]) -> None:
    def change(book: AlertBook) -> list[str]:
        writer = AlertWriter(book=book, now=session.clock())
        write(writer)
        writer.forget()
        return [entry.id for entry in book.outbox if entry.part is DeliveryPart.MESSAGE]

    session.world.written |= dict.fromkeys(session.alerts.update(change))


def deliver(session: Session) -> None:
    """Deliver what is pending.

    Raises:
        DeliveryError: a message did not arrive.
    """
    world = session.world

    def request(what: str, effect: Callable[[], None], failure: Callable[[], Exception]) -> None:
        world.machine.perform(Operation(kind=Kind.MESSAGE, what=f"Slack {what}"), effect, failure=failure)

    store = session.alerts
    if is_idle(store.read()):
        return
    sender = OutboxSender(
        store=store,
        messenger=ChannelMessenger(channels=world.channels, request=request),
        others=NoOtherChannels(),
        runs=session.results,
        report=SlackPipelineWords().undeliverable,
        ops_channel=OPERATORS,
        clock=session.clock,
        timer=world.boundaries.monotonic,
        wait=session.wait,
    )
    if problems := sender.deliver():
        raise DeliveryError("; ".join(problems))


def channel_of(service: str) -> str:
    """Return the channel of a service."""
    return f"#{service}"


def problems_of_alerts(session: Session, alerted: Sequence[RunRecord]) -> Iterator[str]:
    """Every alert was delivered, and none twice.

    Args:
        alerted: the records of nights whose task ``alert`` succeeded.
    """
    channels = session.world.channels
    for message in sorted({message for message in channels.posted if channels.posted.count(message) > 1}):
        yield f"{channels.texts[message]} was posted {channels.posted.count(message)} times"
    pending = [f"{entry.event}: {entry.message.text}" for entry in session.alerts.read().outbox]
    if pending:
        yield f"alerts are still pending: {pending}"
    for message in session.world.written:
        if message not in channels.posted:
            yield f"the alert {message} was written, but never posted"
    for record in alerted:
        if record.verdict.is_failure and record.reported_by is None:
            what = "is over its limit" if record.exceeded else "is slower"
            wanted, cell = channel_of(record.service), f"{record.service} {what} under {record.scenario}"
            if not any(channel == wanted and cell in text for channel, text in channels.texts.values()):
                yield f"nobody was alerted to the {record.verdict} {record.run_id}"
