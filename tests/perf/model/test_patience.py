"""Repeating what failed because a store cannot be used now."""

from collections.abc import Iterator

import pytest

from include.perf.model.errors import (
    BaselineError,
    BellwetherError,
    ItemError,
    NoRecord,
    NotFinished,
    StoreError,
)
from include.perf.model.patience import ONCE, Patience


def outcomes(*found: BellwetherError | str) -> Iterator[BellwetherError | str]:
    return iter(found)


def attempt(found: Iterator[BellwetherError | str]) -> str:
    """Return or raise the next outcome."""
    outcome = next(found)
    if isinstance(outcome, BellwetherError):
        raise outcome
    return outcome


def test_an_outage_passes(caplog: pytest.LogCaptureFixture) -> None:
    """Each pause is longer and logged."""
    waited: list[float] = []
    patience = Patience(pauses_s=(1.0, 5.0), wait=waited.append)
    found = outcomes(StoreError("stale file handle"), StoreError("timed out"), "content")
    assert patience(lambda: attempt(found)) == "content"
    assert waited == [1.0, 5.0]
    assert caplog.messages == ["trying again in 1 s: stale file handle", "trying again in 5 s: timed out"]


def test_an_outage_that_lasts_is_an_error() -> None:
    """After the last pause nothing more is tried."""
    waited: list[float] = []
    found = outcomes(*(StoreError(f"attempt {number}") for number in range(1, 5)))
    with pytest.raises(StoreError, match=r"^attempt 3$"):
        Patience(pauses_s=(1.0, 5.0), wait=waited.append)(lambda: attempt(found))
    assert waited == [1.0, 5.0]


@pytest.mark.parametrize(
    "answer", [ItemError("damaged"), NoRecord("no such run"), NotFinished("no record yet"), BaselineError("damaged")]
)
def test_an_answer_is_not_repeated(answer: BellwetherError) -> None:
    """That there is no record, or a damaged one, is known at once."""
    with pytest.raises(type(answer)):
        Patience(wait=lambda _: pytest.fail("waited"))(lambda: attempt(outcomes(answer)))


def test_a_page_waits_for_nothing() -> None:
    """It shows the error."""
    with pytest.raises(StoreError):
        ONCE(lambda: attempt(outcomes(StoreError("down"))))
