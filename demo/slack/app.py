"""Builds the application of the stand-in."""

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
    """The settings of a stand-in.

    Attributes:
        channels: entries ``name`` or ``name=ID``; with any, no other channels are created.
        webhook_channel: name or ID of the channel that webhook messages go to; default: the first
            of ``channels``.
        is_rate_limited: whether more than one message per second in a channel gets HTTP 429.
        clock: epoch seconds.
    """

    channels: Sequence[str] = ()
    webhook_channel: str = ""
    is_rate_limited: bool = False
    clock: Callable[[], float] = time.time


def create_app(settings: Settings) -> FastAPI:
    """Return the application of a new stand-in.

    Raises:
        ValueError: ``channels`` or ``webhook_channel`` is invalid.
    """
    workspace = Workspace(clock=settings.clock, channels=settings.channels, is_rate_limited=settings.is_rate_limited)
    if settings.webhook_channel:
        try:
            workspace.named_channel(settings.webhook_channel)
        except SlackRefusal as err:
            raise ValueError(f"webhook channel {settings.webhook_channel!r}: must be one of the channels") from err
    first = next((channel.id for channel in workspace.channels.values()), WEBHOOK_CHANNEL)
    # No generated documentation: its page loads scripts from another site.
    app = FastAPI(title="Stand-in Slack", openapi_url=None, docs_url=None, redoc_url=None)
    app.state.stand_in = StandIn(
        workspace=workspace, faults=SlackFaults(), webhook_channel=settings.webhook_channel or first
    )
    for router in (control.router, web_api.router, uploads.router, webhook.router, page.router):
        app.include_router(router)
    return app
