"""The emoji codes that performance alerts use."""

import re

from markupsafe import Markup, escape

from demo.slack.drawings import DRAWINGS

_CHARACTERS = {
    "+1": "👍",
    "-1": "👎",
    "arrow_down": "⬇️",
    "arrow_right": "➡️",
    "arrow_up": "⬆️",
    "bar_chart": "📊",
    "bell": "🔔",
    "bulb": "💡",
    "calendar": "📆",
    "chart_with_downwards_trend": "📉",
    "chart_with_upwards_trend": "📈",
    "clock3": "🕒",
    "construction": "🚧",
    "exclamation": "❗",
    "eyes": "👀",
    "fire": "🔥",
    "grey_question": "❔",
    "heavy_check_mark": "✔️",
    "hourglass": "⌛",
    "hourglass_flowing_sand": "⏳",
    "information_source": "ℹ️",
    "large_blue_circle": "🔵",
    "large_green_circle": "🟢",
    "large_orange_circle": "🟠",
    "large_yellow_circle": "🟡",
    "link": "🔗",
    "mag": "🔍",
    "memo": "📝",
    "no_bell": "🔕",
    "no_entry": "⛔",
    "no_entry_sign": "🚫",
    "octagonal_sign": "🛑",
    "package": "📦",
    "question": "❓",
    "ram": "🐏",
    "red_circle": "🔴",
    "rocket": "🚀",
    "rotating_light": "🚨",
    "sheep": "🐑",
    "small_red_triangle": "🔺",
    "small_red_triangle_down": "🔻",
    "snail": "🐌",
    "stopwatch": "⏱️",
    "tada": "🎉",
    "thumbsup": "👍",
    "turtle": "🐢",
    "warning": "⚠️",
    "wave": "👋",
    "white_check_mark": "✅",
    "white_circle": "⚪",
    "wrench": "🔧",
    "x": "❌",
    "zap": "⚡",
}
_NAMES = {character: name for name, character in _CHARACTERS.items()}
# :codes: and, for machines without an emoji font, the characters themselves.
_EMOJI = re.compile(r":([a-z0-9_+\-']+):|(" + "|".join(map(re.escape, _NAMES)) + ")")
_IMAGE = Markup('<img class="emoji" src="/emoji/{}.svg" alt="{}" title=":{}:">')
_SPAN = Markup('<span class="emoji" title=":{}:">{}</span>')


def shown(text: str) -> Markup:
    """Return ``text`` as HTML, escaped, with its known emoji drawn or as characters."""
    out: list[Markup] = []
    end = 0
    for match in _EMOJI.finditer(text):
        name = match[1] or _NAMES[match[2]]
        if name not in _CHARACTERS:
            continue
        out.append(escape(text[end : match.start()]))
        character = _CHARACTERS[name]
        out.append(_IMAGE.format(name, character, name) if name in DRAWINGS else _SPAN.format(name, character))
        end = match.end()
    out.append(escape(text[end:]))
    return Markup("").join(out)
