"""The commands rules show, check and write."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.adapters.files.rules_folder import RulesFolder
from include.perf.cli.arguments import argument_parser
from include.perf.cli.rule_commands import RulesCommands
from include.perf.monitoring.rule_limits import RuleLimits
from include.perf.monitoring.rule_writer import Publisher, RuleWriter
from tests.fakes.baseline_store import MemoryBaselines
from tests.fakes.clock import FixedClock
from tests.fakes.metrics import FakeMetrics
from tests.fakes.small_catalogue import small_catalogue
from tests.nights import SCENARIO, SERVICE
from tests.perf.monitoring.rules_in_tests import NOW, FakeChecker, baseline


class Shell:
    """A command line on baselines in memory and a folder of rules."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.baselines = MemoryBaselines()
        self.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline()}}
        self.checker = FakeChecker()
        self.asked: list[tuple[str, bool | None]] = []

    def writer(self, url: str, *, must_reload: bool | None) -> RuleWriter:
        self.asked.append((url, must_reload))
        return RuleWriter(
            catalogue=small_catalogue(self.folder),
            baselines=self.baselines,
            metrics=FakeMetrics({}),
            publisher=Publisher(
                store=RulesFolder(self.folder / "rules"), checker=self.checker, server=None, wait=lambda _: None
            ),
            clock=FixedClock(NOW),
        )

    def run(self, *arguments: str) -> str:
        """Run a command and return what it prints."""
        options = argument_parser().parse_args(["rules", *arguments, "--prometheus", "http://prometheus"])
        out = io.StringIO()
        assert RulesCommands(writer=self.writer).execute(options, Console(file=out, width=240)) == 0
        return out.getvalue()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """One approved baseline of ten runs."""
    return Shell(tmp_path)


def test_show_prints_every_limit_in_readable_units(shell: Shell) -> None:
    """Baseline, warning and critical; nothing is checked or written."""
    printed = shell.run("show")
    (row,) = (line for line in printed.splitlines() if "Latency p95" in line)
    assert [cell.strip() for cell in row.strip("│").split("│")] == [
        *("orders-service", "brief", "staging", "Latency p95", "400 ms", "477 ms", "500 ms", "–")
    ]
    assert (shell.checker.checked, (shell.folder / "rules").exists()) == ([], False)


def test_show_reports_baselines_without_limits(shell: Shell) -> None:
    """A young baseline has no limits yet."""
    shell.baselines.baselines.entries = {SERVICE: {SCENARIO: baseline(2)}}
    assert shell.run("show").splitlines() == [
        "no baseline has limits yet",
        "  - orders-service under brief: its baseline is provisional: fewer than three runs do not show how much runs "
        "differ",
    ]


def test_show_prints_the_rules_as_yaml(shell: Shell) -> None:
    """As they would be written, for reading or redirection."""
    assert shell.run("show", "--yaml").encode() == shell.writer("", must_reload=False).draft(RuleLimits()).rules


def test_check_writes_nothing(shell: Shell) -> None:
    """Promtool checks the rules, and the changes are printed."""
    printed = shell.run("check").splitlines()
    assert printed[:2] == ["the rules are valid and pass their tests", "16 limits changed:"]
    assert printed[2].startswith(
        "  - orders-service under brief (baseline version 3 by ana: agreed): new limits: p50 warning "
    )
    assert (len(shell.checker.checked), (shell.folder / "rules").exists()) == (1, False)


def test_write_writes_the_rules_once(shell: Shell) -> None:
    """The second time nothing changes."""
    first, second = shell.run("write").splitlines(), shell.run("write").splitlines()
    where = f"{shell.folder}/rules/bellwether-rules.yaml is written"
    assert first[:2] == [where, "16 limits changed:"]
    assert second == [where, "no limit changed"]
    assert shell.writer("", must_reload=False).is_current()


@pytest.mark.parametrize(("given", "meant"), [((), None), (("--reload",), True), (("--no-reload",), False)])
def test_reloading_prometheus_is_an_option(shell: Shell, given: tuple[str, ...], meant: bool | None) -> None:
    """By default the catalogue decides."""
    shell.run("write", *given)
    assert shell.asked == [("http://prometheus", meant)]
