"""Checks the parts of blocks: text objects, buttons and images.

Source: https://docs.slack.dev/reference/block-kit (composition objects, block elements).
Interactive elements (menus, pickers, inputs) are refused: nothing handles them.
"""

import ipaddress
import re
from typing import Any
from urllib.parse import urlsplit

from demo.slack.findings import MessageFindings

ID_CHARACTERS = 255
TEXT_CHARACTERS = 3000
BUTTON_TEXT_CHARACTERS = 75
BUTTON_VALUE_CHARACTERS = 2000
URL_CHARACTERS = 3000
ALT_TEXT_CHARACTERS = 2000
TITLE_CHARACTERS = 2000

_CONFIRM_LIMITS = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
_WEB_URL = re.compile(r"https?://[^\s/?#]+\S*\Z", re.IGNORECASE)


def check_text(
    found: MessageFindings, value: object, at: str, *, most: int = TEXT_CHARACTERS, plain_only: bool = False
) -> None:
    """Check a text object of at most ``most`` characters."""
    text = found.shape(value, at, required=("type", "text"), optional=("emoji", "verbatim"))
    if text is None:
        return
    kinds = ("plain_text",) if plain_only else ("plain_text", "mrkdwn")
    found.choice(text, "type", at, allowed=kinds)
    found.string(text, "text", at, most=most)
    found.choice(text, "emoji", at, allowed=(True, False))
    found.choice(text, "verbatim", at, allowed=(True, False))
    wrong = "verbatim" if text.get("type") == "plain_text" else "emoji"
    if wrong in text:
        found.add(f"invalid additional property: {wrong}", at)


def check_button(found: MessageFindings, value: dict[str, Any], at: str) -> None:
    """Check a button."""
    optional = ("action_id", "url", "value", "style", "confirm", "accessibility_label")
    found.shape(value, at, required=("type", "text"), optional=optional)
    if "text" in value:
        check_text(found, value["text"], f"{at}/text", most=BUTTON_TEXT_CHARACTERS, plain_only=True)
    found.string(value, "action_id", at, most=ID_CHARACTERS)
    check_url(found, value, "url", at)
    found.string(value, "value", at, most=BUTTON_VALUE_CHARACTERS)
    found.string(value, "accessibility_label", at, most=BUTTON_TEXT_CHARACTERS)
    found.choice(value, "style", at, allowed=("primary", "danger"))
    if "confirm" in value:
        _check_confirm(found, value["confirm"], f"{at}/confirm")


def check_image(found: MessageFindings, value: dict[str, Any], at: str, *, is_block: bool = False) -> None:
    """Check an image, either a block, which may have a title, or an element of one."""
    optional = ("image_url", "slack_file", *(("title", "block_id") if is_block else ()))
    found.shape(value, at, required=("type", "alt_text"), optional=optional)
    found.string(value, "alt_text", at, most=ALT_TEXT_CHARACTERS)
    if "title" in value and is_block:
        check_text(found, value["title"], f"{at}/title", most=TITLE_CHARACTERS, plain_only=True)
    if ("image_url" in value) == ("slack_file" in value):
        found.add("must have exactly one of: image_url, slack_file", at)
    if check_url(found, value, "image_url", at) and not _is_public(value["image_url"]):
        # Slack fetches the picture itself and cannot reach a private network.
        found.add("downloading image failed", f"{at}/image_url")
    if "slack_file" in value:
        _check_slack_file(found, value["slack_file"], f"{at}/slack_file")


def check_url(found: MessageFindings, owner: dict[str, Any], key: str, at: str) -> bool:
    """Check the URL at ``owner[key]``, and return whether there is a valid one."""
    if key not in owner:
        return False
    before = len(found.messages)
    found.string(owner, key, at, most=URL_CHARACTERS)
    if len(found.messages) == before and not _WEB_URL.match(owner[key]):
        found.add("invalid_url", f"{at}/{key}")
    return len(found.messages) == before


def _check_confirm(found: MessageFindings, value: object, at: str) -> None:
    confirm = found.shape(value, at, required=tuple(_CONFIRM_LIMITS), optional=("style",))
    for key, most in _CONFIRM_LIMITS.items():
        if confirm is not None and key in confirm:
            check_text(found, confirm[key], f"{at}/{key}", most=most, plain_only=key != "text")


def _check_slack_file(found: MessageFindings, value: object, at: str) -> None:
    file = found.shape(value, at, optional=("id", "url"))
    if file is None:
        return
    if len(file) != 1:
        found.add("must have exactly one of: id, url", at)
    found.string(file, "id", at, most=ID_CHARACTERS)
    found.string(file, "url", at, most=URL_CHARACTERS)


def _is_public(url: str) -> bool:
    """Return whether Slack could reach the host of ``url``; names are not resolved."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host.rstrip(".") and not host.endswith((".local", ".internal", ".localhost"))
