"""Loads whose tokens live shorter than they do, by real load processes, against a demo service that checks them."""

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from include.perf.adapters.generator.load_process import LOG_FILE
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.adapters.http.token_issuer import HttpTokenIssuer
from include.perf.catalogue.service import Service
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import Progress
from include.perf.load.service_secrets import LoginSecrets, ServiceSecrets, User
from include.perf.load.tokens import Token
from include.perf.measure.measurement import measure
from include.perf.measure.validity import load_problems
from include.perf.model.errors import TargetError
from include.perf.runs.figures import COMPLETED
from include.perf.runs.results_store import FEED_FILE
from tests.demo_services import demo_service
from tests.distributed_loads import Pool
from tests.fakes.resolver import FakeResolver
from tests.real_loads import LOAD, Onlooker, kinds, loads_of, order_for, rows_in, summary_in

pytestmark = [pytest.mark.integration, pytest.mark.alone]
"""A process that stands still for longer than a third of a lifetime renews its tokens too late."""

LIFE_S = 2.0
SHORT = LOAD.model_copy(update={"rate_rps": 40.0, "max_concurrency": 40})
DUE = 400  # 40/s × 10 s
LONG = SHORT.model_copy(update={"duration_s": 30})
OWN_LOGIN = {
    "url": "/login",
    "body": {"user": "$login", "password": "$password"},
    "token": "session.token",
    "lifetime": "session.lifetime",
}
GRANT = {"url": "/oauth/token", "grant": "client_credentials"}
FEED = Feed(
    endpoints=(FeedEndpoint(name="account", method="GET", weight=1, rows=1),),
    requests=((Request("/api/v1/account", None),),),
)


class Issuer(HttpTokenIssuer):
    """Fetches tokens from the demo service.

    Attributes:
        issued: all tokens so far.
    """

    issued: list[Token]

    def log_in(self, service: Service, number: int) -> Token:
        """Fetch and remember a token."""
        token = super().log_in(service, number)
        self.issued.append(token)
        return token


def issuer() -> Issuer:
    secrets = ServiceSecrets(login=LoginSecrets(users=(User(login="ana", password="demo"),)))
    made = Issuer(credentials=lambda _: secrets, forbidden_for=lambda _: (), resolve=FakeResolver())
    object.__setattr__(made, "issued", [])
    return made


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    with demo_service("trading-gateway-service", "--with-faults", "--token-life-s", str(LIFE_S)) as service:
        yield service.url


@pytest.fixture
def url(demo: str) -> Iterator[str]:
    yield demo
    switch(demo, logins=True, tokens=True)


def switch(url: str, **state: bool) -> None:
    requests.put(f"{url}/admin/access", json=state, timeout=5).raise_for_status()


def service(url: str, login: dict[str, Any]) -> Service:
    return Service.model_validate(
        {
            "name": "trading-gateway-service",
            "base_url": url,
            "allowed_hosts": ["127.0.0.1"],
            "connection": "demo",
            "login": login,
            "prometheus": {"selector": 'service="x"'},
            "endpoints": [{"name": "account", "method": "GET", "path": "/api/v1/account"}],
        }
    )


def folder_in(parent: Path) -> Path:
    folder = parent / "run"
    folder.mkdir()
    FEED.write(folder / FEED_FILE)
    return folder


def seconds_later(second: float, act: Callable[[], None]) -> Callable[[Progress], None]:
    """Return a listener that acts once when so much of the load is over."""
    done: list[float] = []

    def on_progress(progress: Progress) -> None:
        if progress.elapsed_s >= second and not done:
            done.append(progress.elapsed_s)
            act()

    return on_progress


def texts_in(folder: Path) -> str:
    """Return everything that the load wrote."""
    read = (path.read_bytes() for path in folder.rglob("*") if path.is_file())
    return "".join((gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text).decode() for text in read)


def shown_by(process: psutil.Process) -> str:
    """Return the command line and the environment of a process, as all may see them; nothing if it has ended."""
    try:
        return f"{process.cmdline()} {process.environ()}"
    except psutil.Error:
        return ""


@pytest.mark.parametrize(("login", "workers"), [(OWN_LOGIN, 1), (GRANT | {"tokens": 3}, 2)], ids=["own", "grant"])
def test_no_request_is_refused_over_several_renewals(
    tmp_path: Path, url: str, login: dict[str, Any], workers: int
) -> None:
    """A token lives 2 s, the load 10 s; with two workers, three tokens take turns."""
    folder, tokens = folder_in(tmp_path), issuer()
    load = SHORT.model_copy(update={"workers": workers})
    generator = LocustGenerator(credentials=tokens.credentials, issuer=tokens)
    shown: list[str] = []
    watch = Onlooker(lambda _: shown.extend(shown_by(process) for process in loads_of(folder)))
    generator.run(order_for(service(url, login), load, folder), watch=watch)
    assert kinds(rows_in(folder)) == {"": DUE}
    assert summary_in(folder).ended == COMPLETED
    per_token = len(tokens.issued) / login.get("tokens", 1)
    assert per_token >= 7  # one before the load, one every 1.3 s of its start and its 10 s
    assert len(shown) >= workers
    written = texts_in(folder) + "".join(shown)
    assert not [token for token in tokens.issued if token.value.split()[1] in written]


def test_remote_workers_get_renewed_tokens(tmp_path: Path, url: str) -> None:
    """Over the encrypted channel: two workers, each with the same tokens."""
    folder, tokens = folder_in(tmp_path), issuer()
    with ExitStack() as running:
        pool = Pool(folder=tmp_path, running=running)
        agents = [pool.start(), pool.start()]
        generator = LocustGenerator(
            credentials=tokens.credentials, issuer=tokens, pool=lambda: pool.locust(workers=len(agents))
        )
        generator.run(order_for(service(url, GRANT), SHORT, folder), watch=Onlooker())
        logs = "".join(agent.log for agent in agents)
    assert kinds(rows_in(folder)) == {"": DUE}
    assert summary_in(folder).workers == 2
    assert not [token for token in tokens.issued if token.value.split()[1] in texts_in(folder) + logs]


def test_a_login_that_begins_to_fail_ends_the_load_with_the_reason(tmp_path: Path, url: str) -> None:
    """When the last token has expired."""
    folder, tokens = folder_in(tmp_path), issuer()
    generator = LocustGenerator(credentials=tokens.credentials, issuer=tokens)
    watch = Onlooker(seconds_later(2, lambda: switch(url, logins=False)))
    generator.run(order_for(service(url, GRANT), LONG, folder), watch=watch)
    log = summary_in(folder)
    assert 2 <= log.measured_to - log.started_at < 10  # the logins fail after 2 s, the last token lives 2 s
    reason = (
        f"the load ended early: stopped: a token has expired and could not be renewed: the login of "
        f"trading-gateway-service failed: POST {url}/oauth/token returned 401 (invalid_client); correct the secrets "
        "in the connection demo, or login in services.yaml; start a new run"
    )
    assert reason in load_problems(LONG, measure(folder))


def test_a_login_that_fails_before_the_load_sends_nothing(tmp_path: Path, url: str) -> None:
    folder, tokens = folder_in(tmp_path), issuer()
    switch(url, logins=False)
    generator = LocustGenerator(credentials=tokens.credentials, issuer=tokens)
    with pytest.raises(TargetError, match=r"POST http://127.0.0.1:\d+/login returned 401; correct the secrets"):
        generator.run(order_for(service(url, OWN_LOGIN), SHORT, folder), watch=Onlooker())
    assert not (folder / LOG_FILE).exists()


def test_a_service_that_begins_to_refuse_tokens_is_recorded_as_such(tmp_path: Path, url: str) -> None:
    """With a kind of its own, and with the moment; the run is invalid."""
    folder, tokens = folder_in(tmp_path), issuer()
    generator = LocustGenerator(credentials=tokens.credentials, issuer=tokens)
    watch = Onlooker(seconds_later(2, lambda: switch(url, tokens=False)))
    generator.run(order_for(service(url, GRANT), SHORT, folder), watch=watch)
    figures = measure(folder)
    (group,) = figures.errors
    assert (group.kind, group.endpoint) == ("HTTP 401 (began in mid-run)", "account")
    assert json.loads(group.example) == {"detail": "no valid token"}
    assert figures.refusals is not None
    assert 1.5 <= figures.refusals.since_s <= 5
    assert figures.refusals.count == group.count > 30
    (problem,) = (found for found in load_problems(SHORT, figures) if "refused" in found)
    assert problem.startswith(f"the service refused {group.count} of {DUE} requests with HTTP 401, from ")
