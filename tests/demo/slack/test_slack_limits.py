"""All limits at their boundary: n passes, n + 1 does not."""

import pytest

from demo.slack.limits import is_too_long, problems, total_characters


def plain(length, kind="plain_text"):
    return {"type": kind, "text": "x" * length}


def section(**keys):
    return {"type": "section"} | keys


def button(**keys):
    return {"type": "button", "text": plain(1)} | keys


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def image(**keys):
    return {"type": "image", "alt_text": "a", "image_url": "https://example.com/a.png"} | keys


def url(length):
    return "https://example.com/".ljust(length, "a")


CONFIRM = {"title": plain(100), "text": plain(300), "confirm": plain(30), "deny": plain(30)}

BOUNDARIES = [
    # limit, block of that size, pointer of the problem beyond it
    (150, lambda n: {"type": "header", "text": plain(n)}, "/blocks/0/text/text"),
    (3000, lambda n: section(text=plain(n, "mrkdwn")), "/blocks/0/text/text"),
    (10, lambda n: section(fields=[plain(1)] * n), "/blocks/0/fields"),
    (2000, lambda n: section(fields=[plain(n)]), "/blocks/0/fields/0/text"),
    (255, lambda n: section(text=plain(1), block_id="b" * n), "/blocks/0/block_id"),
    (10, lambda n: {"type": "context", "elements": [plain(1)] * n}, "/blocks/0/elements"),
    (25, lambda n: actions(*[button()] * n), "/blocks/0/elements"),
    (75, lambda n: actions(button(text=plain(n))), "/blocks/0/elements/0/text/text"),
    (3000, lambda n: actions(button(url=url(n))), "/blocks/0/elements/0/url"),
    (255, lambda n: actions(button(action_id="a" * n)), "/blocks/0/elements/0/action_id"),
    (2000, lambda n: actions(button(value="v" * n)), "/blocks/0/elements/0/value"),
    (75, lambda n: actions(button(accessibility_label="l" * n)), "/blocks/0/elements/0/accessibility_label"),
    (30, lambda n: actions(button(confirm=CONFIRM | {"deny": plain(n)})), "/blocks/0/elements/0/confirm/deny"),
    (2000, lambda n: image(alt_text="a" * n), "/blocks/0/alt_text"),
    (3000, lambda n: image(image_url=url(n)), "/blocks/0/image_url"),
    (2000, lambda n: image(title=plain(n)), "/blocks/0/title/text"),
]


@pytest.mark.parametrize(("limit", "block", "pointer"), BOUNDARIES)
def test_a_block_at_its_limit_passes_and_one_more_is_refused(limit, block, pointer):
    assert problems([block(limit)]) == []
    (message,) = problems([block(limit + 1)])
    assert str(limit) in message or str(limit + 1) in message
    assert f"[json-pointer:{pointer}" in message


def test_fifty_blocks_pass_and_fifty_one_are_refused():
    assert problems([{"type": "divider"}] * 50) == []
    assert problems([{"type": "divider"}] * 51) == ["no more than 50 items allowed [json-pointer:/blocks]"]


def test_the_message_for_a_long_text_is_slacks():
    found = problems([section(text=plain(3001))])
    assert found == ["must be less than 3001 characters [json-pointer:/blocks/0/text/text]"]


def test_the_total_counts_every_text_and_a_buffer_a_block():
    blocks = [section(text=plain(2980))] * 4  # 4 × (2980 + 20) = 12 000 characters
    assert total_characters(blocks) == 12_000
    assert not is_too_long(blocks)
    blocks = [*blocks[:3], section(text=plain(2981))]  # 12 001
    assert is_too_long(blocks)


def test_the_total_agrees_with_observations_of_slack():
    """9,597 characters in 50 blocks were accepted, 11,341 in 45 refused."""
    assert not is_too_long([section(text=plain(9597 - 49 * 100))] + [section(text=plain(100))] * 49)
    assert is_too_long([section(text=plain(11341 - 44 * 250))] + [section(text=plain(250))] * 44)


WRONG = [
    (section(), "missing required field: text [json-pointer:/blocks/0]"),
    (section(text=plain(0)), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    (section(text="no object"), "must be an object [json-pointer:/blocks/0/text]"),
    (section(text=plain(1), colour="red"), "invalid additional property: colour [json-pointer:/blocks/0]"),
    (section(text={"type": "html", "text": "x"}), "must be one of: plain_text, mrkdwn"),
    (section(text=plain(1) | {"verbatim": True}), "invalid additional property: verbatim"),
    (section(text=plain(1, "mrkdwn") | {"emoji": True}), "invalid additional property: emoji"),
    (section(text=plain(1), expand=1), "must be one of: True, False [json-pointer:/blocks/0/expand]"),
    (section(fields=[]), "no less than 1 items allowed [json-pointer:/blocks/0/fields]"),
    (section(fields="x"), "must be an array [json-pointer:/blocks/0/fields]"),
    (section(text=plain(1), accessory={"type": "datepicker"}), "unsupported type: datepicker"),
    ({"type": "header", "text": plain(1, "mrkdwn")}, "must be one of: plain_text"),
    ({"type": "divider", "text": "x"}, "invalid additional property: text [json-pointer:/blocks/0]"),
    ({"type": "marquee"}, "unsupported type: marquee [json-pointer:/blocks/0/type]"),
    ({"type": ["header"]}, "unsupported type: ['header'] [json-pointer:/blocks/0/type]"),
    ({}, "unsupported type: None [json-pointer:/blocks/0/type]"),
    ("text", "unsupported type: None [json-pointer:/blocks/0/type]"),
    (actions(), "no less than 1 items allowed [json-pointer:/blocks/0/elements]"),
    (actions(image()), "unsupported type: image [json-pointer:/blocks/0/elements/0/type]"),
    (actions(button(style="default")), "must be one of: primary, danger"),
    (actions(button(url="javascript:alert(1)")), "invalid_url [json-pointer:/blocks/0/elements/0/url]"),
    (actions(button(action_id="a"), button(action_id="a")), "action_id already exists in this block"),
    (image(alt_text=1), "must be a string [json-pointer:/blocks/0/alt_text]"),
    (image(slack_file={"id": "F1"}), "must have exactly one of: image_url, slack_file"),
    (image(image_url="http://localhost:8080/a.png"), "downloading image failed"),
    (image(image_url="http://10.0.0.7/a.png"), "downloading image failed"),
    (image(image_url="http://[::1]/a.png"), "downloading image failed"),
    (image(image_url="http://grafana:3000/a.png"), "downloading image failed"),
    (image(image_width=3), "invalid additional property: image_width [json-pointer:/blocks/0]"),
]


@pytest.mark.parametrize(("block", "message"), WRONG)
def test_a_wrong_block_is_refused_with_its_pointer(block, message):
    (found,) = problems([block])
    assert found.startswith(message)
    assert "[json-pointer:/blocks/0" in found


def test_block_ids_must_differ_within_a_message():
    twins = [section(text=plain(1), block_id="same")] * 2
    assert problems(twins) == ["block_id already exists in this message [json-pointer:/blocks/1/block_id]"]


def test_every_problem_is_reported_at_once():
    found = problems([section(text=plain(3001), x=1), {"type": "y"}])
    assert len(found) == 3


def test_blocks_that_are_not_a_list_are_refused():
    assert problems({"type": "divider"}) == ["must be an array [json-pointer:/blocks]"]


def rich(*elements):
    return {"type": "rich_text", "elements": list(elements)}


def rich_section(*leaves):
    return {"type": "rich_text_section", "elements": list(leaves)}


def test_rich_text_with_every_container_passes():
    line = rich_section(
        {"type": "text", "text": "a", "style": {"bold": True}},
        {"type": "link", "url": "https://example.com"},
        {"type": "emoji", "name": "fire"},
        {"type": "usergroup", "usergroup_id": "S1"},
        {"type": "date", "timestamp": 1763838000, "format": "{date}"},
    )
    block = rich(
        line,
        {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [line]},
        {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "a"}]},
        {"type": "rich_text_quote", "elements": [{"type": "text", "text": "a"}]},
    )
    assert problems([block]) == []


@pytest.mark.parametrize(
    ("element", "message"),
    [
        ({"type": "table"}, "unsupported type: table"),
        (rich_section({"type": "script"}), "unsupported type: script"),
        (rich_section({"type": "text"}), "missing required field: text"),
        (rich_section({"type": "text", "text": "a", "style": {"blink": True}}), "invalid additional property"),
        (rich_section({"type": "link", "url": "javascript:alert(1)"}), "invalid_url"),
        (rich_section({"type": "date", "timestamp": "now"}), "must be an integer"),
        ({"type": "rich_text_list", "elements": []}, "missing required field: style"),
        ({"type": "rich_text_list", "style": "bullet", "elements": ["a"]}, "must be a rich_text_section"),
    ],
)
def test_wrong_rich_text_is_refused(element, message):
    assert problems([rich(element)])[0].startswith(message)
