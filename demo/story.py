"""`make demo`: a baseline, a run that passes and a regression that is found, on a real stack in a few minutes."""

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
RUN_TIMEOUT_S = 600.0
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """One run of the story, with the verdict that it must get."""

    title: str
    explanation: str
    conf: dict[str, Any]
    expected: Verdict


BASELINE = Chapter(
    title="1/3  Record a baseline",
    explanation="There is no baseline yet. With update_baseline, a valid run becomes the baseline of later runs.",
    conf={"update_baseline": True, "reason": "first run of the demo"},
    expected=Verdict.NO_BASELINE,
)
UNCHANGED = Chapter(
    title="2/3  Run it again: no significant change",
    explanation="The same load on the same release. The run passes, and nobody is alerted.",
    conf={},
    expected=Verdict.PASS,
)
SLOW = Chapter(
    title="3/3  Slow the service down: a regression",
    explanation=f"With an injected fault, every response of {SERVICE} takes 40 to 80 ms longer.\n"
    "Bellwether re-runs a suspicious run twice before it alerts.",
    conf={},
    expected=Verdict.REGRESSION,
)


class Story:
    """The demo on one running stack."""

    def __init__(self, stack: Stack, console: Console) -> None:
        self._stack = stack
        self._console = console
        self._api = AirflowApi(stack.airflow_url, airflow_home=stack.airflow_home)
        self._store = FolderStore(stack.results.as_uri())

    def show(self) -> bool:
        """Run the three chapters; return whether each got its verdict and Slack got one alert."""
        self._api.log_in()
        self._reset()
        earlier = len(self._messages())
        started = time.monotonic()
        for chapter in (BASELINE, UNCHANGED):
            if not self._show_chapter(chapter):
                return False
        self._set_fault(FAULT)
        try:
            is_found = self._show_chapter(SLOW)
        finally:
            self._set_fault(None)
        is_found = is_found and self._show_message(earlier)
        self._console.print(f"\nFinished in {time.monotonic() - started:.0f} s.")
        return is_found

    def _reset(self) -> None:
        """Remove the baselines and alerts of an earlier demo."""
        self._set_fault(None)
        for file in (self._stack.baselines, self._stack.alerts):
            file.unlink(missing_ok=True)

    def _set_fault(self, fault: dict[str, float] | None) -> None:
        url = f"{self._stack.service_url(SERVICE)}/admin/fault"
        answer = requests.put(url, json=fault, timeout=5) if fault else requests.delete(url, timeout=5)
        answer.raise_for_status()

    def _show_chapter(self, chapter: Chapter) -> bool:
        """Run a chapter; repeat it when the machine was too busy for a valid measurement."""
        self._console.print()
        self._console.rule(f"[bold]{chapter.title}", align="left")
        self._console.print(chapter.explanation)
        for tries_left in reversed(range(TRIES)):
            record = self._run(chapter)
            if record is None or record.verdict is not Verdict.INVALID or not tries_left:
                break
            self._console.print("This machine was too busy for a valid measurement. Running again:")
        return record is not None and record.verdict is chapter.expected

    def _run(self, chapter: Chapter) -> RunRecord | None:
        started = time.monotonic()
        known = set(self._store.runs(service=SERVICE, scenario=SCENARIO))
        run_id = self._api.trigger(SCENARIO, {"service": SERVICE} | chapter.conf)
        progress = TaskProgress(self._console)
        try:
            self._api.wait_for(SCENARIO, run_id, timeout_s=RUN_TIMEOUT_S, on_states=progress.show)
        except TimeoutError:
            self._console.print(
                f"The DAG run did not finish within {RUN_TIMEOUT_S:g} s: {self._stack.airflow_url}", style="red"
            )
            return None
        new = [uri for uri in self._store.runs(service=SERVICE, scenario=SCENARIO) if uri not in known]
        records = {uri: StageFiles(self._store, uri).read_record() for uri in new}
        first = {uri: record for uri, record in records.items() if record.rerun_of is None}
        if not first:
            self._console.print(
                f"The DAG run failed without a result. Its logs: {self._stack.airflow_url}", style="red"
            )
            return None
        ((uri, record),) = first.items()
        self._show_verdict(record, uri, seconds=time.monotonic() - started)
        return record

    def _show_verdict(self, record: RunRecord, uri: str, *, seconds: float) -> None:
        style = {Verdict.REGRESSION: "bold red", Verdict.INVALID: "bold yellow"}.get(record.verdict, "bold green")
        self._console.print(Text(headline(record), style=style))
        for reason in record.reasons:
            self._console.print(f"  - {reason}", markup=False)
        folder = uri.removeprefix("file://")
        if record.reruns:
            self._console.print(
                f"  The first result was suspicious; {len(record.reruns)} re-runs came before the verdict."
            )
        self._console.print(f"  Report: {folder}/{REPORT_HTML_FILE}", markup=False)
        self._console.print(f"  Charts: {folder}/{CHARTS_FOLDER}/", markup=False)
        self._console.print(f"  Took {seconds:.0f} s")

    def _messages(self) -> list[dict[str, Any]]:
        """Return the messages of the on-call channel; messages about invalid runs go to another one."""
        answer = requests.get(f"{self._stack.slack_url}/_standin/messages", timeout=5)
        messages: list[dict[str, Any]] = answer.json()["messages"]
        return [message for message in messages if message["channel_name"] == SLACK_CHANNEL.removeprefix("#")]

    def _show_message(self, earlier: int) -> bool:
        """Show the alert; ``earlier`` messages were in the channel before the story."""
        if os.environ.get(TOKEN_VARIABLE):
            self._console.print(f"\nThe alert went to the real Slack, because {TOKEN_VARIABLE} is set.")
            return True
        new = self._messages()[earlier:]
        threads = [message for message in new if message.get("thread_ts") in (None, message["ts"])]
        self._console.print()
        if len(threads) != 1:
            self._console.print(f"Expected one alert in {SLACK_CHANNEL}, but found {len(threads)}.", style="bold red")
            return False
        title = f"Slack alert in {SLACK_CHANNEL}"
        self._console.print(Panel(Text(Emoji.replace(threads[0]["text"])), title=title), soft_wrap=False)
        self._console.print(f"  With its charts: {self._stack.slack_url}")
        return True


class TaskProgress:
    """Prints each task once, when it starts."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown: set[str] = set()

    def show(self, states: dict[str, str]) -> None:
        """Print the tasks that have started since the last call."""
        for task, state in states.items():
            name = _described(task)
            if state in ("running", "success", "failed") and name not in self._shown:
                self._shown.add(name)
                self._console.print(f"  {name}", style="dim")


def _described(task_id: str) -> str:
    """Return the name of a task without its group, and with the number of its re-run."""
    path, _, index = task_id.removesuffix("]").partition("[")
    group, _, name = path.rpartition(".")
    return f"re-run {int(index or 0) + 1}: {name}" if group == "rerun_service" else name


def show_story(home: Path, console: Console, *, lifetime_s: float) -> int:
    """Start the stack if it is not running, and run the story on it; return the exit code."""
    console.print(
        "Bellwether runs load tests from Airflow, compares each run with a baseline, and alerts on-call in Slack when\n"
        "a service gets slower. This demo does so with real parts on this machine. It takes about five minutes.\n"
    )
    stack = commands.up(home, console, lifetime_s=lifetime_s)
    is_shown = Story(stack, console).show()
    console.print()
    if not is_shown:
        console.print("The demo did not get the expected results. The runs above show why.", style="bold red")
        console.print(f"Logs: {stack.folder / 'logs'}\n", markup=False)
    console.print("Explore:")
    commands.show_addresses(stack, console)
    console.print("\nThe stack stops after an hour. To stop it now: make down")
    return 0 if is_shown else 1
