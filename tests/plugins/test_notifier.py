"""The notifier against a strict Slack stand-in: what arrives, what is tried again, what is said of a failure."""

import logging
from pathlib import Path

import pytest
from bellwether.notifier import send

from include.perf.adapters.slack_blocks import Links, SlackMessage, deviation_message
from include.perf.errors import DeliveryError
from tests.plugins.conftest import TOKEN, WEBHOOK_SECRET, StandIn
from tests.records import regressed_record

CHANNEL = "#performance"
GOLDEN = Path(__file__).parents[1] / "golden" / "charts"
CHARTS = (GOLDEN / "regression_comparison.png", GOLDEN / "regression_latency.png")


@pytest.fixture
def message() -> SlackMessage:
    """What on-call is told about a p95 that rose from 42.1 to 61.2 ms."""
    return deviation_message(regressed_record(), links=Links(airflow_run="https://airflow.example/dags/market_open"))


@pytest.fixture(autouse=True)
def _no_secrets(caplog: pytest.LogCaptureFixture) -> object:
    """Whatever happens, no log line of the test holds a token."""
    caplog.set_level(logging.DEBUG, logger="bellwether")
    yield None
    assert TOKEN not in caplog.text
    assert "SECRET" not in caplog.text


def undelivered(message: SlackMessage) -> str:
    """Send a message that must not arrive, and return what is said of it."""
    with pytest.raises(DeliveryError) as caught:
        send(message, channel=CHANNEL, charts=())
    said = str(caught.value)
    assert TOKEN not in said
    assert "SECRET" not in said
    return said


def test_a_message_arrives_with_its_charts_in_its_thread(bot: StandIn, message: SlackMessage) -> None:
    """One message in the channel; the charts are one reply below it."""
    send(message, channel=CHANNEL, charts=CHARTS)
    first, reply = bot.messages()
    assert (first["channel_name"], first["text"], first["thread_ts"]) == ("performance", message.text, None)
    assert first["blocks"][0]["text"]["text"] == message.text
    assert reply["thread_ts"] == first["ts"]
    assert [(file["name"], file["size"]) for file in reply["files"]] == [
        (chart.name, chart.stat().st_size) for chart in CHARTS
    ]


def test_a_message_without_charts_uploads_nothing(bot: StandIn, message: SlackMessage) -> None:
    """A run that has no charts is still told."""
    send(message, channel=CHANNEL, charts=())
    assert bot.calls() == ["chat.postMessage"]


@pytest.mark.parametrize("kind", ["http_500", "http_503", "reset"])
def test_a_passing_disturbance_is_tried_again(bot: StandIn, message: SlackMessage, kind: str) -> None:
    """A server error or a cut connection costs a second try, and the message arrives once."""
    bot.fail(kind=kind)
    send(message, channel=CHANNEL, charts=())
    assert bot.texts() == [message.text]
    assert bot.calls() == ["chat.postMessage", "chat.postMessage"]


def test_a_rate_limit_is_waited_out(bot: StandIn, message: SlackMessage) -> None:
    """Slack says when to come back, and the message arrives then, once."""
    bot.fail(kind="ratelimited", retry_after_s=0)
    send(message, channel=CHANNEL, charts=())
    assert bot.texts() == [message.text]
    assert bot.calls() == ["chat.postMessage", "chat.postMessage"]


def test_a_server_that_stays_broken_is_given_up(bot: StandIn, message: SlackMessage) -> None:
    """One call and two more tries, then an error that names the message."""
    bot.fail(kind="http_500", times=100)
    said = undelivered(message)
    assert said.startswith("Slack did not take the message")
    assert said.endswith(message.text)
    assert bot.calls() == ["chat.postMessage"] * 3


@pytest.mark.parametrize("accept", [True, False])
def test_a_timeout_is_never_tried_again(bot: StandIn, message: SlackMessage, accept: bool) -> None:
    """The message may have arrived, so a second one could be a duplicate: on-call is paged once at most."""
    bot.fail(kind="timeout", accept=accept)
    assert undelivered(message) == (
        f"Slack did not answer in time; the message may have arrived or not: {message.text}"
    )
    assert bot.calls() == ["chat.postMessage"]
    assert bot.texts() == ([message.text] if accept else [])


@pytest.mark.parametrize("error", ["invalid_auth", "channel_not_found", "not_in_channel"])
def test_a_refusal_is_told_in_slacks_own_word(bot: StandIn, message: SlackMessage, error: str) -> None:
    """A wrong token or channel is said as Slack says it, and not tried again."""
    bot.fail(kind="slack_error", error=error, times=100)
    assert undelivered(message) == f"Slack did not take the message (error {error}): {message.text}"
    assert bot.calls() == ["chat.postMessage"]


def test_a_proxys_page_instead_of_an_answer_is_a_failure(bot: StandIn, message: SlackMessage) -> None:
    """A sign-in page with status 200 is not Slack's consent."""
    bot.fail(kind="html", times=100)
    assert undelivered(message).startswith("Slack did not take the message")
    assert bot.texts() == []


@pytest.mark.parametrize(
    ("kind", "methods"),
    [
        ("http_500", ["upload"]),
        ("timeout", ["upload"]),
        ("reset", ["upload"]),
        ("http_503", ["files.getUploadURLExternal"]),
        ("html", ["files.completeUploadExternal"]),
    ],
)
def test_lost_charts_are_only_a_warning(
    bot: StandIn, message: SlackMessage, caplog: pytest.LogCaptureFixture, kind: str, methods: list[str]
) -> None:
    """The message counts; charts that cannot be sent are a line in the log."""
    bot.fail(kind=kind, methods=methods, times=100)
    send(message, channel=CHANNEL, charts=CHARTS)
    assert bot.texts()[0] == message.text
    assert [file for sent in bot.messages() for file in sent["files"]] == []
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("Slack has the message but not its charts: ")


def test_a_webhook_gets_the_text_when_there_is_no_bot(webhook: StandIn, message: SlackMessage) -> None:
    """A webhook takes no files; the message itself says everything."""
    send(message, channel=CHANNEL, charts=CHARTS)
    (only,) = webhook.messages()
    assert (only["via"], only["text"], only["files"]) == ("webhook", message.text, [])


@pytest.mark.usefixtures("webhook")
def test_the_bot_is_preferred_to_the_webhook(bot: StandIn, message: SlackMessage) -> None:
    """With both connections there is one message, by the bot."""
    send(message, channel=CHANNEL, charts=())
    assert bot.calls() == ["chat.postMessage"]


@pytest.mark.parametrize(
    "fault", [{"kind": "slack_error", "error": "no_service"}, {"kind": "http_500"}, {"kind": "reset"}]
)
def test_a_webhook_that_refuses_keeps_its_address_secret(
    webhook: StandIn, message: SlackMessage, fault: dict[str, str]
) -> None:
    """A webhook's address is its password: what is said of a failure must not hold it."""
    webhook.fail(**fault, times=100)
    said = undelivered(message)
    assert said.startswith("Slack did not take the message")
    assert WEBHOOK_SECRET not in said


@pytest.mark.usefixtures("slack")
def test_without_any_connection_both_remedies_are_named(message: SlackMessage) -> None:
    """Who reads the failed task learns which connection to add, and what was not sent."""
    assert undelivered(message) == (
        "there is no connection slack_api_default (type Slack API, a bot token) nor slack_default "
        f"(an incoming webhook); add one of them. Not sent: {message.text}"
    )


@pytest.mark.parametrize("size", [0, 12])
def test_a_strange_chart_never_costs_the_message(
    bot: StandIn, message: SlackMessage, tmp_path: Path, size: int
) -> None:
    """An empty or broken file cannot keep the message from on-call."""
    chart = tmp_path / "latency.png"
    chart.write_bytes(b"x" * size)
    send(message, channel=CHANNEL, charts=(chart,))
    assert bot.texts()[0] == message.text
