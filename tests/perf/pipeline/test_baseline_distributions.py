"""Whose latency distributions a run is drawn beside: those of the very version that it was held to."""

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


def test_a_run_is_drawn_beside_the_runs_of_its_baseline(platform: Platform) -> None:
    """What the first run left: 400 requests in its window; the second run's charts are given it."""
    record = platform.execute()
    (distribution,) = found(platform, record)
    assert distribution.total == 400
    assert distribution.quantiles([0.5]) == pytest.approx((0.041,), rel=0.05)  # 40 ms and 1 ms late
    assert platform.charts.baselines == [(), (distribution,)]


def test_a_later_version_changes_nothing(platform: Platform) -> None:
    """A run keeps to what it was held to, also when the baseline was replaced since; and is never beside itself."""
    record = platform.execute()
    before = found(platform, record)
    platform.promote(find_run(platform.store, record.run_id), reason="again", by="ana")
    assert found(platform, record) == before
    assert record.baseline is not None
    promoted = replace(record, baseline=replace(record.baseline, version=2))
    assert found(platform, promoted) == before


@pytest.mark.parametrize("verdict", [Verdict.NO_BASELINE, Verdict.NOT_COMPARABLE, Verdict.INVALID])
def test_what_was_not_compared_is_drawn_alone(platform: Platform, verdict: Verdict) -> None:
    """A baseline beside it would mislead."""
    assert found(platform, replace(platform.execute(), verdict=verdict)) == ()


def test_runs_of_earlier_versions_have_none(platform: Platform) -> None:
    """The report is the same without; and a baseline may have gone altogether."""
    record = platform.execute()
    for files in platform.store.runs_by_uri.values():
        files.pop(DISTRIBUTION_FILE, None)
    assert found(platform, record) == ()
    platform.baselines.baselines.entries.clear()
    assert found(platform, record) == ()


def test_what_cannot_be_read_keeps_no_report(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """A damaged file, and damaged baselines, are told in the log."""
    record = platform.execute()
    for files in platform.store.runs_by_uri.values():
        files[DISTRIBUTION_FILE] = b"damaged"
    with caplog.at_level(logging.WARNING):
        assert found(platform, record) == ()
        platform.baselines.problem = ConfigurationError("baselines.json is damaged")
        assert found(platform, record) == ()
    first, second = (each.getMessage() for each in caplog.records if each.levelno == logging.WARNING)
    assert "of the baseline is not drawn: memory://orders-service/brief/" in first
    assert second == "cannot read the baseline of orders-service in brief: baselines.json is damaged"
