"""Write results and baselines of several simulated years: for measurements, and to look at the pages.

    python -m benchmarks.synthetic_years /tmp/years [--nights 1100] [--series 2] [--seed 1] [--quick]

writes ``results/`` and ``baselines.json`` for the services and scenarios of the catalogue. Every cell runs every night.
The nights are simulated as follows:

- Runs of a cell differ by 2 to 5 % (Student t, 5 degrees of freedom); all runs of a night share a part of 1 %.
- A service is released every 8 to 20 nights. One release in 20 makes it 10 to 45 % slower until one of the next
  releases fixes it, one in 30 makes it permanently faster, one in 70 permanently slower.
- Memory grows between releases; the disk fills and is cleaned.
- Some nights have no run, or their run is skipped, invalid, without figures from Prometheus, or of another load.

The verdicts are simpler than those of the product: a change beyond the minimum effect and three spreads is suspicious,
is re-run twice, and the median decides. Baselines are promoted by the product's code: on the tenth night, every
quarter, after 14 nights of improvement, and by force after 21 nights of regression.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.options import notes_of, parse, parser_of
from benchmarks.synthetic_records import Night, Subject, record_of, timeseries
from benchmarks.tables import Table
from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, BaselineRun, contribution
from include.perf.baselines.file_format import format_baselines
from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.reading import load_catalogue
from include.perf.model.json_files import to_json
from include.perf.model.metric import METRICS
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import RECORD_FILE, TIMESERIES_FILE

Floats = np.ndarray[Any, np.dtype[np.float64]]

NIGHTS = 1_100
END = datetime(2026, 11, 22, tzinfo=UTC)
HOURS = (time(4, 0), time(3, 50), time(5, 30), time(22, 0))
"""Times of day of the scenarios, in turn."""

NAMES = tuple(METRICS)
SLOWED = tuple(NAMES.index(name) for name in ("latency_p50", "latency_p95", "latency_p99", "cpu_usage"))
MEMORY, DISK, ERRORS = (NAMES.index(name) for name in ("memory_usage", "disk_usage", "error_rate"))
QUARTER, IMPROVED_FOR, REGRESSED_FOR = 92, 14, 21


@dataclass(slots=True)
class _Releases:
    """The releases of a service, by night: version, slowdown on the log scale, and nights since the release."""

    versions: list[str]
    slower: Floats
    age: Floats


def _releases(rng: np.random.Generator, nights: int) -> _Releases:
    versions: list[str] = []
    slower, age = np.zeros(nights), np.zeros(nights)
    shift, trouble, minor = 0.0, 0.0, 0
    while len(versions) < nights:
        minor += 1
        fate = rng.random()
        trouble = 0.0 if rng.random() < 0.7 else trouble
        if fate < 0.05:
            trouble = math.log(rng.uniform(1.10, 1.45))
        elif fate < 0.08:
            shift -= math.log(rng.uniform(1.06, 1.15))
        elif fate < 0.095:
            shift += math.log(rng.uniform(1.06, 1.12))
        first = len(versions)
        versions += [f"{1 + minor // 40}.{minor % 40}.{rng.integers(0, 9)}"] * int(rng.integers(8, 21))
        slower[first : len(versions)] = shift + trouble
        age[first : len(versions)] = np.arange(min(len(versions), nights) - first)
    return _Releases(versions[:nights], slower, age)


@dataclass(slots=True)
class _Cell:
    """A service under a scenario, night after night."""

    subject: Subject
    rng: np.random.Generator
    centres: Floats
    spreads: Floats
    releases: _Releases
    since: list[BaselineRun] = field(default_factory=list)
    row: tuple[Verdict, int] = (Verdict.PASS, 0)
    promoted: int = 0
    changed_since: datetime | None = None

    def draw(self, night: int, shared: Floats) -> dict[str, float]:
        """Draw the values of one run of a night."""
        logs = np.log(self.centres) + self.spreads * self.rng.standard_t(5, len(NAMES)) * math.sqrt(3 / 5) + shared
        logs[list(SLOWED)] += self.releases.slower[night] * np.array([0.8, 1.0, 1.1, 0.6])
        logs[MEMORY] += 0.0015 * self.releases.age[night]
        logs[DISK] += 0.06 * ((night % 60) / 60)
        values = np.exp(logs)
        if self.rng.random() < 0.01:
            values[ERRORS] *= self.rng.uniform(20, 200)
        found = dict(zip(NAMES, values.tolist(), strict=True))
        return found | {"throughput": self.subject.rate_rps * (1 - found["error_rate"]) * self.rng.uniform(0.999, 1.0)}


@dataclass(slots=True)
class SyntheticYears:
    """Simulates nights; the same arguments give the same nights.

    Attributes:
        services, scenarios: how many of the catalogue's.
        series: number of latest nights whose runs also get a time series.
    """

    nights: int = NIGHTS
    services: int = 6
    scenarios: int = 4
    series: int = 0
    seed: int = 1
    end: datetime = END
    catalogue: Catalogue = field(default_factory=load_catalogue)
    baselines: Baselines = field(default_factory=Baselines)

    def write(self, folder: Path) -> int:
        """Write ``results/`` and ``baselines.json``; return the number of runs."""
        runs = 0
        for night, record in self.records():
            run = folder / "results" / record.service / record.scenario / record.run_id
            run.mkdir(parents=True)
            (run / RECORD_FILE).write_bytes(to_json(record))
            if night >= self.nights - self.series and record.window is not None:
                (run / TIMESERIES_FILE).write_text(timeseries(record, seed=runs), encoding="utf-8")
            runs += 1
        (folder / "baselines.json").write_bytes(format_baselines(self.baselines))
        return runs

    def records(self) -> Iterator[tuple[int, RunRecord]]:
        """Yield the number of the night and the record of every run, night after night, re-runs first."""
        rng = np.random.default_rng(self.seed)
        cells = list(self._cells(rng))
        for night in range(self.nights):
            shared = np.zeros(len(NAMES))
            shared[list(SLOWED)] = rng.normal(0, 0.01)
            for cell in cells:
                for record in self._night(cell, night, shared):
                    yield night, record

    def _cells(self, rng: np.random.Generator) -> Iterator[_Cell]:
        for service in list(self.catalogue.services.values())[: self.services]:
            releases = _releases(rng, self.nights)
            speed, size = rng.uniform(0.006, 0.05), rng.uniform(200, 1200) * 1024**2
            for number, scenario in enumerate(list(self.catalogue.scenarios.values())[: self.scenarios]):
                rate = scenario.load.rate_rps
                p50 = speed * rng.uniform(0.9, 1.2) * (1 + rate / 1000)
                centres = (p50, p50 * 2.2, p50 * 4.5, rate, 2e-4, 0.1 + rate * speed / 8, size, rng.uniform(0.3, 0.5))
                spreads = rng.uniform(0.02, 0.05, len(NAMES)) * np.array([1, 1, 1.5, 0, 8, 1, 0.3, 0.1])
                yield _Cell(
                    subject=Subject(service=service, scenario=scenario, hour=HOURS[number % len(HOURS)]),
                    rng=np.random.default_rng(rng.integers(2**32)),
                    centres=np.array(centres),
                    spreads=spreads,
                    releases=releases,
                )

    def _night(self, cell: _Cell, number: int, shared: Floats) -> Iterator[RunRecord]:
        """Yield the runs of a cell's night, and promote if it is time."""
        subject, rng = cell.subject, cell.rng
        day = self.end - timedelta(days=self.nights - 1 - number)
        at = datetime.combine(day, subject.hour, tzinfo=UTC) + timedelta(minutes=float(rng.uniform(0, 20)))
        entry = self.baselines.get(subject.service.name, subject.scenario.name)
        night = Night(
            at=at, run_id=_run_id(rng, at), values=cell.draw(number, shared), version=cell.releases.versions[number]
        )
        luck = rng.random()
        if luck < 0.004:
            return
        night = replace(
            night,
            is_skipped=luck > 0.996,
            is_invalid=0.986 < luck <= 0.996,
            is_other_load=0.983 < luck <= 0.986,
            is_failing=0.980 < luck <= 0.983,
        )
        if luck < 0.014:
            night = night.without_prometheus()
        spreads = dict(zip(NAMES, cell.spreads.tolist(), strict=True))
        record = record_of(subject, night, entry=entry, spreads=spreads, since=cell.changed_since)
        if any(deviation.is_suspicion for deviation in record.deviations):
            draws = [cell.draw(number, shared) for _ in range(2)]
            for number_of_rerun, values in enumerate(draws, start=1):
                later = at + number_of_rerun * timedelta(minutes=25)
                again = replace(night, at=later, run_id=_run_id(rng, later), values=values, rerun_of=night.run_id)
                night = replace(night, reruns=(*night.reruns, (again.run_id, values)))
                yield record_of(subject, again, entry=entry, spreads=spreads, since=cell.changed_since)
            record = record_of(subject, night, entry=entry, spreads=spreads, since=cell.changed_since)
        self._follow(cell, record, number)
        yield record

    def _follow(self, cell: _Cell, record: RunRecord, night: int) -> None:
        """Count consecutive nights of one verdict, and promote if it is time."""
        if not record.verdict.is_measured or record.verdict is Verdict.NOT_COMPARABLE:
            return
        verdict, length = cell.row
        cell.row = (record.verdict, length + 1 if record.verdict is verdict else 1)
        has_changed = record.verdict in (Verdict.REGRESSION, Verdict.IMPROVEMENT)
        cell.changed_since = (cell.changed_since or record.started_at) if has_changed else None
        is_due = night >= cell.promoted + (9 if cell.promoted == 0 else QUARTER)
        match cell.row:
            case Verdict.NO_BASELINE, _:
                self._promote(cell, record, "the first baseline")
            case Verdict.PASS, _ if is_due:
                cell.promoted = night
                self._promote(cell, record, "quarterly review" if night > QUARTER else "ten good nights")
            case Verdict.IMPROVEMENT, nights if nights >= IMPROVED_FOR:
                self._promote(cell, record, f"faster since {record.deploy_version}, and stays so")
            case Verdict.REGRESSION, nights if nights >= REGRESSED_FOR:
                self._promote(cell, record, f"{record.deploy_version} does more; agreed with the team", force=True)
            case _:
                pass
        cell.since = [*cell.since, contribution(record)] if record.verdict is cell.row[0] else []

    def _promote(self, cell: _Cell, record: RunRecord, reason: str, *, force: bool = False) -> None:
        by = ("ana", "ben", "chiara")[int(cell.rng.integers(3))]
        approval = Approval(by=by, at=record.started_at + timedelta(hours=5), reason=reason, run_id=record.run_id)
        self.baselines.promote(record, approval=approval, force=force, since=cell.since[-44:])
        cell.since, cell.row = [], (record.verdict, 0)


def _run_id(rng: np.random.Generator, at: datetime) -> str:
    return f"{at:%Y%m%dT%H%M%SZ}-{rng.integers(2**24):06x}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write years to a folder."""
    parser = parser_of("synthetic_years", __doc__)
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--nights", type=int, default=NIGHTS, help="runs of each cell")
    parser.add_argument("--series", type=int, default=0, help="latest nights whose runs get a time series")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers")
    options = parse(parser, arguments, quick={"nights": 12, "series": 1})
    runs = SyntheticYears(nights=options.nights, series=options.series, seed=options.seed).write(options.folder)
    rows = [{"folder": str(options.folder), "nights": options.nights, "runs": runs}]
    sys.stdout.write(Table(title="synthetic years", rows=rows, notes=notes_of(options)).text())


if __name__ == "__main__":
    main()
