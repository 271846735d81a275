"""The content of a message: text, blocks and attachments, checked like in Slack."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from demo.slack.arguments import as_list, as_object, as_text
from demo.slack.files import Shelf
from demo.slack.limits import MESSAGE_CHARACTERS, is_too_long, problems
from demo.slack.refusals import SlackRefusal

ATTACHMENTS = 100
METADATA_BYTES = 8000

# https://docs.slack.dev/legacy/legacy-messaging/legacy-secondary-message-attachments
_ATTACHMENT_TEXTS = ("author_name", "color", "fallback", "footer", "pretext", "text", "title")
_ATTACHMENT_KEYS = frozenset(
    (
        *_ATTACHMENT_TEXTS,
        *("actions", "author_icon", "author_link", "blocks", "callback_id", "fields", "footer_icon"),
        *("image_url", "mrkdwn_in", "thumb_url", "title_link", "ts"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """The checked content of a message."""

    text: str = ""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.text.strip() or self.blocks or self.attachments)


def read_content(values: Mapping[str, Any], files: Shelf) -> Content:
    """Return the content in the arguments of a call; ``files`` resolves ``slack_file`` images.

    Raises:
        SlackRefusal: ``msg_too_long``, ``invalid_blocks``, ``invalid_blocks_format``,
            ``msg_blocks_too_long``, ``invalid_attachments`` or ``too_many_attachments``.
    """
    text = as_text(dict(values), "text")
    if len(text) > MESSAGE_CHARACTERS:
        raise SlackRefusal("msg_too_long")
    blocks = as_list(values.get("blocks"), refusal="invalid_blocks_format") or []
    attachments = as_list(values.get("attachments"), refusal="invalid_attachments") or []
    check_blocks(blocks, files)
    _check_attachments(attachments, files)
    return Content(text=text, blocks=blocks, attachments=attachments)


def check_blocks(blocks: Any, files: Shelf, *, at: str = "/blocks") -> None:
    """Check blocks, their total length, and that the Slack files they show exist.

    Raises:
        SlackRefusal: ``invalid_blocks`` or ``msg_blocks_too_long``.
    """
    found = problems(blocks, at=at) or _missing_files(blocks, files, at)
    if found:
        raise SlackRefusal("invalid_blocks", [f"[ERROR] {message}" for message in found])
    if is_too_long(blocks):
        raise SlackRefusal("msg_blocks_too_long")


def _missing_files(blocks: list[dict[str, Any]], files: Shelf, at: str) -> list[str]:
    missing = []
    for i, block in enumerate(blocks):
        images = [block, block.get("accessory"), *block.get("elements", [])]
        for image in images:
            reference = image.get("slack_file") if isinstance(image, dict) else None
            if reference and slack_file_id(reference, files) is None:
                missing.append(f"invalid slack file [json-pointer:{at}/{i}/slack_file]")
    return missing


def slack_file_id(reference: Mapping[str, Any], files: Shelf) -> str | None:
    """Return the ID of the picture that a ``slack_file`` names by ``id`` or by its private ``url``."""
    name = str(reference.get("id") or str(reference.get("url", "")).rpartition("/")[2])
    file = files.find(name)
    return file.id if file is not None and file.picture_type else None


def _check_attachments(attachments: list[Any], files: Shelf) -> None:
    if len(attachments) > ATTACHMENTS:
        raise SlackRefusal("too_many_attachments")
    for i, attachment in enumerate(attachments):
        if not isinstance(attachment, dict) or not _ATTACHMENT_KEYS.issuperset(attachment):
            raise SlackRefusal("invalid_attachments", [f"[ERROR] invalid [json-pointer:/attachments/{i}]"])
        for key in _ATTACHMENT_TEXTS:
            as_text(attachment, key)
        check_blocks(attachment.get("blocks", []), files, at=f"/attachments/{i}/blocks")


def read_metadata(values: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the message's metadata, None when there is none.

    Raises:
        SlackRefusal: ``invalid_metadata_format`` or ``metadata_too_large``.
    """
    metadata = as_object(values.get("metadata"), refusal="invalid_metadata_format")
    if metadata is None:
        return None
    is_event = isinstance(metadata.get("event_type"), str) and isinstance(metadata.get("event_payload"), dict)
    if not is_event or set(metadata) != {"event_type", "event_payload"}:
        raise SlackRefusal("invalid_metadata_format")
    if len(json.dumps(metadata)) > METADATA_BYTES:
        raise SlackRefusal("metadata_too_large")
    return metadata
