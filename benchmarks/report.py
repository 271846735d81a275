"""Measure what it costs to turn the raw record of an hour into figures, charts and a report.

Run from the project's root::

    python -m benchmarks.report [--rate 500] [--seconds 3600] [--runs 3] [--quick] [--json]

Method. The record is written by the code that writes it during a load (`include/load/record.py`), with seeded lognormal
latencies, four endpoints, three kinds of failures and a stall of two seconds. Then each stage runs in a fresh process,
which reports its time and its peak memory (resident set, Python and imports included). *measure* reads the record and
writes figures, time series, distribution and stalls. *report* draws all charts as PNG and SVG with a baseline of ten
runs, and writes Markdown, HTML and JUnit. The table shows the slowest run of each stage, because the question is
whether a stage always fits in time and memory.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.options import notes_of, parse, parser_of
from benchmarks.tables import Table

ROOT = Path(__file__).parents[1]
STARTED_AT = datetime(2026, 3, 2, 6, 39, tzinfo=UTC)
WARMUP_S = 60
ENDPOINTS = ("orders", "positions", "executions", "market-data")
STALL_AT_S, STALL_S = 600.0, 2.0
BASELINE_RUNS = 10
SERVICE, SCENARIO, RUN = "target", "hour", "20260302T063900Z-000001"


def write_record(folder: Path, *, rate_rps: int, duration_s: int) -> None:
    """Write the raw record and the summary of a synthetic load."""
    from include.load.record import RequestLog
    from include.perf.load.load_plan import GeneratorLog
    from include.perf.model.histogram import Histogram
    from include.perf.model.json_files import to_json
    from include.perf.runs.figures import COMPLETED
    from include.perf.runs.results_store import GENERATOR_FILE, REQUESTS_FILE

    began = STARTED_AT.timestamp()
    log = RequestLog((folder / REQUESTS_FILE).open("wb"))
    log.started_at = began
    lags = Histogram()
    for number, row in enumerate(_rows(rate_rps, WARMUP_S + duration_s)):
        log.add(row)
        lags.add(row.released_s - row.due_s)
        if number % rate_rps == 0:
            log.flush()
    log.close()
    summary = GeneratorLog(
        ended=COMPLETED,
        version="benchmark",
        started_at=began,
        measured_from=began + WARMUP_S,
        measured_to=began + WARMUP_S + duration_s,
        arrivals=log.rows,
        schedule_lags=lags.counts,
        cpu_cores=0.3,
        wanted_cores=0.31,
        wait_ratio=0.01,
        steal_ratio=0.0,
        concurrency_peak=1_000,
        capped=0,
        clock_step_s=0.0,
        error_examples=log.examples,
        feed_rows=dict.fromkeys(ENDPOINTS, 2_000),
    )
    (folder / GENERATOR_FILE).write_bytes(to_json(summary))


def _rows(rate_rps: int, total_s: int) -> Iterator[Any]:
    from include.load.record import RequestRow

    source = random.Random(20260302)
    for number in range(rate_rps * total_s):
        due_s = number / rate_rps
        released_s = due_s + source.expovariate(5_000)
        ended_s = released_s + source.lognormvariate(-4, 0.5)
        if due_s < STALL_AT_S + STALL_S and ended_s > STALL_AT_S:
            ended_s = max(ended_s, STALL_AT_S + STALL_S)
        error = "" if source.random() > 0.002 else source.choice(("HTTP 503", "timeout", "connection refused"))
        yield RequestRow(
            due_s=due_s,
            phase="warmup" if due_s < WARMUP_S else "measured",
            endpoint=ENDPOINTS[number % len(ENDPOINTS)],
            status=(503 if error == "HTTP 503" else 0) if error else 200,
            released_s=released_s,
            started_s=released_s + 0.00005,
            ended_s=due_s + 10 if error == "timeout" else ended_s,
            size=90 + number % 40,
            error=error,
        )


def measure(folder: Path) -> None:
    """Do what the task `run_load` does after the load."""
    from include.perf.measure.measurement import measure as measured
    from include.perf.model.json_files import to_json

    (folder / "stage-load.json").write_bytes(to_json(measured(folder)))


def write_server_series(folder: Path, *, duration_s: int) -> None:
    """Write server figures as from a scrape every five seconds."""
    from include.perf.catalogue.prometheus_target import SERVER_METRICS
    from include.perf.measure.server_series import ServerSeries
    from include.perf.runs.results_store import SERVER_SERIES_FILE

    seconds = tuple(range(10, WARMUP_S + duration_s - 10, 5))
    source = random.Random(7)
    values = {name: tuple(source.gauss(1.0, 0.02) for _ in seconds) for name in SERVER_METRICS}
    (folder / SERVER_SERIES_FILE).write_bytes(ServerSeries(seconds=seconds, values=values).to_csv())


def report(folder: Path) -> None:
    """Do what the task `report` does: charts, Markdown, HTML and JUnit."""
    from include.perf.measure.distribution import read_distribution
    from include.perf.pipeline.finishing import run_files
    from include.perf.reporting.charts.charts import MatplotlibCharts

    record = _record(folder)
    content = (folder / "distribution.csv").read_bytes()
    runs = [read_distribution(content, where="distribution.csv") for _ in range(BASELINE_RUNS)]
    charts = MatplotlibCharts().render(record, folder, baseline=[run for run in runs if run])

    def read(name: str) -> bytes | None:
        path = folder / name
        return path.read_bytes() if path.exists() else None

    files = run_files(record, charts=charts, history={}, read=read)
    for name, text in files.items():
        (folder / name).write_bytes(text)


def _record(folder: Path) -> Any:
    """Return a record of the figures, with a baseline of the same values."""
    from include.perf.adapters.files.folder_store import FolderStore
    from include.perf.catalogue.scenario.load_profile import LoadProfile
    from include.perf.model.json_files import from_json
    from include.perf.runs.figures import LoadFigures
    from include.perf.runs.record import BaselineReference, Verdict
    from include.perf.runs.spec import RunSpec
    from include.perf.runs.stage_files import StageFiles
    from include.perf.verdict.comparison import Comparison
    from include.perf.verdict.recording import gather, record_of

    figures = from_json(LoadFigures, (folder / "stage-load.json").read_bytes(), where="the figures")
    files = StageFiles(FolderStore(str(folder.parents[2])), folder.as_uri())
    duration_s = round(figures.window.duration_s)
    load = LoadProfile(rate_rps=figures.due / duration_s, duration_s=duration_s, warmup_s=WARMUP_S)
    files.spec.write(
        RunSpec(
            run_id=RUN,
            service=SERVICE,
            scenario=SCENARIO,
            environment="benchmark",
            load=load,
            created_at=STARTED_AT,
        )
    )
    values = {name: metric.value for name, metric in figures.metrics.items() if metric.value is not None}
    baseline = BaselineReference(
        version=1, state="approved", runs=BASELINE_RUNS, approved_at=STARTED_AT, metrics=values
    )
    comparison = Comparison(verdict=Verdict.PASS, reasons=("made up",))
    return record_of(gather(files), comparison, baseline=baseline, versions={})


STAGES = {"measure": measure, "report": report}


def timed(stage: str, folder: Path) -> dict[str, float]:
    """Run a stage in a fresh process, and return the figures of that process.

    Raises:
        RuntimeError: the stage failed.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.report", "--stage", stage, "--folder", str(folder)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"the stage {stage} failed:\n{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def _run(stage: str, folder: Path) -> dict[str, float]:
    began = time.perf_counter()
    STAGES[stage](folder)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "wall s": time.perf_counter() - began,
        "CPU s": usage.ru_utime + usage.ru_stime,
        "peak RSS MB": usage.ru_maxrss * 1024 / 1e6,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Write a record, measure both stages a few times, and print the slowest run of each."""
    options = _options(arguments)
    if options.stage:
        sys.stdout.write(json.dumps(_run(options.stage, options.folder)) + "\n")
        return
    with tempfile.TemporaryDirectory(prefix="bellwether-report-") as name:
        folder = Path(name) / SERVICE / SCENARIO / RUN
        folder.mkdir(parents=True)
        write_record(folder, rate_rps=options.rate, duration_s=options.seconds)
        write_server_series(folder, duration_s=options.seconds)
        size = (folder / "requests.csv.gz").stat().st_size / 1e6
        rows = []
        for stage in STAGES:
            runs = [timed(stage, folder) for _ in range(options.runs)]
            rows.append({"stage": stage} | {key: max(run[key] for run in runs) for key in runs[0]})
    requests = options.rate * (WARMUP_S + options.seconds)
    title = f"{requests:,} requests, {size:.0f} MB compressed; the slowest of {options.runs} runs"
    text = json.dumps(rows, indent=2) if options.json else Table(title=title, rows=rows, notes=notes_of(options)).text()
    sys.stdout.write(text + "\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("report", __doc__)
    parser.add_argument("--rate", type=int, default=500, help="requests per second")
    parser.add_argument("--seconds", type=int, default=3600, help="length of the measured part")
    parser.add_argument("--runs", type=int, default=3, help="runs of each stage")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    return parse(parser, arguments, quick={"rate": 20, "seconds": 20, "runs": 1})


if __name__ == "__main__":
    main()
