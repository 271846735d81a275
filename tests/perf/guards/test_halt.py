"""The halt of all load: any text halts."""

from datetime import UTC, datetime

import pytest

from include.perf.guards.halt import Halt, halt_of

AT = datetime(2026, 3, 2, 6, 30, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "  \n"])
def test_no_text_is_no_halt(text: str | None) -> None:
    """Without text, load is not halted."""
    assert halt_of(text) is None


@pytest.mark.parametrize(
    ("text", "halt"),
    [
        (
            '{"by": "mara", "reason": "incident 4711", "at": "2026-03-02T06:30:00+00:00"}',
            Halt(by="mara", reason="incident 4711", at=AT),
        ),
        ('{"by": "mara"}', Halt(by="mara", reason="no reason was given")),
        ('{"reason": "x", "at": "yesterday"}', Halt(by=None, reason="x")),
        ('{"reason": "x", "at": "2026-03-02T06:30:00"}', Halt(by=None, reason="x")),  # of which zone?
        ("mara: incident 4711", Halt(by=None, reason="mara: incident 4711")),
        ("false", Halt(by=None, reason="false")),
        ("0", Halt(by=None, reason="0")),
        ("[]", Halt(by=None, reason="[]")),
        ("two\nlines", Halt(by=None, reason="two lines")),
        ("x" * 1000, Halt(by=None, reason="x" * 300)),
    ],
)  # fmt: skip
def test_any_other_text_halts(text: str, halt: Halt) -> None:
    """A text in an unknown format halts, too."""
    assert halt_of(text) == halt


def test_a_halt_is_described_with_name_time_and_remedy() -> None:
    """On-call reads whom to ask, and how to resume."""
    assert Halt(by="mara", reason="incident 4711", at=AT).describe("remove the file /x") == (
        "load is halted by mara since 2026-03-02 06:30:00 UTC: incident 4711 (to resume, remove the file /x)"
    )
    assert Halt(by=None, reason="release").describe("remove the Variable y") == (
        "load is halted: release (to resume, remove the Variable y)"
    )


def test_a_stored_halt_is_read_back() -> None:
    """The tasks read what the command line writes."""
    halt = Halt(by="mara", reason="incident 4711", at=AT)
    assert halt_of(halt.to_text()) == halt
