"""The incoming webhook: the request is a JSON object, the response one word.

Source: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
"""

import re
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response

from demo.slack import faults
from demo.slack.arguments import BODY_BYTES, as_bool, decode_object, read_body
from demo.slack.content import read_content, read_metadata
from demo.slack.refusals import RateLimited, SlackRefusal
from demo.slack.standin import StandIn, stand_in
from demo.slack.state import SlackMessage

_SERVICE = re.compile(r"T[A-Z0-9]+/B[A-Z0-9]+/([^/]*)\Z")
_TOKEN = re.compile(r"[A-Za-z0-9]{3,64}\Z")
# The webhook determines channel and sender: Slack ignores these.
_IGNORED = frozenset({"channel", "username", "icon_emoji", "icon_url", "link_names"})
_KNOWN = frozenset({"text", "blocks", "attachments", "mrkdwn", "unfurl_links", "unfurl_media", "metadata"})
_STATUS = {"no_service": 404, "channel_not_found": 404, "invalid_token": 403, "ratelimited": 429}

router = APIRouter()


@router.post("/services/{service:path}")
async def send(service: str, request: Request) -> Response:
    """Store a message in the webhook's channel, and respond with ``ok``."""
    serving = stand_in(request)
    fault = serving.faults.take(faults.WEBHOOK)
    error = None
    if fault is None or fault.accept:
        answer = await _answered(serving, service, request)
        error = None if answer.status_code == 200 else bytes(answer.body).decode()
    if fault is not None:
        answer = await faults.answer(fault, method=faults.WEBHOOK, request=request)
        error = fault.error or f"fault:{fault.kind}"
    serving.log_call(faults.WEBHOOK, error=error, status=answer.status_code)
    return answer


async def _answered(serving: StandIn, service: str, request: Request) -> Response:
    try:
        _check_service(service)
        _store(serving, await _payload(request))
    except RateLimited as refusal:
        headers = {"Retry-After": str(refusal.retry_after_s)}
        return PlainTextResponse("rate_limited", status_code=429, headers=headers)
    except SlackRefusal as refusal:
        return PlainTextResponse(refusal.code, status_code=_STATUS.get(refusal.code, 400))
    return PlainTextResponse("ok")


def _check_service(service: str) -> None:
    match = _SERVICE.match(service)
    if match is None:
        raise SlackRefusal("no_service")
    if not _TOKEN.match(match[1]):
        raise SlackRefusal("invalid_token")


async def _payload(request: Request) -> dict[str, Any]:
    try:
        payload = decode_object(await read_body(request, BODY_BYTES))
    except SlackRefusal as err:
        raise SlackRefusal("invalid_payload") from err
    if not set(payload) <= _KNOWN | _IGNORED:
        # Including thread_ts: a webhook returns no ts, so there is no thread to reply to.
        raise SlackRefusal("invalid_payload")
    return payload


def _store(serving: StandIn, payload: dict[str, Any]) -> None:
    workspace = serving.workspace
    try:
        content = read_content(payload, workspace.files)
        metadata = read_metadata(payload)
        is_mrkdwn = as_bool(payload, "mrkdwn", default=True)
    except SlackRefusal as err:
        if err.code == "invalid_arguments":
            raise SlackRefusal("invalid_payload") from err
        raise
    if content.is_empty:
        raise SlackRefusal("no_text")
    channel = workspace.named_channel(serving.webhook_channel)
    workspace.check_rate(channel)
    workspace.add(
        SlackMessage(
            channel=channel.id,
            ts=workspace.next_ts(),
            text=content.text,
            blocks=content.blocks,
            attachments=content.attachments,
            metadata=metadata,
            is_mrkdwn=is_mrkdwn,
            via="webhook",
        )
    )
