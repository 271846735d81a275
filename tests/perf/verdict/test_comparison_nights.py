"""The comparison over nights, scenarios and services: what no single run of a cell could tell."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from include.perf.baselines.entry import Anchor
from include.perf.baselines.history import Night
from include.perf.runs.record import Cause, Deviation, Severity, Verdict
from include.perf.verdict.comparison import Comparison
from tests.nights import (
    BASELINE_VALUES,
    baseline_of,
    cell,
    contender,
    day,
    judge,
    judge_all,
    measured,
    night_on,
    run_on,
)

P95 = "latency_p95"


def the_only(comparison: Comparison) -> Deviation:
    """Return the one deviation there is."""
    (found,) = comparison.deviations
    return found


def nights_at(factor: float, *days: int, verdict: Verdict = Verdict.PASS, **changes: object) -> list[Night]:
    return [night_on(number, {P95: factor}, verdict=verdict, **changes) for number in days]


# Several nights of one cell


def test_a_small_shift_that_lasts() -> None:
    """+7 % is no suspicion in any one night; after some of them it is sure, since the first of them."""
    nights = nights_at(1.07, *range(10, 16))
    result = judge(contender(measured({P95: 1.07}), nights=nights))
    found = the_only(result)
    assert result.verdict is Verdict.REGRESSION
    assert (found.cause, found.is_confirmed, found.severity) == (Cause.CELL, True, Severity.WARNING)
    assert found.shift.low < found.shift.ratio < found.shift.high
    assert found.shift.ratio == pytest.approx(0.07, abs=0.02)
    window = re.search(r"; confirmed by the mean of the last (\d+) nights against .* \(z = ", found.reason)
    assert window is not None
    assert found.since == day(17 - int(window[1]))  # tonight, day 16, is the last of them
    assert judge(contender(measured({P95: 1.07}))).deviations == ()


def test_a_small_shift_for_the_better_that_lasts() -> None:
    """The same the other way is an improvement, for the digest."""
    result = judge(contender(measured({P95: 0.92}), nights=nights_at(0.92, *range(10, 16))))
    assert (result.verdict, the_only(result).severity) == (Verdict.IMPROVEMENT, Severity.DIGEST)


def test_a_lasting_large_shift_needs_no_re_run() -> None:
    """Three nights at +40 % speak for one another."""
    result = judge(contender(measured({P95: 1.4}), nights=nights_at(1.4, 10, 11)))
    found = the_only(result)
    assert (result.verdict, found.is_confirmed, found.since) == (Verdict.REGRESSION, True, day(10))


def test_a_regression_of_three_months_is_still_one() -> None:
    """Sixty flagged nights take nothing from the ten that tonight is held to, and it is known since when it lasts."""
    slow = {"latency_p95": 1.2}
    nights = [night_on(number, slow, verdict=Verdict.REGRESSION, worse=["latency_p95"]) for number in range(10, 70)]
    result = judge(contender(*[measured(slow)] * 3, nights=nights))
    assert (result.verdict, result.nights, result.deviations[0].since) == (Verdict.REGRESSION, 10, day(10))


def test_one_bad_night_in_a_window_is_bounded() -> None:
    """Last night was four times as slow and tonight is as ever: no mean of the two is held against tonight."""
    result = judge(contender(measured(), nights=nights_at(4.0, 10)))
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())


def test_creeping_is_held_to_the_frozen_anchor() -> None:
    """A fifth of a per cent a night: the level creeps along, the anchor of the approved version does not."""
    anchor = Anchor(metrics=BASELINE_VALUES, runs=10, version=3)
    runs = [run_on(number, {P95: 1.002**number}) for number in range(45)]
    crept = baseline_of(runs, anchor=anchor, version=7)
    tonight = measured({P95: 1.002**45})  # +9 %
    found = the_only(judge(contender(tonight, baseline=crept)))
    assert (found.is_worse, found.is_confirmed, found.baseline) == (True, True, 0.4)
    assert "nights against baseline version 3 (z = " in found.reason
    own = replace(crept, anchor=Anchor(metrics=crept.metrics, runs=45, version=7))
    assert not any("version 3" in reason for reason in judge(contender(tonight, baseline=own)).reasons)


def test_a_night_without_the_value_breaks_no_other() -> None:
    """Prometheus lost the CPU in one night; the nights with it are judged."""
    lost = replace(run_on(10), metrics={k: v for k, v in run_on(10).metrics.items() if k != "cpu_usage"})
    nights = [replace(night_on(10), run=lost), *(night_on(number) for number in range(11, 15))]
    assert judge(contender(nights=nights)).verdict is Verdict.PASS
    assert judge(contender(*[measured({"cpu_usage": 1.5})] * 3, nights=nights)).verdict is Verdict.REGRESSION


# Since when, and with which version


def deployed(numbers: Sequence[int], version: str | None, factor: float = 1.0, **changes: object) -> list[Night]:
    return [night_on(number, {P95: factor}, deploy_version=version, **changes) for number in numbers]


def test_it_began_tonight_with_a_new_version() -> None:
    """The version before is said beside it."""
    nights = deployed(range(10, 13), "2.4.0")
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=nights, deploy_version="2.4.1"))
    found = the_only(result)
    assert (found.since, found.first_version, found.previous_version) == (None, "2.4.1", "2.4.0")
    assert found.reason.endswith("; first seen with version 2.4.1 (previous version 2.4.0)")


def test_it_began_tonight_with_the_same_version() -> None:
    """The deployment is not what changed."""
    nights = deployed(range(10, 13), "2.4.0")
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=nights, deploy_version="2.4.0"))
    found = the_only(result)
    assert (found.first_version, found.previous_version) == ("2.4.0", "2.4.0")
    assert found.reason.endswith("; version 2.4.0 (not a new deployment)")


def test_it_began_nights_ago_with_another_version() -> None:
    """Not tonight's version is named but that of the first night of it, found by the unbroken row of flags."""
    before = deployed(range(10, 13), "2.4.0")
    since = deployed(range(13, 16), "2.4.1", 1.4, verdict=Verdict.REGRESSION, worse=[P95])
    nights = [*before, *since]
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=nights, deploy_version="2.5.0"))
    found = the_only(result)
    assert (found.since, found.first_version, found.previous_version) == (day(13), "2.4.1", "2.4.0")
    assert found.reason.endswith("; first seen on 2026-03-15 with version 2.4.1 (previous version 2.4.0)")


def test_a_night_in_between_that_was_fine_ends_the_row() -> None:
    """What was over is not counted in; with so few nights in between, nothing but tonight speaks."""
    old = nights_at(1.4, 10, 11, verdict=Verdict.REGRESSION, worse=[P95])
    fine = [night_on(number) for number in range(12, 20)]
    last = nights_at(1.4, 20, verdict=Verdict.REGRESSION, worse=[P95])
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=[*old, *fine, *last]))
    assert the_only(result).since == day(20)


def test_a_service_that_tells_no_version() -> None:
    """The day alone is said, and of tonight nothing."""
    tonight = judge(contender(*[measured({P95: 1.4})] * 3))
    assert "first seen" not in the_only(tonight).reason
    flagged = nights_at(1.4, 10, verdict=Verdict.REGRESSION, worse=[P95])
    earlier = judge(contender(*[measured({P95: 1.4})] * 3, nights=flagged))
    assert the_only(earlier).reason.endswith("; first seen on 2026-03-12")
    assert (the_only(earlier).first_version, the_only(earlier).previous_version) == (None, None)


def test_a_suspicion_has_no_beginning() -> None:
    """What is not sure did not begin."""
    nights = deployed(range(10, 13), "2.4.0")
    result = judge(contender(measured({P95: 1.4}), nights=nights, deploy_version="2.4.1"))
    assert "first seen" not in the_only(result).reason
    assert (the_only(result).first_version, the_only(result).previous_version) == (None, None)


# All scenarios of a service


def test_the_scenarios_of_a_service_speak_together() -> None:
    """+6.5 % in each of three scenarios of the night: no one is sure, all together are."""
    scenarios = [contender(measured({P95: 1.065}), scenario=name) for name in ("a", "b", "c")]
    for result in judge_all(scenarios):
        found = the_only(result)
        assert result.verdict is Verdict.REGRESSION
        assert (found.cause, found.severity, found.since) == (Cause.SERVICE, Severity.WARNING, None)
        assert found.shift.ratio == pytest.approx(0.065)
        assert found.shift.low < 0.065 < found.shift.high
        assert "; confirmed by all scenarios of the service together tonight (z = " in found.reason
    assert judge(scenarios[0]).verdict is Verdict.PASS


def test_other_scenarios_lend_their_latest_night() -> None:
    """They ran earlier in the week; a night older than eight days says nothing of tonight."""
    lent = [cell(name, *nights_at(1.065, 10)) for name in ("b", "c")]
    tonight = contender(measured({P95: 1.065}), on=11)
    assert the_only(judge(tonight, *lent)).cause is Cause.SERVICE
    late = replace(tonight, at=day(18) + timedelta(seconds=1))
    assert judge(late, *lent).verdict is Verdict.PASS


def test_one_bad_run_is_no_matter_of_the_service() -> None:
    """One scenario was 60 % slower last night: that is its own, and no proof against the others or itself."""
    lent = [cell("b", *nights_at(1.6, 10)), cell("c", night_on(10))]
    assert judge(contender(on=11), *lent).verdict is Verdict.PASS
    slow, steady = judge_all([contender(measured({P95: 1.6})), contender(scenario="calm")])
    assert (slow.verdict, the_only(slow).is_confirmed) == (Verdict.PASS, False)
    assert (steady.verdict, steady.deviations) == (Verdict.PASS, ())


def test_scenarios_of_other_services_say_nothing() -> None:
    """The same nights, but of somebody else."""
    lent = [cell(name, *nights_at(1.065, 10), service="other") for name in ("b", "c")]
    assert judge(contender(measured({P95: 1.065}), on=11), *lent).verdict is Verdict.PASS


def test_a_scenario_that_went_the_other_way_is_not_blamed() -> None:
    """Two scenarios are slower and this one is quicker: the service is slower, but not here."""
    lent = [cell(name, *nights_at(1.15, 10)) for name in ("b", "c")]
    result = judge(contender(measured({P95: 0.98}), on=11), *lent)
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("flags", "severity"),
    [({"service_wide": [P95], "worse": [P95]}, Severity.CRITICAL), ({"worse": [P95]}, Severity.WARNING)],
)
def test_service_wide_is_critical_on_the_second_night(flags: dict[str, list[str]], severity: Severity) -> None:
    """The first night warns; the next one wakes somebody, if it was service-wide before too."""
    last = nights_at(1.065, 10, verdict=Verdict.REGRESSION, **flags)
    names = ("a", "b", "c")
    for result in judge_all([contender(measured({P95: 1.065}), nights=last, scenario=name) for name in names]):
        found = the_only(result)
        assert (found.cause, found.severity, found.since) == (Cause.SERVICE, severity, day(10))


# All services of a night


def platform_of(factor: float, count: int = 5, metric: str = P95) -> tuple[Comparison, ...]:
    return judge_all([contender(measured({metric: factor}), service=f"service-{number}") for number in range(count)])


def test_a_shift_of_the_platform_is_told_as_one() -> None:
    """Five services are 20 % slower in the same night: look at the test bed; nothing to run again, nobody woken."""
    for result in platform_of(1.2):
        found = the_only(result)
        assert (result.verdict, found.cause, found.severity) == (Verdict.REGRESSION, Cause.PLATFORM, Severity.WARNING)
        assert (result.suspicion, result.platform[P95]) == (0, pytest.approx(0.2, rel=0.05))
        assert found.shift.ratio == pytest.approx(0.2)
        assert found.shift.low < 0.2 < found.shift.high
        assert (
            "all 5 services of this night changed alike: check the platform or the test bed first (z = " in found.reason
        )
        assert result.reasons[1] == (
            "subtracted before judging, as all 5 services of this night share it: Latency p95 +20 %"
        )
        assert result.shifts[P95].ratio == pytest.approx(0, abs=0.01)


def test_a_shift_of_the_platform_for_the_better() -> None:
    """A faster machine is an improvement of nobody's, but one."""
    for result in platform_of(0.8):
        assert (result.verdict, the_only(result).cause) == (Verdict.IMPROVEMENT, Cause.PLATFORM)


def test_less_throughput_of_the_platform() -> None:
    """Its part is of the value, where less is worse."""
    for result in platform_of(0.8, metric="throughput"):
        assert (result.verdict, the_only(result).cause) == (Verdict.REGRESSION, Cause.PLATFORM)
        assert result.platform["throughput"] == pytest.approx(-0.2, rel=0.05)
        assert the_only(result).shift.ratio == pytest.approx(-0.2)


def test_a_small_part_of_the_platform_is_taken_out_with_a_note() -> None:
    """+4 % of all is below every floor; it is told, and taken out of what each of them is judged by."""
    for result in platform_of(1.04):
        assert (result.verdict, result.deviations) == (Verdict.PASS, ())
        assert "as all 5 services of this night share it: Latency p95 +3." in result.reasons[1]


def test_three_services_are_no_platform() -> None:
    """From four on one can tell what they share."""
    for result in platform_of(1.2, count=3):
        assert (result.verdict, the_only(result).is_confirmed, result.platform) == (Verdict.PASS, False, {})


def test_what_one_service_does_beyond_the_platform_is_its_own() -> None:
    """All are 5 % slower, one of them 60 %: three runs of it make it a regression of that one."""
    others = [contender(measured({P95: 1.05}), service=f"service-{number}") for number in range(5)]
    slow = contender(*[measured({P95: 1.6})] * 3, service="slow")
    *fine, result = judge_all([*others, slow])
    assert {each.verdict for each in fine} == {Verdict.PASS}
    found = the_only(result)
    assert (result.verdict, found.cause, found.severity) == (Verdict.REGRESSION, Cause.CELL, Severity.CRITICAL)
    assert found.shift.ratio == pytest.approx(1.6 / 1.05 - 1, rel=0.05)


def test_one_service_that_does_not_go_with_the_others_is_no_part_of_it() -> None:
    """Four are slower, the fifth is as ever: it alone has no deviation of the platform."""
    slow = [contender(measured({P95: 1.2}), service=f"service-{number}") for number in range(6)]
    *_, result = judge_all([*slow, contender(service="steady")])
    assert not any(each.cause is Cause.PLATFORM for each in result.deviations)
