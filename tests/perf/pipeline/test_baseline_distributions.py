"""The latency distributions in a run's chart: those of the baseline version that it was compared with."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.measure.distribution import Distribution
from include.perf.model.errors import ConfigurationError
from include.perf.pipeline.finishing import baseline_distributions
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import DISTRIBUTION_FILE
from include.perf.runs.stage_files import find_run
from tests.fakes.small_platform import Platform


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    """A baseline of one run."""
    return Platform(tmp_path).with_baseline()


def found(platform: Platform, record: RunRecord) -> tuple[Distribution, ...]:
    return baseline_distributions(record, store=platform.store, baselines=platform.baselines)


def test_a_chart_shows_the_runs_of_the_baseline(platform: Platform) -> None:
    """The first run left 400 requests in its window; the chart of the second run gets them."""
    record = platform.execute()
    (distribution,) = found(platform, record)
    assert distribution.total == 400
    assert distribution.quantiles([0.5]) == pytest.approx((0.041,), rel=0.05)  # 40 ms and 1 ms late
    assert platform.charts.baselines == [(), (distribution,)]


def test_a_later_version_changes_nothing(platform: Platform) -> None:
    """The chart shows the version of the comparison, even if it was replaced since, and never the run itself."""
    record = platform.execute()
    before = found(platform, record)
    platform.promote(find_run(platform.store, record.run_id), reason="again", by="ana")
    assert found(platform, record) == before
    assert record.baseline is not None
    promoted = replace(record, baseline=replace(record.baseline, version=2))
    assert found(platform, promoted) == before


@pytest.mark.parametrize("verdict", [Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE, Verdict.INVALID])
def test_a_run_without_a_comparison_is_drawn_alone(platform: Platform, verdict: Verdict) -> None:
    """A baseline in its chart would mislead."""
    assert found(platform, replace(platform.execute(), verdict=verdict)) == ()


def test_runs_of_earlier_versions_have_no_distribution(platform: Platform) -> None:
    """The report works without it, and also without a baseline."""
    record = platform.execute()
    for files in platform.store.runs_by_uri.values():
        files.pop(DISTRIBUTION_FILE, None)
    assert found(platform, record) == ()
    platform.baselines.baselines.entries.clear()
    assert found(platform, record) == ()


def test_unreadable_distributions_do_not_stop_the_report(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged file and damaged baselines are logged."""
    record = platform.execute()
    for files in platform.store.runs_by_uri.values():
        files[DISTRIBUTION_FILE] = b"damaged"
    with caplog.at_level(logging.WARNING):
        assert found(platform, record) == ()
        platform.baselines.problem = ConfigurationError("baselines.json is damaged")
        assert found(platform, record) == ()
    first, second = (entry.getMessage() for entry in caplog.records if entry.levelno == logging.WARNING)
    assert "of the baseline is not drawn: memory://orders-service/brief/" in first
    assert second == "cannot read the baseline of orders-service in brief: baselines.json is damaged"
