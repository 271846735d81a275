"""Real worker processes on loopback in place of workers on other machines, and the loads that they share."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.generator.locust_pool import LocustPool
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.load.service_secrets import ServiceSecrets
from tests.real_loads import Onlooker, order_for, service_at
from tests.socket_servers import child, free_port

KEY = "e1f0a83c5b7d4926804fd3b61c97a25e48d0b19f7c3652ae8f04d97b16c5e32a"

ANOTHER_PROCESS = """
import json, sys
import include.load.worker as worker
worker.REMOTE = json.loads(sys.argv.pop())
sys.exit(worker.main())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool of workers; all of them are gone when ``running`` closes."""

    folder: Path
    running: ExitStack
    port: int = field(default_factory=free_port)

    def locust(self, *, workers: int, wait_s: float = 60.0) -> LocustPool:
        """Return its configuration in a task."""
        return LocustPool(host="127.0.0.1", port=self.port, key=KEY, workers=workers, wait_s=wait_s)

    def start(self, *, key: str = KEY, remote: Sequence[str] = ()) -> "Agent":
        """Start a worker, as on its own machine.

        Args:
            remote: the command that drives its loads instead of `include.load.remote`; its argument is a folder.
        """
        command = ("-c", ANOTHER_PROCESS, json.dumps(remote)) if remote else ("-m", "include.load.worker")
        folder = self.folder / f"worker-{len(list(self.folder.glob('worker-*')))}"
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            process = self.running.enter_context(
                child(sys.executable, *command, env=self._environment(folder, key), stdout=log, stderr=log)
            )
        return Agent(process=process, folder=folder)

    def _environment(self, folder: Path, key: str) -> Mapping[str, str]:
        return os.environ | {
            "BELLWETHER_LOCUST_MASTER": f"127.0.0.1:{self.port}",
            "BELLWETHER_LOCUST_KEY": key,
            "TMPDIR": str(folder),
        }

    def drive(
        self, folder: Path, url: str, *, load: LoadProfile, workers: int, watch: Any = None, **service: Any
    ) -> None:
        """Drive a load with the workers that connect."""
        secrets = ServiceSecrets(headers=service.pop("secrets", {}), signing_key=service.pop("signing_key", None))
        pool = self.locust(workers=workers, wait_s=service.pop("wait_s", 60.0))
        generator = LocustGenerator(credentials=lambda _: secrets, pool=lambda: pool)
        generator.run(order_for(service_at(url, **service), load, folder), watch=watch or Onlooker())


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One worker of a pool."""

    process: "subprocess.Popen[bytes]"
    folder: Path

    @property
    def log(self) -> str:
        """What it and its processes have logged."""
        return (self.folder / "log").read_text(encoding="utf-8")

    @property
    def loads(self) -> list[psutil.Process]:
        """The process that takes part in a load, if one does."""
        return psutil.Process(self.process.pid).children()
