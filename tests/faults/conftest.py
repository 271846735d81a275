"""Fixtures of the fault tests: a service behind a faulty link, and a production stack."""

import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from demo import configuration, supervisor
from demo.settings import ROOT, Stack, new_stack
from include.perf.adapters.files.folder_store import FolderStore
from include.perf.catalogue.catalogue import SERVICES_FILE
from include.perf.runs.record import RunRecord, Verdict
from include.perf.runs.results_store import REQUESTS_FILE
from include.perf.runs.stage_files import StageFiles
from tests.faults.link import FaultyLink
from tests.faults.production import Production, listening, running
from tests.faults.servers import Server
from tests.integration.conftest import answered_by
from tests.waiting import until

SERVICE = "feature-store-service"
SCENARIO = "market_open"
RATE_RPS = 30
DURATION_S = 10
WARMUP_S = 5
RUN_S = 180
TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The outcome of a run on the command line.

    Attributes:
        output: everything that it printed.
        folder: of the run.
        finished: its run.json; ``None`` without one.
    """

    code: int
    output: str
    folder: Path
    finished: RunRecord | None

    @property
    def record(self) -> RunRecord:
        """Its run.json."""
        assert self.finished is not None, self.output
        return self.finished

    @property
    def rows(self) -> int:
        """The number of requests in the raw record, which must not be truncated."""
        with gzip.open(self.folder / REQUESTS_FILE, "rb") as file:
            return sum(1 for _ in file) - 1


@dataclass
class Bench:
    """A service, its Prometheus, and runs on the command line that reach the service through a link.

    Attributes:
        link: between the load and the service; Prometheus scrapes the service itself.
    """

    stack: Stack
    link: FaultyLink
    service: Server
    prometheus: Server

    def run(
        self,
        *words: str,
        prefix: tuple[str, ...] = (),
        environment: Mapping[str, str] | None = None,
        fault: Callable[["subprocess.Popen[str]"], None] | None = None,
    ) -> Outcome:
        """Run a load test to its end.

        Args:
            prefix: words before the command.
            environment: additional variables.
            fault: called with the process during the measured part of the load.
        """
        before, since = self._folders(), self.answered()
        with self._started(words, prefix=prefix, environment=environment or {}) as process:
            if fault is not None:
                enough = since + RATE_RPS * (WARMUP_S + 3)
                until(lambda: self.answered() >= enough, within_s=60, what="the load has started")
                fault(process)
            output, _ = process.communicate(timeout=RUN_S)
        (new,) = self._folders() - before
        files = StageFiles(FolderStore(self.stack.results.as_uri()), (self._cell / new).as_uri())
        return Outcome(
            code=process.returncode,
            output=output,
            folder=self._cell / new,
            finished=files.read_record() if files.is_finished else None,
        )

    def print_run(self, *words: str, prefix: tuple[str, ...], environment: Mapping[str, str]) -> str:
        """Run a load test with its results in another place, and return its output."""
        with self._started(words, prefix=prefix, environment=environment) as process:
            output, _ = process.communicate(timeout=RUN_S)
        return output

    def measured(self) -> Outcome:
        """Run a load test without a fault; repeat it if the machine was too busy."""
        for _ in range(TRIES):
            outcome = self.run()
            if outcome.record.verdict is not Verdict.INVALID:
                return outcome
        pytest.fail(f"this machine was too busy for {TRIES} runs: {outcome.record.reasons}")

    @contextmanager
    def _started(
        self, words: Sequence[str], *, prefix: Sequence[str], environment: Mapping[str, str]
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start a run as a process, which is killed at the end of the block."""
        command = [*prefix, sys.executable, "-m", "include.perf", "run", "--service", SERVICE, "--scenario", SCENARIO]
        command += ["--duration", str(DURATION_S), "--rate", str(RATE_RPS), "--no-reruns", *words]
        with subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | configuration.bellwether_environment(self.stack) | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @property
    def _cell(self) -> Path:
        return self.stack.results / SERVICE / SCENARIO

    def _folders(self) -> frozenset[str]:
        """Return the IDs of all runs, finished or not."""
        return frozenset(path.name for path in self._cell.iterdir()) if self._cell.exists() else frozenset()

    def answered(self) -> int:
        """Return how many requests the service has answered since it started; 0 while it is down."""
        try:
            return answered_by(self.stack.service_url(SERVICE))
        except requests.ConnectionError:
            return 0


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """A production stack for the session."""
    with free_ports(), running(tmp_path_factory.mktemp("production")) as started:
        yield started


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A service and its Prometheus for the tests of a module."""
    with free_ports(), ExitStack() as ending:
        stack = new_stack(tmp_path_factory.mktemp("bench"), with_production=False)
        link = ending.enter_context(FaultyLink(stack.services[SERVICE]))
        configuration.write_catalogue(stack, started_at=datetime.now(UTC))
        route_through(stack, link)
        configuration.write_prometheus(stack)
        wanted = ("prometheus", f"staging-{SERVICE}")
        parts = {child.name: listening(child) for child in supervisor.children_of(stack) if child.name in wanted}
        for part in parts.values():
            ending.callback(part.stop)
            part.start()
        yield Bench(stack=stack, link=link, service=parts[f"staging-{SERVICE}"], prometheus=parts["prometheus"])


def route_through(stack: Stack, link: FaultyLink) -> None:
    """Change the catalogue so that load reaches the service through the link."""
    path = stack.catalogue / SERVICES_FILE
    document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["services"][SERVICE]["base_url"] = f"http://127.0.0.1:{link.port}"
    document["services"][SERVICE]["timeout_s"] = 2
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@contextmanager
def free_ports() -> Iterator[None]:
    """Let a stack use any free ports."""
    with pytest.MonkeyPatch.context() as patch:
        for part in ("AIRFLOW", "PROMETHEUS", "SLACK"):
            patch.setenv(f"BELLWETHER_DEMO_{part}_PORT", "0")
        yield
