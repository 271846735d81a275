"""Collects the problems of a message, in Slack's words and with JSON pointers.

Source: the ``errors`` that Slack returns with ``invalid_blocks``, for example
``must be less than 3001 characters [json-pointer:/blocks/0/text/text]``.
"""

from collections.abc import Collection
from typing import Any


class MessageFindings:
    """The problems of one message, in the order found.

    Attributes:
        messages: sentences, ending with ``[json-pointer:…]``.
    """

    def __init__(self) -> None:
        self.messages: list[str] = []

    def add(self, message: str, at: str) -> None:
        """Add a problem at the JSON pointer ``at``."""
        self.messages.append(f"{message} [json-pointer:{at}]")

    def shape(
        self, value: object, at: str, *, required: Collection[str] = (), optional: Collection[str] = ()
    ) -> dict[str, Any] | None:
        """Check the keys of an object, and return it; None if ``value`` is not an object."""
        if not isinstance(value, dict):
            self.add("must be an object", at)
            return None
        for key in required:
            if key not in value:
                self.add(f"missing required field: {key}", at)
        for key in value:
            if key not in required and key not in optional:
                self.add(f"invalid additional property: {key}", at)
        return value

    def string(self, owner: dict[str, Any], key: str, at: str, *, most: int, least: int = 1) -> None:
        """Check the string at ``owner[key]``, if there is one, for ``least`` ≤ characters ≤ ``most``."""
        if key not in owner:
            return
        value = owner[key]
        where = f"{at}/{key}"
        if not isinstance(value, str):
            self.add("must be a string", where)
        elif len(value) > most:
            self.add(f"must be less than {most + 1} characters", where)
        elif len(value) < least:
            self.add(f"must be more than {least - 1} characters", where)

    def items(self, owner: dict[str, Any], key: str, at: str, *, most: int, least: int = 1) -> list[Any]:
        """Return the list at ``owner[key]`` after checking its length; an empty list if there is none."""
        value = owner.get(key, [])
        where = f"{at}/{key}"
        if not isinstance(value, list):
            self.add("must be an array", where)
            return []
        if len(value) > most:
            self.add(f"no more than {most} items allowed", where)
        elif key in owner and len(value) < least:
            self.add(f"no less than {least} items allowed", where)
        return value

    def choice(self, owner: dict[str, Any], key: str, at: str, *, allowed: Collection[object]) -> None:
        """Check that ``owner[key]``, if there, is one of ``allowed``."""
        if key not in owner:
            return
        value = owner[key]
        # 1 == True in Python, but not in JSON.
        if not any(value == item and type(value) is type(item) for item in allowed):
            words = ", ".join(str(item) for item in allowed)
            self.add(f"must be one of: {words}", f"{at}/{key}")
