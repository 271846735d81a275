"""`make demo`: what Bellwether does, told with real parts in a few minutes."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.emoji import Emoji
from rich.panel import Panel
from rich.text import Text

from demo import commands
from demo.airflow_api import AirflowApi
from demo.configuration import SLACK_CHANNEL, TOKEN_VARIABLE
from demo.settings import Stack
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.runs.phrases import headline
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import CHARTS_FOLDER, REPORT_HTML_FILE
from include.perf.runs.stage_files import StageFiles

SERVICE = "analysis-engine-service"
SCENARIO = "market_open"
FAULT = {"latency_s": 0.06, "latency_spread_s": 0.02, "for_s": 600}
RUN_TIMEOUT_S = 300.0
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One run of the story and the verdict that it must come to."""

    title: str
    explanation: str
    conf: dict[str, Any]
    expected: Verdict


BASELINE = Chapter(
    title="1/3  No baseline yet: record one",
    explanation="update_baseline makes the first valid run the level that later runs are compared with.",
    conf={"update_baseline": True, "reason": "first run of the demo"},
    expected=Verdict.NO_BASELINE,
)
SECOND = Chapter(
    title="2/3  The same load again: nothing moved",
    explanation="A run that agrees with its baseline passes, and nobody is told.",
    conf={},
    expected=Verdict.PASS,
)
SLOW = Chapter(
    title="3/3  A slow release: the regression is found",
    explanation=f"Every answer of {SERVICE} now takes 40 to 80 ms longer (its fault knob: {FAULT}). A run that looks "
    "suspicious is measured twice more before anybody is told.",
    conf={},
    expected=Verdict.REGRESSION,
)


class Story:
    """The demo, bound to one running stack."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console
        self._api = AirflowApi(stack.airflow_url, airflow_home=stack.airflow_home)
        self._store = FolderStore(stack.results.as_uri())

    def tell(self) -> bool:
        """Run the three chapters; returns whether each came to its verdict and Slack was told once."""
        self._api.log_in()
        self._begin_anew()
        told_before = len(self._messages())
        started = time.monotonic()
        for chapter in (BASELINE, SECOND):
            if not self._tell_chapter(chapter):
                return False
        self._set_fault(FAULT)
        try:
            found = self._tell_chapter(SLOW)
        finally:
            self._set_fault(None)
        found = found and self._show_message(told_before)
        self._console.print(f"\nThree nights in {time.monotonic() - started:.0f} s.")
        return found

    def _begin_anew(self) -> None:
        """Forget the baseline of an earlier demo, and what it told."""
        self._set_fault(None)
        for file in (self._stack.baselines, self._stack.alerts):
            file.unlink(missing_ok=True)

    def _set_fault(self, fault: dict[str, float] | None) -> None:
        url = f"{self._stack.service_url(SERVICE)}/admin/fault"
        answer = requests.put(url, json=fault, timeout=5) if fault else requests.delete(url, timeout=5)
        answer.raise_for_status()

    def _tell_chapter(self, chapter: Chapter) -> bool:
        """Run a chapter; on a machine too busy to measure on, Bellwether refuses to judge, and it is run again."""
        self._console.print()
        self._console.rule(f"[bold]{chapter.title}", align="left")
        self._console.print(chapter.explanation)
        for tries_left in reversed(range(TRIES)):
            record = self._run(chapter)
            if record is None or record.verdict is not Verdict.INVALID or not tries_left:
                break
            self._console.print("Something else kept this machine busy, so nothing is judged. Once more:")
        return record is not None and record.verdict is chapter.expected

    def _run(self, chapter: Chapter) -> RunRecord | None:
        started = time.monotonic()
        known = set(self._store.runs(service=SERVICE, scenario=SCENARIO))
        run_id = self._api.trigger(SCENARIO, {"service": SERVICE} | chapter.conf)
        teller = _TaskTeller(self._console)
        self._api.wait_for(SCENARIO, run_id, timeout_s=RUN_TIMEOUT_S, on_look=teller.look)
        new = [uri for uri in self._store.runs(service=SERVICE, scenario=SCENARIO) if uri not in known]
        records = {uri: StageFiles(self._store, uri).read_record() for uri in new}
        first = {uri: record for uri, record in records.items() if record.rerun_of is None}
        if not first:
            self._console.print(f"the run left no record; look at it: {self._stack.airflow_url}", style="bold red")
            return None
        ((uri, record),) = first.items()
        self._tell_verdict(record, uri, seconds=time.monotonic() - started)
        return record

    def _tell_verdict(self, record: RunRecord, uri: str, *, seconds: float) -> None:
        style = {Verdict.REGRESSION: "bold red", Verdict.INVALID: "bold yellow"}.get(record.verdict, "bold green")
        self._console.print(Text(headline(record), style=style))
        for reason in record.reasons:
            self._console.print(f"  - {reason}", markup=False)
        folder = uri.removeprefix("file://")
        if record.reruns:
            times = len(record.reruns)
            self._console.print(f"  (it looked suspicious, and was measured {times} times more before judging)")
        self._console.print(f"  report: {folder}/{REPORT_HTML_FILE}   charts: {folder}/{CHARTS_FOLDER}/", markup=False)
        self._console.print(f"  ({seconds:.0f} s)")

    def _messages(self) -> list[dict[str, Any]]:
        """Return what on-call got; what could not be judged is told elsewhere."""
        answer = requests.get(f"{self._stack.slack_url}/_standin/messages", timeout=5)
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return [message for message in messages if message["channel_name"] == SLACK_CHANNEL.removeprefix("#")]

    def _show_message(self, told_before: int) -> bool:
        if os.environ.get(TOKEN_VARIABLE):
            self._console.print(f"\nThe message went to the real Slack, because {TOKEN_VARIABLE} is set.")
            return True
        new = self._messages()[told_before:]
        first = [message for message in new if message.get("thread_ts") in (None, message["ts"])]
        self._console.print()
        if len(first) != 1:
            self._console.print(f"on-call should have got one message, but got {len(first)}", style="bold red")
            return False
        self._console.print(
            Panel(Text(Emoji.replace(first[0]["text"])), title="on-call gets in Slack"), soft_wrap=False
        )
        self._console.print(f"  with its charts: {self._stack.slack_url}")
        return True


class _TaskTeller:
    """Says each task once when it begins."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._told: set[str] = set()

    def look(self, states: dict[str, str]) -> None:
        """Tell the tasks that run or have run since the last look."""
        for task, state in states.items():
            name = task.removeprefix("run_service.").removesuffix("[0]")
            if state in ("running", "success", "failed") and name not in self._told:
                self._told.add(name)
                self._console.print(f"  {name}", style="dim")


def tell_story(home: Path, console: Console, *, lifetime_s: float) -> int:
    """Start the stack if it is not running, and tell the story on it; returns the exit code."""
    console.print(
        "Bellwether loads a forex platform from Airflow, measures it and tells on-call when it got worse.\n"
        "Starting a platform of six services, Prometheus, a Slack stand-in and Airflow (about half a minute):"
    )
    stack = commands.up(home, console, lifetime_s=lifetime_s)
    is_told = Story(stack, console).tell()
    console.print()
    if not is_told:
        console.print("the demo did not come to its end; the runs above and the logs say why", style="bold red")
    console.print("Open:")
    commands.tell_where(stack, console)
    console.print("The stack keeps running for an hour; `make up` keeps it longer, `make down` ends it now.")
    return 0 if is_told else 1
