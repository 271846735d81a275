"""Alerts about the pipeline: one message in the operators' channel, and a reply when the problem is over."""

from dataclasses import replace
from datetime import datetime, timedelta

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, DeliveryPart, Links
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.model.cell import RunAddress
from include.perf.runs.dag_run import DagRunResults, MissingRun, Overdue
from include.perf.runs.record import RunRecord, Verdict
from tests.perf.alert_words import PlainWords, of_part
from tests.records import START, record_of

DUE = datetime.fromisoformat("2026-03-02T22:00:00+00:00")


class Days:
    """An alert book over several days."""

    def __init__(self) -> None:
        self.book = AlertBook()
        self.now = START

    def alerts(self) -> PipelineAlerts:
        """Return the alerts of a day, and advance to the next."""
        writer = AlertWriter(book=self.book, now=self.now)
        self.now += timedelta(days=1)
        return PipelineAlerts(writer=writer, channel="#ops", words=PlainWords())

    def night(self, *verdicts: Verdict, missing: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """Alert to a night of the services a, b, c and so on."""
        before = len(self.book.outbox)
        uris = {
            f"memory://{name}/market_open/{self.now:%d}-{name}": _record(name, verdict)
            for name, verdict in zip("abcdef", verdicts, strict=False)
        }
        lost = tuple(MissingRun(address=RunAddress.from_uri(uri), reason="unknown") for uri in missing)
        results = DagRunResults(dag_id="market_open", dag_run_id="night", records=uris, missing=lost)
        alerts = self.alerts()
        alerts.alert(alerts.writer.take_news(results), links=Links())
        return self.since(before)

    def since(self, start: int) -> list[tuple[str, str]]:
        """Return the new messages, and check that all are for the one channel."""
        new = self.book.outbox[start:]
        assert {entry.channel for entry in new} <= {"#ops"}
        return [(entry.event.value, entry.message.text) for entry in of_part(DeliveryPart.MESSAGE, new)]


def _record(service: str, verdict: Verdict) -> RunRecord:
    return replace(record_of(verdict), service=service)


def test_runs_that_could_not_be_judged_have_one_thread() -> None:
    """Regressions are ignored; the problem ends when all affected cells could be judged."""
    days = Days()
    assert days.night(Verdict.PASS, Verdict.REGRESSION) == []
    assert days.night(Verdict.PASS, Verdict.INVALID, Verdict.SKIPPED) == [("opened", "unmeasured b+c of 3, missing []")]
    assert days.night(Verdict.PASS, Verdict.INVALID) == [("continues", "again unmeasured b of 2, night 2")]
    assert days.night(Verdict.PASS, Verdict.PASS) == []  # c was not there
    assert days.night(Verdict.PASS, Verdict.NO_BASELINE, Verdict.REGRESSION) == [("recovered", "measured again")]
    assert len(of_part(DeliveryPart.MARK, days.book.outbox)) == 1
    assert days.night(Verdict.PASS) == []


def test_a_run_without_a_record_is_reported() -> None:
    """It was killed before its report; the other runs are reported as well."""
    days = Days()
    assert days.night(Verdict.INVALID, missing=("memory://z/market_open/run",)) == [
        ("opened", "unmeasured a of 2, missing ['z']")
    ]


def test_problems_of_the_catalogue_are_reported_once_for_each_set() -> None:
    """Their order does not matter."""
    days = Days()
    for problems in ([], ["a", "b"], ["b", "a"], ["a"], [], []):
        days.alerts().report_catalogue(problems, is_usable=True)
    assert days.since(0) == [
        ("catalogue", "catalogue wrong: a; b"),
        ("catalogue", "catalogue wrong: a"),
        ("catalogue", "catalogue right"),
    ]


def test_an_overdue_scenario_is_reported_once() -> None:
    """It is checked every hour: one message, and one reply when it runs again."""
    days = Days()
    missed = Overdue(due_at=DUE, last_run_at=None)
    for found in (None, missed, missed, missed, None, None):
        days.alerts().alert_overdue("overnight_processing", found)
    assert days.since(0) == [("opened", "overnight_processing was due Mon 22:00"), ("recovered", "runs again")]


def test_only_changed_limits_are_reported() -> None:
    """Rewritten rules with the same limits are not reported."""
    days = Days()
    days.alerts().report_limits([])
    days.alerts().report_limits(["a: p95 …", "b: p95 …"])
    assert days.since(0) == [("limits changed", "limits changed: a: p95 …; b: p95 …")]
