"""Alerts over a fortnight: problems start, continue, get worse and end."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from include.perf.alerts.alert_writer import KEPT, AlertWriter
from include.perf.alerts.book import AlertBook, Chart, DeliveryPart, Event, Links, ProblemKind, Silence
from include.perf.alerts.service_alerts import Policy, ServiceAlerts
from include.perf.model.cell import CellName
from include.perf.model.metric import Unit
from include.perf.runs.dag_run import DagRunResults
from include.perf.runs.record import Collapse, Deviation, ExceededLimit, RunRecord, Severity, Shift, Verdict
from tests.perf.alert_words import PlainWords, message, of_part
from tests.records import START, deviation, exceeded_limit, metric_values, over_limit_record, record_of

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
    """Return a run that regressed; by default p95 by 45 %, with an interval of 38 to 52 %."""
    found = deviations or (deviation("latency_p95", P95, severity=Severity.WARNING, **interval(0.38, 0.52)),)
    return replace(
        record_of(Verdict.REGRESSION),
        run_id=_run_id(service, START),
        service=service,
        deviations=found,
        metrics=metric_values(latency_p95=P95),
        **changes,
    )


def fine(service: str = GATEWAY, verdict: Verdict = Verdict.PASS, **changes: Any) -> RunRecord:
    """Return a healthy run."""
    return replace(record_of(Verdict.PASS), service=service, verdict=verdict, **changes)


def _run_id(service: str, now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%SZ}-{service}"


def _of_night(record: RunRecord, now: datetime) -> RunRecord:
    """Return a record as one of a night: the runs of a night have ids of the same time."""
    lead = record.reported_by and _run_id(record.reported_by.partition("-")[2], now)
    return replace(record, run_id=_run_id(record.service, now), reported_by=lead)


class Fortnight:
    """An alert book over several nights; each night returns its messages by event and channel."""

    def __init__(self, policy: Policy = POLICY) -> None:
        self.book = AlertBook()
        self.policy = policy
        self.now = START

    def night(self, *records: RunRecord, after: timedelta = timedelta(days=1)) -> list[tuple[str, str, str]]:
        """Alert to a night, and advance the clock."""
        tonight = [_of_night(record, self.now) for record in records]
        uris = {f"memory://{record.service}/{record.scenario}/{record.run_id}": record for record in tonight}
        before = len(self.book.outbox)
        writer = AlertWriter(book=self.book, now=self.now)
        alerts = ServiceAlerts(writer=writer, policy=self.policy, words=PlainWords(), links_of=lambda _: Links())
        alerts.alert(writer.take_news(DagRunResults(dag_id="market_open", dag_run_id="night", records=uris)))
        self.now += after
        new = of_part(DeliveryPart.MESSAGE, self.book.outbox[before:])
        return [(entry.event.value, entry.channel, entry.message.text) for entry in new]

    def silence(self, **about: Any) -> None:
        """Silence something for three days."""
        until = self.now + timedelta(days=3)
        self.book.silences.append(
            Silence(id="a1", by="mara", reason="known", created_at=self.now, until=until, **about)
        )


def test_a_problem_from_its_first_night_to_its_last() -> None:
    """One message; replies while it continues, also in the channel when it gets worse; a mark at the end."""
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
    (mark,) = of_part(DeliveryPart.MARK, weeks.book.outbox)
    assert mark.message.text == "recovered: opened trading-gateway"
    assert weeks.night(fine()) == []
    assert weeks.night(worse()) == [("opened", "#trading", "opened trading-gateway")]  # another problem


def test_the_first_message_has_charts() -> None:
    """Those of the lead run."""
    weeks = Fortnight()
    weeks.night(fine(STORE), worse())
    (delivery,) = of_part(DeliveryPart.CHARTS, weeks.book.outbox)
    uri = f"memory://{GATEWAY}/market_open/{worse().run_id}"
    assert delivery.charts == (Chart(uri, "comparison.png"), Chart(uri, "latency.png"))
    assert delivery.problem_id == worse().run_id


def test_a_standing_change_is_asked_about_once() -> None:
    """After a week; then it is quiet until the problem gets worse or ends."""
    weeks = Fortnight()
    events = [weeks.night(worse()) for _ in range(12)]
    assert [[event for event, *_ in night] for night in events] == [
        ["opened"],
        *[["continues"]] * 5,
        ["standing"],
        *[[]] * 5,
    ]
    assert weeks.book.problems[0].nights == 12
    worst = deviation("latency_p99", 0.2, severity=Severity.WARNING)
    assert weeks.night(worse(GATEWAY, *worse().deviations, worst))[0][0] == "worsened"
    assert weeks.night(fine()) == [("recovered", "#trading", "recovered trading-gateway after 13")]


def test_two_runs_on_the_seventh_day_ask_once() -> None:
    """A day is one night of a problem."""
    weeks = Fortnight()
    for _ in range(6):
        weeks.night(worse())
    assert [weeks.night(worse(), after=timedelta(hours=1))[:1] != [] for _ in range(3)] == [True, False, False]


def test_a_partial_recovery_is_named() -> None:
    """One of two services recovered; the problem stays open for the other."""
    weeks = Fortnight(replace(POLICY, channel_of=lambda _: "#trading"))
    weeks.night(worse(), worse(STORE, reported_by=f"x-{GATEWAY}"))
    assert weeks.night(fine(), worse(STORE))[-1] == (
        "continues",
        "#trading",
        "partly recovered trading-gateway, 1 left",
    )
    (problem,) = weeks.book.problems
    assert problem.cells == (CellName(STORE, "market_open"),)


def beyond(*limits: ExceededLimit, **changes: Any) -> RunRecord:
    """Return a run beyond its limits; by default with 8 % of failures."""
    return over_limit_record(*limits, service=GATEWAY, **changes)


def test_a_limit_is_a_problem_without_a_baseline() -> None:
    """The service's channel hears of it; further failures, or another limit, make it worse; then it is over."""
    weeks = Fortnight()
    slow = exceeded_limit(metric="latency_p99", unit=Unit.SECONDS, value=0.9, limit=0.5, endpoint="market")
    assert weeks.night(beyond(baseline=None)) == [("opened", "#trading", "opened trading-gateway @S0123")]
    (problem,) = weeks.book.problems
    assert (problem.severity, problem.metrics) == (Severity.CRITICAL, ("error_rate",))
    assert problem.worst == {"limit:error_rate": pytest.approx(0.6)}  # 8 % is 60 % above 5 %
    assert weeks.night(beyond(exceeded_limit(value=0.09)))[0][0] == "continues"  # 80 % above is less than 1.5 × 60 %
    assert weeks.night(beyond(exceeded_limit(value=0.12)))[0][0] == "worsened"
    assert weeks.night(beyond(exceeded_limit(value=0.12), slow))[0][0] == "worsened"
    assert weeks.night(fine())[0][0] == "recovered"


def test_a_collapse_is_a_problem_of_its_own() -> None:
    """It makes a known problem worse, and is over once the service survives."""
    weeks = Fortnight()
    down = Collapse(happened=("could not be reached from 06:41:12 UTC on (434 requests)",), severity=Severity.WARNING)
    assert weeks.night(worse())[0][0] == "opened"
    assert weeks.night(beyond(exceeded=(), collapse=down))[0][0] == "worsened"
    (problem,) = weeks.book.problems
    assert problem.metrics == ("collapse", "latency_p95")
    assert weeks.night(beyond(exceeded=(), collapse=down))[0][0] == "continues"
    assert weeks.night(fine())[0][0] == "recovered"


def test_a_silenced_metric_silences_its_limit() -> None:
    """Of the service and of its endpoints."""
    weeks = Fortnight()
    weeks.silence(metric="error_rate")
    assert weeks.night(beyond(exceeded_limit(), exceeded_limit(endpoint="market"))) == [
        ("digest", "#digest", "digest , 1 silenced")
    ]


@pytest.mark.parametrize(
    ("low", "high", "event"),
    [
        (0.44, 0.60, "continues"),  # 45 % were reported, and it may be 44 %
        (0.45, 0.60, "continues"),
        (0.46, 0.60, "worsened"),  # significantly more than 45 %
        (-0.60, 0.60, "continues"),
    ],
)
def test_a_significantly_larger_change_is_worse(low: float, high: float, event: str) -> None:
    """The near end of the interval is compared with the largest reported change."""
    weeks = Fortnight()
    weeks.night(worse())
    larger = deviation("latency_p95", P95, severity=Severity.WARNING, **interval(low, high))
    assert weeks.night(worse(GATEWAY, larger))[0][0] == event


@pytest.mark.parametrize(("ratio", "event"), [(0.67, "continues"), (0.68, "worsened")])  # 1.5 × 45 % = 67.5 %
def test_without_an_interval_a_change_must_be_half_as_large_again(ratio: float, event: str) -> None:
    """The history is too short for an interval."""
    weeks = Fortnight()
    weeks.night(worse())
    larger = deviation("latency_p95", P95, severity=Severity.WARNING, shift=Shift(ratio=ratio, absolute=0.02))
    assert weeks.night(worse(GATEWAY, larger))[0][0] == event


def test_a_change_from_zero_is_never_larger() -> None:
    """The first change from an error rate of zero is reported; no later one counts as larger."""
    weeks = Fortnight()
    errors = deviation("error_rate", 0.02, baseline=0.0, severity=Severity.WARNING)
    assert weeks.night(worse(GATEWAY, errors))[0][0] == "opened"
    assert weeks.night(worse(GATEWAY, replace(errors, value=0.5)))[0][0] == "continues"


def test_a_more_severe_problem_is_worse_and_mentions_the_group() -> None:
    """Warning, then critical, then a warning again: the thread continues."""
    weeks = Fortnight()
    critical = replace(worse().deviations[0], severity=Severity.CRITICAL)
    assert weeks.night(worse())[0][2] == "opened trading-gateway"
    assert weeks.night(worse(GATEWAY, critical)) == [("worsened", "#trading", "worsened trading-gateway @S0123")]
    assert weeks.night(worse())[0][0] == "continues"


def test_regressions_with_one_cause_share_a_problem() -> None:
    """The platform shifted: one message by the lead run; the problem ends when each cell is healthy."""
    weeks = Fortnight()
    lead, other = worse(STORE), worse("data-pipeline-service", reported_by=worse(STORE).run_id)
    assert weeks.night(lead, other) == [("opened", "#data", "opened feature-store+data-pipeline")]
    assert weeks.night(lead, other) == [("continues", "#data", "continues feature-store+data-pipeline, night 2")]
    assert weeks.night(fine(STORE), worse("data-pipeline-service")) == [
        ("continues", "#data", "continues data-pipeline, night 3"),
        ("continues", "#data", "partly recovered feature-store, 1 left"),
    ]
    assert weeks.night(fine(STORE), fine("data-pipeline-service")) == [
        ("recovered", "#data", "recovered data-pipeline after 3")
    ]


def test_different_services_are_different_problems() -> None:
    """Each has its own channel."""
    weeks = Fortnight()
    assert weeks.night(worse(), worse(STORE)) == [
        ("opened", "#trading", "opened trading-gateway"),
        ("opened", "#data", "opened feature-store"),
    ]


def test_two_runs_on_one_day_are_one_night() -> None:
    """Somebody triggers the scenario again in the morning."""
    weeks = Fortnight()
    weeks.night(worse(), after=timedelta(hours=3))
    assert weeks.night(worse()) == [("continues", "#trading", "continues trading-gateway, night 1")]


@pytest.mark.parametrize("verdict", [Verdict.INVALID, Verdict.SKIPPED, Verdict.NOT_COMPARABLE, Verdict.NO_BASELINE])
def test_a_night_without_a_verdict_ends_nothing(verdict: Verdict) -> None:
    """It is unknown whether the service is back to normal."""
    weeks = Fortnight()
    weeks.night(worse())
    assert weeks.night(fine(verdict=verdict, deviations=())) == []
    assert weeks.book.problems[0].is_open


def test_a_suspicion_ends_nothing() -> None:
    """The recovery is not confirmed; the suspicion goes into the digest."""
    weeks = Fortnight()
    weeks.night(worse())
    suspicion = replace(worse().deviations[0], is_confirmed=False)
    assert weeks.night(fine(deviations=(suspicion,))) == [("digest", "#digest", "digest trading-gateway, 0 silenced")]
    assert weeks.book.problems[0].is_open


def test_an_accepted_level_is_not_a_recovery() -> None:
    """The p95 is unchanged and passes against a new baseline; at 42.4 ms it has recovered."""
    weeks = Fortnight()
    weeks.night(worse())
    still_there = fine(metrics=metric_values(latency_p95=0.0600))
    assert weeks.night(still_there) == [("accepted", "#trading", "accepted as version 3")]
    back = Fortnight()
    back.night(worse())
    assert back.night(fine(metrics=metric_values(latency_p95=0.0424)))[0][0] == "recovered"


def test_silenced_regressions_are_only_counted() -> None:
    """One metric for three days: another metric still alerts; afterwards the first does, too."""
    weeks = Fortnight()
    weeks.silence(service=GATEWAY, metric="latency_p95")
    assert weeks.night(worse()) == [("digest", "#digest", "digest , 1 silenced")]
    p99 = deviation("latency_p99", 0.2, severity=Severity.WARNING)
    assert weeks.night(worse(GATEWAY, *worse().deviations, p99))[0][0] == "opened"
    assert set(weeks.book.problems[0].worst) == {"latency_p99"}
    weeks.night(fine())
    assert weeks.night(worse())[0][0] == "opened"


@pytest.mark.parametrize(
    ("about", "is_alerted"),
    [
        ({"service": STORE}, True),
        ({"scenario": "normal_trading"}, True),
        ({"scenario": "market_open"}, False),
        ({"metric": "latency_p95"}, False),
        ({"service": GATEWAY, "scenario": "market_open", "metric": "latency_p95"}, False),
        ({"service": GATEWAY, "metric": "error_rate"}, True),
    ],
)
def test_what_a_silence_covers(about: dict[str, str], is_alerted: bool) -> None:
    """Whatever it does not name matches."""
    weeks = Fortnight()
    weeks.silence(**about)
    assert (weeks.night(worse())[0][0] == "opened") is is_alerted


def test_the_digest_has_improvements_and_nothing_for_quiet_nights() -> None:
    """Unless the summary is configured; a night with an invalid run is not quiet."""
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


def test_old_closed_problems_are_removed() -> None:
    """After ninety days; open problems are kept."""
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


def test_events_that_need_attention_now() -> None:
    """Only a new problem and one that got worse."""
    assert {event for event in Event if event.is_page} == {Event.OPENED, Event.WORSENED}


def test_a_silence_is_acknowledged_in_the_threads_that_it_matches() -> None:
    """The reply says who silenced it; other problems get no reply."""
    weeks = Fortnight()
    weeks.night(worse(), worse(STORE))
    before = len(weeks.book.outbox)
    silence = Silence(
        id="a1", by="mara", reason="4711", created_at=weeks.now, until=weeks.now + timedelta(days=1), service=GATEWAY
    )
    AlertWriter(book=weeks.book, now=weeks.now).silence(silence, message("acknowledged by mara"))
    (reply,) = of_part(DeliveryPart.MESSAGE, weeks.book.outbox[before:])
    assert (reply.event, reply.channel, reply.problem_id) == (Event.ACKNOWLEDGED, "#trading", worse().run_id)
    assert weeks.book.silences == [silence]
