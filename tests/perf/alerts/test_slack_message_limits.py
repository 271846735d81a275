"""Slack's limits: text is escaped and shortened, and a strict stand-in accepts the result."""

import pytest

from demo.slack import mrkdwn
from demo.slack.limits import is_too_long, problems
from include.perf.alerts import slack_blocks as slack
from include.perf.alerts.book import Links

HOSTILE = "<!channel> <@U123> <https://evil.example|ok> @here & &lt;!here&gt; *b* _i_ ~s~ `c` :x: https://evil.example"


# Foreign text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b & c > d", "a &lt; b &amp; c &gt; d"),
        ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ("@here @Channel me@example", "@\u200bhere @\u200bChannel me@example"),
        ("*bold* ~gone~ `code`", "∗bold∗ ∼gone∼ 'code'"),
        ("scheduled__market_open", "scheduled__market_open"),
        ("_slanted_ a_b __init__", "ˍslantedˍ a_b ˍˍinitˍˍ"),
        (":x: :+1: 06:40:55", "∶x: ∶+1: 06:40:55"),
        ("at https://a.example:80/b", "at https:/\u200b/a.example:80/b"),
        ("one\n> two\x1b[31m\u202e", "one &gt; two [31m"),
    ],
)
def test_foreign_text_is_shown_literally(text: str, expected: str) -> None:
    """Entities where Slack knows them, lookalikes for formatting, and names with underscores unchanged."""
    assert slack.escape(text) == expected


def test_nothing_in_escaped_text_is_interpreted() -> None:
    """The stand-in's page, which renders mrkdwn like Slack, makes no element of it."""
    shown = str(mrkdwn.mrkdwn(f"• {slack.escape(HOSTILE)}"))
    assert shown.startswith('<div class="line entry">• ')
    inside = shown.removeprefix('<div class="line entry">').removesuffix("</div>")
    assert "<" not in inside
    assert "❌" not in inside


def test_plain_text_has_no_angle_brackets_and_no_entities() -> None:
    """Headers and notifications do not always decode entities."""
    assert slack.plain("<b> & <!here>") == "‹b› & ‹!here›"
    assert "<" not in slack.plain(HOSTILE)


def test_shortened_text_ends_with_a_complete_entity() -> None:
    """20 characters hold "&amp;" three times and the ellipsis."""
    assert slack.escape("&" * 9, 20) == "&amp;&amp;&amp;…"


@pytest.mark.parametrize(
    ("lines", "limit", "expected"),
    [
        (["abc", "def"], 7, "abc\ndef"),
        (["abc"], 3, "abc"),
        (["abcd"], 3, "ab…"),
        (["a", "b" * 30, "c"], 20, "a\n… and 2 more"),
        (["a" * 30, "b", "c"], 20, "aaaaaa…\n… and 2 more"),
        (["ab&amp;cd"], 6, "ab…"),
        ([], 5, ""),
    ],
)
def test_fit_counts_the_omitted_lines(lines: list[str], limit: int, expected: str) -> None:
    """Complete lines where possible, complete entities, and never more than the limit."""
    assert slack.fit(lines, limit) == expected
    assert len(slack.fit(lines, limit)) <= limit


@pytest.mark.parametrize("length", [4, 5, 6, 20, 149, 150, 151])
def test_fit_never_exceeds_any_limit(length: int) -> None:
    """For limits that have room for a word."""
    assert len(slack.fit(["&amp;" * 40, "x"], max(length, 16))) <= max(length, 16)


# Mentions


def test_a_mention_is_of_a_user_group() -> None:
    """A malformed id is reported instead of being ignored."""
    assert slack.mention_of("S0123ABCD") == "<!subteam^S0123ABCD>"
    assert slack.mention_of(None) == ""
    assert slack.mention_of("<!here>") == "(nobody is mentioned: &lt;!here&gt; is not the id of a user group)"
    assert "<" not in slack.mention_of("S0123ABCD> <!channel")


# Blocks


def test_blocks_of_any_length_are_accepted() -> None:
    """Each builder respects its limit."""
    huge = ["&amp;" * 3000] * 30
    built = [
        slack.header("h" * 500),
        slack.section(huge),
        slack.context(huge),
        slack.fields({str(number): "f" * 5000 for number in range(15)}),
        slack.buttons(Links(report="https://a/" + "x" * 2990, prometheus="https://p.example/q?a=1&b=2")),
    ]
    assert all(built)
    for block in built:
        assert problems([block]) == []


def test_without_content_there_is_no_block() -> None:
    """Slack refuses a message with an empty block."""
    nothing = [slack.section([]), slack.section([""]), slack.context([]), slack.fields({}), slack.fields({"a": ""})]
    assert [*nothing, slack.buttons(Links())] == [None] * 6


def test_ten_fields_are_shown_and_the_rest_is_counted() -> None:
    """Slack refuses an eleventh."""
    ten = slack.fields({str(number): "f" for number in range(10)})
    eleven = slack.fields({str(number): "f" for number in range(11)})
    assert ten is not None
    assert eleven is not None
    assert (len(ten["fields"]), ten["fields"][-1]["text"]) == (10, "*9*\nf")
    assert (len(eleven["fields"]), eleven["fields"][-1]["text"]) == (10, "… and 2 more")


@pytest.mark.parametrize(
    ("url", "is_button"),
    [
        ("https://a/" + "x" * 2990, True),
        ("https://a/" + "x" * 2991, False),
        ("http://127.0.0.1:9090/graph?g0.expr=up&g0.tab=0", True),
        ("file:///results/report.md", False),
        ("https://a/<!here>", False),
        ("https://a/`b", False),
        ("https://", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_web_addresses_that_fit_become_buttons(url: str, is_button: bool) -> None:
    """Other addresses are shown as text."""
    links = Links(report=url)
    assert (slack.buttons(links) is not None, slack.paths(links) == []) == (is_button, is_button)
    assert "<" not in "".join(slack.paths(links))


# The budget


def test_the_least_urgent_block_is_omitted_first_and_named() -> None:
    """9000 and 2000 characters do not fit into 10 000; the 9000 are the less urgent."""
    blocks = {
        "links": slack.buttons(Links(report="https://a/" + "x" * 2900)),
        "facts": slack.fields({str(number): "f" * 900 for number in range(10)}),
        "deviations": slack.section(["d" * 2000]),
    }
    kept = slack.within_budget(blocks, least_urgent=("facts", "links"))
    assert [block["type"] for block in kept] == ["actions", "section", "context"]
    assert kept[-1]["elements"][0]["text"] == "… omitted, too long for Slack: facts"
    assert problems(kept) == []
    assert not is_too_long(kept)


def test_blocks_that_fit_are_unchanged() -> None:
    """In the order given."""
    blocks = {"a": slack.header("a"), "nothing": None, "b": slack.section(["b"])}
    assert slack.within_budget(blocks, least_urgent=("a", "b")) == [slack.header("a"), slack.section(["b"])]


def test_no_more_than_fifty_blocks() -> None:
    """Of 52 blocks three are omitted, because the note is a block, too."""
    blocks = {str(number): slack.section(["x"]) for number in range(52)}
    kept = slack.within_budget(blocks, least_urgent=("51", "50", "49", "48"))
    assert len(kept) == 50
    assert kept[-1]["elements"][0]["text"] == "… omitted, too long for Slack: 51, 50, 49"


def test_plain_text_has_the_content_of_the_blocks() -> None:
    """Without formatting, entities and mentions; a field is a line, and a button an address."""
    blocks = [
        slack.header("not repeated"),
        slack.section([f"*Critical* {slack.escape('a<b & c')} <!subteam^S0123ABCD>"]),
        slack.fields({"Why": "confirmed"}),
        slack.buttons(Links(report="https://a.example/?b=1&c=2")),
        slack.context(["run `r-1`"]),
    ]
    assert slack.plain_of([block for block in blocks if block]).splitlines() == [
        "Critical a‹b & c",
        "Why: confirmed",
        "Report: https://a.example/?b=1&c=2",
        "run r-1",
    ]
