"""The folder, ports and addresses of the demo stack."""

import json
import os
import secrets
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

from demo.platform.catalogue import SERVICES

ROOT = Path(__file__).parents[1]
HOST = "127.0.0.1"
HOME_VARIABLE = "BELLWETHER_DEMO_HOME"
STATE_FILE = "stack.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """One stack: its folder and the port of each of its parts.

    Attributes:
        services: port of each service under test.
        production: port of each production twin; empty without them.
        secret: signs Airflow's internal tokens; never leaves the folder.
        metrics_token: lets Prometheus scrape Bellwether's own metrics.
    """

    home: str
    airflow: int
    prometheus: int
    slack: int
    services: dict[str, int]
    production: dict[str, int]
    secret: str
    metrics_token: str

    @property
    def folder(self) -> Path:
        """The folder of everything that the stack writes."""
        return Path(self.home)

    @property
    def airflow_url(self) -> str:
        """The URL of Airflow."""
        return f"http://{HOST}:{self.airflow}"

    @property
    def prometheus_url(self) -> str:
        """The URL of Prometheus."""
        return f"http://{HOST}:{self.prometheus}"

    @property
    def slack_url(self) -> str:
        """The URL of the Slack stand-in."""
        return f"http://{HOST}:{self.slack}"

    def service_url(self, name: str) -> str:
        """Return the URL of a service under test."""
        return f"http://{HOST}:{self.services[name]}"

    @property
    def results(self) -> Path:
        """The results store."""
        return self.folder / "results"

    @property
    def baselines(self) -> Path:
        """The stack's own baselines file; it does not touch the project's."""
        return self.folder / "baselines.json"

    @property
    def alerts(self) -> Path:
        """The stack's own alerts file."""
        return self.folder / "alerts.json"

    @property
    def rules(self) -> Path:
        """The folder of alert rules that the stack's Prometheus loads."""
        return self.folder / "rules"

    @property
    def catalogue(self) -> Path:
        """The stack's own catalogue: the project's, with loopback addresses and short loads."""
        return self.folder / "catalogue"

    @property
    def airflow_home(self) -> Path:
        """Airflow's folder."""
        return self.folder / "airflow"

    def write(self) -> None:
        """Write the stack to a file for later commands; only its owner may read it."""
        path = self.folder / STATE_FILE
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")


def default_home() -> Path:
    """Return the stack's folder: ``BELLWETHER_DEMO_HOME``, or ``.demo`` in the project."""
    return Path(os.environ.get(HOME_VARIABLE) or ROOT / ".demo").absolute()


def read_stack(home: Path) -> Stack | None:
    """Return the stack that was last started in a folder; ``None`` without one."""
    try:
        return Stack(**json.loads((home / STATE_FILE).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def new_stack(home: Path, *, with_production: bool) -> Stack:
    """Choose ports for a stack: the usual ones if they are free, otherwise any free ones."""
    home.mkdir(parents=True, exist_ok=True)
    taken: set[int] = set()
    names = list(SERVICES)
    return Stack(
        home=str(home),
        airflow=_free_port(int(os.environ.get("BELLWETHER_DEMO_AIRFLOW_PORT", "8080")), taken),
        prometheus=_free_port(int(os.environ.get("BELLWETHER_DEMO_PROMETHEUS_PORT", "9090")), taken),
        slack=_free_port(int(os.environ.get("BELLWETHER_DEMO_SLACK_PORT", "8300")), taken),
        services={name: _free_port(8101 + number, taken) for number, name in enumerate(names)},
        production={name: _free_port(8201 + number, taken) for number, name in enumerate(names)}
        if with_production
        else {},
        secret=secrets.token_urlsafe(32),
        metrics_token=secrets.token_urlsafe(32),
    )


def _free_port(preferred: int, taken: set[int]) -> int:
    for port in (preferred, 0):
        if port in taken:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
        taken.add(chosen)
        return chosen
    raise OSError(f"no free port on {HOST}")
