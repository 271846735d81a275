"""The Web API with Slack's client, and its errors."""

import json

import httpx
import pytest
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from demo.slack.app import Settings
from demo.slack.server import running

SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}


def messages(http):
    return http.get("/_standin/messages").json()["messages"]


def refusal(call, **arguments):
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    assert caught.value.response.status_code == 200
    return caught.value.response["error"]


@pytest.fixture
def parent(slack):
    return slack.chat_postMessage(channel="#perf-alerts", text="parent")


def test_auth_test_names_the_bot(slack):
    assert slack.auth_test()["bot_id"] == "B0BELLWETHER"


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, "not_authed"),
        ({"Authorization": "Bearer xoxp-1"}, "invalid_auth"),
        ({"Authorization": "x"}, "invalid_auth"),
    ],
)
def test_a_call_needs_a_bot_token(http, headers, error):
    answer = http.post("/api/auth.test", headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"ok": False, "error": error})


def test_a_form_may_carry_the_token(http):
    assert http.post("/api/auth.test", data={"token": "xoxb-1"}).json()["ok"] is True
    assert http.post("/api/auth.test", json={"token": "xoxb-1"}).json()["error"] == "not_authed"


def test_a_message_is_stored_as_sent(http, slack):
    metadata = {"event_type": "verdict", "event_payload": {"run": "r1"}}
    answer = slack.chat_postMessage(
        channel="#perf-alerts", text="hello", blocks=[SECTION], metadata=metadata, unfurl_links=False
    )
    (message,) = messages(http)
    assert message == {
        "channel": answer["channel"],
        "channel_name": "perf-alerts",
        "ts": answer["ts"],
        "thread_ts": None,
        "text": "hello",
        "blocks": [SECTION],
        "attachments": [],
        "metadata": metadata,
        "files": [],
        "reactions": [],
        "reply_broadcast": False,
        "edited": False,
        "via": "api",
    }
    assert answer["message"]["blocks"] == [SECTION]


def test_blocks_may_come_as_a_json_string_in_a_form(http, slack):
    slack.api_call("chat.postMessage", data={"channel": "a", "blocks": json.dumps([SECTION]), "mrkdwn": "1"})
    assert messages(http)[0]["blocks"] == [SECTION]


def test_a_reply_is_in_its_thread(http, slack, parent):
    slack.chat_postMessage(channel=parent["channel"], text="reply", thread_ts=parent["ts"], reply_broadcast=True)
    reply = messages(http)[1]
    assert (reply["thread_ts"], reply["reply_broadcast"]) == (parent["ts"], True)


def test_a_thread_must_exist_in_the_same_channel_and_not_be_a_reply(slack, parent):
    post, channel = slack.chat_postMessage, parent["channel"]
    reply = post(channel=channel, text="reply", thread_ts=parent["ts"])
    assert refusal(post, channel=channel, text="a", thread_ts="1700000000.000100") == "thread_not_found"
    assert refusal(post, channel="#other", text="a", thread_ts=parent["ts"]) == "thread_not_found"
    assert refusal(post, channel=channel, text="a", thread_ts=reply["ts"]) == "cannot_reply_to_message"
    assert refusal(post, channel=channel, text="a", thread_ts=float(parent["ts"])) == "invalid_thread_ts"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"text": "x" * 40_001}, "msg_too_long"),
        ({"text": " "}, "no_text"),
        ({"text": "a", "blocks": []}, None),
        ({"text": "x" * 40_000}, None),
        ({"text": "a", "blocks": [SECTION] * 51}, "invalid_blocks"),
        ({"text": "a", "blocks": "not json"}, "invalid_blocks_format"),
        ({"text": "a", "blocks": '{"type":"divider"}'}, "invalid_blocks_format"),
        ({"text": "a", "attachments": [{"text": "b", "onload": "c"}]}, "invalid_attachments"),
        ({"text": "a", "attachments": [{"color": "good", "blocks": [{"type": "x"}]}]}, "invalid_blocks"),
        ({"text": "a", "attachments": [{"text": "b"}] * 101}, "too_many_attachments"),
        ({"text": "a", "metadata": {"event_type": "b"}}, "invalid_metadata_format"),
        ({"text": "a", "colour": "red"}, "invalid_arguments"),
        ({"text": "a", "markdown_text": "*b*"}, "invalid_arguments"),
        ({"text": 7}, "invalid_arguments"),
        ({"text": "a", "mrkdwn": "perhaps"}, "invalid_arguments"),
        ({"text": "a", "username": "Airflow", "icon_url": "https://example.com/a.png"}, None),
    ],
)
def test_content_is_checked(http, slack, arguments, error):
    call = slack.api_call  # unlike chat_postMessage it lets wrong types through
    if error is None:
        assert call("chat.postMessage", json={"channel": "a"} | arguments)["ok"] is True
        return
    assert refusal(call, api_method="chat.postMessage", json={"channel": "a"} | arguments) == error
    assert messages(http) == []


def test_blocks_too_long_in_total_have_their_own_error(slack):
    blocks = [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 2981}}] * 4  # 12 004
    assert refusal(slack.chat_postMessage, channel="a", text="a", blocks=blocks) == "msg_blocks_too_long"


def test_invalid_blocks_have_a_pointer(http):
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]
    headers = {"Authorization": "Bearer xoxb-1"}
    answer = http.post("/api/chat.postMessage", json={"channel": "a", "blocks": blocks}, headers=headers).json()
    message = "must be less than 151 characters [json-pointer:/blocks/0/text/text]"
    assert answer == {
        "ok": False,
        "error": "invalid_blocks",
        "errors": [message],
        "response_metadata": {"messages": [f"[ERROR] {message}"]},
    }


def test_a_missing_and_an_invalid_channel_are_refused(http, slack):
    assert refusal(slack.api_call, api_method="chat.postMessage", json={"text": "a"}) == "invalid_arguments"
    assert refusal(slack.chat_postMessage, channel="#No Channel", text="a") == "channel_not_found"


def test_an_unknown_method_is_refused(slack):
    assert refusal(slack.api_call, api_method="chat.shout") == "unknown_method"


@pytest.mark.parametrize(
    ("content", "kind", "error"),
    [
        (b"{", "application/json", "invalid_json"),
        (b"[1]", "application/json", "json_not_object"),
        (b'{"text": NaN}', "application/json", "invalid_json"),
        (b'{"text": "\\ud800"}', "application/json", "invalid_json"),
        (b"[" * 100_000, "application/json", "invalid_json"),
        (b"\xff", "application/json", "invalid_json"),
        (b"<a/>", "text/xml", "invalid_post_type"),
        (b"x" * (2 * 1024 * 1024 + 1), "application/json", "invalid_arguments"),
    ],
)
def test_an_invalid_body_is_refused(http, content, kind, error):
    headers = {"Authorization": "Bearer xoxb-1", "Content-Type": kind}
    assert http.post("/api/chat.postMessage", content=content, headers=headers).json()["error"] == error


def test_an_update_of_the_text_removes_blocks_and_marks_it_edited(http, slack):
    sent = slack.chat_postMessage(channel="a", text="before", blocks=[SECTION])
    slack.chat_update(channel=sent["channel"], ts=sent["ts"], text="after")
    (message,) = messages(http)
    assert (message["text"], message["blocks"], message["edited"]) == ("after", [], True)


def test_an_update_of_the_blocks_keeps_the_text(http, slack):
    sent = slack.chat_postMessage(channel="a", text="before", blocks=[SECTION])
    slack.api_call("chat.update", json={"channel": sent["channel"], "ts": sent["ts"], "blocks": [{"type": "divider"}]})
    (message,) = messages(http)
    assert (message["text"], message["blocks"]) == ("before", [{"type": "divider"}])


def test_an_update_needs_a_channel_id_and_an_existing_message(slack, parent):
    update = slack.chat_update
    assert refusal(update, channel="#perf-alerts", ts=parent["ts"], text="a") == "channel_not_found"
    assert refusal(update, channel=parent["channel"], ts="1.2", text="a") == "message_not_found"


def test_a_webhooks_message_cannot_be_updated(http, slack):
    http.post("/services/T1/B1/XYZ", json={"text": "a"})
    (message,) = messages(http)
    arguments = {"channel": message["channel"], "ts": message["ts"], "text": "b"}
    assert refusal(slack.chat_update, **arguments) == "cant_update_message"


def test_a_permalink_leads_to_the_message(http, slack, parent):
    link = slack.chat_getPermalink(channel=parent["channel"], message_ts=parent["ts"])["permalink"]
    answer = http.get(link, follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, f"/message/{parent['ts']}")


def test_channels_are_listed_in_pages():
    with running(Settings(channels=["a=C0AAAAAAA", "b", "c"])) as url:
        slack = WebClient(token="xoxb-1", base_url=f"{url}/api/", timeout=5)
        first = slack.conversations_list(limit=2)
        assert [one["name"] for one in first["channels"]] == ["a", "b"]
        cursor = first["response_metadata"]["next_cursor"]
        second = slack.conversations_list(limit=2, cursor=cursor)
        assert [one["name"] for one in second["channels"]] == ["c"]
        assert second["response_metadata"]["next_cursor"] == ""
        assert refusal(slack.chat_postMessage, channel="#d", text="a") == "channel_not_found"
        assert refusal(slack.conversations_list, types="secret") == "invalid_types"
        assert refusal(slack.conversations_list, limit=0) == "invalid_limit"


def test_reactions_are_added_and_removed(http, slack, parent):
    where = {"channel": parent["channel"], "timestamp": parent["ts"]}
    slack.reactions_add(name="eyes", **where)
    assert refusal(slack.reactions_add, name="eyes", **where) == "already_reacted"
    assert refusal(slack.reactions_add, name=":eyes:", **where) == "invalid_name"
    assert messages(http)[0]["reactions"] == ["eyes"]
    slack.reactions_remove(name="eyes", **where)
    assert refusal(slack.reactions_remove, name="eyes", **where) == "no_reaction"
    assert messages(http)[0]["reactions"] == []


def test_the_rate_limit_is_429_with_retry_after():
    with running(Settings(is_rate_limited=True, clock=lambda: 1763838000.0)) as url:
        slack = WebClient(token="xoxb-1", base_url=f"{url}/api/", timeout=5, retry_handlers=[])
        slack.chat_postMessage(channel="a", text="1")
        slack.chat_postMessage(channel="b", text="1")
        with pytest.raises(SlackApiError) as caught:
            slack.chat_postMessage(channel="a", text="2")
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "1"
        assert httpx.post(f"{url}/services/T1/B1/XYZ", json={"text": "1"}).text == "ok"
        assert httpx.post(f"{url}/services/T1/B1/XYZ", json={"text": "2"}).status_code == 429


def test_the_calls_log_has_every_call_and_no_token(http, slack, parent):
    refusal(slack.chat_postMessage, channel="a", text="x" * 40_001)
    answer = http.get("/_standin/calls")
    assert answer.json()["calls"] == [
        {"method": "chat.postMessage", "ok": True, "error": None, "status": 200},
        {"method": "chat.postMessage", "ok": False, "error": "msg_too_long", "status": 200},
    ]
    assert "xoxb" not in answer.text
