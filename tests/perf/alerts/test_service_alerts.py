"""A fortnight of nights: problems that come, go on, get worse and end, and what is said of each."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.perf.alerts.book import AlertBook, Chart, Event, Links, ProblemKind, Silence
from include.perf.alerts.desk import KEPT, RUNS_KEPT, AlertWriter
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.model.cell import CellName
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import Deviation, RunRecord, Severity, Shift, Verdict
from tests.perf.alert_words import PlainWords, message
from tests.records import START, deviation, metric_values, record_of

GATEWAY, STORE = "trading-gateway-service", "feature-store-service"
P95 = 0.0612  # 45 % above 0.0421
POLICY = Policy(
    channel_of=lambda service: "#trading" if service == GATEWAY else "#data",
    digest_channel="#digest",
    mention="S0123",
)


def interval(low: float, high: float) -> dict[str, Any]:
    """Return a shift of the p95 with its interval."""
    return {"shift": Shift(ratio=(low + high) / 2, absolute=0.019, low=low, high=high)}


def worse(service: str = GATEWAY, *deviations: Deviation, **changes: Any) -> RunRecord:
    """Return a run that regressed; by default p95 by 45 %, surely between 38 and 52 %."""
    moved = deviations or (deviation("latency_p95", P95, severity=Severity.WARNING, **interval(0.38, 0.52)),)
    return replace(
        record_of(Verdict.REGRESSION),
        run_id=f"20260302T063900Z-{service}",
        service=service,
        deviations=moved,
        metrics=metric_values(latency_p95=P95),
        **changes,
    )


def fine(service: str = GATEWAY, verdict: Verdict = Verdict.PASS, **changes: Any) -> RunRecord:
    """Return a healthy run."""
    return replace(record_of(Verdict.PASS), service=service, verdict=verdict, **changes)


class Fortnight:
    """The book over the nights; each night returns what is to be said, by event and channel."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.book = AlertBook()
        self.policy = policy
        self.now = START

    def night(self, *records: RunRecord, after: timedelta = timedelta(days=1)) -> list[tuple[str, str, str]]:
        """Tell a night, and let time go by."""
        uris = {f"memory://{each.service}/{each.scenario}/{each.run_id}-{self.now:%d}": each for each in records}
        told = len(self.book.outbox)
        desk = AlertWriter(book=self.book, now=self.now)
        alerts = ServiceAlerts(desk=desk, policy=self.policy, words=PlainWords(), links_of=lambda _: Links())
        alerts.tell(DagRunResults(dag_id="market_open", dag_run_id="night", records=uris))
        self.now += after
        return [(each.event.value, each.channel, each.message.text) for each in self.book.outbox[told:]]

    def silence(self, **about: Any) -> None:
        """Ask for silence for three days."""
        until = self.now + timedelta(days=3)
        self.book.silences.append(
            Silence(id="a1", by="mara", reason="known", created_at=self.now, until=until, **about)
        )


def test_a_problem_from_its_first_night_to_its_last() -> None:
    """One message; the thread for the same, the channel too for what is worse; and the end, with a mark."""
    weeks = Fortnight()
    p99 = deviation("latency_p99", 0.2, severity=Severity.WARNING)
    assert weeks.night(worse()) == [("opened", "#trading", "opened trading-gateway")]
    assert weeks.night(worse()) == [("continues", "#trading", "continues trading-gateway, night 2")]
    assert weeks.night(worse(GATEWAY, *worse().deviations, p99)) == [
        ("worsened", "#trading", "worsened trading-gateway")
    ]
    assert weeks.night(worse(GATEWAY, *worse().deviations, p99)) == [
        ("continues", "#trading", "continues trading-gateway, night 4")
    ]
    assert weeks.night(fine()) == [("recovered", "#trading", "recovered trading-gateway after 4")]
    assert weeks.book.outbox[-1].mark is not None
    assert weeks.book.outbox[-1].mark.text == "recovered: opened trading-gateway"
    assert weeks.night(fine()) == []
    assert weeks.night(worse()) == [("opened", "#trading", "opened trading-gateway")]  # another problem


def test_the_message_of_a_problem_has_charts() -> None:
    """Those of the run that leads it."""
    weeks = Fortnight()
    weeks.night(fine(STORE), worse())
    (delivery,) = weeks.book.outbox
    uri = f"memory://{GATEWAY}/market_open/{worse().run_id}-02"
    assert delivery.charts == (Chart(uri, "comparison.png"), Chart(uri, "latency.png"))
    assert delivery.problem_id == worse().run_id


@pytest.mark.parametrize(
    ("low", "high", "event"),
    [
        (0.44, 0.60, "continues"),  # 45 % were told, and it may be 44 %
        (0.45, 0.60, "continues"),
        (0.46, 0.60, "worsened"),  # more than 45 % for sure
        (-0.60, 0.60, "continues"),
    ],
)
def test_larger_is_worse_when_it_is_sure(low: float, high: float, event: str) -> None:
    """The near end of the interval is held to the largest change that was told."""
    weeks = Fortnight()
    weeks.night(worse())
    moved = deviation("latency_p95", P95, severity=Severity.WARNING, **interval(low, high))
    assert weeks.night(worse(GATEWAY, moved))[0][0] == event


@pytest.mark.parametrize(("ratio", "event"), [(0.67, "continues"), (0.68, "worsened")])  # 1.5 × 45 % = 67.5 %
def test_without_an_interval_it_takes_half_as_much_again(ratio: float, event: str) -> None:
    """A history that is too short for an interval."""
    weeks = Fortnight()
    weeks.night(worse())
    moved = deviation("latency_p95", P95, severity=Severity.WARNING, shift=Shift(ratio=ratio, absolute=0.02))
    assert weeks.night(worse(GATEWAY, moved))[0][0] == event


def test_from_zero_is_never_larger() -> None:
    """The error rate was zero: any change is told as it is, and no second one is a larger one."""
    weeks = Fortnight()
    errors = deviation("error_rate", 0.02, baseline=0.0, severity=Severity.WARNING)
    assert weeks.night(worse(GATEWAY, errors))[0][0] == "opened"
    assert weeks.night(worse(GATEWAY, replace(errors, value=0.5)))[0][0] == "continues"


def test_a_graver_problem_is_worse_and_calls_the_group() -> None:
    """Warning, then critical, then a warning again: the thread goes on."""
    weeks = Fortnight()
    critical = replace(worse().deviations[0], severity=Severity.CRITICAL)
    assert weeks.night(worse())[0][2] == "opened trading-gateway"
    assert weeks.night(worse(GATEWAY, critical)) == [("worsened", "#trading", "worsened trading-gateway @S0123")]
    assert weeks.night(worse())[0][0] == "continues"


def test_what_has_one_cause_is_told_once() -> None:
    """The platform shifted: the others are told by the run that leads; each must be healthy for it to be over."""
    weeks = Fortnight()
    lead, other = worse(STORE), worse("data-pipeline-service", told_by=worse(STORE).run_id)
    assert weeks.night(lead, other) == [("opened", "#data", "opened feature-store+data-pipeline")]
    assert weeks.night(lead, other) == [("continues", "#data", "continues feature-store+data-pipeline, night 2")]
    assert weeks.night(fine(STORE), worse("data-pipeline-service")) == [
        ("continues", "#data", "continues data-pipeline, night 3")
    ]
    assert weeks.night(fine(STORE), fine("data-pipeline-service")) == [
        ("recovered", "#data", "recovered data-pipeline after 3")
    ]


def test_different_services_are_different_problems() -> None:
    """Each in its own channel."""
    weeks = Fortnight()
    assert weeks.night(worse(), worse(STORE)) == [
        ("opened", "#trading", "opened trading-gateway"),
        ("opened", "#data", "opened feature-store"),
    ]


def test_two_runs_of_a_day_are_one_night() -> None:
    """Somebody triggers it again in the morning."""
    weeks = Fortnight()
    weeks.night(worse(), after=timedelta(hours=3))
    assert weeks.night(worse()) == [("continues", "#trading", "continues trading-gateway, night 1")]


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED, Verdict.NOT_COMPARABLE, Verdict.NO_BASELINE])
def test_a_night_without_a_verdict_ends_nothing(verdict: Verdict) -> None:
    """Nobody knows whether it is back to normal."""
    weeks = Fortnight()
    weeks.night(worse())
    assert weeks.night(fine(verdict=verdict, deviations=())) == []
    assert weeks.book.problems[0].is_open


def test_a_suspicion_ends_nothing() -> None:
    """It is not sure that it is back; the digest tells of the suspicion."""
    weeks = Fortnight()
    weeks.night(worse())
    doubt = replace(worse().deviations[0], is_confirmed=False)
    assert weeks.night(fine(deviations=(doubt,))) == [("digest", "#digest", "digest trading-gateway, 0 silenced")]
    assert weeks.book.problems[0].is_open


def test_a_level_that_was_accepted_is_no_recovery() -> None:
    """The p95 is where it was, and passes against a new baseline; at 42.4 ms it is back."""
    weeks = Fortnight()
    weeks.night(worse())
    still_there = fine(metrics=metric_values(latency_p95=0.0600))
    assert weeks.night(still_there) == [("accepted", "#trading", "accepted as version 3")]
    back = Fortnight()
    back.night(worse())
    assert back.night(fine(metrics=metric_values(latency_p95=0.0424)))[0][0] == "recovered"


def test_what_is_silenced_is_counted_and_not_told() -> None:
    """A metric, for three days: another metric of the same night is told; then the first is news again."""
    weeks = Fortnight()
    weeks.silence(service=GATEWAY, metric="latency_p95")
    assert weeks.night(worse()) == [("digest", "#digest", "digest , 1 silenced")]
    p99 = deviation("latency_p99", 0.2, severity=Severity.WARNING)
    assert weeks.night(worse(GATEWAY, *worse().deviations, p99))[0][0] == "opened"
    assert set(weeks.book.problems[0].worst) == {"latency_p99"}
    weeks.night(fine())
    assert weeks.night(worse())[0][0] == "opened"


@pytest.mark.parametrize(
    ("about", "is_told"),
    [
        ({"service": STORE}, True),
        ({"scenario": "normal_trading"}, True),
        ({"scenario": "market_open"}, False),
        ({"metric": "latency_p95"}, False),
        ({"service": GATEWAY, "scenario": "market_open", "metric": "latency_p95"}, False),
        ({"service": GATEWAY, "metric": "error_rate"}, True),
    ],
)
def test_what_a_silence_covers(about: dict[str, str], is_told: bool) -> None:
    """Everything that it does not name."""
    weeks = Fortnight()
    weeks.silence(**about)
    assert (weeks.night(worse())[0][0] == "opened") is is_told


def test_the_digest_has_improvements_and_a_quiet_night_nothing() -> None:
    """Unless somebody wants to hear of quiet nights, too; an invalid run makes no quiet night."""
    weeks = Fortnight()
    assert weeks.night(fine(verdict=Verdict.IMPROVEMENT), fine(STORE)) == [
        ("digest", "#digest", "digest trading-gateway, 0 silenced")
    ]
    assert weeks.night(fine(), fine(STORE)) == []
    weeks.policy = replace(POLICY, is_summary_wanted=True)
    assert weeks.night(fine(), fine(STORE)) == [("summary", "#digest", "summary of 2")]
    assert weeks.night(fine(), fine(STORE, verdict=Verdict.INVALID)) == []
    weeks.policy = replace(POLICY, digest_channel=None)
    assert weeks.night(fine(verdict=Verdict.IMPROVEMENT)) == []


def test_what_is_long_over_is_forgotten() -> None:
    """Ninety days after; what is open never is."""
    weeks = Fortnight()
    weeks.night(worse(), worse(STORE))
    weeks.night(fine())
    closed = weeks.book.problems[-1]
    assert closed.cells == (CellName(GATEWAY, "market_open"),)
    assert closed.kind is ProblemKind.REGRESSION

    def remembered(at: datetime) -> int:
        AlertWriter(book=weeks.book, now=at).forget()
        return len(weeks.book.problems)

    assert closed.closed_at is not None
    assert remembered(closed.closed_at + KEPT - timedelta(seconds=1)) == 2
    assert remembered(closed.closed_at + KEPT) == 1
    assert weeks.book.problems[0].is_open


def test_a_run_is_taken_in_once() -> None:
    """A task that is tried again tells nothing twice; of many runs the oldest are forgotten."""
    desk = AlertWriter(book=AlertBook(), now=START)
    assert not desk.is_told(["a", "b"])
    assert desk.is_told(["a", "b"])
    assert not desk.is_told(["b", "c"])
    desk.is_told([str(number) for number in range(RUNS_KEPT)])
    assert not desk.is_told(["a"])
    assert len(desk.book.told) == RUNS_KEPT


def test_events_that_somebody_must_look_at() -> None:
    """Only a new problem and a worse one."""
    assert {event for event in Event if event.is_page} == {Event.OPENED, Event.WORSENED}


def test_who_silences_a_problem_acknowledges_it() -> None:
    """Its thread says who knows; problems that the silence is not about say nothing."""
    weeks = Fortnight()
    weeks.night(worse(), worse(STORE))
    told = len(weeks.book.outbox)
    silence = Silence(
        id="a1", by="mara", reason="4711", created_at=weeks.now, until=weeks.now + timedelta(days=1), service=GATEWAY
    )
    AlertWriter(book=weeks.book, now=weeks.now).silence(silence, message("mara knows"))
    (said,) = weeks.book.outbox[told:]
    assert (said.event, said.channel, said.problem_id) == (Event.ACKNOWLEDGED, "#trading", worse().run_id)
    assert weeks.book.silences == [silence]
