"""A CSV file split into fields, each row with its line number; no meaning is given to any of them."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from include.perf.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The file, split into fields; blank lines are left out.

    Attributes:
        header: names of the columns.
        header_line: line number of the header.
        rows: fields of each row, as many as there are.
        lines: line number of each row.
    """

    header: list[str]
    header_line: int
    rows: list[list[str]]
    lines: list[int]


def place(path: Path, line: int) -> str:
    """Return how a problem begins; line 0 is the file as a whole."""
    return f"{path} line {line}:" if line else f"{path}:"


MAX_BYTES = 200_000_000


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes; raises DataError where there are none to be had, or too many."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: must have at most {MAX_BYTES:,} bytes, but has {size:,}; leave out rows")
        return path.read_bytes()
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror}); name a CSV file that exists") from err


def _text(path: Path) -> str:
    """Return the file's text, without a byte order mark."""
    content = read_bytes(path)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as err:
        where = place(path, err.object.count(b"\n", 0, err.start) + 1)
        found = f"byte 0x{err.object[err.start]:02x}"
        raise DataError(f"{where} must be UTF-8 text, but has {found}; save it as CSV in UTF-8") from err
    if "\0" in text:
        where = place(path, text.count("\n", 0, text.index("\0")) + 1)
        raise DataError(f"{where} must be UTF-8 text, but has byte 0x00; save it as CSV in UTF-8")
    if not text.strip():
        raise DataError(f"{path}: must have a header and rows of data, but is empty; write the data into it")
    return text


def read_records(path: Path) -> Records:
    """Return the fields of a CSV.

    Raises:
        DataError: the file is missing, empty, not UTF-8 text, or its quotes do not match.
    """
    reader = csv.reader(io.StringIO(_text(path), newline=""), skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            if row and row != [""]:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1  # a quoted field may span lines: a row stands where it begins
    except csv.Error as err:
        raise DataError(f"{place(path, line)} must be CSV, but is not ({err}); correct its quotes") from err
    return Records(header=[name.strip() for name in rows[0]], header_line=lines[0], rows=rows[1:], lines=lines[1:])
