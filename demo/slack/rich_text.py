"""Checks a rich_text block: its structure and its leaves, but not all keys of the leaves.

Source: https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
"""

from typing import Any

from demo.slack.elements import ID_CHARACTERS, check_url
from demo.slack.findings import MessageFindings

# leaf type → the key of its content
_LEAVES = {
    "text": "text",
    "link": "url",
    "emoji": "name",
    "user": "user_id",
    "usergroup": "usergroup_id",
    "channel": "channel_id",
    "broadcast": "range",
    "date": "timestamp",
    "color": "value",
}
_CONTAINERS = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
_OPTIONAL = {
    "rich_text_section": (),
    "rich_text_list": ("style", "indent", "offset", "border"),
    "rich_text_preformatted": ("border", "language"),
    "rich_text_quote": ("border",),
}
# Slack documents no limit; this one bounds the work on hostile input.
_MOST_ELEMENTS = 1000
_STYLES = ("bold", "italic", "strike", "code", "underline", "highlight", "client_highlight", "unlink")


def check_rich_text(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    """Check a rich_text block."""
    found.shape(block, at, required=("type", "elements"), optional=("block_id",))
    for i, element in enumerate(found.items(block, "elements", at, most=_MOST_ELEMENTS)):
        _check_container(found, element, f"{at}/elements/{i}")


def _check_container(found: MessageFindings, element: object, at: str) -> None:
    kind = element.get("type") if isinstance(element, dict) else None
    if not isinstance(element, dict) or kind not in _CONTAINERS:
        found.add(f"unsupported type: {kind}", f"{at}/type")
        return
    found.shape(element, at, required=("type", "elements"), optional=_OPTIONAL[kind])
    children = found.items(element, "elements", at, most=_MOST_ELEMENTS, least=0)
    if kind == "rich_text_list":
        _check_list(found, element, at)
        for i, child in enumerate(children):
            _check_list_entry(found, child, f"{at}/elements/{i}")
        return
    for i, child in enumerate(children):
        _check_leaf(found, child, f"{at}/elements/{i}")


def _check_list(found: MessageFindings, element: dict[str, Any], at: str) -> None:
    if "style" not in element:
        found.add("missing required field: style", at)
    found.choice(element, "style", at, allowed=("bullet", "ordered"))
    found.choice(element, "indent", at, allowed=tuple(range(9)))


def _check_list_entry(found: MessageFindings, child: object, at: str) -> None:
    if isinstance(child, dict) and child.get("type") == "rich_text_section":
        _check_container(found, child, at)
    else:
        found.add("must be a rich_text_section", at)


def _check_leaf(found: MessageFindings, leaf: object, at: str) -> None:
    kind = leaf.get("type") if isinstance(leaf, dict) else None
    if not isinstance(leaf, dict) or kind not in _LEAVES:
        found.add(f"unsupported type: {kind}", f"{at}/type")
        return
    key = _LEAVES[kind]
    if key not in leaf:
        found.add(f"missing required field: {key}", at)
    if kind == "link":
        check_url(found, leaf, "url", at)
        found.string(leaf, "text", at, most=ID_CHARACTERS * 12, least=0)
    elif kind == "text":
        found.string(leaf, "text", at, most=ID_CHARACTERS * 160)
    elif kind == "date":
        if not isinstance(leaf.get("timestamp"), int) or isinstance(leaf.get("timestamp"), bool):
            found.add("must be an integer", f"{at}/timestamp")
    else:
        found.string(leaf, key, at, most=ID_CHARACTERS)
    style = found.shape(leaf.get("style", {}), f"{at}/style", optional=_STYLES)
    for name in style or {}:
        found.choice(style or {}, name, f"{at}/style", allowed=(True, False))
