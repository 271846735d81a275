"""The tables of the command baselines: the list, one baseline with its history, and a review."""

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from include.perf.baselines.baselines import Baselines
from include.perf.baselines.entry import Approval, Baseline
from include.perf.baselines.review import Finding, FindingKind
from include.perf.cli.baseline_commands import print_baseline, print_baselines, print_findings
from tests.records import metric_values, run_record

AT = datetime(2026, 2, 14, 9, 30, tzinfo=UTC)


def screen() -> Console:
    """Return a console that writes to memory."""
    return Console(file=io.StringIO(), width=240, soft_wrap=True, markup=False, emoji=False)


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def rows(console: Console) -> list[list[str]]:
    lines = shown(console).splitlines()
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]


def baselines_of(*, reason: str) -> Baselines:
    """Return one run of ``z-service``, and two of ``a-service`` of 40 and 44 ms."""
    baselines = Baselines()
    for number, (service, p95) in enumerate((("z-service", 0.04), ("a-service", 0.04), ("a-service", 0.044))):
        record = run_record(run_id=f"r{number}", service=service, metrics=metric_values(latency_p95=p95))
        baselines.promote(record, approval=Approval(by="[ana]", at=AT, reason=reason, run_id=record.run_id))
    return baselines


def nights_since(service: str, scenario: str, entry: Baseline) -> str:
    return f"{service[0]}{scenario[0]}{entry.version}"


@pytest.mark.parametrize(
    ("days", "state", "due"),
    [
        (91, "provisional", "2026-05-17"),  # 14 + 31 + 30 + 17 = 92 days after 14 February
        (92, "provisional", "overdue since 2026-05-17"),
        (184, "stale", "expired 2026-08-17"),
    ],
)
def test_baselines_in_order_of_their_names(days: int, state: str, due: str) -> None:
    """One row each, with the reason word for word, and whether a review is due."""
    console = screen()
    found = baselines_of(reason="see [/v2] :ok:")
    print_baselines(console, found, now=AT + timedelta(days=days), nights_since=nights_since)
    who = ["[ana]", "2026-02-14 09:30 UTC", "see [/v2] :ok:"]
    assert rows(console) == [
        ["a-service", "market_open", "2", state, "2", "42.0 ms", due, "am2", *who],
        ["z-service", "market_open", "1", state, "1", "40.0 ms", due, "zm1", *who],
    ]


def test_no_baselines() -> None:
    """A sentence instead of an empty table."""
    console = screen()
    print_baselines(console, Baselines(), now=AT, nights_since=nights_since)
    assert shown(console) == "there are no baselines yet\n"


def test_one_baseline() -> None:
    """All eight metrics with their spread, the runs, then who changed each version, when and why."""
    entry = baselines_of(reason="see [/v2]").get("a-service", "market_open")
    assert entry is not None
    console = screen()
    print_baseline(console, "a-service", "market_open", entry, now=AT)
    lines = shown(console).splitlines()
    assert lines[:3] == [
        "a-service under market_open: version 2, provisional, 2 runs",
        "  review by 2026-05-17, expires on 2026-08-17",
        "  anchor from version 2, follows the baseline until that is approved",
    ]
    # ln 1.1 / √2 = 0.0674, which is 7.0 %; the common 0.05 is 5.1 %
    assert rows(console) == [
        ["Latency p50", "18.5 ms", "±0.0 %", "±5.1 %", "18.5 ms"],
        ["Latency p95", "42.0 ms", "±7.0 %", "±5.1 %", "42.0 ms"],
        ["Latency p99", "88.2 ms", "±0.0 %", "±5.1 %", "88.2 ms"],
        ["Throughput", "500/s", "±0.0 %", "±5.1 %", "500/s"],
        ["Error rate", "0.03 %", "–", "–", "0.03 %"],
        ["CPU", "1.87 cores", "±0.0 %", "±5.1 %", "1.87 cores"],
        ["Memory", "790.5 MiB", "±0.0 %", "±5.1 %", "790.5 MiB"],
        ["Disk used", "41.30 %", "±0.0 %", "±5.1 %", "41.30 %"],
        ["r1", "2026-03-02 06:38 UTC", "40.0 ms", "0.03 %", "–"],
        ["r2", "2026-03-02 06:38 UTC", "44.0 ms", "0.03 %", "–"],
    ]
    assert lines[-2:] == [
        "  version 2: 2 runs, 2026-02-14 09:30 UTC by [ana]: see [/v2]",
        "  version 1: 1 run, 2026-02-14 09:30 UTC by [ana]: see [/v2]",
    ]


def test_one_baseline_that_is_old_and_anchored() -> None:
    """The anchor's own values and version, the deployed version if known, a dash for a missing time."""
    entry = baselines_of(reason="x").get("a-service", "market_open")
    assert entry is not None
    anchor = replace(entry.anchor, metrics={"latency_p95": 0.039}, version=1)
    runs = (replace(entry.runs[0], at=None, deploy_version="2.4.1"),)
    console = screen()
    print_baseline(console, "a", "b", replace(entry, anchor=anchor, runs=runs), now=AT + timedelta(days=184))
    assert shown(console).startswith("a under b: version 2, stale, 1 run\n")
    assert "\n  anchor from version 1, frozen\n" in shown(console)
    assert ["Latency p95", "42.0 ms", "±7.0 %", "±5.1 %", "39.0 ms"] in rows(console)
    assert rows(console)[-1] == ["r1", "–", "40.0 ms", "0.03 %", "2.4.1"]


def test_findings() -> None:
    """The finding, its reason and, for a proposal, the command that applies it; text is not interpreted."""
    finding = Finding(service="a", scenario="b", kind=FindingKind.DRIFTING, text="p95 creeps [/x] :ok:")
    proposal = replace(finding, kind=FindingKind.IMPROVED, run_id="r7", proposes="version 4 [x]", is_new_baseline=True)
    console = screen()
    print_findings(console, (finding, proposal))
    assert shown(console) == (
        "a under b: drifting\n"
        "  - p95 creeps [/x] :ok:\n"
        "a under b: improved\n"
        "  - p95 creeps [/x] :ok:\n"
        "  - proposed: version 4 [x]\n"
        "    python -m include.perf baselines promote r7 --force --reason '…'\n"
    )


def test_nothing_found() -> None:
    """A sentence instead of no output."""
    console = screen()
    print_findings(console, ())
    assert shown(console) == "nothing to review: all baselines are current and match their recent nights\n"
