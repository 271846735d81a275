"""The page, and its defence against hostile text."""

import pytest

HOSTILE = "</title><script>alert(1)</script><img src=x onerror=alert(1)>"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt;"


def plain(text):
    return {"type": "plain_text", "text": text}


@pytest.fixture
def parent(slack):
    return slack.chat_postMessage(channel="#perf-alerts", text="*parent* &amp; more")


def test_the_first_page_shows_the_channel_with_the_latest_message(http, slack, parent):
    slack.chat_postMessage(channel="#other", text="latest")
    page = http.get("/").text
    assert '<div class="line">latest</div>' in page
    assert "<strong>parent</strong>" not in page
    assert 'aria-current="page"><span class="hash">#</span>other</a>' in page


def test_a_channel_is_found_by_name_and_by_id(http, parent):
    by_name, by_id = http.get("/channel/perf-alerts"), http.get(f"/channel/{parent['channel']}")
    assert by_name.text == by_id.text
    assert "<strong>parent</strong> &amp; more" in by_name.text
    assert http.get("/channel/nowhere").status_code == 404


def test_replies_are_below_their_parent_and_broadcasts_also_in_the_channel(http, slack, parent):
    where = {"channel": parent["channel"], "thread_ts": parent["ts"]}
    slack.chat_postMessage(text="first reply", **where)
    slack.chat_postMessage(text="second reply", reply_broadcast=True, **where)
    page = http.get("/channel/perf-alerts").text
    assert "2 replies" in page
    assert (page.count("first reply"), page.count("second reply")) == (1, 2)
    assert "replied to a thread" in page
    assert page.count("Also sent to the channel") == 1
    assert page.count('class="message reply"') == 2


def test_a_long_parent_is_cut_before_it_becomes_html(http, slack):
    parent = slack.chat_postMessage(channel="a", text="x" * 80 + " :warning: " * 10)
    slack.chat_postMessage(channel=parent["channel"], text="b", thread_ts=parent["ts"], reply_broadcast=True)
    assert ">" + "x" * 80 + "...</a>" in http.get("/channel/a").text


def test_a_single_message_is_shown_alone_with_its_thread(http, slack, parent):
    slack.chat_postMessage(channel=parent["channel"], text="reply", thread_ts=parent["ts"])
    slack.chat_postMessage(channel=parent["channel"], text="unrelated")
    page = http.get(f"/message/{parent['ts']}").text
    assert "1 reply" in page
    assert "unrelated" not in page
    assert "sidebar" not in page
    assert http.get("/message/1.2").status_code == 404


def test_every_block_is_shown(http, slack):
    blocks = [
        {"type": "header", "text": plain("The header")},
        {"type": "section", "fields": [plain("field one")], "accessory": {"type": "button", "text": plain("Press")}},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "_context_"}]},
        {
            "type": "actions",
            "elements": [{"type": "button", "text": plain("Open"), "url": "https://e.com/r", "style": "primary"}],
        },
        {"type": "image", "image_url": "https://e.com/a.png", "alt_text": "elsewhere", "title": plain("A title")},
        {
            "type": "rich_text",
            "elements": [
                {"type": "rich_text_section", "elements": [{"type": "text", "text": "rich", "style": {"bold": True}}]}
            ],
        },
    ]
    slack.chat_postMessage(channel="a", text="only in the notification", blocks=blocks)
    page = http.get("/channel/a").text
    for piece in (
        '<h2 class="block">The header</h2>',
        '<div class="text">field one</div>',
        '<span class="button ">Press</span>',
        '<hr class="block">',
        "<em>context</em>",
        '<a class="button primary" href="https://e.com/r"',
        "<figcaption>A title</figcaption>",
        '<a class="full elsewhere" href="https://e.com/a.png"',
        "<strong>rich</strong>",
    ):
        assert piece in page
    assert "only in the notification" not in page
    assert "<img" not in page


def test_an_edited_message_a_reaction_and_an_attachment_show(http, slack, parent):
    slack.reactions_add(channel=parent["channel"], timestamp=parent["ts"], name="eyes")
    slack.chat_update(channel=parent["channel"], ts=parent["ts"], text="changed")
    slack.chat_postMessage(channel=parent["channel"], text="a", attachments=[{"color": "danger", "text": "attached"}])
    page = http.get("/channel/perf-alerts").text
    assert '<li title=":eyes:"><img class="emoji" src="/emoji/eyes.svg"' in page
    assert "(edited)" in page
    assert '<div class="attachment danger">' in page


def test_an_edited_message_with_blocks_is_not_marked(http, slack, parent):
    """Like in Slack: https://docs.slack.dev/reference/methods/chat.update."""
    blocks = [{"type": "section", "text": plain("new")}]
    slack.chat_update(channel=parent["channel"], ts=parent["ts"], text="changed", blocks=blocks)
    assert "(edited)" not in http.get("/channel/perf-alerts").text


def hostile_message(slack):
    """Return a message with the hostile text in every text field."""
    file = slack.files_upload_v2(content=HOSTILE, filename=f"{HOSTILE}.txt", title=HOSTILE)["file"]
    image = {"type": "image", "alt_text": HOSTILE, "image_url": "https://e.com/'\"><script>alert(1)</script>"}
    leaves = [
        {"type": "text", "text": HOSTILE},
        {"type": "emoji", "name": HOSTILE},
        {"type": "user", "user_id": HOSTILE},
        {"type": "link", "url": 'https://e.com/"><script>', "text": HOSTILE},
        {"type": "date", "timestamp": 1, "fallback": HOSTILE},
    ]
    blocks = [
        {"type": "header", "text": plain(HOSTILE)},
        {"type": "section", "text": {"type": "mrkdwn", "text": HOSTILE}, "accessory": image},
        {"type": "section", "fields": [plain(HOSTILE)]},
        {"type": "context", "elements": [image, {"type": "mrkdwn", "text": f"```{HOSTILE}```"}]},
        {"type": "actions", "elements": [{"type": "button", "text": plain(HOSTILE), "value": HOSTILE}]},
        image | {"title": plain(HOSTILE)},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": leaves}]},
    ]
    attachment = {"color": HOSTILE, "title": HOSTILE, "fallback": HOSTILE, "footer": HOSTILE, "pretext": HOSTILE}
    sent = slack.chat_postMessage(channel="a", text=HOSTILE, blocks=blocks, attachments=[attachment])
    slack.chat_postMessage(
        channel=sent["channel"], text=HOSTILE, thread_ts=sent["ts"], reply_broadcast=True, mrkdwn=False
    )
    slack.files_upload_v2(
        channel=sent["channel"], content=HOSTILE, filename=HOSTILE, title=HOSTILE, initial_comment=HOSTILE
    )
    assert file["title"] == HOSTILE
    return sent


def test_hostile_text_is_text_everywhere(http, slack):
    sent = hostile_message(slack)
    for path in ("/channel/a", f"/message/{sent['ts']}"):
        page = http.get(path).text
        assert "<script" not in page
        assert "<img src=x" not in page
        assert page.count("</title>") == 1
        assert page.count(ESCAPED) >= 12


def test_the_page_loads_no_other_site_and_runs_no_script(http, parent):
    policy = http.get("/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; img-src 'self'")
    assert "script" not in policy
    css = http.get("/slack.css")
    assert css.headers["content-type"].startswith("text/css")
    assert "url(" not in css.text
    assert "prefers-color-scheme: dark" in css.text


def test_a_drawing_is_an_svg_and_unknown_ones_are_missing(http):
    assert http.get("/emoji/warning.svg").headers["content-type"] == "image/svg+xml"
    assert http.get("/emoji/nothing.svg").status_code == 404


def test_clearing_forgets_messages_and_files(http, slack, parent):
    file = slack.files_upload_v2(channel=parent["channel"], content="a", filename="a.txt")["file"]
    http.delete("/_standin/messages")
    assert http.get("/_standin/messages").json() == {"messages": []}
    assert http.get(f"/files/{file['id']}").status_code == 404
    assert "No messages here yet." in http.get("/channel/perf-alerts").text
