"""What a locustfile prints: masked, and limited, so that neither secrets nor a full disk come of it."""

import io
import os
import sys
from collections import deque
from collections.abc import Callable

from include.perf.model.masking import Mask

MAX_LINE = 1_000
MAX_PENDING = 500

LINES_PER_S = 20.0
"""Masking a line takes up to a millisecond, and the load must not be late because of it."""


class MaskedOutput(io.TextIOBase):
    """A text stream that keeps lines, and writes them masked, one at a time; of too many, the later ones are left out.

    Args:
        write: takes the text of a line, with its end.
        mask: returns the current mask; tokens are renewed during a load.
    """

    encoding = "utf-8"

    def __init__(self, write: Callable[[str], object], mask: Callable[[], Mask]) -> None:
        self._write = write
        self._mask = mask
        self._begun = ""
        self._lines: deque[str] = deque()
        self._left_out = 0
        self._is_direct = False

    def writable(self) -> bool:
        """Return ``True``: it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Take in text; complete lines are kept."""
        *lines, rest = (self._begun + text).split("\n")
        self._begun = rest[: MAX_LINE + 1]
        for line in lines:
            if len(self._lines) >= MAX_PENDING:
                self._left_out += 1
            else:
                self._lines.append(line[: MAX_LINE + 1])
        if self._is_direct:
            self._write_all()
        return len(text)

    def write_next(self) -> None:
        """Write the next line, if there is one."""
        if not self._lines:
            return
        line = self._lines.popleft()
        is_cut = len(line) > MAX_LINE
        self._write(self._mask()(line[:MAX_LINE], is_cut=is_cut) + ("…\n" if is_cut else "\n"))
        if not self._lines and self._left_out:
            self._write(
                f"… {self._left_out} lines left out: the locustfile prints more than {LINES_PER_S:g} a second\n"
            )
            self._left_out = 0

    def flush(self) -> None:
        """Do nothing: lines are written in their turn."""

    def end(self) -> None:
        """Write everything that is kept, and from now on each line at once."""
        if self._begun:
            self.write("\n")
        self._is_direct = True
        self._write_all()

    def _write_all(self) -> None:
        while self._lines:
            self.write_next()


def mask_output(mask: Callable[[], Mask]) -> MaskedOutput:
    """Replace standard output and standard error, also those of the operating system, which then lead nowhere."""
    kept = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    output = MaskedOutput(kept.write, mask)
    sys.stdout = sys.stderr = output
    return output
