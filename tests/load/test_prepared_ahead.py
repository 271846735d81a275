"""Requests are prepared shortly before they are due: their own values are those of the due time, their token is not."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from include.load.arrival import EndpointRequests
from include.load.tokens import PLACE, CurrentTokens
from include.perf.load.load_plan import LoadPlan
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import Slot, SlotRequests, marker
from tests.load.driven_loads import plan_of
from tests.load.virtual_time import UNIX, VirtualLoad, VirtualTime


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


@pytest.fixture
def plan(tmp_path: Path) -> LoadPlan:
    """A load of 10/s for a second, due at 0.05 s, 0.15 s and so on."""
    return plan_of(tmp_path, "http://gateway", rate_rps=10, max_concurrency=5)


def requests(wire: str, plan: LoadPlan, *, tokens: CurrentTokens | None = None) -> Sequence[EndpointRequests]:
    """Requests that all have a sequence number and their due time."""
    slots = [Slot("sequence", (), "path"), Slot("now", (), "header")]
    contents = SlotValues(slots, {}, Draw())
    endpoint = EndpointRequests(
        name="quotes", method="GET", weight=1, wires=[wire.encode()], check=plan.check_of("quotes"), tokens=tokens
    )
    return [replace(endpoint, slots=SlotRequests(endpoint.wires, contents))]


def test_a_request_has_the_number_and_the_due_time_of_its_arrival(time: VirtualTime, plan: LoadPlan) -> None:
    """Although all ten were prepared when the load began."""
    sent: list[bytes] = []
    load = VirtualLoad(time, plan, requests(f"{marker(0)} {marker(1)}", plan), lambda wire: sent.append(wire) or 0.001)
    load.pass_until(2)
    load.summary()
    assert sent == [
        b"%d 2026-01-07T12:00:00.%03dZ" % (UNIX * 1_000_000 + number, 50 + 100 * number) for number in range(10)
    ]


def test_a_request_has_the_token_of_the_moment_at_which_it_is_sent(time: VirtualTime, plan: LoadPlan) -> None:
    """Tokens that are renewed at 0.5 s are in all later requests."""
    tokens, sent = CurrentTokens(), []
    tokens.renew(["old"])
    load = VirtualLoad(
        time,
        plan,
        requests(f"{marker(0)} {marker(1)} {PLACE}", plan, tokens=tokens),
        lambda wire: sent.append(wire.split()[-1]) or 0.001,
    )
    load.pass_until(0.5)
    tokens.renew(["new"])
    load.pass_until(2)
    load.summary()
    assert sent == [b"old"] * 5 + [b"new"] * 5
