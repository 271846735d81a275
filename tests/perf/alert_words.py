"""Short messages for tests of alerts: the event and what it is about."""

from collections.abc import Sequence
from datetime import datetime

from include.perf.alerts.book import Delivery, DeliveryPart, Event, Links, Message, Problem
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunResults, MissingRun
from include.perf.runs.record import RunRecord


def message(text: str) -> Message:
    """Return a message with this text."""
    return Message(text=text, plain="", blocks=[])


def of_part(part: DeliveryPart, outbox: Sequence[Delivery]) -> list[Delivery]:
    """Return the outbox entries of a part."""
    return [entry for entry in outbox if entry.part is part]


def names(records: Sequence[RunRecord]) -> str:
    """Return the services of runs, without their suffix."""
    return "+".join(record.service.removesuffix("-service") for record in records)


class PlainWords:
    """Writes messages about services and about the pipeline."""

    def opened(self, records: Sequence[RunRecord], *, links: Links, mention: str | None) -> Message:
        return message(f"opened {names(records)}{f' @{mention}' if mention else ''}")

    def continues(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        return message(f"continues {names(records)}, night {problem.nights}")

    def standing(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        return message(f"standing {names(records)}, night {problem.nights}")

    def partly_recovered(self, problem: Problem, recovered: Sequence[RunRecord], left: Sequence[CellName]) -> Message:
        return message(f"partly recovered {names(recovered)}, {len(left)} left")

    def joined(self, records: Sequence[RunRecord], problem: Problem) -> Message:
        return message(f"joined {names(records)}")

    def worsened(self, records: Sequence[RunRecord], problem: Problem, *, mention: str | None) -> Message:
        return message(f"worsened {names(records)}{f' @{mention}' if mention else ''}")

    def recovered(self, problem: Problem, records: Sequence[RunRecord]) -> Message:
        return message(f"recovered {names(records)} after {problem.nights}")

    def accepted(self, problem: Problem, version: int) -> Message:
        return message(f"accepted as version {version}")

    def mark(self, problem: Problem, event: Event) -> Message:
        return message(f"{event}: {problem.title}")

    def digest(self, records: Sequence[RunRecord], *, silenced: int, links: Links) -> Message:
        return message(f"digest {names(records)}, {silenced} silenced")

    def summary(self, records: Sequence[RunRecord], links: Links) -> Message:
        return message(f"summary of {len(records)}")

    def unmeasured(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun], links: Links
    ) -> Message:
        return message(f"unmeasured {names(records)} of {of}, missing {[run.service for run in missing]}")

    def unmeasured_continues(
        self, records: Sequence[RunRecord], *, of: int, missing: Sequence[MissingRun], links: Links, problem: Problem
    ) -> Message:
        return message(f"again unmeasured {names(records)} of {of}, night {problem.nights}")

    def measured_again(self, problem: Problem) -> Message:
        return message("measured again")

    def catalogue_wrong(self, problems: Sequence[str], *, is_usable: bool) -> Message:
        return message(f"catalogue wrong: {'; '.join(problems)}{'' if is_usable else ', unusable'}")

    def catalogue_right(self) -> Message:
        return message("catalogue right")

    def limits_changed(self, changes: Sequence[str]) -> Message:
        return message(f"limits changed: {'; '.join(changes)}")

    def failed(self, scenario: str, reason: str, links: Links) -> Message:
        return message(f"{scenario} failed: {reason}")

    def late(self, scenario: str, run: str, late_since: datetime, links: Links) -> Message:
        return message(f"{scenario} is late since {late_since:%H:%M}")

    def unreported(self, scenario: str, run: str, links: Links) -> Message:
        return message(f"{scenario} failed silently")

    def finished(self, results: DagRunResults | None) -> Message:
        return message(f"finished, {len(results.records) if results else 'no'} records")

    def finished_later(self, run: str) -> Message:
        return message(f"finished with {run}")

    def overdue(self, scenario: str, last_run_at: datetime | None, due_at: datetime, links: Links) -> Message:
        return message(f"{scenario} was due {due_at:%a %H:%M}")

    def runs_again(self, problem: Problem) -> Message:
        return message("runs again")
