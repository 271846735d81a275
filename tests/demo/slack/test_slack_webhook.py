"""The incoming webhook, with Slack's client and with plain HTTP."""

import pytest
from slack_sdk.webhook import WebhookClient

PATH = "/services/T1/B1/XYZ"
SECTION = {"type": "section", "text": {"type": "mrkdwn", "text": "*hello*"}}


def messages(http):
    return http.get("/_standin/messages").json()["messages"]


def test_slacks_client_posts_to_the_webhooks_channel(http):
    webhook = WebhookClient(f"{http.base_url}/services/T1/B1/XYZ", timeout=5)
    answer = webhook.send(text="hello", blocks=[SECTION])
    assert (answer.status_code, answer.body) == (200, "ok")
    (message,) = messages(http)
    assert (message["channel_name"], message["via"], message["blocks"]) == ("webhook", "webhook", [SECTION])


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"text": "a", "channel": "#other", "username": "b", "icon_emoji": ":x:"}, (200, "ok")),
        ({}, (400, "no_text")),
        ({"text": ""}, (400, "no_text")),
        ({"text": 1}, (400, "invalid_payload")),
        ({"text": "a", "thread_ts": "1700000000.000100"}, (400, "invalid_payload")),
        ({"text": "a", "response_type": "in_channel"}, (400, "invalid_payload")),
        ({"text": "a", "blocks": [SECTION] * 51}, (400, "invalid_blocks")),
        ({"text": "a", "blocks": {"type": "divider"}}, (400, "invalid_blocks_format")),
        ({"text": "x" * 40_001}, (400, "msg_too_long")),
        ([], (400, "invalid_payload")),
    ],
)
def test_responses_of_a_webhook(http, payload, answer):
    got = http.post(PATH, json=payload)
    assert (got.status_code, got.text) == answer
    assert got.headers["content-type"].startswith("text/plain")
    assert [one["channel_name"] for one in messages(http)] == (["webhook"] if answer[0] == 200 else [])


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/services/T1/B1", (404, "no_service")),
        ("/services/X1/B1/XYZ", (404, "no_service")),
        ("/services/T1/B1/XYZ/more", (404, "no_service")),
        ("/services/T1/B1/wrong-token", (403, "invalid_token")),
    ],
)
def test_a_wrong_address_is_refused(http, path, answer):
    got = http.post(path, json={"text": "a"})
    assert (got.status_code, got.text) == answer


def test_a_body_that_is_not_json_is_refused(http):
    assert http.post(PATH, content=b"payload").text == "invalid_payload"


def test_the_calls_log_has_the_outcome_and_not_the_address(http):
    http.post(PATH, json={"text": "a"})
    http.post(PATH, json={})
    answer = http.get("/_standin/calls")
    assert answer.json()["calls"] == [
        {"method": "webhook", "ok": True, "error": None, "status": 200},
        {"method": "webhook", "ok": False, "error": "no_text", "status": 400},
    ]
    assert "XYZ" not in answer.text
