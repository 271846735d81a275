"""The comparison over several nights, scenarios and services."""

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
    """Return the only deviation."""
    (found,) = comparison.deviations
    return found


def nights_at(factor: float, *days: int, verdict: Verdict = Verdict.PASS, **changes: object) -> list[Night]:
    return [night_on(number, {P95: factor}, verdict=verdict, **changes) for number in days]


# Several nights of one cell


def test_a_small_lasting_shift() -> None:
    """+7 % is not suspicious in one night, but significant after several, since the first of them."""
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


def test_a_small_lasting_improvement() -> None:
    """In the other direction it is an improvement, for the digest."""
    result = judge(contender(measured({P95: 0.92}), nights=nights_at(0.92, *range(10, 16))))
    assert (result.verdict, the_only(result).severity) == (Verdict.IMPROVEMENT, Severity.DIGEST)


def test_a_lasting_large_shift_needs_no_re_run() -> None:
    """Three nights at +40 % confirm each other."""
    result = judge(contender(measured({P95: 1.4}), nights=nights_at(1.4, 10, 11)))
    found = the_only(result)
    assert (result.verdict, found.is_confirmed, found.since) == (Verdict.REGRESSION, True, day(10))


def test_a_regression_of_two_months_is_still_found() -> None:
    """Sixty regressions do not replace the ten nights of history, and the start is known."""
    slow = {"latency_p95": 1.2}
    nights = [night_on(number, slow, verdict=Verdict.REGRESSION, worse=["latency_p95"]) for number in range(10, 70)]
    result = judge(contender(*[measured(slow)] * 3, nights=nights))
    assert (result.verdict, result.nights, result.deviations[0].since) == (Verdict.REGRESSION, 10, day(10))


def test_one_bad_night_in_a_window_is_bounded() -> None:
    """Last night was four times as slow, tonight is normal: their mean is not significant."""
    result = judge(contender(measured(), nights=nights_at(4.0, 10)))
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())


def test_a_slow_drift_is_compared_with_the_frozen_anchor() -> None:
    """+0.2 % per night: the history follows, the anchor of the approved version does not."""
    anchor = Anchor(metrics=BASELINE_VALUES, runs=10, version=3)
    runs = [run_on(number, {P95: 1.002**number}) for number in range(45)]
    drifted = baseline_of(runs, anchor=anchor, version=7)
    tonight = measured({P95: 1.002**45})  # +9 %
    found = the_only(judge(contender(tonight, baseline=drifted)))
    assert (found.is_worse, found.is_confirmed, found.baseline) == (True, True, 0.4)
    assert "nights against baseline version 3 (z = " in found.reason
    own = replace(drifted, anchor=Anchor(metrics=drifted.metrics, runs=45, version=7))
    assert not any("version 3" in reason for reason in judge(contender(tonight, baseline=own)).reasons)


def test_a_night_without_a_value_affects_no_other() -> None:
    """One night has no CPU value; the other nights are judged."""
    lost = replace(run_on(10), metrics={k: v for k, v in run_on(10).metrics.items() if k != "cpu_usage"})
    nights = [replace(night_on(10), run=lost), *(night_on(number) for number in range(11, 15))]
    assert judge(contender(nights=nights)).verdict is Verdict.PASS
    assert judge(contender(*[measured({"cpu_usage": 1.5})] * 3, nights=nights)).verdict is Verdict.REGRESSION


# Since when, and with which version


def deployed(numbers: Sequence[int], version: str | None, factor: float = 1.0, **changes: object) -> list[Night]:
    return [night_on(number, {P95: factor}, deploy_version=version, **changes) for number in numbers]


def test_it_began_tonight_with_a_new_version() -> None:
    """The reason names the previous version too."""
    nights = deployed(range(10, 13), "2.4.0")
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=nights, deploy_version="2.4.1"))
    found = the_only(result)
    assert (found.since, found.first_version, found.previous_version) == (None, "2.4.1", "2.4.0")
    assert found.reason.endswith("; first seen with version 2.4.1 (previous version 2.4.0)")


def test_it_began_tonight_with_the_same_version() -> None:
    """The reason says that there was no new deployment."""
    nights = deployed(range(10, 13), "2.4.0")
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=nights, deploy_version="2.4.0"))
    found = the_only(result)
    assert (found.first_version, found.previous_version) == ("2.4.0", "2.4.0")
    assert found.reason.endswith("; version 2.4.0 (not a new deployment)")


def test_it_began_nights_ago_with_another_version() -> None:
    """The reason names the version of the first night in the unbroken series, not tonight's."""
    before = deployed(range(10, 13), "2.4.0")
    since = deployed(range(13, 16), "2.4.1", 1.4, verdict=Verdict.REGRESSION, worse=[P95])
    nights = [*before, *since]
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=nights, deploy_version="2.5.0"))
    found = the_only(result)
    assert (found.since, found.first_version, found.previous_version) == (day(13), "2.4.1", "2.4.0")
    assert found.reason.endswith("; first seen on 2026-03-15 with version 2.4.1 (previous version 2.4.0)")


def test_a_normal_night_ends_the_series() -> None:
    """An earlier, recovered regression does not count."""
    old = nights_at(1.4, 10, 11, verdict=Verdict.REGRESSION, worse=[P95])
    fine = [night_on(number) for number in range(12, 20)]
    last = nights_at(1.4, 20, verdict=Verdict.REGRESSION, worse=[P95])
    result = judge(contender(*[measured({P95: 1.4})] * 3, nights=[*old, *fine, *last]))
    assert the_only(result).since == day(20)


def test_a_service_without_a_version() -> None:
    """The reason has only the day; nothing if it began tonight."""
    tonight = judge(contender(*[measured({P95: 1.4})] * 3))
    assert "first seen" not in the_only(tonight).reason
    flagged = nights_at(1.4, 10, verdict=Verdict.REGRESSION, worse=[P95])
    earlier = judge(contender(*[measured({P95: 1.4})] * 3, nights=flagged))
    assert the_only(earlier).reason.endswith("; first seen on 2026-03-12")
    assert (the_only(earlier).first_version, the_only(earlier).previous_version) == (None, None)


def test_a_suspicion_has_no_first_version() -> None:
    """Only significant changes have a beginning."""
    nights = deployed(range(10, 13), "2.4.0")
    result = judge(contender(measured({P95: 1.4}), nights=nights, deploy_version="2.4.1"))
    assert "first seen" not in the_only(result).reason
    assert (the_only(result).first_version, the_only(result).previous_version) == (None, None)


# All scenarios of a service


def test_the_scenarios_of_a_service_together() -> None:
    """+6.5 % in three scenarios: significant for the service, not for a single scenario."""
    scenarios = [contender(measured({P95: 1.065}), scenario=name) for name in ("a", "b", "c")]
    for result in judge_all(scenarios):
        found = the_only(result)
        assert result.verdict is Verdict.REGRESSION
        assert (found.cause, found.severity, found.since) == (Cause.SERVICE, Severity.WARNING, None)
        assert found.shift.ratio == pytest.approx(0.065)
        assert found.shift.low < 0.065 < found.shift.high
        assert "; confirmed by all scenarios of the service together tonight (z = " in found.reason
    assert judge(scenarios[0]).verdict is Verdict.PASS


def test_other_scenarios_contribute_their_latest_night() -> None:
    """They ran earlier in the week; a night older than eight days does not count."""
    others = [cell(name, *nights_at(1.065, 10)) for name in ("b", "c")]
    tonight = contender(measured({P95: 1.065}), on=11)
    assert the_only(judge(tonight, *others)).cause is Cause.SERVICE
    late = replace(tonight, at=day(18) + timedelta(seconds=1))
    assert judge(late, *others).verdict is Verdict.PASS


def test_one_bad_run_does_not_stand_for_the_service() -> None:
    """One scenario was 60 % slower last night: neither the other scenarios nor the service are affected."""
    others = [cell("b", *nights_at(1.6, 10)), cell("c", night_on(10))]
    assert judge(contender(on=11), *others).verdict is Verdict.PASS
    slow, steady = judge_all([contender(measured({P95: 1.6})), contender(scenario="calm")])
    assert (slow.verdict, the_only(slow).is_confirmed) == (Verdict.PASS, False)
    assert (steady.verdict, steady.deviations) == (Verdict.PASS, ())


def test_scenarios_of_other_services_do_not_count() -> None:
    """The same nights of another service."""
    others = [cell(name, *nights_at(1.065, 10), service="other") for name in ("b", "c")]
    assert judge(contender(measured({P95: 1.065}), on=11), *others).verdict is Verdict.PASS


def test_a_scenario_that_changed_in_the_other_direction_has_no_deviation() -> None:
    """The service is slower in two scenarios, but faster in this one."""
    others = [cell(name, *nights_at(1.15, 10)) for name in ("b", "c")]
    result = judge(contender(measured({P95: 0.98}), on=11), *others)
    assert (result.verdict, result.deviations) == (Verdict.PASS, ())


@pytest.mark.parametrize(
    ("flags", "severity"),
    [({"service_wide": [P95], "worse": [P95]}, Severity.CRITICAL), ({"worse": [P95]}, Severity.WARNING)],
)
def test_service_wide_is_critical_on_the_second_night(flags: dict[str, list[str]], severity: Severity) -> None:
    """The first night is a warning; the next one is critical if the last was service-wide too."""
    last = nights_at(1.065, 10, verdict=Verdict.REGRESSION, **flags)
    names = ("a", "b", "c")
    for result in judge_all([contender(measured({P95: 1.065}), nights=last, scenario=name) for name in names]):
        found = the_only(result)
        assert (found.cause, found.severity, found.since) == (Cause.SERVICE, severity, day(10))


# All services of a night


def platform_of(factor: float, count: int = 5, metric: str = P95) -> tuple[Comparison, ...]:
    return judge_all([contender(measured({metric: factor}), service=f"service-{number}") for number in range(count)])


def test_a_platform_shift_is_reported_as_one() -> None:
    """Five services are 20 % slower in one night: a warning about the platform, without re-runs."""
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


def test_an_improvement_of_the_platform() -> None:
    """A faster machine improves all services."""
    for result in platform_of(0.8):
        assert (result.verdict, the_only(result).cause) == (Verdict.IMPROVEMENT, Cause.PLATFORM)


def test_less_throughput_on_the_platform() -> None:
    """The platform part is a change of the value, where less is worse."""
    for result in platform_of(0.8, metric="throughput"):
        assert (result.verdict, the_only(result).cause) == (Verdict.REGRESSION, Cause.PLATFORM)
        assert result.platform["throughput"] == pytest.approx(-0.2, rel=0.05)
        assert the_only(result).shift.ratio == pytest.approx(-0.2)


def test_a_small_platform_part_is_subtracted_with_a_note() -> None:
    """+4 % of all is below the minimum effect; it is subtracted and noted."""
    for result in platform_of(1.04):
        assert (result.verdict, result.deviations) == (Verdict.PASS, ())
        assert "as all 5 services of this night share it: Latency p95 +3." in result.reasons[1]


def test_three_services_have_no_platform_part() -> None:
    """A common part needs at least four cells."""
    for result in platform_of(1.2, count=3):
        assert (result.verdict, the_only(result).is_confirmed, result.platform) == (Verdict.PASS, False, {})


def test_a_regression_beyond_the_platform_part() -> None:
    """All are 5 % slower, one of them 60 %: with three runs it is a regression of that service."""
    others = [contender(measured({P95: 1.05}), service=f"service-{number}") for number in range(5)]
    slow = contender(*[measured({P95: 1.6})] * 3, service="slow")
    *fine, result = judge_all([*others, slow])
    assert {comparison.verdict for comparison in fine} == {Verdict.PASS}
    found = the_only(result)
    assert (result.verdict, found.cause, found.severity) == (Verdict.REGRESSION, Cause.CELL, Severity.CRITICAL)
    assert found.shift.ratio == pytest.approx(1.6 / 1.05 - 1, rel=0.05)


def test_an_unchanged_service_has_no_platform_deviation() -> None:
    """Six services are slower, the seventh is normal: only that one has no deviation."""
    slow = [contender(measured({P95: 1.2}), service=f"service-{number}") for number in range(6)]
    *_, result = judge_all([*slow, contender(service="steady")])
    assert not any(deviation.cause is Cause.PLATFORM for deviation in result.deviations)
