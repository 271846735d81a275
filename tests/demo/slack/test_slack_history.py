"""Reading messages, like a client that does not know whether a message arrived."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from demo.slack.app import Settings
from demo.slack.server import running

METADATA = {"event_type": "bellwether_alert", "event_payload": {"id": "d1"}}


class Clock:
    """A clock that gives every message another second."""

    now = 1763838000.0

    def __call__(self) -> float:
        self.now += 0.5  # called twice per message: for its rate and for its time
        return self.now


@pytest.fixture
def timed() -> Iterator[WebClient]:
    """A client of a stand-in whose messages are a second apart, the first at 1763838001.000100."""
    with running(Settings(clock=Clock())) as url:
        yield WebClient(token="xoxb-1", base_url=f"{url}/api/", timeout=5, retry_handlers=[])


def texts(answer: Any) -> list[str]:
    return [message["text"] for message in answer["messages"]]


def refusal(call: Callable[..., object], **arguments: object) -> str:
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    code: str = caught.value.response["error"]
    return code


def test_a_channel_is_read_newest_first_without_replies(slack: WebClient) -> None:
    """A reply is in the channel only if it was also sent there."""
    first = slack.chat_postMessage(channel="a", text="first")
    where = {"channel": first["channel"], "thread_ts": first["ts"]}
    slack.chat_postMessage(text="reply", **where)
    slack.chat_postMessage(text="broadcast", reply_broadcast=True, **where)
    slack.chat_postMessage(channel="b", text="elsewhere")
    answer = slack.conversations_history(channel=first["channel"])
    assert texts(answer) == ["broadcast", "first"]
    assert answer["has_more"] is False
    assert answer["messages"][0]["subtype"] == "thread_broadcast"
    assert answer["messages"][1]["reply_count"] == 2


def test_a_thread_is_read_oldest_first_and_its_parent_is_always_there(timed: WebClient) -> None:
    """The parent comes first, also with a later time range; a message without replies is alone."""
    first = timed.chat_postMessage(channel="a", text="first")
    where = {"channel": first["channel"], "thread_ts": first["ts"]}
    second = timed.chat_postMessage(text="second", **where)
    timed.chat_postMessage(text="third", **where)
    thread = {"channel": first["channel"], "ts": first["ts"]}
    assert texts(timed.conversations_replies(**thread)) == ["first", "second", "third"]
    assert texts(timed.conversations_replies(oldest=second["ts"], **thread)) == ["first", "third"]
    alone = timed.conversations_replies(channel=first["channel"], ts=second["ts"])
    assert texts(alone) == ["second"]


def test_metadata_must_be_requested(slack: WebClient) -> None:
    """Like in Slack: a client that does not request metadata gets none."""
    sent = slack.chat_postMessage(channel="a", text="first", metadata=METADATA)
    channel = sent["channel"]
    assert "metadata" not in slack.conversations_history(channel=channel)["messages"][0]
    (found,) = slack.conversations_history(channel=channel, include_all_metadata=True)["messages"]
    assert (found["metadata"], found["ts"]) == (METADATA, sent["ts"])
    (found,) = slack.conversations_replies(channel=channel, ts=sent["ts"], include_all_metadata=True)["messages"]
    assert found["metadata"] == METADATA


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["3", "2", "1"]),
        ({"oldest": "1763838001.000100"}, ["3", "2"]),  # the bound itself is left out
        ({"oldest": "1763838001.000100", "inclusive": True}, ["3", "2", "1"]),
        ({"oldest": "1763838001"}, ["3", "2", "1"]),  # 100 µs before the first
        ({"latest": "1763838003.000100"}, ["2", "1"]),
        ({"latest": "1763838003.0001", "inclusive": True}, ["3", "2", "1"]),
        ({"oldest": "1763838001.5", "latest": "1763838002.5"}, ["2"]),
        ({"oldest": "1763838009"}, []),
        ({"inclusive": True}, ["3", "2", "1"]),
    ],
)
def test_a_time_range(timed: WebClient, arguments: dict[str, Any], expected: list[str]) -> None:
    """The messages are at 1763838001, …2 and …3, 100 µs past the second."""
    for text in "123":
        channel = timed.chat_postMessage(channel="a", text=text)["channel"]
    assert texts(timed.conversations_history(channel=channel, **arguments)) == expected


def test_long_lists_come_in_pages(slack: WebClient) -> None:
    """5 messages with 2 per page are 2 + 2 + 1; new messages do not shift the pages."""
    for text in "12345":
        channel = slack.chat_postMessage(channel="a", text=text)["channel"]
    first = slack.conversations_history(channel=channel, limit=2)
    slack.chat_postMessage(channel="a", text="6")
    second = slack.conversations_history(channel=channel, limit=2, cursor=first["response_metadata"]["next_cursor"])
    third = slack.conversations_history(channel=channel, limit=2, cursor=second["response_metadata"]["next_cursor"])
    assert [texts(page) for page in (first, second, third)] == [["5", "4"], ["3", "2"], ["1"]]
    assert [page["has_more"] for page in (first, second, third)] == [True, True, False]
    assert "response_metadata" not in third.data


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"limit": 0}, "invalid_limit"),
        ({"limit": 1000}, "invalid_limit"),
        ({"cursor": "nowhere"}, "invalid_cursor"),
        ({"cursor": "after:1763838000.000100"}, "invalid_cursor"),
        ({"oldest": "yesterday"}, "invalid_ts_oldest"),
        ({"latest": "-1"}, "invalid_ts_latest"),
        ({"channel": "#a"}, "channel_not_found"),  # an ID is wanted
    ],
)
def test_invalid_arguments_are_refused(slack: WebClient, arguments: dict[str, Any], error: str) -> None:
    """The error codes are Slack's."""
    channel = slack.chat_postMessage(channel="a", text="first")["channel"]
    assert refusal(slack.conversations_history, **({"channel": channel} | arguments)) == error


def test_an_unknown_thread_is_refused(slack: WebClient) -> None:
    """The parent does not exist, or is in another channel."""
    sent = slack.chat_postMessage(channel="a", text="first")
    other = slack.chat_postMessage(channel="b", text="other")
    read = slack.conversations_replies
    assert refusal(read, channel=sent["channel"], ts="1763838000.000100") == "thread_not_found"
    assert refusal(read, channel=sent["channel"], ts=other["ts"]) == "thread_not_found"


def test_a_missing_scope_is_named(http: httpx.Client, slack: WebClient) -> None:
    """An app that may write but not read gets the name of the scope."""
    channel = slack.chat_postMessage(channel="a", text="first")["channel"]
    fault = {"kind": "slack_error", "error": "missing_scope", "methods": ["conversations.history"]}
    http.put("/_standin/fault", json=fault).raise_for_status()
    with pytest.raises(SlackApiError) as caught:
        slack.conversations_history(channel=channel)
    response = caught.value.response
    assert (response["error"], response["needed"]) == ("missing_scope", "channels:history")
