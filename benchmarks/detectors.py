"""The detectors that are compared: Bellwether with its re-runs, and others on the same nights.

The other detectors score every cell, metric and judged night from that night and earlier ones. They alert if the score
reaches their parameter and the shift exceeds the same minimum effect as in Bellwether. They have no re-runs.
"""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student

from benchmarks.nights import (
    AFFECTED,
    CELLS,
    JUDGED,
    LATENCIES,
    METRICS,
    MINIMUM_EFFECTS,
    SERVICE_OF,
    SERVICES,
    Floats,
    Nights,
)
from include.perf.baselines import detection
from include.perf.baselines.panel import Panel, PanelStatistics
from include.perf.baselines.reference import MAX_REFERENCE
from include.perf.verdict.significance import significance_of

Flags = np.ndarray[Any, np.dtype[np.bool_]]

MOST_RERUNS = 4
"""Cells per night that are re-run twice."""

NEIGHBOURS = 3
"""Change points at most this many nights apart count as the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The alerts of Bellwether; arrays (platforms, cells, judged nights) unless stated otherwise.

    Attributes:
        own: cells confirmed on their own.
        by_service: cells confirmed with their service.
        on_affected: cells confirmed in either way, on an affected metric.
        reruns: cells that were re-run.
        platform_z: (platforms, metrics, judged nights).
        routes: (platforms, cells, judged nights, 2) whether re-runs, and whether a window confirmed it.
    """

    own: Flags
    by_service: Flags
    on_affected: Flags
    reruns: Flags
    platform_z: Floats
    routes: Flags

    @property
    def alerts(self) -> Flags:
        """Cells confirmed on their own, and the first cell of a service that is confirmed only across its scenarios."""
        shape = (len(self.own), SERVICES, -1, JUDGED)
        own = self.own.reshape(shape)
        as_one = self.by_service.reshape(shape).any(axis=2) & ~own.any(axis=2)
        alerts = own.copy()
        alerts[:, :, 0] |= as_one
        return alerts.reshape(self.own.shape)


def ours(nights: Nights, *, until_found: bool = False) -> Judged:
    """Judge night after night as the product does.

    Of the suspicious cells of a night, the four with the largest t are re-run twice. The median of the three values
    replaces tonight's, and the night is judged again. Confirmed nights, worse or better, are not reference nights
    later. The anchor is the centre of the prior nights.

    Args:
        until_found: stop judging a platform once an affected cell is confirmed on an affected metric; its later
            nights stay False.
    """
    count, prior = len(nights.values), nights.prior
    shape = (count, CELLS, JUDGED)
    own, by_service, on_affected, rerun = (np.zeros(shape, dtype=bool) for _ in range(4))
    routes = np.zeros((*shape, 2), dtype=bool)
    platform_z = np.zeros((count, len(METRICS), JUDGED))
    values = nights.values.copy()
    is_reference = np.ones((count, CELLS, values.shape[-1]), dtype=bool)
    anchors = np.full(values.shape[:3], np.nan)
    first = detection.examine(_panel(values[..., : prior + 1], is_reference[..., : prior + 1], anchors, prior))
    anchors = _narrow(first.reference.centre, count)
    live = np.arange(count)
    for night in range(JUDGED):
        end = prior + night + 1
        runs = np.ones((len(live), CELLS), dtype=int)
        panel = _panel(values[live, :, :, :end], is_reference[live, :, :end], anchors[live], prior)
        findings = detection.examine(panel)
        chosen = _to_rerun(findings, panel, runs, len(live))
        runs[chosen] = 3
        here, cells = live[np.nonzero(chosen)[0]], np.nonzero(chosen)[1]
        three = np.stack([values[here, cells, :, end - 1], *nights.again[..., night][:, here, cells]])
        values[here, cells, :, end - 1] = np.median(three, axis=0)
        panel = _panel(values[live, :, :, :end], is_reference[live, :, :end], anchors[live], prior)
        findings = detection.examine(panel)
        wide = _wide(runs)
        worse = significance_of(findings, panel, runs=wide)
        better = significance_of(findings, panel, runs=wide, sign=-1)
        by_night, by_window, by_sum, worsened, improved = (
            _narrow(flags, len(live))
            for flags in (
                worse.by_night,
                worse.by_window.is_any,
                worse.by_service.is_any,
                worse.is_significant,
                better.is_significant,
            )
        )
        own[live, :, night] = (by_night | by_window).any(axis=-1)
        by_service[live, :, night] = by_sum.any(axis=-1)
        on_affected[live, :, night] = worsened[..., AFFECTED].any(axis=-1)
        rerun[live, :, night] = chosen
        routes[live, :, night] = np.stack([by_night.any(axis=-1), by_window.any(axis=-1)], axis=-1)
        platform_z[live, :, night] = findings.platform_z.reshape(len(live), -1)
        is_reference[live, :, end - 1] = ~(worsened | improved).any(axis=-1)
        if until_found:
            live = live[~on_affected[live, : nights.affected, night].any(axis=-1)]
            if not len(live):
                break
    return Judged(
        own=own, by_service=by_service, on_affected=on_affected, reruns=rerun, platform_z=platform_z, routes=routes
    )


def _panel(values: Floats, is_reference: Flags, anchors: Floats, prior: int) -> Panel:
    """Return platforms as if they were further metrics, because cells share information only within a metric."""
    platforms, _, metrics, nights = values.shape
    wide = (CELLS, platforms * metrics)
    return Panel(
        values=values.transpose(1, 0, 2, 3).reshape(*wide, nights),
        is_reference=np.repeat(is_reference.transpose(1, 0, 2), metrics, axis=1),
        is_tonight=np.ones(CELLS, dtype=bool),
        minimum_effects=np.tile(MINIMUM_EFFECTS, (CELLS, platforms)),
        services=SERVICE_OF,
        anchors=anchors.transpose(1, 0, 2).reshape(wide),
        anchor_runs=np.full(CELLS, float(prior)),
        families=np.where(np.arange(wide[1]) % metrics < LATENCIES.stop, np.arange(wide[1]) // metrics, -1),
    )


def _wide(runs: Any) -> Any:
    return np.repeat(runs.T, len(METRICS), axis=1)


def _narrow(flags: Any, platforms: int) -> Any:
    return flags.reshape(CELLS, platforms, len(METRICS)).transpose(1, 0, 2)


def _to_rerun(findings: PanelStatistics, panel: Panel, runs: Any, platforms: int) -> Flags:
    """Return the suspicious cells with the largest t, (platforms, cells)."""
    suspicious = significance_of(findings, panel, runs=_wide(runs)).is_suspicious
    t = np.max(_narrow(np.where(suspicious, findings.tonight.z, 0.0), platforms), axis=-1)
    rank = np.argsort(np.argsort(-t, axis=1), axis=1)
    chosen: Flags = (t > 0) & (rank < MOST_RERUNS)
    return chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """The scores of a detector; arrays (platforms, cells, metrics, judged nights).

    Attributes:
        score: what is compared with the parameter; larger is more significant.
        is_beyond: whether the shift exceeds the minimum effect.
    """

    score: Floats
    is_beyond: Flags

    def flags(self, parameter: float) -> Flags:
        """Return the alerts at a parameter, (platforms, cells, metrics, judged nights)."""
        flags: Flags = self.is_beyond & (self.score >= parameter)
        return flags


def _night_by_night(nights: Nights, judge: Callable[[Floats, int], tuple[Floats, Floats]]) -> Scored:
    """Judge every night from the values up to it, at most 46 nights."""
    scores, shifts = [], []
    for night in range(JUDGED):
        end = nights.prior + night + 1
        score, shift = judge(nights.values[..., max(0, end - 1 - MAX_REFERENCE) : end], night)
        scores.append(score)
        shifts.append(shift)
    is_beyond = np.stack(shifts, axis=-1) > MINIMUM_EFFECTS[:, np.newaxis]
    return Scored(score=np.stack(scores, axis=-1), is_beyond=is_beyond)


def fixed_threshold(nights: Nights) -> Scored:
    """Compare every night with the mean of the prior nights; the score is the shift as a ratio."""
    shift = nights.values[..., nights.prior :] - nights.values[..., : nights.prior].mean(axis=-1, keepdims=True)
    return Scored(score=np.expm1(shift), is_beyond=shift > MINIMUM_EFFECTS[:, np.newaxis])


def one_run(nights: Nights) -> Scored:
    """Compare every night with the last prior run; the score is the shift as a ratio."""
    shift = nights.values[..., nights.prior :] - nights.values[..., nights.prior - 1, np.newaxis]
    return Scored(score=np.expm1(shift), is_beyond=shift > MINIMUM_EFFECTS[:, np.newaxis])


def t_test(nights: Nights) -> Scored:
    """Test the last three nights against the older ones (Student, one-sided); the score is −log10 p."""

    def judge(values: Floats, night: int) -> tuple[Floats, Floats]:
        after, before = values[..., -3:], values[..., :-3]
        before = before if before.shape[-1] > 1 else values[..., :2]
        shift = after.mean(axis=-1) - before.mean(axis=-1)
        n, m = before.shape[-1], after.shape[-1]
        squares = sum(side.var(axis=-1) * side.shape[-1] for side in (before, after))
        error = np.sqrt(squares / (n + m - 2) * (1 / n + 1 / m))
        return -student.logsf(shift / error, n + m - 2) / np.log(10), shift

    return _night_by_night(nights, judge)


def mad(nights: Nights) -> Scored:
    """Compare every night with the median of earlier nights; the score is in scaled median absolute deviations."""

    def judge(values: Floats, night: int) -> tuple[Floats, Floats]:
        before = values[..., :-1]
        centre = np.median(before, axis=-1)
        deviation = 1.4826 * np.median(np.abs(before - centre[..., np.newaxis]), axis=-1)
        shift = values[..., -1] - centre
        return shift / deviation, shift

    return _night_by_night(nights, judge)


def ewma(nights: Nights) -> Scored:
    """Average the shifts from the frozen mean of the prior nights, weight 0.3 for the newest; in standard errors."""
    prior = nights.values[..., : nights.prior]
    centre, spread = prior.mean(axis=-1), prior.std(axis=-1, ddof=1)
    weight, average = 0.3, np.zeros_like(centre)
    scores, shifts = [], []
    for night in range(JUDGED):
        average = weight * (nights.values[..., nights.prior + night] - centre) + (1 - weight) * average
        share = weight / (2 - weight) * (1 - (1 - weight) ** (2 * night + 2))
        scores.append(average / (spread * np.sqrt(share)))
        shifts.append(average)
    return Scored(score=np.stack(scores, axis=-1), is_beyond=np.stack(shifts, axis=-1) > MINIMUM_EFFECTS[:, np.newaxis])


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """A detector with its default parameter, and how the parameter is shown."""

    name: str
    score: Callable[[Nights], Scored]
    default: float
    format: Callable[[float], str]


OTHERS = (
    Other(name="fixed threshold, one stored run", score=one_run, default=0.10, format="{:.0%}".format),
    Other(
        name="fixed threshold, mean of the prior nights", score=fixed_threshold, default=0.10, format="{:.0%}".format
    ),
    Other(
        name="t-test, last 3 nights",
        score=t_test,
        default=-np.log10(0.05),
        format=lambda parameter: f"p {10**-parameter:.2g}",
    ),
    Other(name="MAD", score=mad, default=3.0, format="{:.1f} MAD".format),
    Other(name="EWMA, frozen baseline", score=ewma, default=3.0, format="{:.1f} σ".format),
)


def parameter_for(scored: Scored, alarms: float) -> float:
    """Return the parameter at which ``alarms`` cells a night alert on nights without effect."""
    scores = np.where(scored.is_beyond, scored.score, -np.inf).max(axis=2)
    ordered = np.sort(scores, axis=None)[::-1]
    nights = scores.shape[0] * JUDGED
    return float(ordered[min(int(alarms * nights), len(ordered) - 1)])


OTAVA = "apache-otava==0.8.0"
OTAVA_P = 10.0 ** -np.arange(3, 9)
_OTAVA_PROGRAM = """
import json, sys
from otava.analysis import compute_change_points
job = json.load(sys.stdin)
def latest(series, floor):
    best = [-1] * len(job["p"])
    for number, p in enumerate(job["p"]):
        points, weak = compute_change_points(series, window_len=50, max_pvalue=p, min_magnitude=floor)
        worse = [int(point.index) for point in points if point.stats.mean_2 > point.stats.mean_1]
        if worse:
            best[number] = worse[-1]
        if not weak:
            break
    return best
answer = []
for series, floor in zip(job["series"], job["floors"]):
    ends = range(job["prior"], len(series) + 1)
    answer.append([latest(series[:end], floor) for end in ends])
json.dump(answer, sys.stdout)
"""


def install_otava(folder: Path) -> Path | None:
    """Create an environment with Apache Otava and return its Python; ``None`` if the installation fails."""
    python = folder / "bin" / "python"
    try:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, capture_output=True, timeout=120)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", OTAVA]
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as err:
        sys.stderr.write(f"Otava is left out: {err}\n")
        return None
    return python


def otava(nights: Nights, python: Path, *, cells: int) -> Scored:
    """Look for change points in the series of the first cells every night; the score is −log10 of the strictest p.

    It alerts on a change point for the worse that is not a neighbour of one found the night before, so every change
    alerts once. Values are not on the log scale, as Otava is normally used.
    """
    values = np.exp(nights.values[:, :cells])
    platforms, _, count, length = values.shape
    job = {
        "p": OTAVA_P.tolist(),
        "prior": nights.prior,
        "series": values.reshape(-1, length).tolist(),
        "floors": np.tile(np.expm1(MINIMUM_EFFECTS), platforms * cells).tolist(),
    }
    done = subprocess.run(
        [python, "-c", _OTAVA_PROGRAM], input=json.dumps(job), capture_output=True, text=True, check=True, timeout=3600
    )
    found = np.array(json.loads(done.stdout)).reshape(platforms, cells, count, JUDGED + 1, len(OTAVA_P))
    is_new = (found[..., 1:, :] >= 0) & (found[..., 1:, :] > found[..., :-1, :] + NEIGHBOURS)
    score = np.where(is_new, -np.log10(OTAVA_P), 0.0).max(axis=-1)
    return Scored(score=score, is_beyond=np.ones(score.shape, dtype=bool))
