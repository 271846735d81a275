"""What those who run the pipeline are told: in one channel of their own, once, and again when it is over."""

from dataclasses import replace
from datetime import datetime, timedelta

from include.perf.alerts.book import AlertBook, Links
from include.perf.alerts.desk import AlertWriter
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.model.cell import RunAddress
from include.perf.runs.dag_run import DagRunResults, MissingRun, Overdue
from include.perf.runs.record import RunRecord, Verdict
from tests.perf.alert_words import PlainWords
from tests.records import START, record_of

DUE = datetime.fromisoformat("2026-03-02T22:00:00+00:00")


class Days:
    """The book over some days."""

    def __init__(self) -> None:
        self.book = AlertBook()
        self.now = START

    def alerts(self) -> PipelineAlerts:
        """Return the alerts of a day, and let it go by."""
        desk = AlertWriter(book=self.book, now=self.now)
        self.now += timedelta(days=1)
        return PipelineAlerts(desk=desk, channel="#ops", words=PlainWords())

    def night(self, *verdicts: Verdict, missing: tuple[str, ...] = ()) -> list[tuple[str, str]]:
        """Tell a night of the services a, b, c and so on."""
        told = len(self.book.outbox)
        uris = {
            f"memory://{name}/market_open/run": _record(name, verdict)
            for name, verdict in zip("abcdef", verdicts, strict=False)
        }
        lost = tuple(MissingRun(address=RunAddress.from_uri(uri), reason="unknown") for uri in missing)
        results = DagRunResults(dag_id="market_open", dag_run_id="night", records=uris, missing=lost)
        self.alerts().tell(results, links=Links())
        return self.since(told)

    def since(self, told: int) -> list[tuple[str, str]]:
        """Return what is to be said, and that all of it is for the one channel."""
        new = self.book.outbox[told:]
        assert {each.channel for each in new} <= {"#ops"}
        return [(each.event.value, each.message.text) for each in new]


def _record(service: str, verdict: Verdict) -> RunRecord:
    return replace(record_of(verdict), service=service)


def test_what_could_not_be_judged_has_one_thread() -> None:
    """Regressions are none of its business; the end is told when all of them were judged again."""
    days = Days()
    assert days.night(Verdict.PASS, Verdict.REGRESSION) == []
    assert days.night(Verdict.PASS, Verdict.INVALID, Verdict.SKIPPED) == [("opened", "unmeasured b+c of 3, missing []")]
    assert days.night(Verdict.PASS, Verdict.INVALID) == [("continues", "again unmeasured b of 2, night 2")]
    assert days.night(Verdict.PASS, Verdict.PASS) == []  # c was not there
    assert days.night(Verdict.PASS, Verdict.NO_BASELINE, Verdict.REGRESSION) == [("recovered", "measured again")]
    assert days.book.outbox[-1].mark is not None
    assert days.night(Verdict.PASS) == []


def test_a_run_without_a_record_is_told() -> None:
    """It was killed before its report; the others are told all the same."""
    days = Days()
    assert days.night(Verdict.INVALID, missing=("memory://z/market_open/run",)) == [
        ("opened", "unmeasured a of 2, missing ['z']")
    ]


def test_nothing_of_a_dag_run_and_one_that_is_late() -> None:
    """A message by itself each: there is no thread to go on with."""
    days = Days()
    days.alerts().tell_failed("market_open", "nothing was planned", links=Links())
    days.alerts().tell_late("market_open", "manual__1", late_since=START, links=Links())
    assert days.since(0) == [
        ("failed", "market_open failed: nothing was planned"),
        ("late", "market_open is late since 06:40"),
    ]
    assert days.book.problems == []


def test_a_scenario_that_does_not_run_is_told_once() -> None:
    """Every hour it is looked at; the message comes once, and once that it runs again."""
    days = Days()
    missed = Overdue(due_at=DUE, last_run_at=None)
    for found in (None, missed, missed, missed, None, None):
        days.alerts().tell_overdue("overnight_processing", found)
    assert days.since(0) == [("opened", "overnight_processing was due Mon 22:00"), ("recovered", "runs again")]


def test_changed_limits_are_told_and_nothing_else_of_rules() -> None:
    """Rules that were written anew with the same limits are no news."""
    days = Days()
    days.alerts().tell_limits([])
    days.alerts().tell_limits(["a: p95 …", "b: p95 …"])
    assert days.since(0) == [("limits changed", "limits changed: a: p95 …; b: p95 …")]
