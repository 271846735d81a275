"""The alert task of one night is repeated: retried, cleared, run twice at once, with records that appear one by one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import combinations, product
from typing import Any

import pytest

from include.perf.alerts.alert_writer import RUNS_KEPT, AlertWriter
from include.perf.alerts.book import AlertBook, DeliveryPart, Links
from include.perf.alerts.dag_run_alerts import DagRunAlerts
from include.perf.alerts.pipeline_alerts import PipelineAlerts
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.model.cell import RunAddress
from include.perf.runs.dag_run import Absence, DagRunResults, MissingRun
from include.perf.runs.record import RunRecord, Severity, Verdict
from tests.perf.alert_words import PlainWords, of_part
from tests.records import START, deviation, record_of

NAMES = ("a", "b", "c")
POLICY = Policy(channel_of=lambda service: "#data", digest_channel="#digest", is_summary_wanted=True)


def run_id(service: str, day: int = 2) -> str:
    """Return the id of a service's run of a night."""
    return f"202603{day:02}T063900Z-{service}"


def uri_of(service: str, day: int = 2) -> str:
    return f"memory://{service}/market_open/{run_id(service, day)}"


def worse(service: str, *, lead: str | None = None, day: int = 2) -> RunRecord:
    """Return a run that regressed; reported by the lead run of another service."""
    return replace(
        record_of(Verdict.REGRESSION),
        service=service,
        run_id=run_id(service, day),
        deviations=(deviation("latency_p95", 0.0612, severity=Severity.WARNING),),
        reported_by=run_id(lead, day) if lead else None,
    )


def fine(service: str, verdict: Verdict = Verdict.PASS, *, day: int = 2) -> RunRecord:
    return replace(record_of(verdict), service=service, run_id=run_id(service, day))


def platform(day: int = 2) -> dict[str, RunRecord]:
    """Return a night in which all services regressed by one cause; the first speaks for all."""
    return {name: worse(name, lead=None if name == "a" else "a", day=day) for name in NAMES}


class Attempts:
    """An alert book, and the attempts of alert tasks on it."""

    def __init__(self) -> None:
        self.book = AlertBook()
        self.now = START

    def attempt(
        self, records: Mapping[str, RunRecord], readable: Collection[str], *, day: int = 2, **absence: Any
    ) -> list[tuple[str, str]]:
        """Alert to a night of which only some records can be read; return the new messages."""
        before = len(self.book.outbox)
        missing = [name for name in records if name not in readable]
        night = DagRunResults(
            dag_id="market_open",
            dag_run_id=f"night {day}",
            records={uri_of(name, day): records[name] for name in records if name in readable},
            missing=tuple(
                MissingRun(address=RunAddress.from_uri(uri_of(name, day)), reason="unknown", **absence)
                for name in missing
            ),
        )
        self.now += timedelta(minutes=10)
        writer = AlertWriter(book=self.book, now=self.now)
        news = writer.take_news(night)
        ServiceAlerts(writer=writer, policy=POLICY, words=PlainWords(), links_of=lambda _: Links()).alert(news)
        PipelineAlerts(writer=writer, channel="#ops", words=PlainWords()).alert(news, links=Links())
        DagRunAlerts(writer=writer, channel="#ops", words=PlainWords()).close(night)
        new = of_part(DeliveryPart.MESSAGE, self.book.outbox[before:])
        return [(entry.event.value, entry.message.text) for entry in new]


@pytest.mark.parametrize("absence", list(Absence))
def test_another_run_speaks_where_the_lead_run_has_no_record(absence: Absence) -> None:
    """Its report failed, its record cannot be read, or its folder was removed."""
    attempts = Attempts()
    assert attempts.attempt(platform(), ["b", "c"], absence=absence) == [
        ("opened", "opened b+c"),
        ("opened", "unmeasured  of 3, missing ['a']"),
    ]
    assert attempts.attempt(platform(), NAMES) == [("continues", "joined a"), ("recovered", "measured again")]
    assert attempts.attempt(platform(), NAMES) == []
    (problem,) = (problem for problem in attempts.book.problems if problem.is_open)
    assert ([cell.service for cell in problem.cells], problem.nights) == (["b", "c", "a"], 1)


def test_another_run_speaks_where_the_lead_run_shows_no_regression() -> None:
    """Whatever the reason, a regression is never left without a speaker."""
    records = platform() | {"a": fine("a")}
    assert Attempts().attempt(records, NAMES) == [("opened", "opened b+c")]


def readable_in(attempts: int) -> Sequence[tuple[frozenset[str], ...]]:
    """Return every way in which records can be readable in some attempts."""
    subsets = [frozenset(names) for size in range(len(NAMES) + 1) for names in combinations(NAMES, size)]
    return list(product(subsets, repeat=attempts))


@pytest.mark.parametrize("lead", [None, *NAMES])
def test_every_record_is_alerted_exactly_once(lead: str | None) -> None:
    """In 512 histories of three attempts; records may even become unreadable again."""
    records = {name: worse(name, lead=None if lead in (None, name) else lead) for name in NAMES}
    for readable in readable_in(3):
        attempts = Attempts()
        messages = [message for names in readable for message in attempts.attempt(records, names)]
        alerted = [
            name
            for event, text in messages
            for name in text.partition(" ")[2].split("+")
            if text.startswith(("opened ", "joined ", "worsened ", "continues "))
        ]
        seen = frozenset[str]().union(*readable)
        assert sorted(alerted) == sorted(seen), readable
        opened = [text for event, text in messages if event == "opened" and text.startswith("opened ")]
        assert len(opened) == (min(1, len(seen)) if lead else len(seen)), readable
        unmeasured = [text for event, text in messages if "unmeasured" in text]
        assert len(unmeasured) <= 3
        assert attempts.attempt(records, readable[-1]) == [], readable


def test_a_run_is_never_reported_as_missing_after_its_record() -> None:
    """Two attempts at once: one could read the record, and the slower one could not."""
    attempts = Attempts()
    records = {"a": fine("a"), "b": worse("b")}
    assert attempts.attempt(records, ["a", "b"]) == [("opened", "opened b")]
    assert attempts.attempt(records, ["a"]) == []


def test_a_run_without_a_record_is_reported_once() -> None:
    """A cleared task repeats nothing; what can be read in the end is judged."""
    attempts = Attempts()
    records = {"a": fine("a"), "b": worse("b")}
    assert attempts.attempt(records, ["a"]) == [("opened", "unmeasured  of 2, missing ['b']")]
    assert attempts.attempt(records, ["a"]) == []
    assert attempts.attempt(records, NAMES) == [("opened", "opened b"), ("recovered", "measured again")]


def test_a_night_with_a_missing_run_is_not_quiet() -> None:
    """The summary is sent once all runs have a record."""
    attempts = Attempts()
    records = {name: fine(name) for name in NAMES}
    assert attempts.attempt(records, ["a", "b"]) == [("opened", "unmeasured  of 3, missing ['c']")]
    assert attempts.attempt(records, NAMES) == [("summary", "summary of 3"), ("recovered", "measured again")]
    assert attempts.attempt(records, NAMES) == []


def test_nothing_missing_ends_a_problem() -> None:
    """Only a healthy record does."""
    attempts = Attempts()
    attempts.attempt(platform(), NAMES)
    tomorrow = {name: fine(name, day=3) for name in NAMES}
    assert attempts.attempt(tomorrow, ["b", "c"], day=3) == [
        ("continues", "partly recovered b+c, 1 left"),
        ("opened", "unmeasured  of 3, missing ['a']"),
    ]
    assert any(problem.is_open and problem.worst for problem in attempts.book.problems)
    assert attempts.attempt(tomorrow, NAMES, day=3)[0] == ("recovered", "recovered a after 1")


def test_an_old_healthy_record_ends_no_newer_problem() -> None:
    """It appears after a later night regressed: that is no recovery."""
    attempts = Attempts()
    attempts.attempt({"a": worse("a", day=2)}, ["a"], day=2)
    attempts.attempt({"a": fine("a", day=3)}, [], day=3)
    attempts.attempt({"a": worse("a", day=4)}, ["a"], day=4)
    assert ("recovered", "recovered a after 1") not in attempts.attempt({"a": fine("a", day=3)}, ["a"], day=3)
    assert attempts.attempt({"a": fine("a", day=5)}, ["a"], day=5)[0][0] == "recovered"


def test_a_record_that_appears_after_the_problem_was_over_opens_a_new_one() -> None:
    """The others recovered; of this service it is not known."""
    attempts = Attempts()
    attempts.attempt(platform(), ["b", "c"])
    attempts.attempt({name: fine(name, day=3) for name in ("b", "c")}, NAMES, day=3)
    assert ("opened", "opened a") in attempts.attempt(platform(), NAMES)


def test_of_many_runs_the_oldest_are_forgotten() -> None:
    """The book stays small."""
    writer = AlertWriter(book=AlertBook(), now=START)
    for day in range(1, 3):
        records = {uri_of(str(number), day): fine(str(number)) for number in range(RUNS_KEPT // 2 + 1)}
        writer.take_news(DagRunResults(dag_id="market_open", dag_run_id=str(day), records=records))
    assert len(writer.book.processed_runs) == RUNS_KEPT
