"""Alerts about failed and late DAG runs: one message for each DAG run, later news in its thread."""

from datetime import timedelta

import pytest

from include.perf.alerts.alert_writer import KEPT, AlertWriter
from include.perf.alerts.book import AlertBook, DeliveryPart, Links, ProblemKind
from include.perf.alerts.dag_run_alerts import ALLOWANCE, DagRunAlerts
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.runs.dag_run import DagRunName, DagRunResults
from include.perf.runs.record import Verdict
from tests.perf.alert_words import PlainWords, of_part
from tests.records import START, record_of

TONIGHT = DagRunName(dag_id="market_open", dag_run_id="scheduled__2026-03-02")
TOMORROW = DagRunName(dag_id="market_open", dag_run_id="scheduled__2026-03-03")
DEADLINE = START + timedelta(hours=4)


class Mornings:
    """An alert book, and what happens to DAG runs."""

    def __init__(self) -> None:
        self.book = AlertBook()
        self.now = START

    def _alerts(self) -> DagRunAlerts:
        return DagRunAlerts(writer=AlertWriter(book=self.book, now=self.now), channel="#ops", words=PlainWords())

    def failed(self, run: DagRunName = TONIGHT) -> None:
        """Let a DAG run end without any result."""
        self._alerts().alert_failed(run, "nothing was planned", links=Links())

    def late(self, run: DagRunName = TONIGHT, *, deadline_in: timedelta = timedelta(0)) -> None:
        """Let a deadline pass."""
        self._alerts().alert_late(run, late_since=self.now + deadline_in, links=Links())

    def ended(self, run: DagRunName = TONIGHT, *, is_success: bool = False) -> None:
        """Let the hourly check find that a DAG run has ended."""
        self._alerts().alert_ended(run, is_success=is_success, links=Links())

    def results(self, run: DagRunName = TONIGHT, *verdicts: Verdict) -> None:
        """Report the results of a DAG run."""
        records = {
            f"memory://analysis-engine-service/market_open/{run.dag_run_id}": record_of(verdict)
            for verdict in verdicts or (Verdict.PASS,)
        }
        night = DagRunResults(dag_id=run.dag_id, dag_run_id=run.dag_run_id, records=records)
        writer = AlertWriter(book=self.book, now=self.now)
        news = writer.take_news(night)
        PipelineAlerts(writer=writer, channel="#ops", words=PlainWords()).alert(news, links=Links())
        self._alerts().close(night)

    def messages(self) -> list[tuple[str, str]]:
        """Return all messages, and check that they are in one thread for each DAG run."""
        messages = of_part(DeliveryPart.MESSAGE, self.book.outbox)
        firsts = [entry.problem_id for entry in messages if entry.event.value == "opened"]
        assert len(firsts) == len(set(firsts))
        return [(entry.event.value, entry.message.text) for entry in messages]


FAILED = ("opened", "market_open failed: nothing was planned")


def test_a_failed_dag_run_is_not_late() -> None:
    """It failed at 06:40, and its deadline passes at 10:40, or while its last task still runs."""
    for waits in (timedelta(hours=4), timedelta(minutes=1), timedelta(0)):
        mornings = Mornings()
        mornings.failed()
        mornings.now += waits
        mornings.late(deadline_in=-waits)
        assert mornings.messages() == [FAILED]
        assert mornings.book.problems[0].id == TONIGHT.id


def test_each_is_reported_once() -> None:
    """The task is retried, and the callback repeated."""
    mornings = Mornings()
    mornings.failed()
    mornings.failed()
    mornings.late(TOMORROW)
    mornings.late(TOMORROW)
    assert [event for event, _ in mornings.messages()] == ["opened", "opened"]


def test_a_late_dag_run_that_fails() -> None:
    """One message, and the failure in its thread."""
    mornings = Mornings()
    mornings.late()
    mornings.now += timedelta(hours=1)
    mornings.failed()
    assert mornings.messages() == [
        ("opened", "market_open is late since 06:40"),
        ("worsened", "market_open failed: nothing was planned"),
    ]


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.REGRESSION, Verdict.NO_BASELINE])
def test_a_late_dag_run_that_finishes(verdict: Verdict) -> None:
    """Its thread says so, and its first message is marked."""
    mornings = Mornings()
    mornings.late()
    mornings.results(TONIGHT, verdict)
    assert mornings.messages() == [
        ("opened", "market_open is late since 06:40"),
        ("recovered", "finished, 1 records"),
    ]
    assert len(of_part(DeliveryPart.MARK, mornings.book.outbox)) == 1
    assert not mornings.book.problems[0].is_open
    mornings.late()
    assert len(mornings.messages()) == 2


def test_a_late_dag_run_whose_services_could_not_be_judged() -> None:
    """That goes on in its thread, until they can be judged."""
    mornings = Mornings()
    mornings.late()
    mornings.results(TONIGHT, Verdict.INVALID)
    (problem,) = mornings.book.problems
    assert (problem.id, problem.kind, problem.is_open) == (TONIGHT.id, ProblemKind.UNMEASURED, True)
    mornings.results(TOMORROW, Verdict.PASS)
    assert [text for _, text in mornings.messages()] == [
        "market_open is late since 06:40",
        "unmeasured analysis-engine of 1, missing []",
        "measured again",
    ]


def test_a_late_dag_run_beside_an_open_problem_of_the_measurement() -> None:
    """Each thread gets its own reply."""
    mornings = Mornings()
    mornings.results(TONIGHT, Verdict.INVALID)
    mornings.now += timedelta(days=1)
    mornings.late(TOMORROW)
    mornings.results(TOMORROW, Verdict.INVALID)
    assert [event for event, _ in mornings.messages()] == ["opened", "opened", "continues", "recovered"]


@pytest.mark.parametrize(
    ("after", "is_late"),
    [
        (-timedelta(minutes=5), False),  # reported 5 min before the deadline: this attempt is over
        (timedelta(0), False),
        (timedelta(hours=3), False),  # the callback waited for a free worker
        (-ALLOWANCE - timedelta(seconds=1), True),  # cleared since then: another attempt runs
    ],
)
def test_a_dag_run_whose_end_was_reported_is_not_late(after: timedelta, is_late: bool) -> None:
    """The state in Airflow's callback is that of the deadline; meanwhile the DAG run may have ended."""
    mornings = Mornings()
    mornings.now = DEADLINE + after
    mornings.results(TONIGHT)
    mornings.now = DEADLINE + timedelta(hours=4)
    mornings.late(deadline_in=-timedelta(hours=4))
    assert [event for event, _ in mornings.messages()] == (["opened"] if is_late else [])


def test_a_failed_dag_run_that_is_cleared_and_late() -> None:
    """It goes on in the same thread, and ends there."""
    mornings = Mornings()
    mornings.failed()
    mornings.now += timedelta(hours=5)
    mornings.late()
    mornings.results()
    assert mornings.messages() == [
        FAILED,
        ("worsened", "market_open is late since 11:40"),
        ("recovered", "finished, 1 records"),
    ]


def test_a_later_dag_run_ends_the_problem_of_an_earlier_one() -> None:
    """The next night has results; those of another scenario do not count."""
    mornings = Mornings()
    mornings.failed()
    mornings.results(DagRunName(dag_id="market", dag_run_id="scheduled__2026-03-03"))
    assert mornings.messages() == [FAILED]
    mornings.results(TOMORROW)
    assert mornings.messages() == [FAILED, ("recovered", "finished with scheduled__2026-03-03")]


@pytest.mark.parametrize("is_success", [True, False])
def test_a_late_dag_run_that_ended_silently(is_success: bool) -> None:
    """Airflow timed it out, or its task alert failed: the hourly check says so once."""
    mornings = Mornings()
    mornings.late()
    mornings.ended(is_success=is_success)
    mornings.ended(is_success=is_success)
    last = ("recovered", "finished, no records") if is_success else ("worsened", "market_open failed silently")
    assert mornings.messages() == [("opened", "market_open is late since 06:40"), last]


def test_the_end_of_a_dag_run_that_failed_or_has_no_problem_is_not_reported_again() -> None:
    """Its failure was reported, or its results were."""
    mornings = Mornings()
    mornings.ended()
    mornings.failed()
    mornings.ended()
    mornings.results(TOMORROW, Verdict.INVALID)
    before = len(mornings.messages())
    mornings.ended(TOMORROW)
    assert len(mornings.messages()) == before


def test_ended_dag_runs_are_forgotten() -> None:
    """After ninety days no deadline can pass any more."""
    mornings = Mornings()
    mornings.results()
    AlertWriter(book=mornings.book, now=START + KEPT).forget()
    assert mornings.book.ended_dag_runs == {}
