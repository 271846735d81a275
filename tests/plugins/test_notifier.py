"""The messengers against a strict Slack stand-in: what arrives, what is retried, and how failures are described.

Whatever happens, no message arrives twice.
"""

import json
import logging
import socket
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bellwether.notifier import SlackBot, SlackWebhook, messenger
from slack_sdk.http_retry.builtin_interval_calculators import BackoffRetryIntervalCalculator

from include.perf.alerts.book import Delivery, Event, Message, Posted
from include.perf.alerts.channels import Messenger
from include.perf.model.errors import DeliveryError, DeliveryRefused, DeliveryUnknown, ThreadGone
from tests.plugins.conftest import TOKEN, WEBHOOK_SECRET, StandIn

GOLDEN = Path(__file__).parents[1] / "golden" / "charts"
CHARTS = (GOLDEN / "regression_comparison.png", GOLDEN / "regression_latency.png")
TEXT = "orders is slower under market_open: p95 42.1 → 61.2 ms"
METADATA = {"event_type": "bellwether_alert", "event_payload": {"id": "d1"}}
POST = "chat.postMessage"
UNKNOWN_REMEDY = "see https://docs.slack.dev for the meaning of this error"
LOST_ANSWERS = ("http_500", "http_503", "timeout", "reset", "html")


def message(text: str = TEXT) -> Message:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return Message(text=text, plain="more", blocks=[section], image_alt="two curves")


@pytest.fixture
def delivery() -> Delivery:
    """An alert about a p95 that rose from 42.1 to 61.2 ms."""
    return Delivery(
        id="d1", event=Event.OPENED, channel="#performance", message=message(), created_at=datetime.now(UTC)
    )


@pytest.fixture(autouse=True)
def _no_secrets(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever happens, no log line of the test holds a secret."""
    for name in ("bellwether", "slack_sdk", "airflow"):
        caplog.set_level(logging.DEBUG, logger=name)
    yield
    assert TOKEN not in caplog.text
    assert "SECRET" not in caplog.text


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no pause between retries, unless Slack requires one."""
    monkeypatch.setattr(BackoffRetryIntervalCalculator, "calculate_sleep_duration", lambda *_: 0.0)
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.random.random", lambda: 0.0)


def failed(call: Callable[..., object], *given: Any, **named: Any) -> DeliveryError:
    """Make a call that must fail; the printed error must not hold a secret."""
    with pytest.raises(DeliveryError) as caught:
        call(*given, **named)
    printed = "".join(traceback.format_exception(caught.value))
    assert TOKEN not in printed
    assert "SECRET" not in printed
    return caught.value


def post(way: Messenger, delivery: Delivery, thread: Posted | None = None) -> Posted:
    posted = way.post(delivery, thread=thread, broadcast=False)
    assert posted is not None
    return posted


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


# Sending


def test_a_message_arrives_with_the_id_of_its_delivery(bot: StandIn, delivery: Delivery) -> None:
    """Its place is returned as an ID, whatever the channel was called."""
    posted = post(SlackBot(), delivery)
    (only,) = bot.messages()
    assert posted == Posted(only["channel"], only["ts"])
    assert (only["channel_name"], only["text"], only["thread_ts"]) == ("performance", TEXT, None)
    assert only["blocks"] == delivery.message.blocks
    assert only["metadata"] == METADATA


@pytest.mark.parametrize("broadcast", [True, False])
def test_a_reply_goes_into_its_thread(bot: StandIn, delivery: Delivery, broadcast: bool) -> None:
    """And also into the channel, where requested."""
    way = SlackBot()
    thread = post(way, delivery)
    posted = way.post(replace(delivery, id="d2"), thread=thread, broadcast=broadcast)
    _, reply = bot.messages()
    assert posted == Posted(thread.channel, reply["ts"])
    assert (reply["thread_ts"], reply["reply_broadcast"]) == (thread.ts, broadcast)


@pytest.mark.parametrize("kind", LOST_ANSWERS)
@pytest.mark.parametrize("accept", [True, False])
def test_a_lost_answer_never_causes_a_second_message(bot: StandIn, delivery: Delivery, kind: str, accept: bool) -> None:
    """Slack may have accepted the message, so it is not retried."""
    bot.fail(kind=kind, accept=accept)
    err = failed(post, SlackBot(), delivery)
    assert isinstance(err, DeliveryUnknown)
    assert str(err).startswith("Slack did not confirm the message (")
    assert str(err).endswith(f"); it may have arrived: {TEXT}")
    assert bot.calls() == [POST]
    assert bot.texts() == ([TEXT] if accept else [])


@pytest.mark.parametrize("kind", LOST_ANSWERS)
@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("in_thread", [True, False])
def test_a_look_up_before_a_retry_prevents_duplicates(
    bot: StandIn, delivery: Delivery, kind: str, accept: bool, in_thread: bool
) -> None:
    """A message that arrived is found by its id, another is sent: one message either way."""
    way = SlackBot()
    thread = post(way, replace(delivery, id="d0", message=message("first"))) if in_thread else None
    bot.fail(kind=kind, accept=accept)
    failed(way.post, delivery, thread=thread, broadcast=False)
    found = way.find(delivery, thread=thread)
    assert (found is not None) == accept
    if found is None:
        found = post(way, delivery, thread)
    assert way.find(delivery, thread=thread) == found
    assert bot.texts().count(TEXT) == 1


@pytest.mark.parametrize("code", ["fatal_error", "internal_error", "service_unavailable"])
def test_an_internal_error_of_slack_is_unconfirmed(bot: StandIn, delivery: Delivery, code: str) -> None:
    """By its documentation the operation may have succeeded partly."""
    bot.fail(kind="slack_error", error=code)
    assert isinstance(failed(post, SlackBot(), delivery), DeliveryUnknown)
    assert bot.calls() == [POST]


def test_a_rate_limit_is_respected(bot: StandIn, delivery: Delivery) -> None:
    """Slack accepted nothing and requires a pause; afterwards the message arrives once."""
    bot.fail(kind="ratelimited", retry_after_s=0, times=2)
    post(SlackBot(), delivery)
    assert bot.texts() == [TEXT]
    assert bot.calls() == [POST] * 3


def test_the_pause_is_that_of_slack(bot: StandIn, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After: 7 is seven seconds."""
    pauses: list[float] = []
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.time.sleep", pauses.append)
    bot.fail(kind="ratelimited", retry_after_s=7)
    post(SlackBot(), delivery)
    assert pauses == [7.0]


@pytest.mark.parametrize(("retry_after_s", "tries"), [(0, 3), (30, 3), (31, 1)])
def test_a_persistent_rate_limit_is_a_failure(
    bot: StandIn, delivery: Delivery, monkeypatch: pytest.MonkeyPatch, retry_after_s: int, tries: int
) -> None:
    """The message did not arrive. A pause of more than 30 s is left to the next task."""
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.time.sleep", lambda _: None)
    bot.fail(kind="ratelimited", retry_after_s=retry_after_s, times=100)
    err = failed(post, SlackBot(), delivery)
    assert type(err) is DeliveryError
    assert str(err) == (
        f"Slack did not accept the message (error ratelimited); no action needed: it is delivered later: {TEXT}"
    )
    assert bot.calls() == [POST] * tries


TOKEN_REMEDY = "correct the bot token (xoxb-…) in the connection slack_api_default"
INVITE = "invite the bot to the channel (/invite in Slack), or correct the channel in services.yaml"


@pytest.mark.parametrize(
    ("code", "remedy", "kind"),
    [
        ("invalid_auth", TOKEN_REMEDY, DeliveryError),  # of every message: nothing is given up
        ("token_revoked", TOKEN_REMEDY, DeliveryError),
        ("channel_not_found", INVITE, DeliveryRefused),
        ("not_in_channel", INVITE, DeliveryRefused),
        ("invalid_blocks", UNKNOWN_REMEDY, DeliveryRefused),
        ("msg_too_long", UNKNOWN_REMEDY, DeliveryRefused),
        ("strange_error", UNKNOWN_REMEDY, DeliveryRefused),
        ("thread_not_found", "the thread was deleted; no reply is possible", ThreadGone),
    ],
)
def test_a_refusal_has_slacks_error_code_and_a_remedy(
    bot: StandIn, delivery: Delivery, code: str, remedy: str, kind: type[DeliveryError]
) -> None:
    """The message did not arrive and is not retried; its kind is that of what has to change."""
    bot.fail(kind="slack_error", error=code, times=100)
    err = failed(post, SlackBot(), delivery)
    assert type(err) is kind
    assert str(err) == f"Slack did not accept the message (error {code}); {remedy}: {TEXT}"
    assert bot.calls() == [POST]


@pytest.mark.parametrize("code", ["invalid_auth", "missing_scope"])
def test_a_token_that_slack_does_not_accept_sends_nothing(bot: StandIn, code: str) -> None:
    """It is known before a message is sent, so that no message is in doubt."""
    bot.fail(kind="slack_error", error=code, times=100, methods=["auth.test"])
    err = failed(SlackBot().moment)
    assert type(err) is DeliveryError
    assert str(err).startswith(f"Slack cannot be used (error {code}")


def test_a_reply_to_a_deleted_message_says_so(bot: StandIn, delivery: Delivery) -> None:
    """The stand-in answers as Slack does: nothing is posted, by no method."""
    way = SlackBot()
    thread = post(way, delivery)
    bot.http.delete("/_standin/messages").raise_for_status()
    assert type(failed(post, way, replace(delivery, id="d2"), thread)) is ThreadGone
    assert type(failed(way.find, replace(delivery, id="d2"), thread=thread)) is ThreadGone
    assert type(failed(way.replace, thread, message("over"))) is ThreadGone
    assert bot.texts() == []


def test_a_missing_scope_is_named(bot: StandIn, delivery: Delivery) -> None:
    """The error names the permission that the app lacks."""
    bot.fail(kind="slack_error", error="missing_scope")
    assert str(failed(post, SlackBot(), delivery)) == (
        "Slack did not accept the message (error missing_scope, needs chat:write); "
        f"add the scope chat:write to the Slack app and reinstall it: {TEXT}"
    )


def connect(monkeypatch: pytest.MonkeyPatch, base_url: str, password: str = TOKEN, timeout: object = 1) -> None:
    connection = {"conn_type": "slack", "password": password, "extra": {"base_url": base_url, "timeout": timeout}}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))


def test_a_refused_connection_means_that_nothing_arrived(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is not unconfirmed."""
    connect(monkeypatch, f"http://127.0.0.1:{unused_port()}/api/")
    err = failed(post, SlackBot(), delivery)
    assert type(err) is DeliveryError
    assert str(err) == (
        "Slack did not accept the message (not reached: Connection refused); check the network, the proxy, and the "
        f"address in the connection slack_api_default: {TEXT}"
    )


@pytest.mark.parametrize("base_url", ["http://no-such-host.invalid/api/", "ftp://127.0.0.1/", "http://a b/"])
def test_an_unusable_address(delivery: Delivery, monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    """Nothing can have been sent."""
    connect(monkeypatch, base_url)
    assert type(failed(post, SlackBot(), delivery)) is DeliveryError


def test_a_refused_connection_is_retried(bot: StandIn, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack is reachable on the second attempt, and has one message."""
    real, refusals = socket.create_connection, [ConnectionRefusedError(111, "Connection refused")]

    def connect_later(*given: Any, **named: Any) -> socket.socket:
        if refusals:
            raise refusals.pop()
        return real(*given, **named)

    way = SlackBot()
    with monkeypatch.context() as patched:
        patched.setattr("http.client.socket.create_connection", connect_later)
        post(way, delivery)
    assert refusals == []
    assert bot.texts() == [TEXT]


# Looking up messages


@pytest.mark.parametrize("channel", ["#performance", "performance", "C0PERFORM01"])
def test_a_message_is_found_by_its_id(bot: StandIn, delivery: Delivery, channel: str) -> None:
    """In a channel given by name or by ID, among others with the same text."""
    way, wanted = SlackBot(), replace(delivery, channel=channel)
    post(way, replace(wanted, id="d0"))
    posted = post(way, wanted)
    post(way, replace(wanted, id="d2"))
    assert way.find(wanted, thread=None) == posted
    assert way.find(replace(wanted, id="d3"), thread=None) is None


def test_a_message_is_found_behind_many_later_ones(bot: StandIn, delivery: Delivery) -> None:
    """205 messages are two pages of 200."""
    way = SlackBot()
    posted = post(way, delivery)
    for number in range(204):
        bot.http.post("/services/T1/B1/XYZ", json={"text": str(number)}).raise_for_status()
    answer = bot.http.get("/_standin/messages").json()["messages"]
    (mine,) = [sent for sent in answer if sent["channel_name"] == "performance"]
    for number in range(204):
        way._once.chat_postMessage(channel=mine["channel"], text=str(number))
    assert way.find(delivery, thread=None) == posted
    assert bot.calls()[-2:] == ["conversations.history"] * 2


@pytest.mark.parametrize("our_clock", [timedelta(days=1), timedelta(days=-1), timedelta(0)])
def test_only_slacks_clock_bounds_a_look_up(bot: StandIn, delivery: Delivery, our_clock: timedelta) -> None:
    """Ours may be wrong by a day. Messages from more than a minute before the first attempt are left out."""
    way = SlackBot()
    since = way.moment()
    assert since is not None
    assert way.moment() == since
    assert bot.calls() == ["auth.test"]
    wanted = replace(delivery, created_at=delivery.created_at + our_clock, since=since)
    posted = post(way, wanted)
    assert way.find(wanted, thread=None) == posted
    assert way.find(replace(wanted, since=None), thread=None) == posted
    assert way.find(replace(wanted, since=f"{float(posted.ts) + 1:.6f}"), thread=None) is None
    assert abs(float(posted.ts) - 60 - float(since)) < 30


def test_a_reply_is_looked_up_in_its_thread(bot: StandIn, delivery: Delivery) -> None:
    """The channel does not show it."""
    way = SlackBot()
    thread = post(way, replace(delivery, id="d0"))
    posted = post(way, delivery, thread)
    assert way.find(delivery, thread=thread) == posted
    assert way.find(delivery, thread=None) is None


FAULTS_OF_READING: tuple[dict[str, Any], ...] = (
    {"kind": "slack_error", "error": "missing_scope"},
    {"kind": "http_500"},
    {"kind": "http_503"},
    {"kind": "timeout"},
    {"kind": "reset"},
    {"kind": "html"},
    {"kind": "ratelimited", "retry_after_s": 0},
)


@pytest.mark.parametrize("method", ["conversations.list", "conversations.history"])
@pytest.mark.parametrize("fault", FAULTS_OF_READING)
def test_a_failed_look_up_is_an_error(bot: StandIn, delivery: Delivery, fault: dict[str, Any], method: str) -> None:
    """It is never taken for "the message did not arrive"."""
    way = SlackBot()
    post(way, delivery)
    bot.fail(**fault, times=100, methods=[method])
    err = failed(way.find, delivery, thread=None)
    assert type(err) is (DeliveryRefused if fault.get("error") else DeliveryUnknown)  # permanent, or temporary
    assert str(err).startswith("the message may have arrived, but Slack cannot be searched for it (")
    if fault.get("error"):
        scope = "channels:read" if method == "conversations.list" else "channels:history"
        assert f"add the scope {scope} to the Slack app" in str(err)


def test_a_failed_look_up_in_a_thread_is_an_error(bot: StandIn, delivery: Delivery) -> None:
    """Like in a channel."""
    way = SlackBot()
    thread = post(way, delivery)
    bot.fail(kind="slack_error", error="missing_scope", times=100, methods=["conversations.replies"])
    assert "Slack cannot be searched for it" in str(failed(way.find, delivery, thread=thread))


@pytest.mark.usefixtures("bot")
def test_a_channel_that_slack_does_not_list(delivery: Delivery) -> None:
    """The bot may be able to post to it without seeing it."""
    assert str(failed(SlackBot().find, replace(delivery, channel="#never-seen"), thread=None)) == (
        "a message to #never-seen may have arrived, but cannot be searched for: Slack lists no such channel; "
        "set its ID (C…) in services.yaml"
    )


@pytest.mark.parametrize("kind", ["http_500", "http_503", "reset"])
def test_a_look_up_is_retried(bot: StandIn, delivery: Delivery, kind: str) -> None:
    """It is idempotent, so a temporary failure costs only a retry."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(kind=kind, times=2, methods=["conversations.history"])
    assert way.find(delivery, thread=None) == posted


# Updates and charts


@pytest.mark.parametrize("fault", [None, "http_500", "http_503", "reset", "ratelimited"])
def test_a_message_is_replaced(bot: StandIn, delivery: Delivery, fault: str | None) -> None:
    """The update is idempotent, so a temporary failure is retried; the message can still be found."""
    way = SlackBot()
    posted = post(way, delivery)
    if fault:
        bot.fail(kind=fault, methods=["chat.update"], **({"retry_after_s": 0} if fault == "ratelimited" else {}))
    way.replace(posted, message("over"))
    (only,) = bot.messages()
    assert (only["text"], only["blocks"], only["edited"]) == ("over", message("over").blocks, True)
    assert way.find(delivery, thread=None) == posted


@pytest.mark.parametrize("fault", FAULTS_OF_READING)
def test_a_message_that_cannot_be_replaced(bot: StandIn, delivery: Delivery, fault: dict[str, Any]) -> None:
    """It says what it said before."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(**fault, times=100, methods=["chat.update"])
    assert str(failed(way.replace, posted, message("over"))).startswith("Slack did not update a message (")
    assert bot.texts() == [TEXT]


def test_a_deleted_message_cannot_be_replaced(bot: StandIn, delivery: Delivery) -> None:
    """The error says so, and nothing is posted instead."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.http.delete("/_standin/messages").raise_for_status()
    assert "the message was deleted; there is nothing to update" in str(failed(way.replace, posted, message("over")))
    assert bot.texts() == []


def test_charts_are_one_reply_in_the_thread(bot: StandIn, delivery: Delivery) -> None:
    """Both files are complete."""
    way = SlackBot()
    way.attach(post(way, delivery), CHARTS, alt="two curves")
    first, reply = bot.messages()
    assert reply["thread_ts"] == first["ts"]
    assert [(file["name"], file["size"]) for file in reply["files"]] == [
        (chart.name, chart.stat().st_size) for chart in CHARTS
    ]


def test_without_charts_there_is_no_upload(bot: StandIn, delivery: Delivery) -> None:
    """A run may have no charts."""
    way = SlackBot()
    way.attach(post(way, delivery), (), alt="")
    assert bot.calls() == [POST]


@pytest.mark.parametrize("fault", FAULTS_OF_READING)
@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"])
def test_lost_charts_are_reported(bot: StandIn, delivery: Delivery, fault: dict[str, Any], method: str) -> None:
    """At each of the three steps; the thread has no chart."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(**fault, methods=[method], times=100)
    assert str(failed(way.attach, posted, CHARTS, alt="")).startswith("Slack accepted the message but not its charts (")
    assert [file for sent in bot.messages() for file in sent["files"]] == []


@pytest.mark.parametrize("kind", LOST_ANSWERS)
def test_charts_are_never_uploaded_twice(bot: StandIn, delivery: Delivery, kind: str) -> None:
    """If only the answer to the last step is lost, they arrive once."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(kind=kind, accept=True, methods=["files.completeUploadExternal"])
    failed(way.attach, posted, CHARTS, alt="")
    assert [len(sent["files"]) for sent in bot.messages()] == [0, 2]


@pytest.mark.parametrize("content", [b"", b"x" * 12, None])
def test_a_broken_chart_raises_a_delivery_error_at_most(
    bot: StandIn, delivery: Delivery, tmp_path: Path, content: bytes | None
) -> None:
    """The file is empty, broken or missing."""
    chart = tmp_path / "latency.png"
    if content is not None:
        chart.write_bytes(content)
    way = SlackBot()
    posted = post(way, delivery)
    if content:
        way.attach(posted, (chart,), alt="")
        return
    error = str(failed(way.attach, posted, (chart,), alt=""))
    if content is None:
        assert error == f"cannot read the chart {chart}: No such file or directory"


# Through a webhook


def test_a_webhook_gets_the_message(webhook: StandIn, delivery: Delivery) -> None:
    """Its place is unknown; a requested thread is ignored."""
    way = SlackWebhook()
    assert way.has_threads is False
    assert way.post(delivery, thread=Posted("C1", "1.2"), broadcast=True) is None
    (only,) = webhook.messages()
    assert (only["via"], only["text"], only["blocks"]) == ("webhook", TEXT, delivery.message.blocks)


@pytest.mark.parametrize("kind", LOST_ANSWERS)
@pytest.mark.parametrize("accept", [True, False])
def test_a_lost_answer_of_a_webhook_never_causes_a_second_message(
    webhook: StandIn, delivery: Delivery, kind: str, accept: bool
) -> None:
    """It cannot be looked up; a person has to check the channel."""
    webhook.fail(kind=kind, accept=accept)
    way = SlackWebhook()
    assert isinstance(failed(way.post, delivery, thread=None, broadcast=False), DeliveryUnknown)
    assert webhook.texts() == ([TEXT] if accept else [])
    assert webhook.calls() == ["webhook"]
    assert "a webhook cannot search for it" in str(failed(way.find, delivery, thread=None))


@pytest.mark.parametrize(
    ("fault", "error", "tries", "kind"),
    [
        (
            {"kind": "slack_error", "error": "no_service"},
            "(error no_service); the webhook was removed; create a new one and set it in the connection slack_default",
            1,
            DeliveryError,
        ),
        (
            {"kind": "slack_error", "error": "invalid_token"},
            "(error invalid_token); correct the webhook's address in the connection slack_default",
            1,
            DeliveryError,
        ),
        (
            {"kind": "ratelimited", "retry_after_s": 0},
            "(error rate_limited); no action needed: it is delivered later",
            3,
            DeliveryError,
        ),
        (
            {"kind": "slack_error", "error": "channel_is_archived"},
            "(error channel_is_archived); unarchive the channel, or set another one in services.yaml",
            1,
            DeliveryRefused,
        ),
    ],
)
def test_a_webhook_that_refuses(
    webhook: StandIn, delivery: Delivery, fault: dict[str, Any], error: str, tries: int, kind: type[DeliveryError]
) -> None:
    """The message did not arrive."""
    webhook.fail(**fault, times=100)
    err = failed(SlackWebhook().post, delivery, thread=None, broadcast=False)
    assert type(err) is kind
    assert str(err) == f"Slack did not accept the message {error}: {TEXT}"
    assert webhook.calls() == ["webhook"] * tries


def test_a_webhook_cannot_update_messages_or_upload_files(
    webhook: StandIn, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """The first is an error, the second a log line."""
    way, posted = SlackWebhook(), Posted("C1", "1.2")
    assert str(failed(way.replace, posted, message("over"))).startswith("a webhook cannot update a message; ")
    way.attach(posted, CHARTS, alt="")
    assert "a webhook cannot upload files; 2 charts are skipped" in caplog.text
    assert webhook.calls() == []


# Connections


@pytest.mark.usefixtures("webhook")
def test_the_bot_is_preferred_to_the_webhook(bot: StandIn, delivery: Delivery) -> None:
    """With both connections there is one message, by the bot."""
    post(messenger(), delivery)
    assert bot.calls() == [POST]


@pytest.mark.usefixtures("webhook")
def test_without_a_bot_the_webhook_is_used() -> None:
    """Then there are no threads."""
    assert messenger().has_threads is False


def test_without_a_connection_both_remedies_are_named() -> None:
    """The log of the failed task says which connection to add."""
    assert str(failed(messenger)) == (
        "Slack is not configured; add the connection slack_api_default (type Slack API, with a bot token) or "
        "slack_default (an incoming webhook)"
    )


@pytest.mark.parametrize(
    ("password", "timeout"), [("", 1), (f"{TOKEN}\nmore", 1), (f"{TOKEN} é", 1), (TOKEN, "SECRET")]
)
def test_an_unusable_bot_connection(monkeypatch: pytest.MonkeyPatch, password: str, timeout: object) -> None:
    """Python's own errors would quote the token."""
    connect(monkeypatch, "http://127.0.0.1:1/api/", password, timeout)
    assert str(failed(messenger)).startswith("the connection slack_api_default cannot be used: ")


@pytest.mark.parametrize("password", ["", f"{WEBHOOK_SECRET} x", f"{WEBHOOK_SECRET}\nx"])
def test_an_unusable_webhook_connection(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """An address with a space in it would be quoted as well."""
    connection = {"conn_type": "slackwebhook", "host": "http://127.0.0.1:1/services", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
    assert str(failed(messenger)).startswith("the connection slack_default cannot be used: ")
