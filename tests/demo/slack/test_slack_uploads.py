"""File uploads: with Slack's client, and step by step."""

import httpx
import pytest
from slack_sdk.errors import SlackApiError

PNG = b"\x89PNG\r\n\x1a\n" + bytes(100)


def messages(http):
    return http.get("/_standin/messages").json()["messages"]


def refusal(call, **arguments):
    with pytest.raises(SlackApiError) as caught:
        call(**arguments)
    return caught.value.response["error"]


@pytest.fixture
def parent(slack):
    return slack.chat_postMessage(channel="#perf-alerts", text="parent")


@pytest.fixture
def declared(slack):
    return slack.files_getUploadURLExternal(filename="a.png", length=len(PNG))


def test_slacks_client_uploads_into_a_thread(http, slack, parent):
    answer = slack.files_upload_v2(
        channel=parent["channel"],
        thread_ts=parent["ts"],
        file=PNG,
        filename="chart.png",
        title="p95",
        alt_txt="p95 rose",
        initial_comment="chart",
    )
    shared = messages(http)[1]
    assert (shared["text"], shared["thread_ts"]) == ("chart", parent["ts"])
    assert shared["files"] == [{"id": answer["file"]["id"], "name": "chart.png", "title": "p95", "size": len(PNG)}]
    file = http.get(f"/files/{answer['file']['id']}")
    assert (file.content, file.headers["content-type"]) == (PNG, "image/png")


def test_two_files_make_one_message(http, slack, parent):
    uploads = [{"content": "a,b", "filename": "a.csv"}, {"content": "c", "filename": "c.txt"}]
    slack.files_upload_v2(channel=parent["channel"], file_uploads=uploads)
    assert [file["name"] for file in messages(http)[1]["files"]] == ["a.csv", "c.txt"]


def test_a_multipart_upload_is_accepted(http, declared):
    answer = http.post(declared["upload_url"], files={"file": ("a.png", PNG)})
    assert (answer.status_code, answer.text) == (200, f"OK - {len(PNG)}")


@pytest.mark.parametrize("data", [PNG[:-1], PNG + b"x", b""])
def test_the_number_of_bytes_must_match(http, slack, declared, data):
    answer = http.post(declared["upload_url"], content=data)
    assert answer.status_code == 400
    assert f"{len(PNG)} bytes were declared, but {len(data)} were received" in answer.text
    files = [{"id": declared["file_id"]}]
    assert refusal(slack.files_completeUploadExternal, files=files) == "file_not_found"


def test_an_upload_url_works_once_and_an_unknown_one_never(http, declared):
    assert http.post(declared["upload_url"], content=PNG).status_code == 200
    assert http.post(declared["upload_url"], content=PNG).status_code == 404
    assert http.post("/upload/v1/unknown", content=PNG).status_code == 404


def test_an_unshared_file_is_not_visible(http, declared):
    http.post(declared["upload_url"], content=PNG)
    assert messages(http) == []
    assert http.get(f"/files/{declared['file_id']}").status_code == 404


def test_a_file_is_shared_only_once(http, slack, declared, parent):
    http.post(declared["upload_url"], content=PNG)
    arguments = {"files": [{"id": declared["file_id"]}], "channel_id": parent["channel"]}
    slack.files_completeUploadExternal(**arguments)
    assert refusal(slack.files_completeUploadExternal, **arguments) == "file_not_found"


def test_a_file_is_shared_by_channel_id_only(slack):
    slack.chat_postMessage(channel="#perf-alerts", text="a")
    arguments = {"content": "a", "filename": "a.txt"}
    assert refusal(slack.files_upload_v2, channel="#perf-alerts", **arguments) == "channel_not_found"
    assert refusal(slack.files_upload_v2, channel="perf-alerts", **arguments) == "channel_not_found"


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"filename": "a", "length": 0}, "invalid_arguments"),
        ({"filename": "a", "length": "many"}, "invalid_arguments"),
        ({"filename": "a" * 256, "length": 1}, "invalid_arguments"),
        ({"filename": "a", "length": 1, "alt_txt": "a" * 1001}, "alt_txt_too_large"),
        ({"filename": "a", "length": 50 * 1024 * 1024 + 1}, "file_upload_size_restricted"),
        ({"filename": "a", "length": 1024 * 1024 + 1, "snippet_type": "text"}, "snippet_too_large"),
    ],
)
def test_an_invalid_declaration_is_refused(slack, arguments, error):
    assert refusal(slack.files_getUploadURLExternal, **arguments) == error


@pytest.mark.parametrize("extra", [{"thread_ts": "1700000000.000100"}, {"channels": ["C0AAAAAAA"]}])
def test_a_thread_must_exist_and_channels_are_given_once(http, slack, declared, parent, extra):
    http.post(declared["upload_url"], content=PNG)
    files = [{"id": declared["file_id"]}]
    error = refusal(slack.files_completeUploadExternal, files=files, channel_id=parent["channel"], **extra)
    assert error == ("thread_not_found" if "thread_ts" in extra else "invalid_arguments")


def test_a_private_file_may_be_shown_by_an_image_block(http, slack):
    file = slack.files_upload_v2(content=PNG, filename="a.png")["file"]
    for reference in ({"id": file["id"]}, {"url": file["url_private"]}):
        block = {"type": "image", "alt_text": "a", "slack_file": reference}
        assert slack.chat_postMessage(channel="a", text="a", blocks=[block])["ok"] is True
    missing = {"type": "image", "alt_text": "a", "slack_file": {"id": "F0"}}
    assert refusal(slack.chat_postMessage, channel="a", text="a", blocks=[missing]) == "invalid_blocks"
    assert http.get("/channel/a").text.count(f'<img class="full" src="/files/{file["id"]}"') == 2


def test_a_file_that_is_not_a_picture_is_a_download(http, slack):
    file = slack.files_upload_v2(content="<script>alert(1)</script>", filename='a".html')["file"]
    answer = http.get(f"/files/{file['id']}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%22.html"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_upload_without_a_length_is_refused(declared):
    answer = httpx.post(declared["upload_url"], content=iter([PNG]))
    assert answer.status_code == 413
