"""The schedule of a scenario that measured nothing several times in a row pauses, and says so once."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import AlertBook, DeliveryPart, FailedStarts, Links
from include.perf.alerts.schedule_pauses import SchedulePauses
from include.perf.alerts.slack_pipeline import SlackPipelineWords
from include.perf.model.json_files import from_json, to_json
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import Verdict
from tests.records import START, record_of

FAILS = [Verdict.INVALID]


class Nights:
    """The runs of one scenario, one after another."""

    def __init__(self, *, pause_after: int = 3) -> None:
        self.book = AlertBook()
        self.pause_after = pause_after
        self._runs = 0

    def run(self, *verdicts: Verdict, is_scheduled: bool = True, again: bool = False) -> bool:
        """Return whether the schedule pauses after a run with these verdicts, or after the same run again."""
        self._runs += not again
        return SchedulePauses(
            writer=AlertWriter(book=self.book, now=START), channel="#ops", words=SlackPipelineWords()
        ).is_due(
            "market_open",
            results(verdicts, run=str(self._runs)),
            is_scheduled=is_scheduled,
            pause_after=self.pause_after,
            links=Links(),
        )

    @property
    def messages(self) -> list[str]:
        """The first lines of all messages so far."""
        return [entry.message.text for entry in self.book.outbox if entry.part is DeliveryPart.MESSAGE]


def results(verdicts: Sequence[Verdict], *, run: str) -> DagRunResults:
    records = {
        f"memory://{service}/market_open/{run}": replace(record_of(verdict), service=service)
        for service, verdict in zip("abcdef", verdicts, strict=False)
    }
    return DagRunResults(dag_id="market_open", dag_run_id=f"scheduled__{run}", records=records)


PAUSED = "market_open is paused: its last 3 scheduled runs measured nothing"


def test_the_third_failure_in_a_row_pauses_with_one_message() -> None:
    """It has the reason of the last run and the way to go on."""
    nights = Nights()
    assert [nights.run(*FAILS) for _ in range(3)] == [False, False, True]
    assert nights.messages == [PAUSED]
    entry = nights.book.outbox[0]
    assert entry.channel == "#ops"
    assert "a · " in entry.message.plain
    assert "then unpause its DAG. Either of the two ends the count" in entry.message.plain


def test_a_run_without_a_plan_counts() -> None:
    """For example because a connection is missing."""
    nights = Nights()
    assert [nights.run() for _ in range(3)] == [False, False, True]
    assert "nothing was planned; see the task plan of the run" in nights.book.outbox[0].message.plain


@pytest.mark.parametrize("verdict", [verdict for verdict in Verdict if verdict.is_measured])
@pytest.mark.parametrize("is_scheduled", [True, False])
def test_a_run_that_measures_a_service_ends_the_count(verdict: Verdict, is_scheduled: bool) -> None:
    """Also a manual one, and also with a regression, and also if all other services failed."""
    nights = Nights()
    for _ in range(2):
        nights.run(*FAILS)
    assert not nights.run(Verdict.INVALID, verdict, is_scheduled=is_scheduled)
    assert [nights.run(*FAILS) for _ in range(3)] == [False, False, True]


def test_runs_that_were_skipped_change_nothing() -> None:
    """A halt of a week is no failure, and no success either."""
    nights = Nights()
    for _ in range(2):
        nights.run(*FAILS)
    assert not any(nights.run(Verdict.SKIPPED, Verdict.SKIPPED) for _ in range(7))
    assert nights.run(Verdict.SKIPPED, Verdict.INVALID)


def test_manual_failures_do_not_count() -> None:
    """Somebody looks for the cause."""
    nights = Nights()
    assert not any(nights.run(*FAILS, is_scheduled=False) for _ in range(9))


def test_unpausing_begins_a_new_count() -> None:
    """A scheduled run after a pause means that somebody unpaused the schedule."""
    nights = Nights()
    assert [nights.run(*FAILS) for _ in range(6)] == [False, False, True] * 2
    assert nights.messages == [PAUSED] * 2


def test_a_task_that_is_retried_counts_once() -> None:
    """The second try returns the same, and sends nothing."""
    nights = Nights()
    assert [nights.run(*FAILS), nights.run(*FAILS, again=True), nights.run(*FAILS)] == [False, False, False]
    assert [nights.run(*FAILS), nights.run(*FAILS, again=True)] == [True, True]
    assert nights.messages == [PAUSED]


def test_zero_means_never() -> None:
    """And one means after each failure."""
    assert not any(Nights(pause_after=0).run(*FAILS) for _ in range(20))
    assert Nights(pause_after=1).run(*FAILS)


def test_the_count_is_stored() -> None:
    """Each run of a DAG is another process; books of earlier versions have no count."""
    nights = Nights()
    for _ in range(2):
        nights.run(*FAILS)
    nights.book = from_json(AlertBook, to_json(nights.book), where="alerts.json")
    assert nights.book.failed_starts == {"market_open": FailedStarts(dag_run_ids=("scheduled__1", "scheduled__2"))}
    assert nights.run(*FAILS)
    assert from_json(AlertBook, b'{"schema_version": 1}', where="alerts.json").failed_starts == {}
