"""The data files of a service: their columns, as far as requests name them, and who takes which row."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from include.perf.catalogue.data_file import DataFile, DataFiles
from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.own_values import FileColumn
from include.perf.catalogue.service import Service
from include.perf.load.csv_rows import Records, place, read_bytes, read_records
from include.perf.load.feed import FileUse
from include.perf.load.slots import Slot, problem_of_content
from include.perf.model.errors import DataError

MAX_ROWS = 2_000_000
MAX_PROBLEMS = 20


class FileColumns:
    """Reads the data files of a service; each file once.

    Attributes:
        by_key: the columns that requests name, by the keys of their files, then by name.
    """

    def __init__(self) -> None:
        self.by_key: dict[str, dict[str, Sequence[str]]] = {}
        self._records: dict[Path, Records] = {}
        self._taken: dict[str, dict[str, int]] = {}
        self._files: dict[str, DataFile] = {}

    def uses_of(
        self, endpoint: Endpoint, entry: str, slots: Sequence[Slot], of_service: DataFiles, *, requests: int
    ) -> dict[str, FileUse]:
        """Return the use of each data file that the slots of an endpoint name.

        Args:
            entry: the endpoint's name, or that of its journey, whose steps share their row.
            requests: how many requests the endpoint gets in the load.

        Raises:
            DataError: a file cannot be read, lacks a column or rows, or a value cannot stand where it is named.
        """
        uses: dict[str, FileUse] = {}
        for slot in slots:
            if not isinstance(value := slot.value, FileColumn):
                continue
            is_own = value.file in endpoint.data_files
            data = (endpoint.data_files if is_own else of_service)[value.file]
            key = f"{entry}.{value.file}" if is_own else value.file
            self._check(data, slot, self._column(key, data, value.column))
            if value.file not in uses:
                uses[value.file] = self._use(key, data, entry, requests)
        return uses

    def _use(self, key: str, data: DataFile, endpoint: str, requests: int) -> FileUse:
        taken = self._taken.setdefault(key, {})
        self._files[key] = data
        first = sum(requests for name, requests in taken.items() if name != endpoint)
        taken[endpoint] = requests
        return FileUse(key=key, order=data.rows, first=first if data.rows == "unique" else 0)

    def _column(self, key: str, data: DataFile, column: str) -> Sequence[str]:
        records = self._records_of(data.file)
        if column not in records.header:
            raise DataError(
                f"{place(data.file, records.header_line)} must have the column {column}, which a request names, but "
                f"has {', '.join(records.header)}; correct one of them"
            )
        if records.header.count(column) > 1:
            raise DataError(
                f"{place(data.file, records.header_line)} must have the column {column} once, because a request names "
                f"it, but has it {records.header.count(column)} times; rename one of them"
            )
        columns = self.by_key.setdefault(key, {})
        if column not in columns:
            index = records.header.index(column)
            columns[column] = [row[index] for row in records.rows]
        return columns[column]

    def _records_of(self, path: Path) -> Records:
        if path not in self._records:
            records = read_records(path)
            problems = [
                f"{place(path, line)} must have {len(records.header)} fields like the header, but has {len(row)}; "
                "correct or remove the row"
                for row, line in zip(records.rows, records.lines, strict=True)
                if len(row) != len(records.header)
            ]
            if not 1 <= len(records.rows) <= MAX_ROWS:
                problems.append(f"{path}: must have from 1 to {MAX_ROWS:,} rows, but has {len(records.rows):,}")
            _raise(problems)
            self._records[path] = records
        return self._records[path]

    def _check(self, data: DataFile, slot: Slot, texts: Sequence[str]) -> None:
        lines = self._records_of(data.file).lines
        checked: dict[str, str | None] = {}
        problems = []
        for text, line in zip(texts, lines, strict=True):
            if text not in checked:
                checked[text] = problem_of_content(text, slot.form)
            if checked[text]:
                problems.append(f"{place(data.file, line)} {slot.name} {checked[text]}")
        _raise(problems)

    def check_rows(self) -> None:
        """Check that the files whose rows are used once have a row for each request.

        Raises:
            DataError: the load has more requests than such a file has rows.
        """
        for key, data in self._files.items():
            taken, rows = self._taken[key], len(self._records_of(data.file).rows)
            if data.rows == "unique" and sum(taken.values()) > rows:
                users = ", ".join(f"{endpoint} {requests:,}" for endpoint, requests in taken.items())
                raise DataError(
                    f"{data.file}: must have a row for each of {sum(taken.values()):,} requests ({users}), but has "
                    f"{rows:,}; add rows, or set rows to sequential or random"
                )


def data_files_fingerprint(service: Service) -> str | None:
    """Return a digest of the data files of a service, of their content and the order of their rows.

    Returns:
        ``None`` for a service without data files.

    Raises:
        DataError: a file cannot be read.
    """
    files = dict(service.data_files)
    files |= {f"{point.name}.{name}": data for point in service.endpoints for name, data in point.data_files.items()}
    if not files:
        return None
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name} {data.rows} {hashlib.sha256(read_bytes(data.file)).hexdigest()}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def _raise(problems: Sequence[str]) -> None:
    if problems:
        more = [f"… and {len(problems) - MAX_PROBLEMS:,} more"] if len(problems) > MAX_PROBLEMS else []
        raise DataError([*problems[:MAX_PROBLEMS], *more])
