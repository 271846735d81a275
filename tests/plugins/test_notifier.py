"""The messengers against a strict Slack stand-in: what arrives, what is tried again, what is said of a failure.

Whatever happens, a message is never there twice.
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
from include.perf.alerts.delivery import Messenger
from include.perf.model.errors import DeliveryError, DeliveryUnknown
from tests.plugins.conftest import TOKEN, WEBHOOK_SECRET, StandIn

GOLDEN = Path(__file__).parents[1] / "golden" / "charts"
CHARTS = (GOLDEN / "regression_comparison.png", GOLDEN / "regression_latency.png")
TEXT = "orders is slower in market_open: p95 42.1 → 61.2 ms"
METADATA = {"event_type": "bellwether_alert", "event_payload": {"id": "d1"}}
POST = "chat.postMessage"
LOST_ANSWERS = ("http_500", "http_503", "timeout", "reset", "html")


def message(text: str = TEXT) -> Message:
    section = {"type": "section", "text": {"type": "mrkdwn", "text": text}}
    return Message(text=text, plain="more", blocks=[section], image_alt="two curves")


@pytest.fixture
def delivery() -> Delivery:
    """What on-call is told about a p95 that rose from 42.1 to 61.2 ms."""
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
    """Between two tries nobody waits, unless Slack says how long."""
    monkeypatch.setattr(BackoffRetryIntervalCalculator, "calculate_sleep_duration", lambda *_: 0.0)
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.random.random", lambda: 0.0)


def failed(call: Callable[..., object], *given: Any, **named: Any) -> DeliveryError:
    """Make a call that must fail; nothing that is printed of the failure may hold a secret."""
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
def test_an_answer_goes_into_its_thread(bot: StandIn, delivery: Delivery, broadcast: bool) -> None:
    """And into the channel, too, where it is wanted."""
    way = SlackBot()
    thread = post(way, delivery)
    posted = way.post(replace(delivery, id="d2"), thread=thread, broadcast=broadcast)
    _, reply = bot.messages()
    assert posted == Posted(thread.channel, reply["ts"])
    assert (reply["thread_ts"], reply["reply_broadcast"]) == (thread.ts, broadcast)


@pytest.mark.parametrize("kind", LOST_ANSWERS)
@pytest.mark.parametrize("accept", [True, False])
def test_a_lost_answer_is_never_a_second_message(bot: StandIn, delivery: Delivery, kind: str, accept: bool) -> None:
    """Slack may have taken it: nothing is sent again, whether it works by then or not."""
    bot.fail(kind=kind, accept=accept)
    err = failed(post, SlackBot(), delivery)
    assert isinstance(err, DeliveryUnknown)
    assert str(err).startswith("Slack did not confirm the message (")
    assert str(err).endswith(f"), it may have arrived or not: {TEXT}")
    assert bot.calls() == [POST]
    assert bot.texts() == ([TEXT] if accept else [])


@pytest.mark.parametrize("kind", LOST_ANSWERS)
@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize("in_thread", [True, False])
def test_who_looks_before_sending_again_sends_once(
    bot: StandIn, delivery: Delivery, kind: str, accept: bool, in_thread: bool
) -> None:
    """What arrived is found by its id, what did not arrive is sent: one message either way."""
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
def test_an_error_of_which_slack_says_that_it_may_have_worked(bot: StandIn, delivery: Delivery, code: str) -> None:
    """Slack's own fault, after which some of it may have been done."""
    bot.fail(kind="slack_error", error=code)
    assert isinstance(failed(post, SlackBot(), delivery), DeliveryUnknown)
    assert bot.calls() == [POST]


def test_a_rate_limit_is_waited_out(bot: StandIn, delivery: Delivery) -> None:
    """Slack took nothing and says when to come back; the message arrives then, once."""
    bot.fail(kind="ratelimited", retry_after_s=0, times=2)
    post(SlackBot(), delivery)
    assert bot.texts() == [TEXT]
    assert bot.calls() == [POST] * 3


def test_the_pause_is_as_long_as_slack_says(bot: StandIn, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Retry-After: 7 is seven seconds."""
    pauses: list[float] = []
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.time.sleep", pauses.append)
    bot.fail(kind="ratelimited", retry_after_s=7)
    post(SlackBot(), delivery)
    assert pauses == [7.0]


@pytest.mark.parametrize(("retry_after_s", "tries"), [(0, 3), (30, 3), (31, 1)])
def test_a_rate_limit_to_the_end_is_a_failure(
    bot: StandIn, delivery: Delivery, monkeypatch: pytest.MonkeyPatch, retry_after_s: int, tries: int
) -> None:
    """Surely not there. A pause of more than 30 s is left to the next task."""
    monkeypatch.setattr("slack_sdk.http_retry.builtin_handlers.time.sleep", lambda _: None)
    bot.fail(kind="ratelimited", retry_after_s=retry_after_s, times=100)
    err = failed(post, SlackBot(), delivery)
    assert type(err) is DeliveryError
    assert str(err) == (f"Slack did not take the message (error ratelimited); nothing; it is delivered later: {TEXT}")
    assert bot.calls() == [POST] * tries


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("invalid_auth", "correct the bot token (xoxb-…) in the connection slack_api_default"),
        (
            "channel_not_found",
            "invite the bot to the channel (/invite in Slack), or correct the channel in services.yaml",
        ),
        ("not_in_channel", "invite the bot to the channel (/invite in Slack), or correct the channel in services.yaml"),
        ("thread_not_found", "its thread was deleted; nothing can be added to it"),
        ("strange_error", "see https://docs.slack.dev for what this error means"),
    ],
)
def test_a_refusal_is_told_in_slacks_own_word_with_what_to_do(
    bot: StandIn, delivery: Delivery, code: str, remedy: str
) -> None:
    """It is surely not there, and not tried again."""
    bot.fail(kind="slack_error", error=code, times=100)
    err = failed(post, SlackBot(), delivery)
    assert type(err) is DeliveryError
    assert str(err) == f"Slack did not take the message (error {code}); {remedy}: {TEXT}"
    assert bot.calls() == [POST]


def test_a_missing_scope_is_named(bot: StandIn, delivery: Delivery) -> None:
    """Who reads it knows which permission the app lacks."""
    bot.fail(kind="slack_error", error="missing_scope")
    assert str(failed(post, SlackBot(), delivery)) == (
        "Slack did not take the message (error missing_scope, needs chat:write); "
        f"add the scope chat:write to the Slack app and install it again: {TEXT}"
    )


def connect(monkeypatch: pytest.MonkeyPatch, base_url: str, password: str = TOKEN, timeout: object = 1) -> None:
    connection = {"conn_type": "slack", "password": password, "extra": {"base_url": base_url, "timeout": timeout}}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))


def test_where_nobody_listens_nothing_arrived(delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused connection is no doubt."""
    connect(monkeypatch, f"http://127.0.0.1:{unused_port()}/api/")
    err = failed(post, SlackBot(), delivery)
    assert type(err) is DeliveryError
    assert str(err) == (
        "Slack did not take the message (not reached: Connection refused); check the network, the proxy, and the "
        f"address in the connection slack_api_default: {TEXT}"
    )


@pytest.mark.parametrize("base_url", ["http://no-such-host.invalid/api/", "ftp://127.0.0.1/", "http://a b/"])
def test_an_address_that_leads_nowhere(delivery: Delivery, monkeypatch: pytest.MonkeyPatch, base_url: str) -> None:
    """Nothing can have been sent."""
    connect(monkeypatch, base_url)
    assert type(failed(post, SlackBot(), delivery)) is DeliveryError


def test_a_refused_connection_is_tried_again(bot: StandIn, delivery: Delivery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack is there by the second try, and has one message."""
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


# Looking for what was sent


@pytest.mark.parametrize("channel", ["#performance", "performance", "C0PERFORM01"])
def test_a_message_is_found_by_its_id(bot: StandIn, delivery: Delivery, channel: str) -> None:
    """In a channel given by name or by ID, among others of the same words."""
    way, wanted = SlackBot(), replace(delivery, channel=channel)
    post(way, replace(wanted, id="d0"))
    posted = post(way, wanted)
    post(way, replace(wanted, id="d2"))
    assert way.find(wanted, thread=None) == posted
    assert way.find(replace(wanted, id="d3"), thread=None) is None


def test_a_message_is_found_however_much_came_after_it(bot: StandIn, delivery: Delivery) -> None:
    """205 messages are two pages of 200."""
    way = SlackBot()
    posted = post(way, delivery)
    for number in range(204):
        bot.http.post("/services/T1/B1/XYZ", json={"text": str(number)}).raise_for_status()
    answer = bot.http.get("/_standin/messages").json()["messages"]
    (mine,) = [each for each in answer if each["channel_name"] == "performance"]
    for number in range(204):
        way._once.chat_postMessage(channel=mine["channel"], text=str(number))
    assert way.find(delivery, thread=None) == posted
    assert bot.calls()[-2:] == ["conversations.history"] * 2


@pytest.mark.parametrize(("age_s", "is_found"), [(0, True), (50, True), (70, False)])
def test_slacks_clock_may_be_a_minute_behind(bot: StandIn, delivery: Delivery, age_s: int, is_found: bool) -> None:
    """A message cannot be older than what it delivers, but for the clocks."""
    way = SlackBot()
    post(way, delivery)
    later = replace(delivery, created_at=delivery.created_at + timedelta(seconds=age_s))
    assert (way.find(later, thread=None) is not None) == is_found


def test_an_answer_is_looked_for_in_its_thread(bot: StandIn, delivery: Delivery) -> None:
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
def test_what_cannot_be_looked_up_nobody_can_tell(
    bot: StandIn, delivery: Delivery, fault: dict[str, Any], method: str
) -> None:
    """No answer is never taken for "it is not there"."""
    way = SlackBot()
    post(way, delivery)
    bot.fail(**fault, times=100, methods=[method])
    err = failed(way.find, delivery, thread=None)
    assert type(err) is (DeliveryError if fault.get("error") else DeliveryUnknown)  # worth asking again later, or not
    assert str(err).startswith("whether this arrived nobody can tell, because Slack cannot be asked (")
    if fault.get("error"):
        scope = "channels:read" if method == "conversations.list" else "channels:history"
        assert f"add the scope {scope} to the Slack app" in str(err)


def test_a_thread_that_cannot_be_read_nobody_can_tell(bot: StandIn, delivery: Delivery) -> None:
    """As with a channel."""
    way = SlackBot()
    thread = post(way, delivery)
    bot.fail(kind="slack_error", error="missing_scope", times=100, methods=["conversations.replies"])
    assert "nobody can tell" in str(failed(way.find, delivery, thread=thread))


@pytest.mark.usefixtures("bot")
def test_a_channel_that_slack_does_not_list_nobody_can_tell(delivery: Delivery) -> None:
    """It may be one that the bot may write to, but not see."""
    assert str(failed(SlackBot().find, replace(delivery, channel="#never-seen"), thread=None)) == (
        "whether a message arrived in #never-seen nobody can tell, because Slack lists no such channel; "
        "put its ID (C…) into services.yaml"
    )


@pytest.mark.parametrize("kind", ["http_500", "http_503", "reset"])
def test_looking_is_tried_again(bot: StandIn, delivery: Delivery, kind: str) -> None:
    """It changes nothing, so that a passing disturbance costs only a second try."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(kind=kind, times=2, methods=["conversations.history"])
    assert way.find(delivery, thread=None) == posted


# Changing, and charts


@pytest.mark.parametrize("fault", [None, "http_500", "http_503", "reset", "ratelimited"])
def test_a_message_is_replaced(bot: StandIn, delivery: Delivery, fault: str | None) -> None:
    """To do so twice does no harm, so that a passing disturbance is tried again; it can still be found."""
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
    assert str(failed(way.replace, posted, message("over"))).startswith("Slack did not change a message (")
    assert bot.texts() == [TEXT]


def test_a_deleted_message_cannot_be_replaced(bot: StandIn, delivery: Delivery) -> None:
    """Slack says so, and nothing is posted in its place."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.http.delete("/_standin/messages").raise_for_status()
    assert "it was deleted; there is nothing to change" in str(failed(way.replace, posted, message("over")))
    assert bot.texts() == []


def test_charts_are_one_answer_in_the_thread(bot: StandIn, delivery: Delivery) -> None:
    """Both of them, whole."""
    way = SlackBot()
    way.attach(post(way, delivery), CHARTS, alt="two curves")
    first, reply = bot.messages()
    assert reply["thread_ts"] == first["ts"]
    assert [(file["name"], file["size"]) for file in reply["files"]] == [
        (chart.name, chart.stat().st_size) for chart in CHARTS
    ]


def test_no_charts_are_no_call(bot: StandIn, delivery: Delivery) -> None:
    """A run that has none is still told."""
    way = SlackBot()
    way.attach(post(way, delivery), (), alt="")
    assert bot.calls() == [POST]


@pytest.mark.parametrize("fault", FAULTS_OF_READING)
@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "upload", "files.completeUploadExternal"])
def test_lost_charts_are_told(bot: StandIn, delivery: Delivery, fault: dict[str, Any], method: str) -> None:
    """At whichever of the three steps; none of them is in the thread."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(**fault, methods=[method], times=100)
    assert str(failed(way.attach, posted, CHARTS, alt="")).startswith("Slack has the message but not its charts (")
    assert [file for sent in bot.messages() for file in sent["files"]] == []


@pytest.mark.parametrize("kind", LOST_ANSWERS)
def test_charts_are_never_there_twice(bot: StandIn, delivery: Delivery, kind: str) -> None:
    """Where only the answer to the last step is lost, they are there once."""
    way = SlackBot()
    posted = post(way, delivery)
    bot.fail(kind=kind, accept=True, methods=["files.completeUploadExternal"])
    failed(way.attach, posted, CHARTS, alt="")
    assert [len(sent["files"]) for sent in bot.messages()] == [0, 2]


@pytest.mark.parametrize("content", [b"", b"x" * 12, None])
def test_a_strange_chart_is_a_failure_at_most(
    bot: StandIn, delivery: Delivery, tmp_path: Path, content: bytes | None
) -> None:
    """Empty, broken or not there: nothing but a DeliveryError comes of it."""
    chart = tmp_path / "latency.png"
    if content is not None:
        chart.write_bytes(content)
    way = SlackBot()
    posted = post(way, delivery)
    if content:
        way.attach(posted, (chart,), alt="")
        return
    said = str(failed(way.attach, posted, (chart,), alt=""))
    if content is None:
        assert said == f"cannot read the chart {chart}: No such file or directory"


# By webhook


def test_a_webhook_gets_the_message(webhook: StandIn, delivery: Delivery) -> None:
    """Where it is nobody knows; a thread that is asked for is left out."""
    way = SlackWebhook()
    assert way.has_threads is False
    assert way.post(delivery, thread=Posted("C1", "1.2"), broadcast=True) is None
    (only,) = webhook.messages()
    assert (only["via"], only["text"], only["blocks"]) == ("webhook", TEXT, delivery.message.blocks)


@pytest.mark.parametrize("kind", LOST_ANSWERS)
@pytest.mark.parametrize("accept", [True, False])
def test_a_webhooks_lost_answer_is_never_a_second_message(
    webhook: StandIn, delivery: Delivery, kind: str, accept: bool
) -> None:
    """Nor can anybody look: a person has to."""
    webhook.fail(kind=kind, accept=accept)
    way = SlackWebhook()
    assert isinstance(failed(way.post, delivery, thread=None, broadcast=False), DeliveryUnknown)
    assert webhook.texts() == ([TEXT] if accept else [])
    assert webhook.calls() == ["webhook"]
    assert "nobody can tell" in str(failed(way.find, delivery, thread=None))


@pytest.mark.parametrize(
    ("fault", "said", "tries"),
    [
        (
            {"kind": "slack_error", "error": "no_service"},
            "(error no_service); the webhook was removed; make a new one and put it into the connection slack_default",
            1,
        ),
        (
            {"kind": "slack_error", "error": "invalid_token"},
            "(error invalid_token); correct the webhook's address in the connection slack_default",
            1,
        ),
        ({"kind": "ratelimited", "retry_after_s": 0}, "(error rate_limited); nothing; it is delivered later", 3),
    ],
)
def test_a_webhook_that_refuses(
    webhook: StandIn, delivery: Delivery, fault: dict[str, Any], said: str, tries: int
) -> None:
    """It is surely not there."""
    webhook.fail(**fault, times=100)
    err = failed(SlackWebhook().post, delivery, thread=None, broadcast=False)
    assert type(err) is DeliveryError
    assert str(err) == f"Slack did not take the message {said}: {TEXT}"
    assert webhook.calls() == ["webhook"] * tries


def test_a_webhook_changes_nothing_and_takes_no_files(
    webhook: StandIn, delivery: Delivery, caplog: pytest.LogCaptureFixture
) -> None:
    """The first is refused, the second a line in the log."""
    way, posted = SlackWebhook(), Posted("C1", "1.2")
    assert str(failed(way.replace, posted, message("over"))).startswith("a webhook cannot change a message; ")
    way.attach(posted, CHARTS, alt="")
    assert "a webhook takes no files; 2 charts are left out" in caplog.text
    assert webhook.calls() == []


# Connections


@pytest.mark.usefixtures("webhook")
def test_the_bot_is_preferred_to_the_webhook(bot: StandIn, delivery: Delivery) -> None:
    """With both connections there is one message, by the bot."""
    post(messenger(), delivery)
    assert bot.calls() == [POST]


@pytest.mark.usefixtures("webhook")
def test_without_a_bot_it_is_the_webhook() -> None:
    """Then there are no threads."""
    assert messenger().has_threads is False


def test_without_any_connection_both_remedies_are_named() -> None:
    """Who reads the failed task learns which connection to add."""
    assert str(failed(messenger)) == (
        "there is no connection slack_api_default (type Slack API, a bot token) nor slack_default "
        "(an incoming webhook); add one of them"
    )


@pytest.mark.parametrize(
    ("password", "timeout"), [("", 1), (f"{TOKEN}\nmore", 1), (f"{TOKEN} é", 1), (TOKEN, "SECRET")]
)
def test_a_bot_connection_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, password: str, timeout: object) -> None:
    """Python's own errors would quote the token."""
    connect(monkeypatch, "http://127.0.0.1:1/api/", password, timeout)
    assert str(failed(messenger)).startswith("the connection slack_api_default cannot be used: ")


@pytest.mark.parametrize("password", ["", f"{WEBHOOK_SECRET} x", f"{WEBHOOK_SECRET}\nx"])
def test_a_webhook_connection_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """An address with a space in it would be quoted as well."""
    connection = {"conn_type": "slackwebhook", "host": "http://127.0.0.1:1/services", "password": password}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_DEFAULT", json.dumps(connection))
    assert str(failed(messenger)).startswith("the connection slack_default cannot be used: ")
