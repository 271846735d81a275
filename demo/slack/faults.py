"""Faults that tests inject: failures of Slack and of the network that a client must survive."""

import asyncio
import socket
import struct
from enum import StrEnum
from typing import Any, Self

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.types import Receive, Scope, Send

# In addition to the Web API's methods, these have faults and appear in the calls log.
UPLOAD = "upload"
WEBHOOK = "webhook"

_PROXY_PAGE = "<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>"
_WEBHOOK_STATUS = {
    "no_service": 404,
    "channel_not_found": 404,
    "invalid_token": 403,
    "action_prohibited": 403,
    "channel_is_archived": 410,
}

# The scopes in the error missing_scope; for private channels they start with groups: instead of channels:.
_SCOPES = {
    "conversations.history": "channels:history",
    "conversations.list": "channels:read",
    "conversations.replies": "channels:history",
    "files.completeUploadExternal": "files:write",
    "files.getUploadURLExternal": "files:write",
    "reactions.add": "reactions:write",
    "reactions.remove": "reactions:write",
}


class FaultKind(StrEnum):
    """How a call fails."""

    HTTP_500 = "http_500"
    HTTP_503 = "http_503"
    RATELIMITED = "ratelimited"
    TIMEOUT = "timeout"
    RESET = "reset"
    HTML = "html"
    SLACK_ERROR = "slack_error"


# The response is lost, but the call may still have taken effect.
_ANSWER_LOST = (FaultKind.HTTP_500, FaultKind.HTTP_503, FaultKind.TIMEOUT, FaultKind.RESET, FaultKind.HTML)


class SlackFault(BaseModel):
    """One fault to inject.

    Attributes:
        error: Slack's error code, only for ``slack_error``.
        times: number of calls that fail.
        methods: Web API methods, ``upload`` or ``webhook``; empty means all calls.
        retry_after_s: for ``ratelimited``.
        accept: whether the call takes effect although its response is lost.
        hold_s: for ``timeout``: how long the server stays silent before it closes the connection.
    """

    model_config = ConfigDict(extra="forbid")

    kind: FaultKind
    error: str | None = Field(default=None, pattern=r"^[a-z0-9_]{1,80}$")
    times: int = Field(default=1, ge=1, le=1_000_000)
    methods: list[str] = Field(default_factory=list)
    retry_after_s: int = Field(default=1, ge=0, le=3600)
    accept: bool = False
    hold_s: float = Field(default=60.0, gt=0, le=600)

    @model_validator(mode="after")
    def _check_combination(self) -> Self:
        if (self.kind is FaultKind.SLACK_ERROR) != (self.error is not None):
            raise ValueError("error must be given for slack_error, and for no other kind")
        if self.accept and self.kind not in _ANSWER_LOST:
            words = ", ".join(_ANSWER_LOST)
            raise ValueError(
                f"accept must be false for {self.kind}: it applies to faults that lose the response ({words})"
            )
        return self


class SlackFaults:
    """The active fault, with the number of calls that it still affects."""

    def __init__(self) -> None:
        self.current: SlackFault | None = None

    def take(self, method: str) -> SlackFault | None:
        """Return the fault for a call of ``method``, and count the call; None without a fault."""
        fault = self.current
        if fault is None or (fault.methods and method not in fault.methods):
            return None
        left = fault.times - 1
        self.current = fault.model_copy(update={"times": left}) if left else None
        return fault


class DroppedResponse(Response):
    """No response: the connection is closed, either at once with a reset or after a silence.

    Args:
        silence_s: how long to wait for the client to disconnect; None resets the connection at once.
    """

    def __init__(self, *, silence_s: float | None) -> None:
        super().__init__()
        self.status_code = 0
        self._silence_s = silence_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close the connection of ``scope`` without a response."""
        transport = scope["state"]["transport"]
        if self._silence_s is None:
            # Lingering for zero seconds makes close() send RST instead of FIN.
            linger = struct.pack("ii", 1, 0)
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            await _disconnected(receive, within_s=self._silence_s)
        transport.abort()
        # The server regards the call as finished once the connection has ended.
        await _disconnected(receive, within_s=1.0)


async def _disconnected(receive: Receive, *, within_s: float) -> None:
    """Wait until the client disconnects, at most ``within_s`` seconds."""
    try:
        async with asyncio.timeout(within_s):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return


async def answer(fault: SlackFault, *, method: str, request: Request) -> Response:
    """Return the response to a call of ``method`` under ``fault``."""
    # A client that is still sending would get another error than one that waits for the response.
    await request.body()
    if fault.kind is FaultKind.SLACK_ERROR:
        return _refusal(fault.error or "", method)
    if fault.kind is FaultKind.RATELIMITED:
        headers = {"Retry-After": str(fault.retry_after_s)}
        if method == WEBHOOK:
            return PlainTextResponse("rate_limited", status_code=429, headers=headers)
        return JSONResponse({"ok": False, "error": "ratelimited"}, status_code=429, headers=headers)
    if fault.kind is FaultKind.TIMEOUT:
        return DroppedResponse(silence_s=fault.hold_s)
    if fault.kind is FaultKind.RESET:
        return DroppedResponse(silence_s=None)
    if fault.kind is FaultKind.HTML:
        return HTMLResponse(_PROXY_PAGE)
    status = 500 if fault.kind is FaultKind.HTTP_500 else 503
    return PlainTextResponse("Server Error", status_code=status)


def _refusal(code: str, method: str) -> Response:
    if method in (UPLOAD, WEBHOOK):
        return PlainTextResponse(code, status_code=_WEBHOOK_STATUS.get(code, 400))
    body: dict[str, Any] = {"ok": False, "error": code}
    if code == "missing_scope":
        body |= {"needed": _SCOPES.get(method, "chat:write"), "provided": "identify"}
    return JSONResponse(body)
