"""The rows of one worker, as the master receives them: written to disk at once, as far as they can be used."""

import zlib
from pathlib import Path

import gevent

from include.load.conversation import MessageMalformed
from include.load.rows_out import PIECE_BYTES

TEXT_BYTES = 1 << 20
"""How much is decompressed at once; a few bytes may stand for gigabytes."""

ROW_BYTES = 512
"""More than any row has."""

SPARE_BYTES = 1 << 20


class RowsIn:
    """Writes the rows of a worker to a file, after checking that they can be decompressed.

    Args:
        arrivals: how many rows the worker can have at most.
    """

    def __init__(self, path: Path, *, arrivals: int) -> None:
        self._file = path.open("wb")
        self._left = ROW_BYTES * arrivals + SPARE_BYTES
        self._member = zlib.decompressobj(31)

    def write(self, piece: bytes) -> None:
        """Write the next piece; whatever happens afterwards, it is on the disk.

        Raises:
            MessageMalformed: it is not of a gzip file, or longer than it can be.
            OSError: it cannot be written.
        """
        if len(piece) > PIECE_BYTES:
            raise MessageMalformed("its rows are too many at once")
        try:
            self._check(piece)
        except zlib.error as err:
            raise MessageMalformed("its rows cannot be decompressed") from err
        self._file.write(piece)
        self._file.flush()

    def _check(self, piece: bytes) -> None:
        while piece:
            if self._member.eof:
                self._member = zlib.decompressobj(31)
            text = self._member.decompress(piece, TEXT_BYTES)
            self._left -= len(text)
            if self._left < 0:
                raise MessageMalformed("its rows are longer than those of its part of the load")
            piece = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if len(text) == TEXT_BYTES:
                gevent.sleep(0)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
