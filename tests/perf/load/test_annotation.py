"""The annotation of a load on dashboards."""

from datetime import timedelta

from include.perf.load.announcing import annotation_of
from tests.fakes.clock import START
from tests.loads import sent_load


def test_a_load_is_a_moment_and_then_a_region() -> None:
    """2026-03-02 06:29 UTC is 1 772 432 940 s; Grafana counts in milliseconds."""
    begun = annotation_of(sent_load())
    assert begun == {
        "time": 1_772_432_940_000,
        "tags": ["bellwether", "analysis-engine-service", "market_open", "staging"],
        "text": "Load test market_open on analysis-engine-service (staging), up to 500/s: run 20260302T063000Z-aaaaaa",
    }
    ended = annotation_of(sent_load(ended_at=START + timedelta(milliseconds=1500)))
    assert ended == {**begun, "timeEnd": 1_772_433_001_500}
