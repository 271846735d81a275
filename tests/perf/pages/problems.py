"""Problems for tests of pages."""

from datetime import timedelta
from typing import Any

from include.perf.alerts.book import Problem, ProblemKind
from include.perf.runs.record import Severity
from tests.entries import CELL, NOW


def problem(**changes: Any) -> Problem:
    """Return a problem seen on two nights: p95 under market_open is 45 % worse."""
    made: dict[str, Any] = {
        "id": "run-1",
        "kind": ProblemKind.REGRESSION,
        "channel": "#trading",
        "cells": (CELL,),
        "title": ":rotating_light: analysis-engine-service is slower under market_open: p95 61.2 ms, +45 %",
        "opened_at": NOW - timedelta(days=2),
        "last_seen_at": NOW,
        "severity": Severity.WARNING,
        "worst": {"latency_p95": 0.45},
        "nights": 2,
    }
    return Problem(**{**made, **changes})
