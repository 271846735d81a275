"""Asking for silence."""

from datetime import timedelta
from typing import Any

import pytest

from include.perf.alert import AlertBook, CellName, Silence
from include.perf.errors import ConfigurationError
from include.perf.silence import SilenceRequest, lift, silence_of
from tests.fakes import START, Platform


def asked(platform: Platform, **changes: Any) -> Silence:
    """Ask for a week about the p99 of a service."""
    made: dict[str, Any] = {
        "by": "mara",
        "reason": "release 2.5",
        "days": 7,
        "service": "orders",
        "metric": "latency_p99",
    }
    return silence_of(SilenceRequest(**(made | changes)), platform.catalogue, now=START)


def test_a_silence_says_what_who_why_and_until_when(platform: Platform) -> None:
    """A short name means the service; at its end it is over by itself."""
    silence = asked(platform)
    assert (silence.by, silence.reason, silence.service) == ("mara", "release 2.5", "orders-service")
    assert silence.until == START + timedelta(days=7)
    assert silence.is_active(START)
    assert not silence.is_active(silence.until)
    assert silence.covers(CellName("orders-service", "any"), "latency_p99")
    assert not silence.covers(CellName("orders-service", "any"), "latency_p95")


def test_everything_wrong_is_said_at_once(platform: Platform) -> None:
    """Five mistakes, five sentences."""
    with pytest.raises(ConfigurationError) as caught:
        asked(platform, service="x", scenario="y", metric="z", days=91, reason=" ")
    assert [problem.split(";")[0].split(",")[0] for problem in caught.value.problems] == [
        "service 'x' is not in the catalogue",
        "scenario 'y' is not in the catalogue",
        "metric 'z' is unknown",
        "days must be more than 0 and at most 90",
        "a silence needs a reason: it is shown wherever the silence is listed",
    ]


def test_nobody_silences_everything(platform: Platform) -> None:
    """That is what the halt switch is for."""
    with pytest.raises(ConfigurationError, match="name at least one"):
        asked(platform, service=None, metric=None)


def test_a_silence_can_be_lifted(platform: Platform) -> None:
    """By its id; one that is over is none."""
    silence = asked(platform)
    book = AlertBook(silences=[silence])
    with pytest.raises(ConfigurationError, match=f"there is no silence 'zz'; active ones are {silence.id}"):
        lift(book, "zz", now=START)
    with pytest.raises(ConfigurationError, match="active ones are none"):
        lift(book, silence.id, now=silence.until)
    assert lift(book, silence.id, now=START) == silence
    assert book.silences == []
