"""The parts of a running stand-in, and how routes access them."""

from dataclasses import dataclass

from fastapi import Request

from demo.slack.faults import SlackFaults
from demo.slack.state import Call, Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """The state of a stand-in, its faults, and the channel of webhook messages."""

    workspace: Workspace
    faults: SlackFaults
    webhook_channel: str

    def log_call(self, method: str, *, error: str | None = None, status: int = 200) -> None:
        """Add a call to the calls log."""
        self.workspace.calls.append(Call(method=method, ok=error is None, error=error, status=status))


def stand_in(request: Request) -> StandIn:
    """Return the stand-in that serves a request."""
    found = request.app.state.stand_in
    if not isinstance(found, StandIn):
        raise TypeError(f"app.state.stand_in must be a StandIn, but is {type(found).__name__}")
    return found
