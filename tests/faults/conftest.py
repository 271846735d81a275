"""What the tests of faults run on: a service behind a link that can fail, and a whole production stack."""

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
from include.perf.catalogue.reading import SERVICES_FILE
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
    """What a run on the command line came to.

    Attributes:
        said: everything that it wrote on its output.
        folder: of the run.
        finished: its run.json, ``None`` where there is none.
    """

    code: int
    said: str
    folder: Path
    finished: RunRecord | None

    @property
    def record(self) -> RunRecord:
        """Its run.json."""
        assert self.finished is not None, self.said
        return self.finished

    @property
    def rows(self) -> int:
        """How many requests are in the raw record, which must have its proper end."""
        with gzip.open(self.folder / REQUESTS_FILE, "rb") as file:
            return sum(1 for _ in file) - 1


@dataclass
class Bench:
    """A service, its Prometheus, and runs from the command line that reach the service over a link.

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
        """Do a run to its end.

        Args:
            prefix: words before the command.
            environment: what differs for it.
            fault: is called with its process while the measured part of the load goes out.
        """
        before, since = self._folders(), self.answered()
        with self._started(words, prefix=prefix, environment=environment or {}) as process:
            if fault is not None:
                enough = since + RATE_RPS * (WARMUP_S + 3)
                until(lambda: self.answered() >= enough, within_s=60, what="the load goes out")
                fault(process)
            said, _ = process.communicate(timeout=RUN_S)
        (new,) = self._folders() - before
        files = StageFiles(FolderStore(self.stack.results.as_uri()), (self._cell / new).as_uri())
        return Outcome(
            code=process.returncode,
            said=said,
            folder=self._cell / new,
            finished=files.read_record() if files.is_finished else None,
        )

    def say(self, *words: str, prefix: tuple[str, ...], environment: Mapping[str, str]) -> str:
        """Do a run whose results are elsewhere, and return what it wrote on its output."""
        with self._started(words, prefix=prefix, environment=environment) as process:
            said, _ = process.communicate(timeout=RUN_S)
        return said

    def measured(self) -> Outcome:
        """Do a run on which nothing is wrong; a busy machine gets another chance."""
        for _ in range(TRIES):
            outcome = self.run()
            if outcome.record.verdict is not Verdict.INVALID:
                return outcome
        pytest.fail(f"this machine was too busy for {TRIES} runs: {outcome.record.reasons}")

    @contextmanager
    def _started(
        self, words: Sequence[str], *, prefix: Sequence[str], environment: Mapping[str, str]
    ) -> "Iterator[subprocess.Popen[str]]":
        """Lend a run as a process, which is gone when the block ends."""
        command = [*prefix, sys.executable, "-m", "include.perf", "run", "--service", SERVICE, "--scenario", SCENARIO]
        command += ["--duration", str(DURATION_S), "--rate", str(RATE_RPS), *words]
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
        """Return the ids of the runs that there are, finished or not."""
        return frozenset(path.name for path in self._cell.iterdir()) if self._cell.exists() else frozenset()

    def answered(self) -> int:
        """Return how many requests the service has answered since it started; none while it is down."""
        try:
            return answered_by(self.stack.service_url(SERVICE))
        except requests.ConnectionError:
            return 0


@pytest.fixture(scope="session")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """A whole production stack, which ends with the session."""
    with free_ports(), running(tmp_path_factory.mktemp("production")) as started:
        yield started


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A service and its Prometheus for the tests of a module."""
    with free_ports(), ExitStack() as ending:
        stack = new_stack(tmp_path_factory.mktemp("bench"), with_production=False)
        link = ending.enter_context(FaultyLink(stack.services[SERVICE]))
        configuration.write_catalogue(stack, started_at=datetime.now(UTC))
        lead_over(stack, link)
        configuration.write_prometheus(stack)
        wanted = ("prometheus", f"staging-{SERVICE}")
        parts = {child.name: listening(child) for child in supervisor.children_of(stack) if child.name in wanted}
        for part in parts.values():
            ending.callback(part.stop)
            part.start()
        yield Bench(stack=stack, link=link, service=parts[f"staging-{SERVICE}"], prometheus=parts["prometheus"])


def lead_over(stack: Stack, link: FaultyLink) -> None:
    """Let load reach the service over the link."""
    path = stack.catalogue / SERVICES_FILE
    document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    document["services"][SERVICE]["base_url"] = f"http://127.0.0.1:{link.port}"
    document["services"][SERVICE]["timeout_s"] = 2
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


@contextmanager
def free_ports() -> Iterator[None]:
    """Let a stack take any ports that are free."""
    with pytest.MonkeyPatch.context() as patch:
        for part in ("AIRFLOW", "PROMETHEUS", "SLACK"):
            patch.setenv(f"BELLWETHER_DEMO_{part}_PORT", "0")
        yield
