"""The limits of a Slack message: validation of blocks.

Source: https://docs.slack.dev/reference/block-kit/blocks for the content of blocks. The total
(``msg_blocks_too_long``) is not documented: Slack's staff call it "12,000 text characters with a
buffer for block containers", and messages of 11,341 characters in 45 blocks were refused while 9,597
in 50 were accepted (https://github.com/slackapi/bolt-js/issues/2867). A buffer of 20 characters per
block is consistent with both.
"""

from collections.abc import Callable
from typing import Any

from demo.slack.elements import (
    ID_CHARACTERS,
    TEXT_CHARACTERS,
    check_button,
    check_image,
    check_text,
)
from demo.slack.findings import MessageFindings
from demo.slack.rich_text import check_rich_text

MESSAGE_CHARACTERS = 40_000
BLOCKS = 50
TOTAL_CHARACTERS = 12_000
BLOCK_BUFFER_CHARACTERS = 20
HEADER_CHARACTERS = 150
FIELDS = 10
FIELD_CHARACTERS = 2000
CONTEXT_ELEMENTS = 10
ACTIONS_ELEMENTS = 25

# No block is nested this deep; deeper JSON is hostile.
_DEEPEST = 20


def problems(blocks: object, *, at: str = "/blocks") -> list[str]:
    """Return everything that Slack would refuse in ``blocks``.

    Args:
        blocks: decoded JSON, normally a list of objects.
        at: JSON pointer to ``blocks`` within the message.

    Returns:
        Sentences in Slack's words, with JSON pointers. The total length is not checked here, because it is
        another error: see ``is_too_long``.
    """
    if not isinstance(blocks, list):
        return [f"must be an array [json-pointer:{at}]"]
    found = MessageFindings()
    if len(blocks) > BLOCKS:
        found.add(f"no more than {BLOCKS} items allowed", at)
    seen: set[str] = set()
    for i, block in enumerate(blocks):
        _check_block(found, block, f"{at}/{i}", seen)
    return found.messages


def total_characters(blocks: list[Any]) -> int:
    """Return the characters that count towards the total: all ``text`` strings, and a buffer per block."""
    return sum(_text_characters(block, depth=0) + BLOCK_BUFFER_CHARACTERS for block in blocks)


def is_too_long(blocks: list[Any]) -> bool:
    """Return whether Slack would respond with ``msg_blocks_too_long``."""
    return total_characters(blocks) > TOTAL_CHARACTERS


def _text_characters(value: object, *, depth: int) -> int:
    if depth > _DEEPEST:
        return 0
    if isinstance(value, list):
        return sum(_text_characters(item, depth=depth + 1) for item in value)
    if not isinstance(value, dict):
        return 0
    own = len(value["text"]) if isinstance(value.get("text"), str) else 0
    return own + sum(_text_characters(item, depth=depth + 1) for item in value.values())


def _check_block(found: MessageFindings, block: object, at: str, seen: set[str]) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    check = _BLOCKS.get(kind) if isinstance(kind, str) else None
    if not isinstance(block, dict) or check is None:
        found.add(f"unsupported type: {kind}", f"{at}/type")
        return
    check(found, block, at)
    found.string(block, "block_id", at, most=ID_CHARACTERS)
    block_id = block.get("block_id")
    if isinstance(block_id, str):
        if block_id in seen:
            found.add("block_id already exists in this message", f"{at}/block_id")
        seen.add(block_id)


def _check_header(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    found.shape(block, at, required=("type", "text"), optional=("block_id",))
    if "text" in block:
        check_text(found, block["text"], f"{at}/text", most=HEADER_CHARACTERS, plain_only=True)


def _check_section(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    optional = ("text", "fields", "accessory", "expand", "block_id")
    found.shape(block, at, required=("type",), optional=optional)
    if "text" not in block and "fields" not in block:
        found.add("missing required field: text", at)
    if "text" in block:
        check_text(found, block["text"], f"{at}/text", most=TEXT_CHARACTERS)
    for i, field in enumerate(found.items(block, "fields", at, most=FIELDS)):
        check_text(found, field, f"{at}/fields/{i}", most=FIELD_CHARACTERS)
    found.choice(block, "expand", at, allowed=(True, False))
    if "accessory" in block:
        _check_element(found, block["accessory"], f"{at}/accessory")


def _check_divider(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    found.shape(block, at, required=("type",), optional=("block_id",))


def _check_context(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    found.shape(block, at, required=("type", "elements"), optional=("block_id",))
    for i, element in enumerate(found.items(block, "elements", at, most=CONTEXT_ELEMENTS)):
        if isinstance(element, dict) and element.get("type") == "image":
            check_image(found, element, f"{at}/elements/{i}")
        else:
            check_text(found, element, f"{at}/elements/{i}")


def _check_actions(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    found.shape(block, at, required=("type", "elements"), optional=("block_id",))
    seen: set[str] = set()
    for i, element in enumerate(found.items(block, "elements", at, most=ACTIONS_ELEMENTS)):
        where = f"{at}/elements/{i}"
        if isinstance(element, dict) and element.get("type") == "image":
            found.add("unsupported type: image", f"{where}/type")
            continue
        _check_element(found, element, where)
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                found.add("action_id already exists in this block", f"{where}/action_id")
            seen.add(action_id)


def _check_image_block(found: MessageFindings, block: dict[str, Any], at: str) -> None:
    check_image(found, block, at, is_block=True)


def _check_element(found: MessageFindings, element: object, at: str) -> None:
    kind = element.get("type") if isinstance(element, dict) else None
    if isinstance(element, dict) and kind == "button":
        check_button(found, element, at)
    elif isinstance(element, dict) and kind == "image":
        check_image(found, element, at)
    else:
        found.add(f"unsupported type: {kind}", f"{at}/type")


_BLOCKS: dict[str, Callable[[MessageFindings, dict[str, Any], str], None]] = {
    "header": _check_header,
    "section": _check_section,
    "divider": _check_divider,
    "context": _check_context,
    "actions": _check_actions,
    "image": _check_image_block,
    "rich_text": check_rich_text,
}
