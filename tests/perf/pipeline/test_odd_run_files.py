"""An odd file of a run, wherever files are read: no reader waits, and each names what it leaves out."""

import gzip
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from include.perf.adapters.files.folder_store import FolderStore
from include.perf.adapters.files.halt_file import HaltFile
from include.perf.alerts.sending import _usable_chart
from include.perf.load import worker_parts
from include.perf.load.csv_rows import read_bytes
from include.perf.measure.measurement import measure
from include.perf.measure.request_rows import read_requests
from include.perf.model.errors import BellwetherError, ItemError, LoadError
from include.perf.model.yaml_entries import text_of
from include.perf.pipeline.finishing import Finishing, run_files
from include.perf.reporting.charts.charts import MatplotlibCharts
from include.perf.runs import results_store
from include.perf.runs.results_store import usable
from include.perf.runs.stage_files import StageFiles
from tests.fakes.small_platform import Platform
from tests.records import run_record

DRAWN = ("timeseries.csv", "distribution.csv", "server.csv")


def _socket_like(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _too_large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5 * 1024**3)  # has no blocks


ODD: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "folder": Path.mkdir,
    "device": _socket_like,
    "loop of links": lambda path: path.symlink_to(path),
    "too large": _too_large,
}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> Callable[[Path], Path]:
    """Puts something odd in the place of a file."""

    def put(path: Path) -> Path:
        ODD[request.param](path)
        return path

    return put


@pytest.mark.parametrize("name", DRAWN)
def test_charts(odd: Callable[[Path], Path], name: str, tmp_path: Path) -> None:
    """The comparison is drawn."""
    path, found = odd(tmp_path / name), {}
    paths = MatplotlibCharts().render(run_record(run_id="r1"), tmp_path, left_out=found.__setitem__)
    assert "comparison" in paths
    assert list(found) == [str(path)]
    assert found[str(path)].startswith(f"cannot read {name} of r1: ")


def test_raw_requests(odd: Callable[[Path], Path], tmp_path: Path) -> None:
    """The load has no figures; nothing waits."""
    path = odd(tmp_path / "requests.csv.gz")
    with pytest.raises(LoadError, match=f"^cannot read {path}: .*; start a new run$"):
        read_requests(path)


def test_the_summary_of_a_load(odd: Callable[[Path], Path], tmp_path: Path) -> None:
    """It is an error of this run."""
    path = odd(tmp_path / "generator.json")
    with pytest.raises(ItemError, match=f"^cannot read {path}: "):
        measure(tmp_path)


def test_a_chart_of_an_alert(odd: Callable[[Path], Path], tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The others are uploaded."""
    path = odd(tmp_path / "latency.png")
    assert _usable_chart(path) is None
    assert f"left out: cannot read {path}: " in caplog.text


def test_other_files(odd: Callable[[Path], Path], tmp_path: Path) -> None:
    """The halt file, a file of the catalogue, market data: an error, at once."""
    path = odd(tmp_path / "file")
    for read in (HaltFile(path).read, lambda: text_of(path), lambda: read_bytes(path)):
        with pytest.raises((BellwetherError, OSError, ValueError)):
            read()


def test_the_report(odd: Callable[[Path], Path], tmp_path: Path) -> None:
    """It names the comparison with production and has everything else; an odd picture is not embedded."""
    store = FolderStore(str(tmp_path))
    uri = store.create(service="a", scenario="b", run_id="r1")
    folder = tmp_path / "a" / "b" / "r1"
    (folder / "charts").mkdir()
    odd(folder / "production.json")
    odd(folder / "charts" / "latency.png")
    files = run_files(
        run_record(run_id="r1"),
        charts={"latency": "charts/latency.png"},
        history={},
        read=lambda name: store.read(uri, name),
        left_out={"x": "cannot read timeseries.csv of r1: it is a test"},
    )
    for name in ("report.md", "report.html"):
        text = files[name].decode()
        assert "Left out" in text
        assert "cannot read timeseries.csv of r1: it is a test" in text
        assert f"cannot read production.json of {uri}" in text


def test_a_run_with_an_odd_file_has_its_record_and_its_report(platform: Platform) -> None:
    """The charts name what they leave out, and the report has the sentence."""
    uri = platform.loaded()
    platform.night_stages.compare([uri])
    stores = replace(platform.stores, charts=MatplotlibCharts())
    platform.store.write(uri, "timeseries.csv", b"\x00")
    record = Finishing(stores).finish(StageFiles(platform.store, uri))
    report = (platform.store.read(uri, "report.md") or b"").decode()
    assert f"timeseries.csv of {record.run_id} is not a time series" in report


def test_what_decompresses_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small file may stand for a large one; what was read until then is not kept."""
    monkeypatch.setattr(worker_parts, "MAX_TEXT_BYTES", 3 * 1024**2)
    path = tmp_path / "requests.csv.gz"
    header = ",".join(worker_parts.REQUEST_COLUMNS) + "\n"
    path.write_bytes(gzip.compress(header.encode() + b"1,measured,a,200,0,0,0.1,0.1,3,\n" * 200_000))
    with pytest.raises(LoadError, match=r"is damaged and cannot be decompressed \(it has more than 3 MiB of text\)"):
        read_requests(path)


def test_limits() -> None:
    """Only raw requests may be larger than what is read as a whole."""
    assert results_store.max_local_bytes("requests.csv.gz") == 4 * 1024**3
    assert results_store.max_local_bytes("aborted-1.requests.csv.gz") == 4 * 1024**3
    assert results_store.max_local_bytes("charts/latency.png") == 256 * 1024**2


def test_an_outage_is_no_odd_item() -> None:
    """It is raised, not left out."""

    def fails() -> bytes:
        raise results_store_error

    results_store_error = BellwetherError("stale file handle")
    with pytest.raises(BellwetherError, match="stale"):
        usable(fails, where="x")
