"""The files of the stand-in, kept in memory up to a total size.

An upload takes three steps, as in Slack: a call with name and length returns an upload URL, the bytes go to that URL,
and a last call shares the file. It is not visible before that.
"""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

from demo.slack.refusals import SlackRefusal

# Slack accepts 1 GB per file; the stand-in keeps everything in memory.
TOTAL_BYTES = 50 * 1024 * 1024
FILE_BYTES = TOTAL_BYTES
UNFINISHED_UPLOADS = 100
SNIPPET_BYTES = 1024 * 1024
ALT_TEXT_CHARACTERS = 1000
PREVIEW_CHARACTERS = 1000
PREVIEW_LINES = 10

# Picture formats that cannot contain scripts; SVG can.
_PICTURES = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@dataclass(slots=True, kw_only=True)
class File:
    """A declared, uploaded or shared file.

    Attributes:
        length_bytes: the declared length; the upload must match it.
        data: the bytes; None before the upload, and after newer files have replaced them.
        is_complete: whether the last call was made; messages may show it then.
    """

    id: str
    name: str
    length_bytes: int
    alt_text: str = ""
    title: str = ""
    data: bytes | None = field(default=None, repr=False)
    is_received: bool = False
    is_complete: bool = False

    @property
    def picture_type(self) -> str | None:
        """The media type if the bytes are a picture, whatever the name; otherwise None."""
        data = self.data or b""
        return next((kind for start, kind in _PICTURES.items() if data.startswith(start)), None)

    @property
    def preview(self) -> str:
        """The beginning of a text file; empty for other files."""
        if self.data is None or self.picture_type:
            return ""
        head = self.data[: PREVIEW_CHARACTERS * 4]
        try:
            text = head.decode("utf-8", errors="strict" if len(self.data) <= len(head) else "ignore")
        except UnicodeDecodeError:
            return ""
        if "\0" in text:
            return ""
        return "\n".join(text[:PREVIEW_CHARACTERS].splitlines()[:PREVIEW_LINES])

    def described(self, base_url: str) -> dict[str, Any]:
        """Return the file in the format of Slack's API; ``base_url`` ends with a slash."""
        return {
            "id": self.id,
            "name": self.name,
            "title": self.title,
            "mimetype": self.picture_type or ("text/plain" if self.preview else "application/octet-stream"),
            "filetype": self.name.rpartition(".")[2].lower() if "." in self.name else "binary",
            "size": self.length_bytes,
            "alt_txt": self.alt_text,
            "url_private": f"{base_url}files/{self.id}",
            "permalink": f"{base_url}files/{self.id}",
            # Slack shares in the background, so this is empty there, too.
            "shares": {},
        }


class Shelf:
    """Holds files and their upload URLs.

    Args:
        total_bytes: maximum of all files; the oldest files lose their bytes first.
    """

    def __init__(self, *, total_bytes: int = TOTAL_BYTES) -> None:
        self._total_bytes = total_bytes
        self._files: OrderedDict[str, File] = OrderedDict()
        self._tickets: OrderedDict[str, str] = OrderedDict()

    def declare(self, *, name: str, length_bytes: int, alt_text: str) -> tuple[File, str]:
        """Return a new file and the secret part of its upload URL.

        Raises:
            SlackRefusal: the file is larger than the stand-in keeps.
        """
        if length_bytes > min(FILE_BYTES, self._total_bytes):
            raise SlackRefusal("file_upload_size_restricted", [f"[ERROR] at most {self._total_bytes} bytes"])
        file = File(id=_new_id(), name=name, title=name, length_bytes=length_bytes, alt_text=alt_text)
        ticket = secrets.token_urlsafe(24)
        self._files[file.id] = file
        self._tickets[ticket] = file.id
        while len(self._tickets) > UNFINISHED_UPLOADS:
            _, forgotten = self._tickets.popitem(last=False)
            self._files.pop(forgotten, None)
        return file, ticket

    def awaited(self, ticket: str) -> File | None:
        """Return the file of an upload URL; None if its bytes were already received."""
        file_id = self._tickets.get(ticket)
        file = self._files.get(file_id) if file_id else None
        return file if file is not None and not file.is_received else None

    def receive(self, file: File, data: bytes) -> None:
        """Store the bytes; remove those of the oldest files if there are too many."""
        file.data = data
        file.is_received = True
        total = sum(len(stored.data or b"") for stored in self._files.values())
        for stored in self._files.values():
            if total <= self._total_bytes:
                break
            if stored is not file:
                total -= len(stored.data or b"")
                stored.data = None

    def received(self, file_id: str) -> File:
        """Return a file that was uploaded but is not yet shared.

        Raises:
            SlackRefusal: there is no such file, its bytes were not received, or it is already shared.
        """
        file = self._files.get(file_id)
        if file is None or not file.is_received or file.is_complete:
            raise SlackRefusal("file_not_found", [f"[ERROR] no uploaded file has the ID {file_id[:20]}"])
        return file

    def complete(self, file: File, *, title: str) -> None:
        """Share a file: messages may show it from now on."""
        file.title = title or file.title
        file.is_complete = True
        self._tickets = OrderedDict((k, v) for k, v in self._tickets.items() if v != file.id)

    def find(self, file_id: str) -> File | None:
        """Return a shared file by its ID."""
        file = self._files.get(file_id)
        return file if file is not None and file.is_complete else None

    def drop(self, file_ids: tuple[str, ...]) -> None:
        """Remove files whose message was removed."""
        for file_id in file_ids:
            self._files.pop(file_id, None)

    def clear(self) -> None:
        """Remove all files and upload URLs."""
        self._files.clear()
        self._tickets.clear()


def _new_id() -> str:
    return "F" + secrets.token_hex(5).upper()
