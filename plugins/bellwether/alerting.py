"""Decides whether a run is worth a message, and sends it.

The notifier is imported only when there is something to send: Slack's client costs the usual silence most of a
second.
"""

from collections.abc import Sequence

from airflow.sdk.exceptions import AirflowSkipException

from bellwether.wiring import links_of, run_links
from include.perf.adapters.slack_blocks import deviation_message
from include.perf.adapters.slack_ops import UNMEASURED, unmeasured_message
from include.perf.pipeline import Pipeline
from include.perf.ports import CHARTS_FOLDER
from include.perf.run import Verdict

CHARTS_TOLD = ("comparison.png", "latency.png")


def tell(pipeline: Pipeline, uri: str) -> None:
    """Send the message of a regression, with its charts; everything else is silence.

    Raises:
        DeliveryError: Slack did not take it; the verdict stands all the same.
    """
    record = pipeline.record(uri)
    if record.verdict is not Verdict.REGRESSION:
        raise AirflowSkipException(f"{record.verdict} is nothing to wake anyone for")
    if record.told_by is not None:
        raise AirflowSkipException(f"told with run {record.told_by}: what moved is the platform")
    from bellwether.notifier import send

    service = pipeline.catalogue.service(record.service)
    with pipeline.store.folder(uri) as folder:
        charts = [path for name in CHARTS_TOLD if (path := folder / CHARTS_FOLDER / name).is_file()]
        send(deviation_message(record, links=links_of(record)), channel=service.slack_channel, charts=charts)


def tell_unmeasured(pipeline: Pipeline, uris: Sequence[str]) -> None:
    """Tell those who run the pipeline, in one message, which runs of a night could not be judged, and why.

    Raises:
        DeliveryError: Slack did not take it; the verdicts stand all the same.
    """
    records = [pipeline.record(uri) for uri in uris]
    unmeasured = [record for record in records if record.verdict in UNMEASURED]
    if not unmeasured:
        raise AirflowSkipException("every run could be judged")
    from bellwether.notifier import send

    provenance = unmeasured[0].provenance
    links = run_links(provenance.dag_id, provenance.dag_run_id)
    message = unmeasured_message(unmeasured, of=len(records), links=links)
    send(message, channel=pipeline.catalogue.operations.ops_channel, charts=[])
