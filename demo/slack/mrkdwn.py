"""Renders Slack's mrkdwn as safe HTML.

All other text is escaped, so hostile text remains text. ``&amp;``, ``&lt;`` and
``&gt;`` are unescaped exactly once, as Slack does.

Source: https://docs.slack.dev/messaging/formatting-message-text
"""

import re

from markupsafe import Markup, escape

from demo.slack import emoji

_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">"}
_ENTITY = re.compile("|".join(_ENTITIES))
_PREFORMATTED = re.compile(r"```(.+?)```", re.DOTALL)
_LINKABLE = re.compile(r"(?:https?://|mailto:)[^\s]+\Z", re.IGNORECASE)
_QUOTE = re.compile(r"(?:&gt;|>) ?")
_LIST_ENTRY = re.compile(r"\s*(?:[•◦▪\-]|\d{1,3}\.)\s")


def _delimited(name: str, mark: str) -> str:
    """Return the pattern of ``*bold*`` and the like: not within a word, no blanks inside the marks."""
    inner = rf"(?P<{name}>[^\s{mark}](?:[^{mark}\n]*[^\s{mark}])?)"
    return rf"(?<![\w{mark}]){mark}{inner}{mark}(?![\w{mark}])"


_INLINE = re.compile(
    "|".join(
        (
            r"`(?P<code>[^`\n]+)`",
            r"<(?P<angle>[^<>\n]+)>",
            r"(?P<address>https?://[^\s<>|*`]*[^\s<>|*`.,;:!?)\]'\"_~])",
            _delimited("bold", r"\*"),
            _delimited("italic", "_"),
            _delimited("strike", "~"),
        )
    )
)
_STYLES = {
    "bold": Markup("<strong>{}</strong>"),
    "italic": Markup("<em>{}</em>"),
    "strike": Markup("<del>{}</del>"),
}
_LINK = Markup('<a href="{}" rel="noopener noreferrer nofollow" target="_blank">{}</a>')


def plain(text: str) -> Markup:
    """Return ``plain_text`` as HTML: entities are unescaped once, emoji are shown."""
    return emoji.shown(_unescape(text))


def link_target(url: object) -> str | None:
    """Return ``url`` if a browser may follow it (http, https, mailto); otherwise None."""
    return url if isinstance(url, str) and _LINKABLE.match(url) else None


def mrkdwn(text: str) -> Markup:
    """Return mrkdwn text as HTML: one element per line, and one for preformatted text."""
    parts: list[Markup] = []
    # split() with one group alternates: outside, inside, outside, …
    for i, part in enumerate(_PREFORMATTED.split(text)):
        if i % 2:
            parts.append(Markup("<pre>{}</pre>").format(_preformatted(part.removeprefix("\n"))))
        elif part.strip("\n") or not i:
            parts.extend(_line(line) for line in part.strip("\n").split("\n"))
    return Markup("").join(parts)


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[0]], text)


def _preformatted(text: str) -> Markup:
    """Return the content of a preformatted part, in which links still work."""
    pieces = re.split(r"<([^<>\n]+)>", text)
    return Markup("").join(_angle(piece) if i % 2 else escape(_unescape(piece)) for i, piece in enumerate(pieces))


def _line(line: str) -> Markup:
    if not line.strip():
        return Markup('<div class="line blank"></div>')
    if quote := _QUOTE.match(line):
        return Markup("<blockquote>{}</blockquote>").format(_inline(line[quote.end() :]))
    kind = "line entry" if _LIST_ENTRY.match(line) else "line"
    return Markup('<div class="{}">{}</div>').format(kind, _inline(line))


def _inline(text: str) -> Markup:
    out: list[Markup] = []
    end = 0
    for match in _INLINE.finditer(text):
        out.append(plain(text[end : match.start()]))
        out.append(_token(match.lastgroup or "", match[match.lastgroup or 0]))
        end = match.end()
    out.append(plain(text[end:]))
    return Markup("").join(out)


def _token(kind: str, body: str) -> Markup:
    if kind == "code":
        return Markup("<code>{}</code>").format(_unescape(body))
    if kind == "angle":
        return _angle(body)
    if kind == "address":
        return _link(body, body)
    # A style cannot contain itself, so the recursion is at most three deep.
    return _STYLES[kind].format(_inline(body))


def _angle(body: str) -> Markup:
    target, _, label = body.partition("|")
    if target.startswith("!date^"):
        return plain(label)
    if target.startswith(("!", "@", "#")):
        return _mention(target, label)
    if link_target(_unescape(target)):
        return _link(target, label or target.removeprefix("mailto:"))
    return escape(f"<{_unescape(body)}>")


def _mention(target: str, label: str) -> Markup:
    if target.startswith("!"):
        name = label or target.removeprefix("!").removeprefix("subteam^")
        return Markup('<span class="mention group">{}</span>').format(_with_sign(_unescape(name), "@"))
    kind = "user" if target.startswith("@") else "channel"
    name = _with_sign(_unescape(label or target[1:]), target[0])
    return Markup('<span class="mention {}">{}</span>').format(kind, name)


def _with_sign(name: str, sign: str) -> str:
    return name if name.startswith(sign) else sign + name


def _link(target: str, label: str) -> Markup:
    return _LINK.format(_unescape(target), plain(label))
