"""Loads that share workers on other machines: one at a time, and not comparable with loads from this machine."""

from tests.fakes.small_platform import Platform

POOL = "Locust workers at 0.0.0.0:5557"


def test_the_pool_is_reserved_with_the_target(platform: Platform) -> None:
    """So the next load waits, whatever its target."""
    platform.generator.pool = POOL
    platform.loaded()
    assert [claim.targets for claim in platform.reservations.claims] == [("10.0.0.7:8000", POOL)]


def test_the_fingerprint_says_where_the_load_comes_from(platform: Platform) -> None:
    """Another network is another measurement; a load from this machine has no such part, as before."""
    local = platform.execute()
    platform.generator.pool = POOL
    distributed = platform.execute()
    assert dict(distributed.fingerprint) == dict(local.fingerprint) | {"generators": "distributed"}


def test_the_record_and_the_report_name_the_machines(platform: Platform) -> None:
    """The machines that sent the load, and the uncertainty of their clocks."""
    platform.generator.log_changes = {
        "workers": 3,
        "hosts": ("load-a", "load-b", "load-a"),
        "clock_uncertainty_s": 0.0004,
    }
    uri = platform.loaded()
    platform.run_stages.scrape(uri)
    platform.night_stages.compare([uri])
    record = platform.night_stages.report(uri)
    assert record.generator is not None
    assert (record.generator.hosts, record.generator.clock_uncertainty_s) == (("load-a", "load-b", "load-a"), 0.0004)
    report = (platform.store.read(uri, "report.md") or b"").decode()
    assert "3 processes on load-a, load-b, at most one core each" in report
    assert "± 0.400 ms" in report
