"""mrkdwn as HTML, and hostile text that must remain text."""

import time

import pytest

from demo.slack.mrkdwn import link_target, mrkdwn, plain

REL = 'rel="noopener noreferrer nofollow" target="_blank"'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("*bold*", "<strong>bold</strong>"),
        ("_italic_", "<em>italic</em>"),
        ("~strike~", "<del>strike</del>"),
        ("*a _b_ c*", "<strong>a <em>b</em> c</strong>"),
        ("`*code*`", "<code>*code*</code>"),
        ("a*b*c snake_case_name", "a*b*c snake_case_name"),
        ("* not bold *", "* not bold *"),
        ("2 * 3 * 4", "2 * 3 * 4"),
        ("10:30:45", "10:30:45"),
        ("<https://e.com|label>", f'<a href="https://e.com" {REL}>label</a>'),
        ("<https://e.com?a=1&amp;b=2>", f'<a href="https://e.com?a=1&amp;b=2" {REL}>https://e.com?a=1&amp;b=2</a>'),
        ("see https://e.com/a.", f'see <a href="https://e.com/a" {REL}>https://e.com/a</a>.'),
        ("<mailto:a@e.com>", f'<a href="mailto:a@e.com" {REL}>a@e.com</a>'),
        ("<!here>", '<span class="mention group">@here</span>'),
        ("<!subteam^S1|@on-call>", '<span class="mention group">@on-call</span>'),
        ("<@U1>", '<span class="mention user">@U1</span>'),
        ("<#C1|general>", '<span class="mention channel">#general</span>'),
        ("<!date^1763838000^{date}|22 Nov>", "22 Nov"),
        ("&amp; &lt; &gt;", "&amp; &lt; &gt;"),
        ("&amp;lt;", "&amp;lt;"),  # unescaped once: the reader sees &lt;
        (":no_such_emoji:", ":no_such_emoji:"),
    ],
)
def test_inline_text(text, html):
    assert mrkdwn(text) == f'<div class="line">{html}</div>'


def test_known_emoji_are_drawn_and_others_shown_as_characters():
    drawn = '<img class="emoji" src="/emoji/rotating_light.svg" alt="🚨" title=":rotating_light:">'
    assert plain(":rotating_light:") == drawn
    assert plain("🚨") == drawn
    assert plain(":rocket:") == '<span class="emoji" title=":rocket:">🚀</span>'


def test_lines_lists_quotes_and_preformatted_text_are_elements():
    text = "first\n\n• entry\n1. one\n&gt; quoted\n```\na &lt; *b*\n  c```\nlast"
    assert mrkdwn(text) == (
        '<div class="line">first</div><div class="line blank"></div>'
        '<div class="line entry">• entry</div><div class="line entry">1. one</div>'
        "<blockquote>quoted</blockquote><pre>a &lt; *b*\n  c</pre>"
        '<div class="line">last</div>'
    )


HOSTILE = [
    "<script>alert(1)</script>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    '<https://e.com/"onmouseover="alert(1)|x>',
    "<https://e.com|<img src=x onerror=alert(1)>>",
    "<javascript:alert(1)|click>",
    "<JaVaScRiPt:alert(1)>",
    "<data:text/html,<script>alert(1)</script>|x>",
    "<!subteam^S1|<b>x</b>>",
    "<@U1|</span><script>>",
    "```<script>alert(1)</script>```",
    "`<img src=x onerror=alert(1)>`",
    "*<svg onload=alert(1)>*",
    "</div></main><iframe src=//e.com>",
    'https://e.com/"><script>alert(1)</script>',
    "<https://e.com\t|x>",
    "\0<b>",
    ":</span><script>:",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_becomes_no_element_and_no_dangerous_link(text):
    for html in (str(mrkdwn(text)), str(plain(text))):
        lowered = html.lower()
        for tag in ("<script", "<img src=x", "<svg", "<iframe", "<b>", "</main"):
            assert tag not in lowered
        assert 'href="javascript' not in lowered
        assert 'href="data' not in lowered
        # no attribute of ours ends early
        assert '"onmouseover' not in lowered


@pytest.mark.parametrize("text", ["*" * 40_000, "<" * 40_000, "`" * 39_999, "_a" * 20_000, "https://." * 4_000])
def test_hostile_length_takes_no_time(text):
    start = time.perf_counter()
    mrkdwn(text)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://e.com", "https://e.com"),
        ("mailto:a@e.com", "mailto:a@e.com"),
        ("javascript:alert(1)", None),
        (" https://e.com", None),
        ("https://e.com\n", None),
        (None, None),
    ],
)
def test_only_web_and_mail_links_may_be_followed(url, expected):
    assert link_target(url) == expected
