"""All kinds of faults, as clients see them."""

import urllib.error

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.webhook import WebhookClient


def inject(http, **fault):
    answer = http.put("/_standin/fault", json=fault)
    assert answer.status_code == 200, answer.text


def texts(http):
    return [one["text"] for one in http.get("/_standin/messages").json()["messages"]]


def last_call(http):
    return http.get("/_standin/calls").json()["calls"][-1]


def failed(slack):
    with pytest.raises(SlackApiError) as caught:
        slack.chat_postMessage(channel="a", text="hello")
    return caught.value.response


@pytest.mark.parametrize(("kind", "status"), [("http_500", 500), ("http_503", 503), ("html", 200)])
@pytest.mark.parametrize("accept", [False, True])
def test_a_response_that_is_not_json(http, slack, kind, status, accept):
    inject(http, kind=kind, accept=accept)
    assert failed(slack).status_code == status
    assert texts(http) == (["hello"] if accept else [])
    assert last_call(http) == {
        "method": "chat.postMessage",
        "ok": False,
        "error": f"fault:{kind}",
        "status": status,
    }
    assert slack.chat_postMessage(channel="a", text="again")["ok"] is True


def test_a_rate_limit_has_retry_after(http, slack):
    inject(http, kind="ratelimited", retry_after_s=7)
    response = failed(slack)
    assert (response.status_code, response.headers["Retry-After"], response["error"]) == (429, "7", "ratelimited")


def test_a_slack_error_has_the_given_code(http, slack):
    inject(http, kind="slack_error", error="channel_is_archived")
    response = failed(slack)
    assert (response.status_code, response["error"]) == (200, "channel_is_archived")


@pytest.mark.parametrize("accept", [False, True])
def test_a_silent_server_times_the_client_out(http, slack, accept):
    inject(http, kind="timeout", accept=accept)
    slack.timeout = 0.2
    with pytest.raises(TimeoutError):
        slack.chat_postMessage(channel="a", text="hello")
    assert texts(http) == (["hello"] if accept else [])


def test_a_silent_server_closes_in_the_end(http, slack):
    inject(http, kind="timeout", hold_s=0.1)
    with pytest.raises(ConnectionError):
        slack.chat_postMessage(channel="a", text="hello")


@pytest.mark.parametrize("accept", [False, True])
def test_a_reset_connection(http, slack, accept):
    inject(http, kind="reset", accept=accept)
    with pytest.raises(ConnectionResetError):
        slack.chat_postMessage(channel="a", text="hello")
    assert texts(http) == (["hello"] if accept else [])
    assert last_call(http)["status"] == 0


def test_a_fault_lasts_for_its_times_and_its_methods_only(http, slack):
    inject(http, kind="http_500", times=2, methods=["chat.postMessage"])
    assert slack.auth_test()["ok"] is True
    assert failed(slack).status_code == 500
    assert http.get("/_standin/fault").json()["times"] == 1
    assert failed(slack).status_code == 500
    assert http.get("/_standin/fault").json() is None
    assert slack.chat_postMessage(channel="a", text="hello")["ok"] is True


def test_clearing_ends_a_fault(http, slack):
    inject(http, kind="http_500", times=1000)
    http.delete("/_standin/fault")
    assert slack.auth_test()["ok"] is True


def test_an_upload_can_fail_at_its_bytes(http, slack):
    inject(http, kind="http_500", methods=["upload"])
    with pytest.raises(urllib.error.HTTPError, match="500"):
        slack.files_upload_v2(content="a", filename="a.txt")
    assert last_call(http)["method"] == "upload"


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        ({"kind": "slack_error", "error": "no_service"}, (404, "no_service")),
        ({"kind": "slack_error", "error": "channel_is_archived"}, (410, "channel_is_archived")),
        ({"kind": "ratelimited"}, (429, "rate_limited")),
        ({"kind": "http_500"}, (500, "Server Error")),
    ],
)
def test_a_webhook_can_fail(http, fault, answer):
    inject(http, methods=["webhook"], **fault)
    webhook = WebhookClient(f"{http.base_url}/services/T1/B1/XYZ", timeout=5, retry_handlers=[])
    got = webhook.send(text="hello")
    assert (got.status_code, got.body) == answer
    assert texts(http) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "earthquake"},
        {"kind": "http_500", "time": 3},
        {"kind": "http_500", "times": 0},
        {"kind": "http_500", "error": "no_text"},
        {"kind": "slack_error"},
        {"kind": "slack_error", "error": "no_text", "accept": True},
        {"kind": "http_500", "methods": ["chat.postMesage"]},
    ],
)
def test_an_invalid_fault_is_refused(http, fault):
    assert http.put("/_standin/fault", json=fault).status_code == 422
