"""Recognisable secrets in every setting, servers that repeat them, real load: no output contains one."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import psutil
import pytest
import yaml

from tests.fakes.small_catalogue import write_csv
from tests.security import echoing
from tests.security.planted import SECRETS, echoes_of, leaks_in, written_in
from tests.socket_servers import PROJECT, Serve, eventually, free_port

RUN = ("run", "--scenario", "planted", "--no-reruns", "--update-baseline", "--reason", "level", "--service")


def entry(url: str, connection: str, **changes: object) -> dict[str, object]:
    """Return a service of the catalogue."""
    return {
        "base_url": url,
        "allowed_hosts": ["127.0.0.1"],
        "connection": connection,
        "health_path": "/health",
        "deploy_version": {"path": "/health"},
        "prometheus": {"selector": 'service="x"', "scrape_interval_s": 1},
        "endpoints": [
            {"name": "orders", "method": "POST", "path": "/orders", "body": {"price": "$price"}},
            {"name": "state", "method": "GET", "path": "/state", "expect": {"has": "state"}},
        ],
    } | changes


def write_catalogue(folder: Path, url: str) -> None:
    """Write services with different logins and failures."""
    services = {
        "basic-service": entry(url, "basic"),
        "bearer-service": entry(
            url,
            "bearer",
            deploy_version={"query": "build_info{$selector}", "label": "version"},
            signing={
                "parts": ["timestamp", "method", "target", "body"],
                "header": "X-Signature",
                "timestamp": {"header": "X-Timestamp"},
                "key_id": {"header": "X-Api-Key"},
            },
        ),
        "token-service": entry(url, "client", login={"url": "/oauth/token", "grant": "client_credentials"}),
        "sick-service": entry(url, "bearer", health_path="/sick"),
        "gone-service": entry(f"http://127.0.0.1:{free_port()}", "basic"),
    }
    load = {"rate_rps": 40, "duration_s": 10, "warmup_s": 0}
    scenarios = {"planted": {"title": "Planted", "load": load, "data": "planted.csv"}}
    for name, entries in (("services", services), ("scenarios", scenarios)):
        document = {"schema_version": 1, name: entries}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    write_csv(folder / "planted.csv")


def environment(folder: Path, *, prometheus: str, annotations: str) -> dict[str, str]:
    """Return an environment in which every possible secret is set."""
    at_prometheus = f"user:{quote(SECRETS['Prometheus password'], safe='')}@{urlsplit(prometheus).netloc}"
    hook = f"login:{SECRETS['annotations login']}@{urlsplit(annotations).netloc}"
    signing = {"secret": SECRETS["signing secret"], "key_id": SECRETS["signing key"]}
    basic = {"login": "ana", "password": SECRETS["basic password"]}
    return os.environ | {
        "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'plugins'}",
        "TMPDIR": str(folder / "tmp"),
        "BELLWETHER_RESULTS_URI": str(folder / "results"),
        "BELLWETHER_BASELINES": str(folder / "baselines.json"),
        "BELLWETHER_CATALOGUE": str(folder / "catalogue"),
        "BELLWETHER_HALT_FILE": str(folder / "halt.json"),
        "AIRFLOW_CONN_CLIENT": json.dumps({"login": "app", "password": SECRETS["client secret"]}),
        "AIRFLOW_CONN_BASIC": json.dumps(basic | {"extra": {"headers": {"X-Api-Key": SECRETS["api key"]}}}),
        "AIRFLOW_CONN_BEARER": json.dumps({"extra": {"token": SECRETS["bearer"], "signing": signing}}),
        "AIRFLOW_CONN_BELLWETHER_METRICS": json.dumps({"password": SECRETS["metrics token"]}),
        "AIRFLOW_CONN_SLACK_API_DEFAULT": json.dumps({"password": SECRETS["Slack bot"]}),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql://bell:{SECRETS['database']}@db/airflow",
        "DATABASE_URL": f"postgresql://bell:{SECRETS['database']}@db/airflow",
        "PROMETHEUS_URL": f"http://{at_prometheus}",
        "PROMETHEUS_PRODUCTION_URL": prometheus,
        "PROMETHEUS_PRODUCTION_TOKEN": SECRETS["production token"],
        "BELLWETHER_ANNOTATIONS_URL": f"http://{hook}/{quote(SECRETS['webhook path'], safe='')}",
        "BELLWETHER_ANNOTATIONS_TOKEN": SECRETS["annotations token"],
        "AWS_SECRET_ACCESS_KEY": SECRETS["S3 key"],
        "BELLWETHER_LOCUST_KEY": SECRETS["Locust key"],
        "SLACK_WEBHOOK_URL": f"https://hooks.slack.test/{SECRETS['Slack webhook']}",
    }


class World:
    """Servers that repeat secrets, an environment full of secrets, and all output.

    Attributes:
        seen: the secrets that arrived at their servers.
        texts: output that is in no file, by its place.
    """

    def __init__(self, folder: Path, serve: Serve) -> None:
        self.folder = folder
        self.seen: set[str] = set()
        self.texts: dict[str, bytes] = {}
        self._received: list[bytes] = []
        for name in ("catalogue", "tmp"):
            (folder / name).mkdir()
        write_catalogue(folder / "catalogue", serve(echoing.service(seen=self.seen)).url)
        annotations = serve(echoing.receiver(self._received)).url
        self._well = serve(echoing.prometheus(seen=self.seen)).url
        self._ill = serve(echoing.prometheus(seen=self.seen, is_well=False)).url
        self._environment = lambda url: environment(folder, prometheus=url, annotations=annotations)

    def __call__(self, *arguments: str, prometheus_is_well: bool = True, watched: int = 0) -> int:
        """Run a command; store its output and, if ``watched``, what its load processes show in /proc."""
        url = self._well if prometheus_is_well else self._ill
        command = [sys.executable, "-m", "include.perf", "-v", *arguments]
        with subprocess.Popen(
            command, cwd=PROJECT, env=self._environment(url), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            if watched:
                self._watch_loads(process.pid)
            out, _ = process.communicate(timeout=300)
        self.texts[f"output of {' '.join(arguments)} {prometheus_is_well}"] = out
        return process.returncode

    def _watch_loads(self, pid: int) -> None:
        """Store the command line and the environment of the load processes."""

        def loads() -> list[psutil.Process]:
            return [child for child in psutil.Process(pid).children(recursive=True) if is_load(child)]

        for load in eventually(loads, within_s=240):
            self.texts |= {
                f"/proc/{load.pid}/{name}": Path(f"/proc/{load.pid}/{name}").read_bytes()
                for name in ("cmdline", "environ")
            }
        self.texts |= {f"{path}, during the load": text for path, text in self.written().items()}

    def written(self) -> Mapping[str, bytes]:
        """Return all output so far."""
        annotations = {f"annotation {number}": text for number, text in enumerate(echoing.bodies_of(self._received))}
        return self.texts | annotations | written_in(self.folder)


def is_load(process: psutil.Process) -> bool:
    """Return whether a process sends load."""
    with suppress(psutil.Error):
        return any(word.startswith("include.load") for word in process.cmdline())
    return False


@pytest.fixture
def world(tmp_path: Path, serve: Serve) -> World:
    """Servers and an environment full of secrets."""
    return World(tmp_path, serve)


@pytest.mark.integration
@pytest.mark.timeout(900)
def test_no_output_contains_a_secret(world: World) -> None:
    """Three loads, an unhealthy service, a dead service, a failing Prometheus and a smoke run are all searched."""
    assert world(*RUN, "basic", watched=1) == 3
    assert world(*RUN, "bearer", watched=1) == 3
    assert world(*RUN, "token", watched=1) == 3
    assert world(*RUN, "sick") == 3
    assert world(*RUN, "gone") == 3
    assert world(*RUN, "basic", prometheus_is_well=False) == 3
    assert world("smoke") != 0
    assert world("metrics") == 0
    assert (
        world("rules", "write", prometheus_is_well=False) == 0
    )  # without baselines there are no limits, so Prometheus is not queried
    assert world.seen >= {"basic password", "api key", "bearer", "Prometheus password", "signing key"}
    assert world.seen >= {"client secret", "fetched token"}
    written = world.written()
    names = {Path(path).name for path in written}
    assert names >= {"run.json", "report.html", "generator.log", "requests.csv.gz", "environ"}
    assert b"***" in b"".join(written.values())  # the examples of errors are there, with the secrets masked
    assert leaks_in(written) == []


@pytest.mark.parametrize("name", SECRETS)
def test_the_search_finds_every_form(name: str) -> None:
    """Otherwise an empty result would prove nothing."""
    for echo in echoes_of(SECRETS[name]):
        assert leaks_in({"x": b"before" + echo.encode() + b"after"}), echo
    encoded = base64.b64encode(f"ana:{SECRETS[name]}".encode())
    assert leaks_in({"x": encoded})
