"""A file split into fields, with the line number of every row; what the fields mean is decided elsewhere.

The file is CSV, or the JSON of an export (`include.perf.load.json_rows`). Line numbers are those of an editor: the
first line is line 1.
"""

import codecs
import csv
import io
import os
from dataclasses import dataclass
from pathlib import Path

from include.perf.load.json_rows import MAX_COLUMNS, is_json, json_rows
from include.perf.model.errors import DataError, ItemError
from include.perf.model.file_reader import regular_file

MAX_BYTES = 200_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """The rows of the file without blank lines.

    Attributes:
        header: names of the columns.
        header_line: line number of the header.
        rows: fields of each row; rows may differ in length.
        lines: line number of each row; 0 if it is unknown.
        delimiter: what separates the fields.
    """

    header: list[str]
    header_line: int
    rows: list[list[str]]
    lines: list[int]
    delimiter: str


def place(path: Path, line: int) -> str:
    """Return the beginning of a problem's sentence; line 0 means the file itself."""
    return f"{path} line {line}:" if line else f"{path}:"


def read_bytes(path: Path) -> bytes:
    """Return the file's bytes.

    Raises:
        DataError: the file cannot be read, or is too large.
    """
    try:
        with regular_file(path, what=str(path)) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(MAX_BYTES + 1)
        if max(size, len(content)) > MAX_BYTES:
            raise DataError(
                f"{path}: must have at most {MAX_BYTES:,} bytes, but has {max(size, len(content)):,}; leave out rows"
            )
        return content
    except ItemError as err:
        raise DataError(f"{path}: must be a file, but is a pipe or a device; name a CSV file that exists") from err
    except OSError as err:
        raise DataError(f"{path}: cannot be read ({err.strerror}); name a CSV file that exists") from err


def _text(path: Path) -> str:
    """Return the file's text without a byte order mark; MetaTrader writes UTF-16, which always has one."""
    content = read_bytes(path)
    is_wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = content.decode("utf-16" if is_wide else "utf-8-sig")
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


def _delimiter_of(text: str) -> str:
    """Return what separates the fields of the first line that is not blank: a comma, a semicolon or a tab."""
    first = text.lstrip().partition("\n")[0]
    return max(",;\t", key=first.count)


def read_records(path: Path) -> Records:
    """Return the rows of a file.

    Raises:
        DataError: the file is missing, empty, not UTF-8 text, or its quotes do not match.
    """
    text = _text(path)
    if is_json(text):
        return _json_records(text, path)
    delimiter = _delimiter_of(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            if row and row != [""]:
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1  # a quoted field may span lines: a row has the number of its first line
    except csv.Error as err:
        raise DataError(f"{place(path, line)} must be CSV, but is not ({err}); correct its quotes") from err
    header = [name.strip() for name in rows[0]]
    return Records(header=header, header_line=lines[0], rows=rows[1:], lines=lines[1:], delimiter=delimiter)


def _json_records(text: str, path: Path) -> Records:
    """Return the rows of a JSON file; its columns are the fields that any row has, in the order in which they appear.

    Raises:
        DataError: it has no rows.
    """
    try:
        found = list(json_rows(text))
    except (ValueError, RecursionError) as err:
        why = str(err) if isinstance(err, ValueError) else "it is nested too deeply"
        raise DataError(f"{path}: looks like JSON, but cannot be read ({why}); correct it, or save it as CSV") from err
    header = list(dict.fromkeys(name for _, fields in found for name in fields))
    if not found or len(header) > MAX_COLUMNS:
        raise DataError(f"{path}: has no rows, or more than {MAX_COLUMNS} different fields; save it as CSV")
    rows = [[fields.get(name, "") for name in header] for _, fields in found]
    return Records(header=header, header_line=0, rows=rows, lines=[line for line, _ in found], delimiter=",")
