"""Send messages to Slack through Airflow's provider: with a bot token, else through an incoming webhook."""

import logging
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from airflow.providers.slack.hooks.slack import SlackHook
from airflow.providers.slack.hooks.slack_webhook import SlackWebhookHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from slack_sdk.http_retry.builtin_handlers import ConnectionErrorRetryHandler, ServerErrorRetryHandler
from slack_sdk.http_retry.handler import RetryHandler

from bellwether.slack_answers import bounded_bot, bounded_webhook
from bellwether.slack_failures import (
    FAILURES,
    RateLimitRetry,
    UnsentRetry,
    cause,
    kind_of,
    refused_hook,
    remedy,
    source,
    undelivered,
)
from bellwether.slack_search import EVENT_TYPE, find
from include.perf.alerts.book import Delivery, Message, Posted
from include.perf.alerts.channels import Messenger
from include.perf.model.errors import DeliveryError, DeliveryRefused

log = logging.getLogger(__name__)

BOT_CONNECTION = "slack_api_default"
WEBHOOK_CONNECTION = "slack_default"
RETRIES = 2
CLOCKS_APART_S = 60
"""How far the clocks of Slack's servers may be apart."""

_PRINTABLE = re.compile(r"[\x21-\x7e]+\Z")

# Slack's client logs addresses and answers, which may hold secrets; our own errors say what went wrong.
_SILENT = logging.getLogger(f"{__name__}.slack_sdk")
_SILENT.setLevel(logging.CRITICAL + 1)


def messenger() -> Messenger:
    """Return the messenger of the configured connection; the bot token takes precedence.

    Raises:
        DeliveryError: there is no connection, or it cannot be used.
    """
    if _has_connection(BOT_CONNECTION):
        return SlackBot()
    if _has_connection(WEBHOOK_CONNECTION):
        return SlackWebhook()
    raise DeliveryError(
        f"Slack is not configured; add the connection {BOT_CONNECTION} (type Slack API, with a bot token) or "
        f"{WEBHOOK_CONNECTION} (an incoming webhook)"
    )


def _has_connection(name: str) -> bool:
    try:
        Connection.get(name)
    except AirflowNotFoundException:
        return False
    return True


class SlackBot:
    """Posts with the bot token of the connection ``slack_api_default``.

    A call that must not be duplicated is retried only if nothing can have arrived. An idempotent call is retried after
    any temporary failure.

    Raises:
        DeliveryError: the connection cannot be used.
    """

    has_threads = True

    def __init__(self) -> None:
        self._once = _bot([UnsentRetry(RETRIES), RateLimitRetry(RETRIES)])
        self._repeat = _bot(
            [ConnectionErrorRetryHandler(RETRIES), RateLimitRetry(RETRIES), ServerErrorRetryHandler(RETRIES)]
        )
        self._moment: str | None = None

    def moment(self) -> str | None:
        """Return when Slack was called first, by its own clock; ``None`` if its answer does not have the time.

        Raises:
            DeliveryError: Slack does not accept the token, or cannot be reached.
        """
        if self._moment is not None:
            return self._moment
        try:
            answer = self._repeat.auth_test()
        except FAILURES as err:
            raise DeliveryError(
                f"Slack cannot be used ({cause(err)}); {remedy(err, BOT_CONNECTION)}; messages stay pending"
            ) from source(err)
        self._moment = _time_of(answer.headers)
        return self._moment

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Send a message, as a reply where a thread is given; return its place, if Slack's answer has it.

        Raises:
            DeliveryError: the message did not arrive; see `include.perf.alerts.channels.Messenger` for its kinds.
        """
        place: dict[str, Any] = {"channel": delivery.channel}
        if thread is not None:
            place = {"channel": thread.channel, "thread_ts": thread.ts, "reply_broadcast": broadcast}
        try:
            answer = self._once.chat_postMessage(
                **place,
                text=delivery.message.slack_text,
                blocks=delivery.message.blocks,
                metadata={"event_type": EVENT_TYPE, "event_payload": {"id": delivery.id}},
                unfurl_links=False,
                unfurl_media=False,
            )
        except FAILURES as err:
            raise undelivered(err, text=delivery.message.text, connection=BOT_CONNECTION) from source(err)
        log.info("posted to Slack in %s: %s", delivery.channel, delivery.message.text)
        channel, ts = answer.get("channel"), answer.get("ts")
        return Posted(channel, ts) if isinstance(channel, str) and isinstance(ts, str) else None

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Look up a message that was sent before by its id; see `bellwether.slack_search.find`."""
        return find(self._repeat, delivery, thread=thread, connection=BOT_CONNECTION)

    def replace(self, posted: Posted, message: Message) -> None:
        """Replace the content of a message; this is idempotent.

        Raises:
            DeliveryError: the message is probably unchanged; see `include.perf.alerts.channels.Messenger`.
        """
        try:
            self._repeat.chat_update(
                channel=posted.channel, ts=posted.ts, text=message.slack_text, blocks=message.blocks
            )
        except FAILURES as err:
            raise kind_of(err)(
                f"Slack did not update a message ({cause(err)}); {remedy(err, BOT_CONNECTION)}: {message.text}"
            ) from source(err)

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Upload charts into the thread of a message.

        Raises:
            DeliveryError: the charts were not uploaded; see `include.perf.alerts.channels.Messenger` for its kinds.
        """
        if not charts:
            return
        try:
            uploads = [
                {"file": chart.read_bytes(), "filename": chart.name, "title": chart.stem, "alt_txt": alt}
                for chart in charts
            ]
        except OSError as err:
            raise DeliveryRefused(f"cannot read the chart {err.filename}: {err.strerror}") from err
        try:
            self._once.files_upload_v2(file_uploads=uploads, channel=posted.channel, thread_ts=posted.ts)
        except FAILURES as err:
            lost = type(undelivered(err, text="", connection=BOT_CONNECTION))
            raise lost(
                f"Slack accepted the message but not its charts ({cause(err)}); {remedy(err, BOT_CONNECTION)}"
            ) from source(err)


class SlackWebhook:
    """Posts through the incoming webhook of the connection ``slack_default``, into the channel of the webhook.

    Raises:
        DeliveryError: the connection cannot be used.
    """

    has_threads = False

    def __init__(self) -> None:
        self._client = _webhook([UnsentRetry(RETRIES), RateLimitRetry(RETRIES)])

    def moment(self) -> str | None:
        """Return ``None``, because a webhook cannot look up messages."""
        return None

    def post(self, delivery: Delivery, *, thread: Posted | None, broadcast: bool) -> Posted | None:
        """Send a message; its place in Slack is unknown.

        Raises:
            DeliveryError: the message did not arrive; see `include.perf.alerts.channels.Messenger` for its kinds.
        """
        text = delivery.message.text
        try:
            answer = self._client.send(
                text=delivery.message.slack_text, blocks=delivery.message.blocks, unfurl_links=False, unfurl_media=False
            )
        except FAILURES as err:
            # "from None": the text of the cause may hold the webhook's address.
            raise undelivered(err, text=text, connection=WEBHOOK_CONNECTION) from None
        if (answer.status_code, answer.body.strip()) != (200, "ok"):
            raise refused_hook(answer.status_code, answer.body.strip(), text=text, connection=WEBHOOK_CONNECTION)
        log.info("posted to Slack through the webhook: %s", text)
        return None

    def find(self, delivery: Delivery, *, thread: Posted | None) -> Posted | None:
        """Refuse, because a webhook cannot read.

        Raises:
            DeliveryRefused: always.
        """
        raise DeliveryRefused(
            "the message may have arrived, but a webhook cannot search for it; look into its channel, or add the "
            f"connection {BOT_CONNECTION}: {delivery.message.text}"
        )

    def replace(self, posted: Posted, message: Message) -> None:
        """Refuse, because a webhook cannot update a message.

        Raises:
            DeliveryRefused: always.
        """
        raise DeliveryRefused(f"a webhook cannot update a message; add the connection {BOT_CONNECTION}: {message.text}")

    def attach(self, posted: Posted, charts: Sequence[Path], *, alt: str) -> None:
        """Skip the charts, because a webhook cannot upload files; the message is complete without them."""
        log.info("a webhook cannot upload files; %d charts are skipped", len(charts))


def _bot(handlers: list[RetryHandler]) -> Any:
    try:
        client = SlackHook(slack_conn_id=BOT_CONNECTION, retry_handlers=handlers, logger=_SILENT).client
    except (AirflowException, ValueError):
        # "from None": the text of the cause may hold secrets of the connection.
        raise _unusable(BOT_CONNECTION) from None
    if not _PRINTABLE.match(client.token or ""):
        raise _unusable(BOT_CONNECTION)
    return bounded_bot(client)


def _webhook(handlers: list[RetryHandler]) -> Any:
    try:
        hook = SlackWebhookHook(slack_webhook_conn_id=WEBHOOK_CONNECTION, retry_handlers=handlers, logger=_SILENT)
        client = hook.client
    except (AirflowException, ValueError):
        raise _unusable(WEBHOOK_CONNECTION) from None
    if not _PRINTABLE.match(client.url):
        raise _unusable(WEBHOOK_CONNECTION)
    return bounded_webhook(client)


def _unusable(connection: str) -> DeliveryError:
    secret = "bot token (xoxb-…)" if connection == BOT_CONNECTION else "webhook's address or its last part (T…/B…/…)"
    return DeliveryError(
        f"the connection {connection} cannot be used: its password must be the {secret} without spaces or line breaks, "
        "and its timeout a whole number of seconds"
    )


def _time_of(headers: Mapping[str, str]) -> str | None:
    """Return when an answer was made, less `CLOCKS_APART_S`, as Slack writes the time of a message."""
    date = next((value for name, value in headers.items() if name.lower() == "date"), "")
    try:
        return f"{parsedate_to_datetime(date).timestamp() - CLOCKS_APART_S:.6f}"
    except ValueError:
        return None
