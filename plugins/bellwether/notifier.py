"""Sends messages to Slack through Airflow's provider."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from airflow.providers.slack.hooks.slack import SlackHook
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_handlers import (
    ConnectionErrorRetryHandler,
    RateLimitErrorRetryHandler,
    ServerErrorRetryHandler,
)

from include.perf.adapters.slack_blocks import SlackMessage
from include.perf.errors import DeliveryError

log = logging.getLogger(__name__)

BOT_CONNECTION = "slack_api_default"
WEBHOOK_CONNECTION = "slack_default"
RETRIES = 2

UNREACHABLE = (SlackApiError, AirflowException, HTTPError, URLError, ConnectionError, TimeoutError)
"""What the two hooks raise; a read time-out is never retried, because the message may have arrived."""


def send(message: SlackMessage, *, channel: str, charts: Sequence[Path]) -> None:
    """Send a message with its charts: by bot token, else by incoming webhook (text only).

    Raises:
        DeliveryError: there is no connection to Slack, or Slack did not take the message.
    """
    if _has_connection(BOT_CONNECTION):
        _send_as_bot(message, channel=channel, charts=charts)
    elif _has_connection(WEBHOOK_CONNECTION):
        _send_to_webhook(message)
    else:
        raise DeliveryError(
            f"there is no connection {BOT_CONNECTION} (type Slack API, a bot token) nor {WEBHOOK_CONNECTION} "
            f"(an incoming webhook); add one of them. Not sent: {message.text}"
        )


def _has_connection(name: str) -> bool:
    try:
        Connection.get(name)
    except AirflowNotFoundException:
        return False
    return True


def _send_as_bot(message: SlackMessage, *, channel: str, charts: Sequence[Path]) -> None:
    client = SlackHook(
        slack_conn_id=BOT_CONNECTION,
        retry_handlers=[
            ConnectionErrorRetryHandler(max_retry_count=RETRIES),
            RateLimitErrorRetryHandler(max_retry_count=RETRIES),
            ServerErrorRetryHandler(max_retry_count=RETRIES),
        ],
    ).client
    try:
        posted = client.chat_postMessage(
            channel=channel, text=message.text, blocks=message.blocks, unfurl_links=False, unfurl_media=False
        )
    except UNREACHABLE as err:
        raise _undelivered(message, err) from err
    log.info("told Slack in %s: %s", channel, message.text)
    if charts:
        _send_charts(client, posted, message, charts)


def _send_charts(client: Any, posted: Any, message: SlackMessage, charts: Sequence[Path]) -> None:
    """Put the charts into the message's thread; the message counts, so a lost chart is only a warning."""
    uploads = [
        {"file": chart.read_bytes(), "filename": chart.name, "title": chart.stem, "alt_txt": message.image_alt}
        for chart in charts
    ]
    try:
        client.files_upload_v2(file_uploads=uploads, channel=posted["channel"], thread_ts=posted["ts"])
    except UNREACHABLE as err:
        log.warning("Slack has the message but not its charts: %s", _why(err))


def _send_to_webhook(message: SlackMessage) -> None:
    try:
        SlackWebhookHook(slack_webhook_conn_id=WEBHOOK_CONNECTION).send(text=message.text, blocks=message.blocks)
    except UNREACHABLE as err:
        raise _undelivered(message, err) from err
    log.info("told Slack's webhook: %s", message.text)


def _undelivered(message: SlackMessage, err: BaseException) -> DeliveryError:
    if isinstance(err, TimeoutError):
        return DeliveryError(f"Slack did not answer in time; the message may have arrived or not: {message.text}")
    return DeliveryError(f"Slack did not take the message ({_why(err)}): {message.text}")


def _why(err: BaseException) -> str:
    if isinstance(err, SlackApiError):
        return f"error {err.response.get('error', 'unknown')}"
    return f"{type(err).__name__}: {err}"
