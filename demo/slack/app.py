"""Puts the parts of the stand-in together."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI

from demo.slack import control, page, uploads, web_api, webhook
from demo.slack.faults import SlackFaults
from demo.slack.refusals import SlackRefusal
from demo.slack.standin import StandIn
from demo.slack.state import Workspace

WEBHOOK_CHANNEL = "webhook"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a stand-in behaves.

    Attributes:
        channels: ``name`` or ``name=ID`` each; when given, no others are created.
        webhook_channel: name or ID of the channel that webhook messages go to; by default the first
            of ``channels``.
        is_rate_limited: whether more than one message a second in a channel gets HTTP 429.
        clock: epoch seconds.
    """

    channels: Sequence[str] = ()
    webhook_channel: str = ""
    is_rate_limited: bool = False
    clock: Callable[[], float] = time.time


def create_app(settings: Settings) -> FastAPI:
    """Return the application of one stand-in with a state of its own.

    Raises:
        ValueError: ``channels`` or ``webhook_channel`` cannot be used.
    """
    workspace = Workspace(clock=settings.clock, channels=settings.channels, is_rate_limited=settings.is_rate_limited)
    if settings.webhook_channel:
        try:
            workspace.named_channel(settings.webhook_channel)
        except SlackRefusal as err:
            raise ValueError(f"webhook channel {settings.webhook_channel!r}: must be one of the channels") from err
    first = next((channel.id for channel in workspace.channels.values()), WEBHOOK_CHANNEL)
    # No generated documentation: its page loads scripts from elsewhere.
    app = FastAPI(title="Stand-in Slack", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.stand_in = StandIn(
        workspace=workspace, faults=SlackFaults(), webhook_channel=settings.webhook_channel or first
    )
    for router in (control.router, web_api.router, uploads.router, webhook.router, page.router):
        app.include_router(router)
    return app
