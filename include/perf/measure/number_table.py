"""Tables of numbers as CSV, and what is wrong with one in words."""

import csv
import io
from collections.abc import Sequence

from include.perf.model.errors import BellwetherError


class TableProblem(BellwetherError):
    """The content is not the expected table; the text says why."""


def read_rows(content: bytes, columns: Sequence[str], *, may_be_truncated: bool = False) -> list[list[str]]:
    """Return the rows of a table without its header.

    Args:
        columns: the expected header.
        may_be_truncated: whether an incomplete last row is dropped instead of refused.

    Raises:
        TableProblem: the content is not a table with these columns.
    """
    try:
        header, *rows = list(csv.reader(io.StringIO(content.decode("ascii")))) or [[]]
    except (UnicodeDecodeError, csv.Error) as err:
        raise TableProblem("it is not CSV in ASCII") from err
    if header != list(columns):
        raise TableProblem(f"the columns must be {','.join(columns)}, but are {','.join(header)}")
    if may_be_truncated and rows and len(rows[-1]) < len(columns):
        rows.pop()
    for row in rows:
        if len(row) != len(columns):
            raise TableProblem(f"every row must have {len(columns)} fields, but one has {len(row)}")
    return rows


def number(field: str) -> float:
    """Return a field as a number.

    Raises:
        TableProblem: it is not a number.
    """
    try:
        return float(field)
    except ValueError as err:
        raise TableProblem(f"{field!r} is not a number") from err


def integer(field: str) -> int:
    """Return a field as an integer.

    Raises:
        TableProblem: it is not an integer.
    """
    try:
        return int(field)
    except ValueError as err:
        raise TableProblem(f"{field!r} is not an integer") from err
