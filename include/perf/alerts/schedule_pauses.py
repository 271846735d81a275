"""Pauses the schedule of a scenario whose scheduled runs measured nothing several times in a row."""

from dataclasses import dataclass, replace
from typing import Protocol

from include.perf.alerts.alert_writer import AlertWriter
from include.perf.alerts.book import Event, FailedStarts, Links, Message
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import Verdict


class PauseWords(Protocol):
    """Writes the message about a paused schedule."""

    def paused(self, scenario: str, *, runs: int, reason: str, links: Links) -> Message:
        """Return the message about a schedule that was paused.

        Args:
            runs: the number of scheduled runs in a row that measured nothing.
            reason: of the last one.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulePauses:
    """Counts the scheduled runs of a scenario that measured nothing.

    A run of any kind that measured a service ends the count, whatever its verdict. A run that was skipped changes
    nothing. The first scheduled run after a pause begins a new count, because somebody unpaused the schedule.

    Attributes:
        channel: of the pipeline's operators.
        words: writes the message.
    """

    writer: AlertWriter
    channel: str
    words: PauseWords

    def is_due(
        self, scenario: str, results: DagRunResults, *, is_scheduled: bool, pause_after: int, links: Links
    ) -> bool:
        """Return whether the schedule must pause now; put the message into the outbox once.

        Args:
            results: of the DAG run; empty if nothing was planned.
            pause_after: the number of runs in a row; 0 for never.
        """
        known = self.writer.book.failed_starts
        if any(record.verdict.is_measured for record in results.records.values()):
            known.pop(scenario, None)
            return False
        if not is_scheduled or _is_skipped(results):
            return False
        failed = known.get(scenario, FailedStarts())
        if results.dag_run_id in failed.dag_run_ids:  # the task was retried or cleared
            return failed.is_paused
        earlier = () if failed.is_paused else failed.dag_run_ids
        runs = (*earlier, results.dag_run_id)
        is_paused = 0 < pause_after <= len(runs)
        known[scenario] = replace(failed, dag_run_ids=runs, is_paused=is_paused)
        if is_paused:
            reason = next(iter(results.problems), "nothing was planned; see the task plan of the run")
            message = self.words.paused(scenario, runs=len(runs), reason=reason, links=links)
            self.writer.send(self.channel, Event.PAUSED, message)
        return is_paused


def _is_skipped(results: DagRunResults) -> bool:
    """Return whether every run was skipped, for example because load is halted: that is nobody's failure."""
    verdicts = {record.verdict for record in results.records.values()}
    return verdicts == {Verdict.SKIPPED} and not results.missing
