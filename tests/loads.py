"""Announced loads for tests."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from include.perf.load.announcing import SentLoad
from tests.fakes.clock import START


def sent_load(**changes: Any) -> SentLoad:
    """Return a load of the market open that began a minute ago and takes 16 minutes and 10 s at most."""
    load = SentLoad(
        run_id="20260302T063000Z-aaaaaa",
        service="analysis-engine-service",
        scenario="market_open",
        environment="staging",
        rate_rps=500.0,
        started_at=START - timedelta(minutes=1),
        ends_by=START + timedelta(minutes=15, seconds=10),
    )
    return replace(load, **changes)
