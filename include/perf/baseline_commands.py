"""The commands ``baselines list``, ``show``, ``review``, ``promote`` and ``rollback`` of the command line."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rich.console import Console

from include.perf.alert import CellName
from include.perf.baseline import Approval, Baseline, Baselines
from include.perf.baseline_format import entry_document, format_baselines
from include.perf.baseline_tables import print_baseline, print_baselines, print_findings
from include.perf.catalogue import load_catalogue
from include.perf.errors import BaselineError
from include.perf.history import MAX_NIGHTS, read_nights
from include.perf.ports import BaselineStore, ResultsStore
from include.perf.promotion import promote, review_all, roll_back
from include.perf.stage_files import StageFiles, find_run


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineCommands:
    """Looks at baselines and changes them.

    Attributes:
        baselines, results: give the file and the store that the environment names.
        user: says who is at the keyboard.
    """

    baselines: Callable[[], BaselineStore]
    results: Callable[[], ResultsStore]
    user: Callable[[], str]
    clock: Callable[[], datetime]

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add ``baselines`` with its actions to the commands there are."""
        baselines = commands.add_parser("baselines", help="look at baselines and change them")
        actions = baselines.add_subparsers(required=True, metavar="action")
        every = actions.add_parser("list", help="every baseline")
        show = actions.add_parser("show", help="one baseline with its history")
        actions.add_parser("review", help="what somebody should look at, and what could be promoted").set_defaults(
            command=self._review
        )
        promote = actions.add_parser("promote", help="make a finished run part of its baseline")
        promote.add_argument("run", help="a run id, or the address of its folder")
        promote.add_argument("--force", action="store_true", help="take it as a new level, also if it is a regression")
        rollback = actions.add_parser("rollback", help="make an earlier version the baseline again")
        rollback.add_argument("--version", type=int, required=True)
        for action in (show, rollback):
            action.add_argument("--service", required=True)
            action.add_argument("--scenario", required=True)
        for action in (promote, rollback):
            action.add_argument("--reason", required=True, help="kept with the baseline")
        for action in (every, show):
            action.add_argument("--json", action="store_true", help="as it stands in the file")
        every.set_defaults(command=self._list)
        show.set_defaults(command=self._show)
        promote.set_defaults(command=self._promote)
        rollback.set_defaults(command=self._rollback)

    def _list(self, options: argparse.Namespace, console: Console) -> int:
        baselines: Baselines = self.baselines().read()
        if options.json:
            console.print(format_baselines(baselines).decode(), end="")
        else:
            print_baselines(console, baselines, now=self.clock(), nights_since=self._nights_since)
        return 0

    def _nights_since(self, service: str, scenario: str, entry: Baseline) -> str:
        nights = read_nights(self.results(), service=service, scenario=scenario)
        since = sum(night.run.at is not None and night.run.at > entry.approval.at for night in nights)
        return f"≥ {since}" if since >= MAX_NIGHTS else str(since)

    def _show(self, options: argparse.Namespace, console: Console) -> int:
        service = load_catalogue().service(options.service).name
        entry = self.baselines().read().get(service, options.scenario)
        if entry is None:
            raise BaselineError(f"there is no baseline of {service} in {options.scenario}; `baselines list` shows all")
        if options.json:
            console.print(json.dumps(entry_document(entry), indent=2, ensure_ascii=False))
        else:
            print_baseline(console, service, options.scenario, entry, now=self.clock())
        return 0

    def _review(self, _: argparse.Namespace, console: Console) -> int:
        findings = review_all(store=self.results(), baselines=self.baselines(), now=self.clock())
        print_findings(console, findings)
        return 0

    def _approval(self, options: argparse.Namespace, run_id: str) -> Approval:
        return Approval(by=self.user(), at=self.clock(), reason=options.reason, run_id=run_id)

    def _promote(self, options: argparse.Namespace, console: Console) -> int:
        store = self.results()
        record = StageFiles(store, find_run(store, options.run)).read_record()
        approval = self._approval(options, record.run_id)
        entry = promote(
            record,
            approval=approval,
            force=options.force,
            store=store,
            baselines=self.baselines(),
        )
        print_baseline(console, record.service, record.scenario, entry, now=approval.at)
        return 0

    def _rollback(self, options: argparse.Namespace, console: Console) -> int:
        service = load_catalogue().service(options.service).name
        approval = self._approval(options, run_id="")
        cell = CellName(service, options.scenario)
        entry = roll_back(cell, version=options.version, approval=approval, baselines=self.baselines())
        print_baseline(console, service, options.scenario, entry, now=approval.at)
        return 0
