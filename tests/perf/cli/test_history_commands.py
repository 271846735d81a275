"""The command history: the latest runs of a cell, the index, and the removal of old data."""

import io
import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.adapters.files.baseline_file import BaselineFile
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.sqlite_index import SqliteIndex
from include.perf.cli.arguments import argument_parser
from include.perf.cli.history_commands import HistoryCommands
from include.perf.model.errors import CatalogueError
from include.perf.model.json_files import to_json
from include.perf.runs.record import RunRecord, Shift
from include.perf.runs.results_store import RECORD_FILE, REQUESTS_FILE
from include.perf.runs.stage_files import SPEC_FILE
from tests.baselines import approval
from tests.fakes.clock import START, FixedClock
from tests.records import metric_values, run_record

CELL = ("--service", "analysis-engine", "--scenario", "market_open")


class Shell:
    """Runs commands, 100 days after the first run."""

    def __init__(self, folder: Path) -> None:
        self.store = FolderStore(str(folder / "results"))
        self.baselines = BaselineFile(folder / "baselines.json")
        self.clock = FixedClock(START + timedelta(days=100))
        self.index = SqliteIndex(folder / "index.sqlite", store=self.store, clock=self.clock)

    def add(self, day: int, **changes: object) -> str:
        """Finish a run on a day, with raw requests."""
        record = replace(run_record(), run_id=f"run-{day}", started_at=START + timedelta(days=day))
        record = replace(record, **changes)  # type: ignore[arg-type]
        uri = self.store.create(service=record.service, scenario=record.scenario, run_id=record.run_id)
        self.store.write(uri, REQUESTS_FILE, bytes(1024**2))
        self.store.write(uri, RECORD_FILE, to_json(record))
        return uri

    def promote(self, record: RunRecord) -> None:
        """Make a run the baseline."""
        approved = approval(run_id=record.run_id)
        self.baselines.update(lambda baselines: baselines.promote(record, approval=approved))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run a command that must end with ``code``, and return what it prints."""
        commands = HistoryCommands(
            index=lambda: self.index, results=lambda: self.store, baselines=lambda: self.baselines, clock=self.clock
        )
        options = argument_parser().parse_args(arguments)
        out = io.StringIO()
        assert commands.execute(options, Console(file=out, width=240, soft_wrap=True)) == code
        return out.getvalue()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A shell over empty results, with the project's own catalogue."""
    monkeypatch.delenv("BELLWETHER_CATALOGUE", raising=False)
    return Shell(tmp_path)


def columns(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]


def test_the_latest_runs_of_a_cell(shell: Shell) -> None:
    """When, verdict, p95 and its change, oldest first; re-runs are counted, and have no line."""
    for day in range(3):
        shell.add(
            day,
            deploy_version=f"1.{day}",
            metrics=metric_values(latency_p95=0.040 + day / 1000),
            shifts={"latency_p95": Shift(ratio=-0.05, absolute=-0.002)},
        )
    shell.add(3, judged={"latency_p95": 0.060}, reruns=("a", "b"))
    shell.add(4, rerun_of="run-3")
    lines = [columns(line) for line in shell("history", "list", *CELL, "--runs", "2").splitlines() if "│" in line]
    assert [line[0] for line in lines] == ["2026-03-04 06:30 UTC", "2026-03-05 06:30 UTC"]
    assert lines[0][1:4] == ["PASS", "42.0 ms", "−5.0 %"]
    assert lines[0][4:] == ["0", "1.2", "run-2"]
    assert (lines[1][2], lines[1][4:]) == ("60.0 ms", ["2", "–", "run-3"])


def test_the_latest_runs_for_other_tools(shell: Shell) -> None:
    """Everything that the index has on them."""
    uri = shell.add(0)
    (run,) = json.loads(shell("history", "list", *CELL, "--json"))
    assert (run["run_id"], run["uri"], run["verdict"]) == ("run-0", uri, "PASS")
    assert run["metrics"]["latency_p95"] == 0.0424


def test_a_cell_without_runs(shell: Shell) -> None:
    """A sentence; an unknown service is an error."""
    assert (
        shell("history", "list", *CELL) == "there are no finished runs of analysis-engine-service under market_open\n"
    )
    assert shell("history", "list", *CELL, "--json") == "[]\n"
    with pytest.raises(CatalogueError, match=r"^service 'nobody' is not in the catalogue; known: "):
        shell("history", "list", "--service", "nobody", "--scenario", "market_open")


def test_what_is_left_out_of_a_cell_is_listed(shell: Shell) -> None:
    """Below the runs; of no other cell, and not among the data for other tools."""
    shell.add(0)
    odd, other = shell.add(1), shell.add(2, service="orders-service")
    for uri in (odd, other):
        shell.store.write(uri, RECORD_FILE, b"[]")
    *_, last = shell("history", "list", *CELL).splitlines()
    assert last.startswith(f"left out: {odd}/run.json cannot be read: ")
    assert other not in shell("history", "list", *CELL)
    (run,) = json.loads(shell("history", "list", *CELL, "--json"))
    assert run["run_id"] == "run-0"


def test_the_index_is_rebuilt(shell: Shell) -> None:
    """The output has the number of runs and the damaged records; those also change the exit code."""
    uri = shell.add(0)
    shell.add(1)
    assert shell("history", "rebuild") == "rebuilt the index: 2 runs\n"
    shell.store.write(uri, RECORD_FILE, b"[]")
    shown = shell("history", "rebuild", code=3).splitlines()
    assert shown[0] == "rebuilt the index: 1 run"
    assert shown[1].startswith(f"  - left out: {uri}/run.json cannot be read: ")
    assert len(shown) == 2


def test_old_data_is_listed_and_removed(shell: Shell) -> None:
    """First as a dry run; runs that a baseline refers to are kept."""
    old = shell.add(20)
    kept = shell.add(10)
    young = shell.add(99)
    shell.promote(replace(run_record(), run_id="run-10"))
    expected = (
        f"raw requests of 2026-03-22, 1.0 MiB: {old}\n"
        "{} the raw requests of 1 run and 0 unfinished runs, 1.0 MiB, from 2026-03-22 to 2026-03-22; "
        "the requests of 1 older run are kept for a baseline\n"
    )
    assert shell("history", "prune", "--dry-run") == expected.format("would remove")
    assert shell.store.read(old, REQUESTS_FILE) is not None
    assert shell("history", "prune") == expected.format("removed")
    assert [shell.store.read(uri, REQUESTS_FILE) is None for uri in (old, kept, young)] == [True, False, False]
    assert shell("history", "prune") == "removed nothing; the requests of 1 older run are kept for a baseline\n"


def test_data_that_cannot_be_removed_is_reported(shell: Shell) -> None:
    """The rest is removed; the exit code says that something is left."""
    old, broken = shell.add(20), shell.add(21)
    shell.store.write(broken, RECORD_FILE, b"[]")
    begun = shell.store.create(service="a", scenario="b", run_id="c")
    shell.store.write(begun, SPEC_FILE, b"{}")
    with shell.store.folder(begun) as folder:
        for path in (folder / SPEC_FILE, folder):
            os.utime(path, (START.timestamp(), START.timestamp()))
    shown = shell("history", "prune", code=3).splitlines()
    assert shown[0] == f"unfinished run of 2026-03-02, 0.0 MiB: {begun}"
    assert shown[1] == f"raw requests of 2026-03-22, 1.0 MiB: {old}"
    assert shown[3].startswith(f"  - not removed: {broken}/run.json cannot be read: ")
    assert list(shell.store.latest(service="a", scenario="b")) == []
