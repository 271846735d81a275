"""Measure how often detection raises false alarms and how soon it finds a regression, next to other detectors.

Run from the project's root::

    python -m benchmarks.detection [--short | --quick] [--seed N] [--jobs N] [--json FILE] [--write FILE]

**Nights** are simulated and seeded, so the truth is known; `benchmarks/nights.py` describes how. The noise is `main`
unless stated otherwise. `clean` has normal tails and no bad runs; `hard` is 1.5 times as wide with 3 % bad runs. There
are k nights without effect before the first judged night. Then 14 nights are judged one after the other; each takes the
earlier verdicts into account.

**Bellwether** (`include/perf/baselines/detection.py`) runs as in the product. At most four suspicious cells a night are
re-run twice, and the median of the three counts. A cell's confirmed nights are not part of its later history. The
anchor is the centre of the prior nights. The parameters are the same for every k and noise.

**FA** (false alarms) is the number of cells confirmed per night, on nights without effect. Every night on which a cell
is confirmed counts; a service confirmed across its scenarios counts once. *New* excludes a cell that was confirmed the
night before. **Found by night n** is the share of platforms on which an affected cell was confirmed on an affected
metric within the first n nights of the effect. False alarms on that cell count too, for all detectors alike.

**Other detectors** see the same nights without re-runs and use the same minimum effects. They are shown with their
default parameter, and with the parameter that gives the same FA as Bellwether on nights without effect (with other
seeds than those on which power is measured). Apache Otava is installed in an environment of its own. It reports a
change once, so its FA counts only new alerts, which favours it. Its parameter is the largest of p = 1e-3 … 1e-8 that
does not exceed Bellwether's FA.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from benchmarks import detectors
from benchmarks.nights import AFFECTED, EFFECTS, JUDGED, LATENCIES, NOISES, NULL, SERVICE_OF, simulate
from benchmarks.options import notes_of, parse, parser_of
from benchmarks.tables import Table
from include.perf.baselines import detection
from include.perf.baselines.panel import Panel
from include.perf.verdict.significance import significance_of

PRIORS = (3, 5, 10, 20)
OTAVA_PRIOR = 10
SHOWN = (1, 2, 3, 5, 7, 14)
SINGLE_EFFECTS = [name for name, effect in EFFECTS.items() if 0 < effect.cells < len(SERVICE_OF)]
PLATFORM = "platform +15 %"
PLATFORM_Z = 4.0
BATCH = 50
"""Platforms judged in one batch."""

BACK = "[← All pages](README.md)"
WHAT = (
    "How often the [detection](detection.md) raises false alarms, and how soon it finds a regression, on simulated\n"
    "nights next to other detectors."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is simulated.

    Attributes:
        null: platforms without an effect.
        effect: platforms with an effect.
        otava_null, otava_effect: how many of them Apache Otava sees; 0 leaves it out.
        noises: of `NOISES`.
        priors: nights before the effect; must hold `OTAVA_PRIOR`.
    """

    null: int
    effect: int
    otava_null: int
    otava_effect: int
    noises: tuple[str, ...] = tuple(NOISES)
    priors: tuple[int, ...] = PRIORS


FULL = Size(null=100, effect=200, otava_null=8, otava_effect=80)
SHORT = Size(null=50, effect=50, otava_null=2, otava_effect=20)
QUICK = Size(null=2, effect=2, otava_null=0, otava_effect=0, noises=("main",), priors=(OTAVA_PRIOR,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What the sections share."""

    size: Size
    seed: int
    pool: ProcessPoolExecutor

    def batches(self, noise: str, effect: str, prior: int, count: int) -> list[dict[str, Any]]:
        """Return the results of so many platforms; the last batch may be larger than needed."""
        kind = ["null", "effect"][effect != NULL]
        seeds = [self.seed * 100_000 + number * 10 + (kind == "effect") for number in range(-(-count // BATCH))]
        log_progress(f"{noise}, {effect}, k = {prior}")
        return list(self.pool.map(partial(_judge, noise, effect, prior, min(BATCH, count)), seeds))


def _judge(noise: str, effect: str, prior: int, platforms: int, seed: int) -> dict[str, Any]:
    """Judge a batch of platforms with Bellwether."""
    nights = simulate(noise, effect, prior=prior, platforms=platforms, seed=seed)
    is_single = effect in SINGLE_EFFECTS
    judged = detectors.ours(nights, until_found=is_single)
    if is_single:
        return {"found": _found(judged.on_affected[:, : nights.affected].any(axis=1))}
    alerts = judged.alerts
    is_new = alerts.copy()
    is_new[..., 1:] &= ~alerts[..., :-1]
    is_reported = np.abs(judged.platform_z[:, LATENCIES]).max(axis=1) >= PLATFORM_Z
    parts = {"FA": alerts, "new": is_new, "by night": judged.routes[..., 0], "by window": judged.routes[..., 1]}
    per_night = {name: np.sum(flags, axis=1).mean(axis=0) for name, flags in parts.items()}
    per_night["re-run"] = np.sum(judged.reruns, axis=1).mean(axis=0)
    return per_night | {"platform reported": is_reported.mean(axis=0)}


def _found(by_night: Any) -> Any:
    """Return the share of platforms found on or before each night."""
    return np.logical_or.accumulate(by_night, axis=-1).mean(axis=0)


def log_progress(text: str) -> None:
    """Write a line of progress to standard error."""
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")


def _mean(results: list[dict[str, Any]], name: str) -> Any:
    return np.mean([result[name] for result in results], axis=0)


def false_alarms(bench: Bench) -> tuple[Table, dict[int, float]]:
    """Measure nights without effect; return the table, and the FA of each k in the main noise."""
    rows, rates = [], {}
    for noise in bench.size.noises:
        for prior in bench.size.priors:
            results = bench.batches(noise, NULL, prior, bench.size.null)
            row = {name: float(_mean(results, name).mean()) for name in results[0] if name != "platform reported"}
            rows.append({"noise": noise, "k": prior} | row)
            if noise == "main":
                rates[prior] = row["FA"]
    note = (
        "Cells per night, of 24. *By night* and *by window* may be the same cell. Each *re-run* cell is run twice more."
    )
    return Table(title="False alarms", rows=rows, notes=[note]), rates


def power(bench: Bench) -> tuple[Table, dict[str, Any]]:
    """Measure how soon each effect is found; return the table, and the shares found for k = `OTAVA_PRIOR`."""
    rows, found = [], {}
    for effect in SINGLE_EFFECTS:
        for prior in bench.size.priors:
            share = _mean(bench.batches("main", effect, prior, bench.size.effect), "found")
            rows.append({"effect": effect, "k": prior} | _columns(share))
            if prior == OTAVA_PRIOR:
                found[effect] = share
    return Table(title="Found, by night", rows=rows), found


def _columns(share: Any) -> dict[str, float]:
    return {f"night {night}": float(share[night - 1]) for night in SHOWN}


def platform_wide(bench: Bench) -> Table:
    """Measure that a change of all cells is reported once, as a platform change, and not for every cell."""
    rows = []
    for effect in (NULL, PLATFORM):
        for prior in bench.size.priors:
            results = bench.batches("main", effect, prior, bench.size.null // 2)
            reported, alerts = _mean(results, "platform reported"), _mean(results, "FA")
            rows.append(
                {
                    "effect": effect,
                    "k": prior,
                    "platform reported, night 1": float(reported[0]),
                    "cells confirmed, night 1": float(alerts[0]),
                    "nights 2–7": float(alerts[1:7].mean()),
                    "nights 8–14": float(alerts[7:].mean()),
                }
            )
    note = f"Reported: the platform part of a latency is beyond {PLATFORM_Z:g} of its standard errors. Cells per night."
    return Table(title="All cells at once", rows=rows, notes=[note])


def others(bench: Bench, rates: dict[int, float], prior: int, ours: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Measure the other detectors at one k."""
    seed, count = bench.seed * 100_000 + 7, bench.size.effect // 2
    rows = [_row("Bellwether", "–", rates[prior], ours)] if ours else []
    null = simulate("main", NULL, prior=prior, platforms=count, seed=seed)
    drawn = {effect: simulate("main", effect, prior=prior, platforms=count, seed=seed + 1) for effect in SINGLE_EFFECTS}
    for other in detectors.OTHERS:
        log_progress(f"{other.name}, k = {prior}")
        scored = other.score(null)
        parameters = {"default": other.default, "equal FA": detectors.parameter_for(scored, rates[prior])}
        shifts = {effect: (nights, other.score(nights)) for effect, nights in drawn.items()}
        for label, parameter in parameters.items():
            alarms = float(scored.flags(parameter).any(axis=2).sum() / (count * JUDGED))
            found = {effect: _of(nights, scores, parameter) for effect, (nights, scores) in shifts.items()}
            rows.append(_row(other.name, f"{label}: {other.format(parameter)}", alarms, found))
    return rows


def _of(nights: Any, scored: detectors.Scored, parameter: float) -> Any:
    return _found(scored.flags(parameter)[:, : nights.affected][:, :, AFFECTED].any(axis=(1, 2)))


def _row(name: str, parameter: str, alarms: float, found: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"detector": name, "parameter": parameter, "FA": alarms}
    for effect, share in found.items():
        nights = (1, 7, 14) if effect.startswith("drift") else (1, 2, 3, 7)
        row[f"{effect}, night {'/'.join(map(str, nights))}"] = " ".join(f"{share[night - 1]:.2f}" for night in nights)
    return row


def otava_rows(bench: Bench, rates: dict[int, float], folder: Path) -> list[dict[str, Any]]:
    """Measure Apache Otava; return no rows where it is left out or cannot be installed."""
    if not bench.size.otava_null:
        return []
    python = detectors.install_otava(folder / "otava")
    if python is None:
        return []
    seed, size = bench.seed * 100_000 + 9, bench.size
    jobs = [(NULL, size.otava_null, len(SERVICE_OF)), *((effect, size.otava_effect, 0) for effect in SINGLE_EFFECTS)]
    log_progress("Otava")
    results = list(bench.pool.map(partial(_otava, python, seed), jobs))
    null, shifts = results[0][1], results[1:]
    alarms = {
        parameter: float(null.flags(parameter).any(axis=2).sum() / (size.otava_null * JUDGED))
        for parameter in -np.log10(detectors.OTAVA_P)
    }
    kept = [parameter for parameter, rate in alarms.items() if rate <= rates[OTAVA_PRIOR]]
    parameters = {"default": 3.0, "p = 1e-6": 6.0, "equal FA": kept[0] if kept else max(alarms)}
    return [
        _row(
            "Apache Otava 0.8.0",
            f"{label}: p 1e-{parameter:.0f}",
            alarms[parameter],
            {
                effect: _of(nights, scored, parameter)
                for effect, (nights, scored) in zip(SINGLE_EFFECTS, shifts, strict=True)
            },
        )
        for label, parameter in parameters.items()
    ]


def _otava(python: Path, seed: int, job: tuple[str, int, int]) -> tuple[Any, detectors.Scored]:
    effect, platforms, cells = job
    nights = simulate("main", effect, prior=OTAVA_PRIOR, platforms=platforms, seed=seed + (effect != NULL))
    return nights, detectors.otava(nights, python, cells=cells or nights.affected)


def speed() -> Table:
    """Time one night of 24 cells × 8 metrics with 45 nights before it."""
    values = np.random.default_rng(1).normal(0, 0.05, (24, 8, 46))
    panel = Panel(
        values=values,
        is_reference=np.ones((24, 46), dtype=bool),
        is_tonight=np.ones(24, dtype=bool),
        minimum_effects=np.full((24, 8), 0.05),
        services=SERVICE_OF,
        anchors=values[..., :10].mean(axis=-1),
        anchor_runs=np.full(24, 10.0),
        families=np.array([0, 0, 0, *[-1] * 5]),
    )
    runs = np.ones(24, dtype=np.int64)
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        significance_of(detection.examine(panel), panel, runs=runs)
        times.append(time.perf_counter() - begin)
    row = {
        "cells": 24,
        "metrics": 8,
        "nights": 46,
        "median s": f"{np.median(times):.4f}",
        "worst s": f"{max(times):.4f}",
    }
    return Table(title="Speed", rows=[row], notes=["Statistics and thresholds of one night, 50 times, one thread."])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print its tables."""
    options = _options(arguments)
    begin = time.monotonic()
    with ProcessPoolExecutor(options.jobs) as pool, tempfile.TemporaryDirectory(prefix="bellwether-") as folder:
        bench = Bench(size=options.size, seed=options.seed, pool=pool)
        speeds = speed()
        alarms, rates = false_alarms(bench)
        found, ours = power(bench)
        together = platform_wide(bench)
        compared = others(bench, rates, OTAVA_PRIOR, ours) + otava_rows(bench, rates, Path(folder))
        few = others(bench, rates, options.size.priors[0], None)
    tables = [
        alarms,
        found,
        together,
        Table(title=f"Compared with others, k = {OTAVA_PRIOR}", rows=compared),
        Table(title=f"Others at k = {options.size.priors[0]}", rows=few),
        speeds,
    ]
    text = _document(tables, bench, notes=notes_of(options), minutes=(time.monotonic() - begin) / 60)
    sys.stdout.write(text)
    if options.json:
        raw = {table.title: [dict(row) for row in table.rows] for table in tables}
        options.json.write_text(json.dumps({"seed": options.seed, "tables": raw}, indent=2) + "\n")
    if options.write:
        options.write.write_text(text)
    return 0


def _document(tables: Sequence[Table], bench: Bench, *, notes: Sequence[str], minutes: float) -> str:
    size = bench.size
    nights = (size.null * len(size.noises) + size.effect * len(SINGLE_EFFECTS) + size.null) * len(size.priors) * JUDGED
    head = (
        f"{datetime.now(UTC):%Y-%m-%d}, seed {bench.seed}, at most {nights:,} nights for Bellwether, "
        f"{minutes:.0f} minutes. "
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}, {detectors.OTAVA}."
    )
    method = (__doc__ or "").split("\n\n", 3)[3].strip()
    command = "```sh\npython -m benchmarks.detection --write docs/detection-benchmark.md\n```"
    parts = [
        "# Detection benchmark",
        BACK,
        WHAT,
        command,
        head,
        *notes,
        "## Method",
        method,
        *(t.text() for t in tables),
    ]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = parser_of("detection", __doc__)
    short = "fewer nights: to compare two versions of the rule"
    parser.add_argument("--short", dest="size", action="store_const", const=SHORT, default=FULL, help=short)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--write", type=Path, help="file for the document")
    return parse(parser, arguments, quick={"size": QUICK})


if __name__ == "__main__":
    raise SystemExit(main())
