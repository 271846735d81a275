"""Measure how far figures from Prometheus are from what the service itself counted, at several scrape intervals.

Run from the project's root; needs ``prometheus`` in PATH::

    python -m benchmarks.scraping                                  # six windows of 60 s: 7 minutes
    python -m benchmarks.scraping --windows 1 --seconds 600        # one of the length of a baseline run

Method. One process works 37 % of the time, its memory use rises and falls by 64 MiB, and 2 % of its 100 requests per
second fail (`benchmarks.scraped`). One Prometheus scrapes it at all intervals in parallel. At the start and at the end
of each window, the process reports its usage up to that moment by its own count. Windows start at random moments
between two scrapes. After the last scrape, the figures are queried as in a run
(`include.perf.measure.scraping.scrape_figures`), and the error ratio as a ratio of rates. An error is
(figure - truth) / truth.
"""

import argparse
import json
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, cast

from benchmarks.options import notes_of, parse, parser_of
from benchmarks.scraped import Truth
from benchmarks.tables import Row, Table
from benchmarks.watch import machine
from include.perf.adapters.metrics.prometheus_metrics import Prometheus
from include.perf.catalogue.service import Service
from include.perf.measure.scraping import is_scraped, scrape_figures
from include.perf.model.errors import PrometheusError
from include.perf.runs.figures import Window

INTERVALS_S = (1.0, 5.0, 15.0)
START_WITHIN_S = 60.0
FIGURES = ("CPU", "memory", "error ratio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A window, and the truth at its start and end."""

    before: Truth
    after: Truth

    @property
    def window(self) -> Window:
        """The window as the process saw it."""
        ends = [datetime.fromtimestamp(truth.at, tz=UTC) for truth in (self.before, self.after)]
        return Window(start=ends[0], end=ends[1])

    @property
    def truths(self) -> dict[str, float]:
        """The true averages over the window."""
        seconds = self.after.at - self.before.at
        requests = self.after.requests - self.before.requests
        return {
            "CPU": (self.after.cpu_s - self.before.cpu_s) / seconds,
            "memory": (self.after.rss_byte_s - self.before.rss_byte_s) / seconds,
            "error ratio": (self.after.errors - self.before.errors) / requests,
        }


class Scraped:
    """The scraped process; it reports the truth over its standard input and output."""

    def __init__(self, questions: IO[str], answers: IO[str]) -> None:
        self._questions = questions
        self._answers = answers

    def truth(self) -> Truth:
        """Return its usage up to now."""
        self._questions.write("\n")
        self._questions.flush()
        return Truth(**json.loads(self._answers.readline()))

    def over(self, seconds: float) -> Measured:
        """Wait for a window of ``seconds``, and return its truth."""
        before = self.truth()
        time.sleep(max(0.0, before.at + seconds - time.time()))
        return Measured(before=before, after=self.truth())


@contextmanager
def running(*command: str, **options: Any) -> Iterator["subprocess.Popen[str]"]:
    """Run a process until the block ends."""
    process = subprocess.Popen(command, text=True, **options)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def service_of(interval_s: float) -> Service:
    """Return the catalogue entry of the process, scraped at an interval."""
    return Service.model_validate(
        {
            "name": f"every-{interval_s:g}-s".replace(".", "-"),
            "base_url": "http://127.0.0.1:9",
            "allowed_hosts": ["127.0.0.1"],
            "prometheus": {"selector": f'interval="{interval_s:g}"', "scrape_interval_s": interval_s},
            "endpoints": [{"name": "any", "method": "GET", "path": "/"}],
        }
    )


def configuration(intervals_s: Sequence[float], port: int) -> str:
    """Return Prometheus' configuration; JSON is valid YAML."""
    scrapes = [
        {
            "job_name": f"{interval_s:g}",
            "scrape_interval": f"{round(interval_s * 1000)}ms",
            "scrape_timeout": f"{round(min(interval_s, 10.0) * 1000)}ms",
            "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": {"interval": f"{interval_s:g}"}}],
        }
        for interval_s in intervals_s
    ]
    return json.dumps({"scrape_configs": scrapes})


def await_scrapes(services: Sequence[Service], source: Prometheus) -> None:
    """Wait until each interval has had its first scrape."""
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            if all(is_scraped(service, source, at=datetime.now(UTC)) for service in services):
                return
        except PrometheusError:  # not ready yet
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"Prometheus has no scrape of the process after {START_WITHIN_S:g} s")
        time.sleep(0.5)


def figures_of(service: Service, window: Window, source: Prometheus) -> dict[str, float | None]:
    """Return the figures of a window, queried as in a run."""
    metrics = scrape_figures(service, window, source).metrics
    selector, length = service.prometheus.selector, f"{round(window.duration_s * 1000)}ms"
    failed = f'rate(scraped_requests_total{{{selector},outcome="error"}}[{length}])'
    ratio = f"sum({failed}) / sum(rate(scraped_requests_total{{{selector}}}[{length}]))"
    return {
        "CPU": metrics["cpu_usage"].value,
        "memory": metrics["memory_usage"].value,
        "error ratio": source.value(ratio, at=window.end),
    }


def rows_of(services: Sequence[Service], measured: Sequence[Measured], source: Prometheus) -> Iterator[Row]:
    """Yield the errors of each figure at each interval: the mean, and the worst of all windows."""
    found = {service.name: [figures_of(service, item.window, source) for item in measured] for service in services}
    for name in FIGURES:
        truths = [item.truths[name] for item in measured]
        for service in services:
            errors = relative_errors([figures[name] for figures in found[service.name]], truths)
            yield {
                "figure": name,
                "true": _formatted(name, sum(truths) / len(truths)),
                "scraped every s": service.prometheus.scrape_interval_s,
                "window s": float(round(measured[0].window.duration_s)),
                "windows": len(measured),
                "windows compared": len(errors),
                "mean error": f"{sum(errors) / len(errors):+.2%}" if errors else "–",
                "worst": f"{max(errors, key=abs):+.2%}" if errors else "–",
            }


def relative_errors(values: Sequence[float | None], truths: Sequence[float]) -> list[float]:
    """Return the error of each value as a ratio to its truth, without absent values and truths of zero."""
    pairs = zip(values, truths, strict=True)
    return [(value - truth) / truth for value, truth in pairs if value is not None and truth > 0]


def _formatted(name: str, truth: float) -> str:
    match name:
        case "CPU":
            return f"{truth:.4f} cores"
        case "memory":
            return f"{truth / 1024**2:.1f} MiB"
        case _:
            return f"{truth:.2%}"


@contextmanager
def scraped_at(intervals_s: Sequence[float]) -> Iterator[tuple[Scraped, Prometheus]]:
    """Run the process, and a Prometheus that scrapes it at several intervals."""
    port, web = free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="bellwether-scraping-") as folder, ExitStack() as stack:
        command = (sys.executable, "-m", "benchmarks.scraped", str(port))
        process = stack.enter_context(running(*command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        scraped = Scraped(cast("IO[str]", process.stdin), cast("IO[str]", process.stdout))
        scraped.truth()  # the first answer means that it is ready
        (Path(folder) / "prometheus.yml").write_text(configuration(intervals_s, port), encoding="utf-8")
        where = (f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb")
        listen = f"--web.listen-address=127.0.0.1:{web}"
        stack.enter_context(running("prometheus", *where, listen, stderr=subprocess.DEVNULL))
        yield scraped, Prometheus(f"http://127.0.0.1:{web}")


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print a table."""
    options = _options(arguments)
    if shutil.which("prometheus") is None:
        sys.stderr.write(
            "this benchmark needs prometheus, which is not in PATH; on Debian: apt-get install prometheus\n"
        )
        return 0 if options.quick else 1
    services = [service_of(interval_s) for interval_s in options.intervals]
    longest_s, moments = max(options.intervals), random.Random()
    with scraped_at(options.intervals) as (scraped, source):
        await_scrapes(services, source)
        measured = []
        for _ in range(options.windows):
            time.sleep(moments.uniform(0, longest_s))
            measured.append(scraped.over(options.seconds))
        time.sleep(2 * longest_s)
        rows = list(rows_of(services, measured, source))
    table = Table(
        title="scraping: figures against the truth", rows=rows, notes=[*notes_of(options), json.dumps(machine())]
    )
    sys.stdout.write(table.text() + "\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("scraping", __doc__)
    parser.add_argument("--windows", type=int, default=6, help="number of windows")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of a window")
    parser.add_argument("--intervals", type=float, nargs="+", default=INTERVALS_S, help="scrape intervals in seconds")
    return parse(parser, arguments, quick={"windows": 1, "seconds": 4.0, "intervals": [1.0]})


if __name__ == "__main__":
    raise SystemExit(main())
