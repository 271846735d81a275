"""The quarterly review: what is outdated, drifting, improved or ready for approval, and the proposed command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline, Spread
from include.perf.baselines.history import Night, night_of, passed_since, runs_to_promote_with
from include.perf.baselines.review import Finding, FindingKind, anchor_shifts, review
from include.perf.baselines.spread import JUDGED_ON_LOG
from include.perf.model.metric import METRICS, Unit
from include.perf.model.numbers import format_value
from include.perf.runs.record import RunRecord, Verdict
from tests.records import metric_values, run_record

START = datetime(2026, 3, 2, 6, 38, tzinfo=UTC)
SERVICE, SCENARIO = "orders", "brief"
SPREAD = dict.fromkeys(JUDGED_ON_LOG, Spread(own=0.02, pooled=0.02, pooled_dof=4.0))


def record(day: int, p95: float = 0.2, verdict: Verdict = Verdict.PASS, **values: float | str) -> RunRecord:
    """Return the run of a day; day 0 is the first; p95 in seconds."""
    return run_record(
        run_id=f"r{day}",
        service=SERVICE,
        scenario=SCENARIO,
        started_at=START + timedelta(days=day),
        verdict=verdict,
        metrics=metric_values(latency_p95=p95, **values),
    )


def night(day: int, p95: float = 0.2, verdict: Verdict = Verdict.PASS, **values: float | str) -> Night:
    found = night_of(record(day, p95, verdict, **values))
    assert found is not None
    return found


def nights(first_day: int, *p95: float, verdict: Verdict = Verdict.PASS) -> list[Night]:
    """Return one night per day, from a day on."""
    return [night(first_day + number, value, verdict) for number, value in enumerate(p95)]


def entry_of(runs: int, *, by: str = "ana") -> Baseline:
    """Return a baseline of ``runs`` runs of 200 ms on days 0, 1, 2, …, with a spread of 2 % between runs."""
    baselines = Baselines()
    for day in range(runs):
        at = START + timedelta(days=day, hours=1)
        entry = baselines.promote(record(day), approval=Approval(by=by, at=at, reason="x", run_id=f"r{day}"))
    return replace(entry, spread=SPREAD)


def reviewed(entry: Baseline, found: Sequence[Night], *, day: int = 20) -> tuple[Finding, ...]:
    baselines = Baselines(entries={SERVICE: {SCENARIO: entry}})
    return review(baselines, {(SERVICE, SCENARIO): found}, now=START + timedelta(days=day))


def only(findings: Sequence[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_no_findings() -> None:
    """A current, approved baseline whose nights agree with it."""
    assert reviewed(entry_of(10), nights(10, *[0.2] * 7)) == ()
    assert review(Baselines(), {}, now=START) == ()


def test_a_cell_without_nights() -> None:
    """Without results, only the dates in the file count."""
    baselines = Baselines(entries={SERVICE: {SCENARIO: entry_of(10)}})
    assert review(baselines, {}, now=START + timedelta(days=20)) == ()


# dates


@pytest.mark.parametrize(
    ("day", "kinds"),
    [
        (101, []),  # approved on day 9 at 07:38; 92 days later is day 101 at 07:38
        (102, [FindingKind.REVIEW_DUE]),
        (193, [FindingKind.REVIEW_DUE]),
        (194, [FindingKind.EXPIRED]),  # instead of due
    ],
)
def test_outdated_baselines(day: int, kinds: list[FindingKind]) -> None:
    """A quarter after the approval the review is due; after two quarters the baseline expires."""
    assert [finding.kind for finding in reviewed(entry_of(10), [], day=day)] == kinds


def test_due_with_a_night_that_passed() -> None:
    """Promoting the latest one renews the baseline: 10 runs and 3 nights since."""
    finding = only(reviewed(entry_of(10), nights(10, 0.2, 0.2, 0.206), day=104))
    assert finding == Finding(
        service=SERVICE,
        scenario=SCENARIO,
        version=10,
        kind=FindingKind.REVIEW_DUE,
        text="the review was due on 2026-06-11, 2 days ago; approved by ana on 2026-03-11",
        run_id="r12",
        proposes="version 11, approved, 13 runs: Latency p95 200 ms (now 200 ms)",
    )
    assert finding.command == "python -m include.perf baselines promote r12 --reason '…'"


def test_the_latest_night_that_passed_is_proposed() -> None:
    """Nights with a significant change, and runs behind the baseline, are not proposed."""
    found = [*nights(8, 0.2, 0.2, 0.2), night(11, 0.3, Verdict.REGRESSION), night(12, 0.1, Verdict.IMPROVEMENT)]
    assert only(reviewed(entry_of(10), found, day=104)).run_id == "r10"


def test_expired_without_a_night_that_passed() -> None:
    """The finding has no proposal."""
    finding = only(reviewed(entry_of(10), [night(10, 0.3, Verdict.REGRESSION)], day=200))
    assert (finding.run_id, finding.proposes, finding.command) == (None, None, None)
    assert finding.text == ("expired on 2026-09-11, so deviations are warnings at most; approved by ana on 2026-03-11")


def test_nights_of_another_load_are_not_proposed() -> None:
    """They were compared with another baseline."""
    other = replace(night(10), fingerprint={"load": "other"})
    assert only(reviewed(entry_of(10), [other], day=104)).run_id is None


def test_nights_that_passed_against_a_replaced_version_are_not_proposed() -> None:
    """Day 3 passed against version 1, which day 9 replaced by force."""
    baselines = Baselines()
    for day, is_forced in ((0, False), (9, True)):
        at = START + timedelta(days=day)
        approval = Approval(by="ana", at=at, reason="x", run_id="r")
        entry = baselines.promote(record(day, 0.2 + day / 10), approval=approval, force=is_forced)
    finding = only(reviewed(entry, [replace(night(3), version=1)], day=120))
    assert (finding.kind, finding.run_id) == (FindingKind.REVIEW_DUE, None)


def test_plain_numbers_are_replaced() -> None:
    """They have no fingerprint; the latest night that passed starts a new baseline."""
    entry = entry_of(1)
    unknown = tuple(replace(run, at=None, run_id="unknown") for run in entry.runs)
    finding = only(reviewed(replace(entry, fingerprint={}, runs=unknown), nights(5, 0.21, 0.22), day=190))
    assert (finding.kind, finding.run_id) == (FindingKind.EXPIRED, "r6")
    assert finding.proposes == "version 2, provisional, 1 run: Latency p95 220 ms (now 200 ms)"
    assert finding.command == "python -m include.perf baselines promote r6 --reason '…'"


# drift


@pytest.mark.parametrize(
    ("p95", "is_drifting"),
    [
        (0.200, False),
        (0.205, False),  # 5 ms is exactly half of the minimum effect of 5 %
        (0.2051, True),  # ln 1.0255 = 0.0252 over 0.02 × √(1/7 + 1/10) = 0.00986 is 2.6 standard errors
        (0.195, False),  # for the better
    ],
)
def test_drift_exceeds_half_a_minimum_effect(p95: float, is_drifting: bool) -> None:
    """The mean of the last seven nights against the anchor of 200 ms."""
    found = reviewed(entry_of(10), nights(10, *[p95] * 7))
    assert [finding.kind for finding in found] == ([FindingKind.DRIFTING] if is_drifting else [])


@pytest.mark.parametrize(
    ("spread", "is_drifting"),
    [
        (0.029, True),  # ln 1.03 = 0.02956 over 0.029 × 0.4928 = 0.01429: 2.07 standard errors
        (0.031, False),  # over 0.01528: 1.93
    ],
)
def test_drift_exceeds_two_standard_errors(spread: float, is_drifting: bool) -> None:
    """With a larger spread, the same 3 % are weaker evidence."""
    entry = replace(
        entry_of(10), spread=dict.fromkeys(JUDGED_ON_LOG, Spread(own=spread, pooled=spread, pooled_dof=4.0))
    )
    assert bool(reviewed(entry, nights(10, *[0.206] * 7))) == is_drifting


def test_drift_in_words() -> None:
    """Size, anchor and standard errors; no proposal, because a promotion would make the drift normal."""
    finding = only(reviewed(entry_of(10), nights(10, *[0.206] * 7), day=20))
    assert finding.kind is FindingKind.DRIFTING
    assert finding.text == (
        "Latency p95 is 206 ms over the last 7 nights and was 200 ms (+3.0 %, 3.0 standard errors); "
        "find the cause before you promote a run"
    )
    assert (finding.run_id, finding.proposes) == (None, None)


def test_drift_that_the_baseline_has_followed() -> None:
    """Baseline and nights are at 206 ms, but the anchor is frozen at 200 ms."""
    baselines = Baselines(entries={SERVICE: {SCENARIO: entry_of(10)}})
    for day in range(10, 40):
        approval = Approval(by="ana", at=START + timedelta(days=day), reason="x", run_id="r")
        entry = baselines.promote(record(day, 0.206), approval=approval)
    assert entry.metrics["latency_p95"] == 0.206
    finding = only(reviewed(replace(entry, spread=SPREAD), [], day=41))
    assert (finding.kind, "was 200 ms (+3.0 %" in finding.text) == (FindingKind.DRIFTING, True)


def test_regressions_are_not_drift() -> None:
    """They were reported on their night."""
    found = nights(10, *[0.3] * 7, verdict=Verdict.REGRESSION)
    assert reviewed(entry_of(10), found) == ()


def test_a_slow_platform_is_not_drift() -> None:
    """206 ms in nights when all services were 3 % slower."""
    found = [replace(made, run=replace(made.run, platform={"latency_p95": 0.03})) for made in nights(10, *[0.206] * 7)]
    assert reviewed(entry_of(10), found) == ()


@pytest.mark.parametrize(("later", "is_drifting"), [([0.3], False), ([0.3, 0.3], True)])
def test_three_nights_are_needed(later: list[float], is_drifting: bool) -> None:
    """One run and two nights are three; their mean is 200 × 1.5^(2/3) = 262 ms."""
    found = reviewed(entry_of(1), nights(1, *later))
    assert [finding.kind for finding in found] == ([FindingKind.DRIFTING] if is_drifting else [])


def test_less_throughput_is_worse() -> None:
    """Half of 5 % of 499.5/s is 12.5/s."""
    slower = [night(10 + number, throughput=480.0) for number in range(7)]
    faster = [night(10 + number, throughput=515.0) for number in range(7)]
    assert only(reviewed(entry_of(10), slower)).text.startswith("Throughput is 480/s over the last 7 nights and was 50")
    assert reviewed(entry_of(10), faster) == ()  # +3.1 % is less than the minimum effect


def test_with_drift_there_is_no_proposal() -> None:
    """The review is due and ten nights agree, but a promotion would make the drift normal."""
    findings = reviewed(entry_of(3), nights(3, *[0.206] * 10), day=120)
    assert [finding.kind for finding in findings] == [FindingKind.REVIEW_DUE, FindingKind.DRIFTING, FindingKind.READY]
    assert {finding.command for finding in findings} == {None}


# improvement


@pytest.mark.parametrize(
    ("p95", "is_improved"),
    [
        ([0.189] * 7, True),  # 11 ms better, minimum effect 10 ms; ln 0.945 = −0.0566: 5.7 standard errors
        ([0.191] * 7, False),  # 9 ms
        ([0.189] * 6, False),  # with the run of day 9 the mean is 190.5 ms
        ([0.189] * 6 + [0.25], False),
    ],
)
def test_a_week_beyond_the_minimum_effect_is_an_improvement(p95: list[float], is_improved: bool) -> None:
    """Nights that passed: for one night the improvement was not significant."""
    found = reviewed(entry_of(10), nights(10, *p95))
    assert [finding.kind for finding in found] == ([FindingKind.IMPROVED] if is_improved else [])


def test_an_improvement_needs_three_standard_errors() -> None:
    """11 ms better with a spread of 4 %: 0.0566 over 0.04 × 0.4928 = 0.0197 is 2.9."""
    wide = dict.fromkeys(JUDGED_ON_LOG, Spread(own=0.04, pooled=0.04, pooled_dof=4.0))
    assert reviewed(replace(entry_of(10), spread=wide), nights(10, *[0.189] * 7)) == ()


def test_the_proposal_of_a_week_that_passed() -> None:
    """The latest run starts a new baseline; as it only passed, this needs force."""
    finding = only(reviewed(entry_of(10), nights(10, *[0.18] * 6, 0.176)))
    assert finding.text == ("Latency p95 is 179 ms over the last 7 nights and was 200 ms (−10 %, 11.0 standard errors)")
    assert finding.proposes == "version 11, provisional, 1 run: Latency p95 176 ms (now 200 ms)"
    assert finding.command == "python -m include.perf baselines promote r16 --force --reason '…'"


@pytest.mark.parametrize(
    ("p95", "is_improved"),
    [
        ([0.193] * 7, True),  # 7 ms: less than the minimum effect of 10 ms, but significant every night
        ([0.193] * 6 + [0.2001], False),  # one was worse
        ([0.193] * 6, False),  # six nights
        ([0.196] * 7, False),  # 4 ms is less than half a minimum effect
    ],
)
def test_a_week_of_improvements(p95: list[float], is_improved: bool) -> None:
    """Seven nights with that verdict, all better than the anchor."""
    found = reviewed(entry_of(10), nights(10, *p95, verdict=Verdict.IMPROVEMENT))
    assert [finding.kind for finding in found] == ([FindingKind.IMPROVED] if is_improved else [])


def test_the_proposal_of_a_week_of_improvements() -> None:
    """A run with that verdict starts a new baseline without force."""
    finding = only(reviewed(entry_of(10), nights(10, *[0.15] * 7, verdict=Verdict.IMPROVEMENT)))
    assert finding.command == "python -m include.perf baselines promote r16 --reason '…'"
    assert (finding.run_id, finding.is_new_baseline) == ("r16", False)


@pytest.mark.parametrize(
    ("passed", "improved", "proposed"),
    [
        (7, 0, "provisional, 1 run: Latency p95 144 ms"),  # by force, without earlier runs
        (0, 7, "candidate, 7 runs: Latency p95 147 ms"),  # the median of 150, 149, …, 144
        (2, 5, "candidate, 5 runs: Latency p95 146 ms"),  # the series starts with the third night; 148, 147, …, 144
        (6, 1, "provisional, 1 run: Latency p95 144 ms"),
    ],
)
def test_the_proposal_is_what_the_promotion_makes(passed: int, improved: int, proposed: str) -> None:
    """For every kind of week, the promotion gives the proposed version, state, runs and value."""
    entry = entry_of(10)
    verdicts = [Verdict.PASS] * passed + [Verdict.IMPROVEMENT] * improved
    week = [night(10 + number, 0.15 - number / 1000, verdict) for number, verdict in enumerate(verdicts)]
    finding = only(reviewed(entry, week))
    assert finding.proposes == f"version 11, {proposed} (now 200 ms)"
    baselines = Baselines(entries={SERVICE: {SCENARIO: entry}})
    latest = record(16, 0.144, verdicts[-1])
    made = baselines.promote(
        latest,
        approval=Approval(by="ana", at=START, reason="faster", run_id="r16"),
        force="--force" in str(finding.command),
        since=runs_to_promote_with(week, entry, latest),
    )
    runs = "1 run" if len(made.runs) == 1 else f"{len(made.runs)} runs"
    value = format_value(made.metrics["latency_p95"], Unit.SECONDS)
    assert finding.proposes == f"version {made.version}, {made.state}, {runs}: Latency p95 {value} (now 200 ms)"


def test_a_week_with_a_regression_is_not_an_improvement() -> None:
    """Faster with a higher resource usage is a trade-off that a person has to decide."""
    found = [*nights(10, *[0.15] * 6, verdict=Verdict.IMPROVEMENT), night(16, 0.15, Verdict.REGRESSION)]
    assert reviewed(entry_of(10), found) == ()


def test_improvement_and_drift_together() -> None:
    """Both are reported, without a proposal that would accept the drift."""
    found = [night(10 + number, 0.15, cpu_usage=1.87 * 1.08) for number in range(7)]
    findings = reviewed(entry_of(10), found)
    assert [(finding.kind, finding.text.split(" is ")[0], finding.command) for finding in findings] == [
        (FindingKind.DRIFTING, "CPU", None),
        (FindingKind.IMPROVED, "Latency p95", None),
    ]


def test_an_improvement_that_was_promoted() -> None:
    """The anchor is the new baseline, so there is no finding."""
    baselines = Baselines(entries={SERVICE: {SCENARIO: entry_of(10)}})
    approval = Approval(by="ana", at=START + timedelta(days=17), reason="faster", run_id="r16")
    entry = baselines.promote(record(16, 0.15, Verdict.IMPROVEMENT), approval=approval)
    found = nights(10, *[0.15] * 7, verdict=Verdict.IMPROVEMENT) + nights(17, *[0.15] * 7)
    assert reviewed(replace(entry, spread=SPREAD), found, day=25) == ()


# ready


@pytest.mark.parametrize(
    ("runs", "later", "text"),
    [
        (3, 6, None),  # 9 nights
        (3, 7, "10 nights agree with it; 10 and a promotion by a named person approve it"),
        (1, 20, "21 nights agree with it; 10 and a promotion by a named person approve it"),
        (10, 5, None),  # it is approved
    ],
)
def test_ready_to_be_approved(runs: int, later: int, text: str | None) -> None:
    """Its own runs and the nights that passed since are enough for an approval."""
    found = reviewed(entry_of(runs), nights(runs, *[0.2] * later))
    assert [finding.text for finding in found] == ([text] if text else [])


def test_the_proposal_of_a_ready_baseline() -> None:
    """3 runs and 8 nights: the latest is promoted together with the seven before."""
    finding = only(reviewed(entry_of(3), nights(3, *[0.2] * 8)))
    assert (finding.kind, finding.run_id) == (FindingKind.READY, "r10")
    assert finding.proposes == "version 4, approved, 11 runs: Latency p95 200 ms (now 200 ms)"


@pytest.mark.parametrize(("runs", "later"), [(1, 1), (1, 9), (3, 8), (10, 3), (40, 12)])
def test_the_proposal_to_strengthen_is_what_the_promotion_makes(runs: int, later: int) -> None:
    """The promotion gives the proposed version, state and number of runs."""
    entry, found = entry_of(runs), nights(runs, *[0.2] * later)
    finding = next(finding for finding in reviewed(entry, found, day=300) if finding.run_id)
    latest = record(runs + later - 1)
    assert finding.run_id == latest.run_id
    since = passed_since(found, entry, before=latest.started_at)
    approval = Approval(by="ben", at=START, reason="review", run_id=latest.run_id)
    made = Baselines(entries={SERVICE: {SCENARIO: entry}}).promote(latest, approval=approval, since=since)
    count = "1 run" if len(made.runs) == 1 else f"{len(made.runs)} runs"
    assert finding.proposes == f"version {made.version}, {made.state}, {count}: Latency p95 200 ms (now 200 ms)"
    assert len(made.runs) == min(runs + later, 45)


def test_one_proposal_per_cell() -> None:
    """Due and ready: only the stronger finding has the proposal."""
    findings = reviewed(entry_of(3), nights(3, *[0.2] * 8), day=120)
    assert [(finding.kind, finding.run_id) for finding in findings] == [
        (FindingKind.REVIEW_DUE, None),
        (FindingKind.READY, "r10"),
    ]


def test_regressions_do_not_count_for_an_approval() -> None:
    """They do not agree with the baseline."""
    found = [*nights(3, *[0.2] * 6), *nights(9, 0.3, 0.3, verdict=Verdict.REGRESSION)]
    assert reviewed(entry_of(3), found) == ()


def test_ten_runs_that_a_schedule_promoted() -> None:
    """A person has to promote the next run; until then there is no proposal."""
    entry = entry_of(10, by="schedule")
    assert only(reviewed(entry, [])).command is None
    finding = only(reviewed(entry, nights(10, 0.2)))
    assert (finding.kind, finding.run_id) == (FindingKind.READY, "r10")
    assert finding.proposes == "version 11, approved, 11 runs: Latency p95 200 ms (now 200 ms)"


# order and measures


def test_findings_are_in_order() -> None:
    """By service, scenario, then the most urgent first."""
    old, young = entry_of(3), entry_of(3)
    baselines = Baselines(entries={"b": {"y": old, "x": old}, "a": {"z": young}})
    found = nights(3, *[0.2] * 9)
    by_cell = {("b", "y"): found, ("b", "x"): found}
    findings = review(baselines, by_cell, now=START + timedelta(days=300))
    assert [(finding.service, finding.scenario, finding.kind) for finding in findings] == [
        ("a", "z", FindingKind.EXPIRED),
        ("b", "x", FindingKind.EXPIRED),
        ("b", "x", FindingKind.READY),
        ("b", "y", FindingKind.EXPIRED),
        ("b", "y", FindingKind.READY),
    ]


def test_a_metric_without_values_or_anchor_is_left_out() -> None:
    """Missing data, a missing anchor or a missing spread give no shift."""
    entry = entry_of(10)
    runs = [night(day, latency_p99="no answers").run for day in range(10, 17)]
    anchor = replace(entry.anchor, metrics={**entry.anchor.metrics})
    del anchor.metrics["throughput"]  # type: ignore[attr-defined]
    spread = {name: of_metric for name, of_metric in SPREAD.items() if name != "cpu_usage"}
    found = anchor_shifts(replace(entry, anchor=anchor, spread=spread), runs)
    assert [shift.metric.name for shift in found] == ["latency_p50", "latency_p95", "memory_usage", "disk_usage"]


@pytest.mark.parametrize(
    ("name", "factor", "minimum_effects"),
    [
        ("latency_p95", 1.05, 1.0),  # 10 ms of 200 ms
        ("latency_p95", 0.95, -1.0),
        ("throughput", 0.95, 1.0),
        ("memory_usage", 1.05, 1.0),  # 39.5 of 790.5 MiB
        ("cpu_usage", 1.10, 1.0),
    ],
)
def test_worsening_in_minimum_effects(name: str, factor: float, minimum_effects: float) -> None:
    """1 is one minimum effect worse."""
    entry = entry_of(10)
    changed: dict[str, Any] = {"latency_p95": 0.2} | {name: entry.metrics[name] * factor}
    p95 = changed.pop("latency_p95")
    found = anchor_shifts(entry, [night(day, p95, **changed).run for day in range(10, 17)])
    (shift,) = [shift for shift in found if shift.metric is METRICS[name]]
    assert shift.worsening_in_minimum_effects() == pytest.approx(minimum_effects, rel=1e-6)
    assert abs(shift.z) == pytest.approx(abs(shift.shift) / 0.00986, rel=1e-3)
