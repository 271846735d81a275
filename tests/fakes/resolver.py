"""Addresses of names."""

import socket
from collections.abc import Sequence
from typing import Any


class FakeResolver:
    """Knows names as a test says: their addresses, one answer after another, or the error.

    Attributes:
        answers: by name; of several answers in a list the last one is given again and again.
        asked: every name and port.
    """

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = dict(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        """Return the addresses of a name."""
        self.asked.append((host, port))
        answer = self.answers.get(host, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, OSError):
            raise answer
        return tuple(answer)
