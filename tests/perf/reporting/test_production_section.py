"""The section about production: figures of both sides with their precision, and the proposed rate."""

from dataclasses import replace
from typing import Any

import pytest

from include.perf.measure.production.buckets import Bucket
from include.perf.measure.production.comparison import (
    ComparedFigure,
    ComparedRate,
    ComparedShare,
    DailyFigure,
    LeftOut,
    ProductionComparison,
    RequestSource,
)
from include.perf.reporting import html_page, markdown_text
from include.perf.reporting.report import run_document
from include.perf.runs.record import Verdict
from tests.fakes.clock import START
from tests.records import record_of, run_record
from tests.stages import FIGURES

NARROW, WIDE, OPEN = Bucket(low=0.040, high=0.050), Bucket(low=0.025, high=0.050), Bucket(low=10.0, high=None)
HOSTILE = "a|b <script>alert(1)</script>\n# d"


def level(value: float) -> DailyFigure:
    return DailyFigure(median=value, low=value * 0.9, high=value * 1.1)


def latency(run: float, production: float, own: Bucket = NARROW, theirs: Bucket = NARROW) -> ComparedFigure:
    ratio = None if own.high is None or theirs.high is None else run / production
    return ComparedFigure(
        name="latency_p95",
        run=run,
        production=level(production),
        ratio=ratio,
        run_bucket=own,
        production_bucket=theirs,
    )


def comparison(*figures: ComparedFigure, **changes: Any) -> ProductionComparison:
    made = ProductionComparison(
        compared_at=START,
        hours="the first 15 min after the London open",
        days=(FIGURES.window, FIGURES.window),
        bounds=(0.025, 0.05, 10.0),
        figures=figures,
    )
    return replace(made, **changes)


def section(found: ProductionComparison | None) -> str:
    text = markdown_text.render(run_document(run_record(), charts={}, production=found))
    _, _, after = text.partition("## Compared with production\n")
    return after.partition("\n## ")[0]


def cells(text: str, first: str) -> list[str]:
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (  # 62 / 45 = 1.378, and each bucket leaves a few per cent
            latency(0.062, 0.045, Bucket(low=0.05, high=0.0625)),
            ["62.0 ms", "45.0 ms", "40.5 ms to 49.5 ms", "+38 %"],
        ),
        (latency(0.046, 0.045), ["46.0 ms", "45.0 ms", "40.5 ms to 49.5 ms", "same bucket"]),
        (  # 60 / 30 = 2, at least 50 / 50 and at most 100 / 25
            latency(0.060, 0.030, Bucket(low=0.05, high=0.1), WIDE),
            [
                "50.0 ms to 100 ms, about 60.0 ms",
                "25.0 ms to 50.0 ms, about 30.0 ms",
                "27.0 ms to 33.0 ms",
                "+100 %, +0.0 % to +300 %",
            ],
        ),
        (latency(10.0, 0.045, OPEN), ["above 10.00 s", "45.0 ms", "40.5 ms to 49.5 ms", "–"]),
        (
            ComparedFigure(name="error_rate", run=0.02, production=level(0.005), ratio=4.0),
            ["2.00 %", "0.50 %", "0.45 % to 0.55 %", "+1.50 points"],
        ),
        (
            ComparedFigure(name="cpu_per_request", run=0.030, production=level(0.002), ratio=15.0),
            ["30.0 ms", "2.00 ms", "1.80 ms to 2.20 ms", "×15"],
        ),
        (ComparedFigure(name="error_rate", run=None, production=None, ratio=None), ["–", "–", "–", "–"]),
    ],
)
def test_a_figure_is_shown_with_its_precision(figure: ComparedFigure, shown: list[str]) -> None:
    """The run, production's median and range of days, and the change."""
    title = {"latency_p95": "Latency p95", "error_rate": "Error rate", "cpu_per_request": "CPU per request"}[
        figure.name
    ]
    assert cells(section(comparison(figure)), title) == [title, *shown]


def test_the_source_of_the_figures_is_named() -> None:
    """Figures measured by the client include the network."""
    assert "Both sides were counted by the services themselves, in the same 4 buckets." in section(comparison())
    client = section(comparison(measured_by=RequestSource.CLIENT))
    assert (
        "the run's figures were measured by the client, including the network; its latencies are counted in" in client
    )


PROPOSED = "Proposed: `rate_rps: 31`, the median of the busiest five minutes of each day, rounded to two digits"


@pytest.mark.parametrize(
    ("scenario_rps", "peak_rps", "sends", "times", "ends"),
    [
        (500, 500, "500/s", "16 times", "."),  # 500 / 31
        (40, 46.5, "40.0/s on average and 46.5/s at its peak", "1.5 times", ", at the peak of its profile."),
        (1.55, 1.55, "1.55/s", "5 % of", "."),
    ],
)
def test_a_rate_is_proposed_with_its_derivation(
    scenario_rps: float, peak_rps: float, sends: str, times: str, ends: str
) -> None:
    """With the ratio of the scenario's rate to production's."""
    rate = ComparedRate(
        scenario_rps=scenario_rps,
        scenario_peak_rps=peak_rps,
        production=level(20.0),
        busiest=level(31.0),
        proposed_rps=31,
    )
    receives = "production receives 20.0/s in these hours and 31.0/s in their busiest five minutes"
    sentence = f"The scenario sends {sends}; {receives}, the scenario **{times}** that. {PROPOSED}{ends}"
    assert sentence in section(comparison(rate=rate))


def test_the_mix_shows_the_largest_differences() -> None:
    """At most eight kinds of request, in the given order."""
    shares = tuple(ComparedShare(kind=f"GET /{n}", run=0.30, production=0.25) for n in range(9))
    text = section(comparison(mix=shares))
    assert cells(text, "GET /0") == ["GET /0", "30.00 %", "25.00 %", "+5.00 points"]
    assert "GET /7" in text
    assert "GET /8" not in text


def test_missing_days_and_failed_comparisons_are_explained() -> None:
    """Excluded days have their reason, and a failed comparison names its hours."""
    left_out = (LeftOut(window=FIGURES.window, reason="Prometheus has no scrapes of production"),)
    text = section(comparison(problem="production reports nothing", left_out=left_out, remarks=("the mix differs",)))
    assert (
        "could not be compared with production (the first 15 min after the London open): production reports nothing."
        in text
    )
    assert "- the mix differs" in text
    assert "06:30:06–06:30:16 UTC is excluded: Prometheus has no scrapes of production" in text


def test_foreign_text_is_escaped() -> None:
    """Endpoints and reasons come from services and Prometheus."""
    mix = (ComparedShare(kind=HOSTILE, run=1.0, production=0.0),)
    document = run_document(run_record(), charts={}, production=comparison(mix=mix, problem=None, remarks=(HOSTILE,)))
    assert "<script>" not in html_page.page(document, image=lambda _: None)
    assert "\n# d" not in markdown_text.render(document)


def test_without_a_comparison_there_is_no_section() -> None:
    """Nor in the report of a run that was skipped."""
    assert section(None) == ""
    skipped = run_document(record_of(Verdict.SKIPPED), charts={}, production=comparison())
    assert "Compared with production" not in markdown_text.render(skipped)
