"""The adapters that the environment names, and the cost of importing the composition root."""

import subprocess
import sys
from pathlib import Path

import pytest

from include.perf.adapters.wiring.environment import build_outside, halt_file
from include.perf.adapters.wiring.prometheus_access import prometheus_at
from include.perf.adapters.wiring.storage import Storage
from include.perf.guards.halt import Halt
from include.perf.model.errors import ConfigurationError, HostRefused, PrometheusUnavailable
from tests.catalogues import catalogue_folder
from tests.certificates import Authority
from tests.fakes.clock import START
from tests.fakes.failing import raising
from tests.fakes.metrics import FakeMetrics
from tests.socket_servers import Serve, SocketServer, Talk, always, answer
from tests.stages import BESIDE

ROOT = Path(__file__).parents[4]

HEAVY = ("numpy", "scipy", "pandas", "matplotlib")


@pytest.mark.parametrize("module", ["include.perf.pipeline.pipeline", "include.perf.adapters.wiring.environment"])
def test_importing_it_is_cheap(module: str) -> None:
    """Every task of Airflow is a process that imports it, and few tasks compute anything."""
    code = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.fixture(autouse=True)
def _nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the machine's own settings from the tests."""
    for name in ("ALERTS", "HALT_FILE", "INDEX", "LOAD_LOCKS", "RESULTS_URI"):
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    for name in ("TOKEN", "CA_FILE"):
        monkeypatch.delenv(f"PROMETHEUS_{name}", raising=False)


def test_the_halt_file_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The reason names the file, so that people find it."""
    path = tmp_path / "switch" / "halt.json"
    monkeypatch.setenv("BELLWETHER_HALT_FILE", str(path))
    halt_file().set(Halt(by="ana", reason="release"))
    assert path.is_file()
    assert halt_file().reason() == f"load is halted by ana: release (to resume, remove the file {path})"


@pytest.mark.parametrize("given", [None, ""])
def test_the_default_halt_file_is_in_the_project(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    """It does not depend on the current folder."""
    if given is not None:
        monkeypatch.setenv("BELLWETHER_HALT_FILE", given)
    assert halt_file().path == ROOT / "halt.json"


def test_the_alert_file_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Wherever the results are."""
    monkeypatch.setenv("BELLWETHER_ALERTS", str(tmp_path / "book.json"))
    assert Storage().alerts().path == tmp_path / "book.json"


@pytest.mark.parametrize("given", [None, ""])
def test_the_default_alert_file_is_next_to_the_results(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: str | None
) -> None:
    """Processes that share the results share the alerts."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    if given is not None:
        monkeypatch.setenv("BELLWETHER_ALERTS", given)
    assert Storage().alerts().path == tmp_path / "results" / ".alerts.json"


@pytest.mark.parametrize("name", [None, "", "elsewhere/runs.sqlite"])
def test_the_index_is_the_file_of_the_environment_or_in_the_cache_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str | None
) -> None:
    """Never in the results folder, which may be on a network file system; it is created on first use."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    if name is not None:
        monkeypatch.setenv("BELLWETHER_INDEX", str(tmp_path / name) if name else "")
    Storage().run_index().sync()
    (path,) = tmp_path.rglob("*.sqlite")
    assert path.relative_to(tmp_path).parts[0] == ("elsewhere" if name else "caches")


def test_stores_do_not_share_an_index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even those of one user; a relative XDG_CACHE_HOME is ignored, as its specification says."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    for name in ("a", "b"):
        monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / name))
        Storage().run_index().sync()
    assert len(list((tmp_path / "home" / ".cache" / "bellwether").glob("*.sqlite"))) == 2
    assert not (tmp_path / "a").exists()


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The error names the setting."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", raising(RuntimeError("Could not determine home directory.")))
    with pytest.raises(ConfigurationError, match=r"this user has no home; set BELLWETHER_INDEX to a file on a local"):
        Storage().run_index()


def lock_made(folder: Path) -> list[str]:
    """Return the names in a folder while a load holds its lock."""
    with Storage().load_locks().reserve(BESIDE, capacity_rps=600):
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_default_locks_are_next_to_the_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Processes that share the results share the locks; they do not count as runs."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    assert lock_made(tmp_path) == ["results/.loads/.lock", "results/.loads/r0.json"]


def test_the_locks_are_in_the_folder_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For results on a file system without locks."""
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", str(tmp_path / "results"))
    monkeypatch.setenv("BELLWETHER_LOAD_LOCKS", str(tmp_path / "locks"))
    assert lock_made(tmp_path) == ["locks/.lock", "locks/r0.json"]


ONE = answer(b'{"status": "success", "data": {"result": [{"metric": {}, "value": [1, "1"]}]}}')


@pytest.mark.parametrize(
    ("login", "token", "authorization"),
    [("", None, None), ("ann:p%40ss@", None, "Basic YW5uOnBAc3M="), ("", "t0k3n", "Bearer t0k3n")],  # ann:p@ss
)
def test_the_command_line_logs_in_to_prometheus(
    monkeypatch: pytest.MonkeyPatch, serve: Serve, login: str, token: str | None, authorization: str | None
) -> None:
    """With a login in the URL, or with a token."""
    if token is not None:
        monkeypatch.setenv("PROMETHEUS_TOKEN", token)
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(ONE)

    url = serve(script).url.replace("http://", f"http://{login}")
    assert prometheus_at(url).metrics().value("up", at=START) == 1.0
    sent = [line.partition(": ")[2] for line in seen[0].decode().split("\r\n") if line.startswith("Authorization")]
    assert sent == ([] if authorization is None else [authorization])


def test_a_login_in_the_url_is_never_shown(serve: Serve) -> None:
    """Not even if it is refused."""
    url = serve(always(answer(status="403 Forbidden"))).url
    with pytest.raises(PrometheusUnavailable) as caught:
        prometheus_at(url.replace("http://", "http://ann:p4ss@")).metrics().value("up", at=START)
    assert str(caught.value) == (
        f"Prometheus at {url} rejected the credentials (403); correct them in PROMETHEUS_URL "
        "(docs/prometheus.md, Logging in)"
    )


def test_two_logins_to_prometheus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is silently preferred."""
    monkeypatch.setenv("PROMETHEUS_TOKEN", "t0k3n")
    with pytest.raises(ConfigurationError, match=r"^PROMETHEUS_URL has a login in it and PROMETHEUS_TOKEN a token;"):
        prometheus_at("http://ann:p4ss@prometheus")


def test_the_command_line_trusts_the_configured_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing file is reported at once."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("PROMETHEUS_CA_FILE", str(authority.bundle))
    with SocketServer(always(ONE), tls=authority.server()) as server:
        assert prometheus_at(server.url).metrics().value("up", at=START) == 1.0
    monkeypatch.setenv("PROMETHEUS_CA_FILE", str(tmp_path / "gone.pem"))
    with pytest.raises(ConfigurationError, match=r"^PROMETHEUS_CA_FILE must be a bundle of certificates \(PEM\), but"):
        prometheus_at("https://prometheus")


@pytest.mark.parametrize("is_forbidden", [False, True])
def test_tokens_are_fetched_for_single_requests_unless_their_host_is_forbidden(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, serve: Serve, is_forbidden: bool
) -> None:
    """With the connection of the environment, and by the hosts of the catalogue; each token is concealed from logs."""
    seen: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            seen.append(request)
            talk.send(answer(b'{"access_token":"t0ken"}'))

    service, login = serve(script), serve(script)
    services = services_with_login(service.url, login.port, is_forbidden=is_forbidden)
    folder = catalogue_folder(tmp_path, services=services)
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(folder))
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", (tmp_path / "results").as_uri())
    monkeypatch.setenv("BELLWETHER_BASELINES", str(tmp_path / "baselines.json"))
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS_API", '{"login": "app", "password": "s3cret"}')
    concealed: list[str] = []
    outside = build_outside(FakeMetrics({}), storage=Storage(), conceal=concealed.append)
    made = outside.stores.catalogue.service("orders-service")
    if is_forbidden:
        with pytest.raises(HostRefused, match="the login of orders-service is refused"):
            outside.target.check(made, ["127.0.0.1"])
        assert seen == []
    else:
        outside.target.check(made, ["127.0.0.1"])
        assert [request.split(b" ")[1] for request in seen] == [b"/oauth/token", b"/healthz"]
        assert b"Authorization: Bearer t0ken\r\n" in seen[1]
        assert concealed == ["Bearer t0ken"]


def services_with_login(url: str, login_port: int, *, is_forbidden: bool) -> str:
    """Return a catalogue whose only service logs in at a name of this machine, whose address may be forbidden."""
    return f"""
schema_version: 1
forbidden_hosts: ["127.0.0.1:{login_port if is_forbidden else 9}"]
services:
  orders-service:
    base_url: {url}
    allowed_hosts: [127.0.0.1, localhost]
    connection: orders_api
    login: {{url: "http://localhost:{login_port}/oauth/token", grant: client_credentials}}
    prometheus: {{selector: 'service="orders-service"'}}
    endpoints: [{{name: orders, method: GET, path: /orders}}]
"""
