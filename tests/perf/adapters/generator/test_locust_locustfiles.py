"""Real loads of locustfiles, written the way people write them for Locust alone, against a server on loopback."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.locustfile import Locustfile
from include.perf.load.feed import Feed
from include.perf.load.locustfile_bundle import bundle_of
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.measure.measurement import measure
from include.perf.measure.validity import load_problems
from include.perf.model.errors import LoadError
from include.perf.runs.figures import LoadFigures
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE
from tests.distributed_loads import Pool
from tests.real_loads import LOAD, Onlooker, loads_of, order_for, rows_in, service_at
from tests.socket_servers import SocketServer, Talk, answer, eventually, python

pytestmark = pytest.mark.integration

SECRET = "geheim-1234567"
SLOW = LOAD.model_copy(update={"rate_rps": 20, "max_concurrency": 10})  # 20/s × 10 s = 200 iterations


class Gateway:
    """A server that counts its requests, and answers a few paths in a way of their own.

    Attributes:
        requests: how often each method and path was asked for.
        keys: the values of the header with the secret.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()

    def serve(self, talk: Talk) -> None:
        """Answer the requests of one connection."""
        while (request := talk.read_request()) is not None:
            method, path, _ = request.decode("latin-1").split(" ", 2)
            key = re.search(rb"\r\nX-Api-Key: ([^\r]+)\r\n", request, re.IGNORECASE)
            with self._lock:
                self.requests[f"{method} {path}"] += 1
                self.keys[key[1].decode() if key else ""] += 1
            if path == "/missing":
                talk.send(answer(b"no such thing", status="404 Not Found"))
            else:
                talk.send(answer(json.dumps({"price": 1.1, "path": path}).encode()))


@pytest.fixture
def gateway() -> Iterator[tuple[Gateway, str]]:
    """A running gateway and its URL."""
    served = Gateway()
    with SocketServer(served.serve) as server:
        yield served, server.url


def drive_code(
    folder: Path, url: str, files: Mapping[str, str], *, load: Any = SLOW, **locustfile: Any
) -> tuple[LoadFigures, str]:
    """Drive a load of a locustfile to its end; return its figures and what was logged."""
    code = folder / "catalogue" / "locustfiles"
    code.mkdir(parents=True)
    for name, text in files.items():
        (code / name).parent.mkdir(parents=True, exist_ok=True)
        (code / name).write_text(text, encoding="utf-8")
    setting = {"file": str(code / next(iter(files))), **locustfile}
    service = service_at(url, endpoints=[], locustfile=setting, timeout_s=2)
    run = folder / "run"
    run.mkdir()
    Feed(endpoints=(), requests=()).write(run / FEED_FILE)
    assert service.locustfile is not None
    bundle_of(service.locustfile).write(run / LOCUSTFILE_FILE)
    generator = LocustGenerator(credentials=lambda _: ServiceSecrets(headers={"X-Api-Key": SECRET}))
    try:
        generator.run(order_for(service, load, run), watch=Onlooker())
    finally:
        assert loads_of(run) == []
        assert not list(run.glob("locustfile-*"))
    return measure(run), (run / "generator.log").read_text(encoding="utf-8")


FORUM = '''
"""A forum, as an introduction to task sets would have it."""
import csv
import time

from helpers import credentials
from locust import FastHttpUser, HttpUser, SequentialTaskSet, TaskSet, between, constant, events, tag, task


@events.init_command_line_parser.add_listener
def _(parser):
    parser.add_argument("--greeting", default="hello")


@events.test_start.add_listener
def on_test_start(environment, **kwargs):
    print("test_start", environment.parsed_options.greeting, environment.host)


@events.test_stop.add_listener
def on_test_stop(environment, **kwargs):
    print("test_stop")


@events.request.add_listener
def on_request(request_type, name, response_time, exception, **kwargs):
    pass


class ForumSection(TaskSet):
    wait_time = between(10, 20)

    @task(3)
    def view_thread(self):
        self.client.get("/forum/thread", name="thread")

    @task(1)
    def stop(self):
        self.interrupt()


class Checkout(SequentialTaskSet):
    def on_start(self):
        self.basket = []

    @task
    def first(self):
        self.client.get("/checkout/1")

    @task
    def second(self):
        self.client.get("/checkout/2")

    @task
    def done(self):
        self.client.post("/checkout/3", json={"basket": self.basket})
        self.interrupt(reschedule=False)


class WebsiteUser(HttpUser):
    wait_time = between(5, 15)
    weight = 3
    tasks = {ForumSection: 1, Checkout: 1}

    def on_start(self):
        name, password = credentials()
        self.client.post("/login", json={"username": name, "password": password})

    @task(2)
    def index(self):
        with self.client.get("/", catch_response=True) as response:
            if response.json()["price"] != 1.1:
                response.failure("wrong price")

    @tag("errors")
    @task
    def broken(self):
        with self.client.get("/missing", catch_response=True) as response:
            if response.status_code == 404:
                response.success()
        self.client.get("/missing", name="missing")

    @tag("errors")
    @task
    def wrong(self):
        with self.client.get("/wrong", catch_response=True) as response:
            response.failure(f"Got wrong response {time.time()}")


class ApiUser(FastHttpUser):
    weight = 1
    wait_time = constant(60)

    @task
    def quote(self):
        with self.rest("GET", "/quote") as response:
            if response.js["price"] > 2:
                response.failure("too expensive")
'''
HELPERS = """
import csv
import itertools
import pathlib

ROWS = itertools.cycle(csv.reader(open("users.csv")))


def credentials():
    return next(ROWS)
"""


def test_a_locustfile_of_many_idioms_runs_unchanged(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """Task sets, sequences, tags, listeners, options, modules and files beside it, both HTTP clients."""
    served, url = gateway
    files = {"forum.py": FORUM, "helpers.py": HELPERS, "users.csv": "anna,secret\nben,secret\n"}
    figures, log = drive_code(tmp_path, url, files)
    names = {endpoint.name: endpoint for endpoint in figures.endpoints}
    assert figures.generator.ended == "completed"
    assert figures.released == 200
    assert figures.arrivals == 200
    # 1 of 4 iterations is one of ApiUser, with one request
    assert names["GET /quote"].due == 50
    # in turn, and no one of the sequence is left out
    steps = [names[name].due for name in ("GET /checkout/1", "GET /checkout/2", "POST /checkout/3")]
    assert steps == sorted(steps, reverse=True)
    assert steps[0] - steps[2] <= 10
    assert names["GET thread"].due > 0
    assert (names["GET missing"].due, names["GET missing"].failed) == (names["GET missing"].due,) * 2
    assert (names["GET /missing"].failed, names["GET /"].failed) == (0, 0)
    kinds = {(group.endpoint, group.kind) for group in figures.errors}
    assert kinds == {("GET missing", "HTTP 404"), ("GET /wrong", "failure by the locustfile")}
    # the record has each request that the server saw during the schedule, and no other
    logins = served.requests["POST /login"]
    assert sum(served.requests.values()) - logins == figures.rows
    assert logins == 8  # 10 users, 3 : 1
    assert f"test_start hello {url}" in log
    assert "test_stop" in log
    assert set(served.keys) == {SECRET}
    assert any("requests were sent before the schedule started" in note for note in figures.notes)
    assert "wait_time" in log


def test_tags_and_classes_choose_what_is_run(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """As on Locust's command line."""
    _, url = gateway
    files = {"forum.py": FORUM, "helpers.py": HELPERS, "users.csv": "anna,secret\n"}
    figures, _ = drive_code(tmp_path, url, files, user_classes=["WebsiteUser"], tags=["errors"])
    assert {endpoint.name for endpoint in figures.endpoints} == {"GET /missing", "GET missing", "GET /wrong"}


CUSTOM = '''
"""A client of its own, wrapped as Locust's documentation does it for XML-RPC."""
import time
from xmlrpc.client import Fault, ServerProxy

from locust import User, task


class XmlRpcClient(ServerProxy):
    def __init__(self, host, request_event):
        super().__init__(host)
        self._request_event = request_event

    def __getattr__(self, name):
        func = ServerProxy.__getattr__(self, name)

        def wrapper(*args, **kwargs):
            request_meta = {
                "request_type": "xmlrpc",
                "name": name,
                "start_time": time.time(),
                "response_length": 0,
                "response": None,
                "context": {},
                "exception": None,
            }
            start_perf_counter = time.perf_counter()
            try:
                request_meta["response"] = func(*args, **kwargs)
            except Exception as e:
                request_meta["exception"] = e
            request_meta["response_time"] = (time.perf_counter() - start_perf_counter) * 1000
            self._request_event.fire(**request_meta)
            return request_meta["response"]

        return wrapper


class XmlRpcUser(User):
    abstract = True

    def __init__(self, environment):
        super().__init__(environment)
        self.client = XmlRpcClient(self.host, request_event=environment.events.request)


class MyUser(XmlRpcUser):
    host = "http://127.0.0.1:8877/"

    @task
    def get_time(self):
        self.client.get_time()

    @task
    def get_random_number(self):
        self.client.get_random_number(0, 100)

    @task
    def ids(self):
        for number in range(3):
            self.environment.events.request.fire(
                request_type="calc", name=f"order {time.perf_counter()}", response_time=1.5, response_length=3,
                exception=None, context={},
            )
'''


def test_a_client_of_its_own(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """What it reports are rows; too many names share one."""
    _, url = gateway
    figures, _ = drive_code(tmp_path, url, {"rpc.py": CUSTOM})
    names = {endpoint.name: endpoint for endpoint in figures.endpoints}
    assert figures.released == 200
    assert names["xmlrpc get_time"].due == names["xmlrpc get_time"].failed  # the gateway speaks no XML
    assert {group.kind for group in figures.errors} == {"exception ProtocolError"} or figures.errors
    assert len(names) <= 101
    assert names["other"].due > 0
    assert any("are grouped as other" in note and "name=" in note for note in figures.notes)


HEAD = "import gevent, os, subprocess, time\nfrom locust import HttpUser, task\n\n\nclass Trader(HttpUser):\n"


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("self.client.get('http://10.9.8.7/steal')", "a connection to 10.9.8.7:80; its load may only go to 127.0.0.1"),
        ("self.client.get('http://attacker.example/')", "a look-up of the name 'attacker.example'"),
        ("os.fork()", "a process of its own (os.fork)"),
        ("subprocess.run(['id'])", "a process of its own"),
        ("self.environment.runner.quit()", None),
    ],
)
def test_code_that_wants_what_it_must_not_have_ends_its_load(
    tmp_path: Path, gateway: tuple[Gateway, str], body: str, reason: str | None
) -> None:
    """The run is invalid, and says why."""
    code = f"{HEAD}    @task\n    def attack(self):\n        self.client.get('/ok')\n        {body}\n"
    figures, _ = drive_code(tmp_path, gateway[1], {"attack.py": code})
    wanted = "the locustfile ended the load" if reason is None else f"the locustfile wanted {reason}"
    assert figures.generator.ended.startswith(f"stopped: {wanted}")
    assert load_problems(SLOW, figures)[0].startswith(f"the load ended early: stopped: {wanted}")
    assert figures.arrivals < 50


def test_code_that_blocks_is_the_generators_fault(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """50 ms of waiting without gevent for each of 20 iterations a second delay all others."""
    code = (
        "from gevent.monkey import get_original\nsleep = get_original('time', 'sleep')\n"
        f"{HEAD}    @task\n    def wait_hard(self):\n        self.client.get('/ok')\n        sleep(0.05)\n"
    )
    figures, _ = drive_code(tmp_path, gateway[1], {"blocks.py": code})
    problems = load_problems(SLOW, figures)
    assert any(problem.startswith("the generator released arrivals late") for problem in problems)
    assert len(rows_in(tmp_path / "run")) == 200


def test_code_that_needs_the_processor_saturates_the_generator(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """45 ms of computing for each of 20 iterations a second are 0.9 of a core."""
    code = (
        f"{HEAD}    @task\n    def compute(self):\n        end = time.thread_time() + 0.045\n"
        "        while time.thread_time() < end:\n            pass\n        self.client.get('/ok')\n"
    )
    figures, _ = drive_code(tmp_path, gateway[1], {"computes.py": code})
    assert any(problem.startswith("the generator was saturated") for problem in load_problems(SLOW, figures))


def test_code_sees_no_secret_but_its_headers_and_shows_none(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """Not in its environment, not in its parent's, and what it prints and raises is masked."""
    code = (
        f"{HEAD}    @task\n    def look(self):\n        self.client.get('/ok')\n"
        "        print(sorted(os.environ))\n"
        "        try:\n            print(open(f'/proc/{os.getppid()}/environ').read())\n"
        "        except OSError as err:\n            print('refused', err)\n"
        "        print(dict(self.client.headers))\n"
        "        raise ValueError(self.client.headers['X-Api-Key'])\n"
    )
    figures, log = drive_code(tmp_path, gateway[1], {"looks.py": code})
    assert figures.generator.ended == "completed"
    (group,) = figures.errors
    assert (group.endpoint, group.kind, group.example) == (
        "task Trader.look",
        "exception ValueError",
        "ValueError: ***",
    )
    assert "refused [Errno 1] a locustfile may not read this file" in log
    assert not re.search("AIRFLOW|TOKEN|PASSWORD", log)
    for file in (tmp_path / "run").rglob("*"):
        assert SECRET.encode() not in file.read_bytes(), file


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module\n", "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        ("from locust import HttpUser\n", "has no user class; its user classes: none"),
        (
            f"{HEAD}    def on_start(self):\n        raise RuntimeError('no login')\n    @task\n    def t(self): ...\n",
            "Trader cannot start: RuntimeError: no login",
        ),
        (
            "import socket\nsocket.create_connection(('10.9.8.7', 80))\nfrom locust import HttpUser\n",
            "GuardRefused: [Errno 1] refused: a locustfile may not have a connection to 10.9.8.7:80",
        ),
        ("from locust import HttpUser\n\nclass Idle(HttpUser):\n    pass\n", "Idle has no task to run"),
    ],
)
def test_a_locustfile_that_cannot_begin_sends_nothing(
    tmp_path: Path, gateway: tuple[Gateway, str], code: str, reason: str
) -> None:
    """One sentence says why."""
    with pytest.raises(LoadError, match="the load generator left no record") as caught:
        drive_code(tmp_path, gateway[1], {"wrong.py": code})
    assert reason in str(caught.value)
    assert gateway[0].requests == Counter()


def test_code_that_never_comes_back_is_killed(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """Its process keeps its loop to itself, so that no command reaches it."""
    code = f"{HEAD}    @task\n    def forever(self):\n        while True:\n            pass\n"
    with pytest.raises(LoadError, match="worker 1 of 1 hung and sent no report for 15 s"):
        drive_code(tmp_path, gateway[1], {"forever.py": code})


def test_workers_on_other_machines_get_the_files_over_the_channel(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """Two workers share the iterations exactly, and no file of the locustfile is left on them."""
    served, url = gateway
    code = tmp_path / "locustfiles"
    code.mkdir()
    (code / "users.csv").write_text("anna\n", encoding="utf-8")
    (code / "trader.py").write_text(
        "NAME = open('users.csv').read().strip()\n"
        f"{HEAD}    @task\n    def look(self):\n        self.client.get('/of/' + NAME)\n",
        encoding="utf-8",
    )
    locustfile = {"file": str(code / "trader.py")}
    run = tmp_path / "run"
    run.mkdir()
    Feed(endpoints=(), requests=()).write(run / FEED_FILE)
    bundle_of(Locustfile(file=code / "trader.py")).write(run / LOCUSTFILE_FILE)
    with ExitStack() as running:
        pool = Pool(folder=tmp_path, running=running)
        agents = [pool.start(), pool.start()]
        changes = {"endpoints": [], "locustfile": locustfile, "secrets": {"X-Api-Key": SECRET}}
        pool.drive(run, url, load=SLOW, workers=2, **changes)
        left = [path for agent in agents for path in agent.folder.rglob("*") if path.name == "trader.py"]
    figures = measure(run)
    assert figures.generator.ended == "completed"
    assert (figures.arrivals, figures.rows, figures.failed) == (200, 200, 0)
    assert served.requests == Counter({"GET /of/anna": 200})
    assert set(served.keys) == {SECRET}
    assert left == []


ALONE = """
import sys
from pathlib import Path
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.load.service_secrets import ServiceSecrets
from tests.real_loads import LOAD, Onlooker, order_for, service_at

folder, code, url = sys.argv[1:]
service = service_at(url, endpoints=[], locustfile={"file": code})
load = LOAD.model_copy(update={"duration_s": 60, "max_concurrency": 5})
LocustGenerator(credentials=lambda _: ServiceSecrets()).run(order_for(service, load, Path(folder)), watch=Onlooker())
"""


def test_code_that_never_comes_back_does_not_outlive_its_parent(tmp_path: Path, gateway: tuple[Gateway, str]) -> None:
    """Its process cannot see that the pipe is closed, so the kernel ends it."""
    code = tmp_path / "locustfiles" / "forever.py"
    code.parent.mkdir()
    code.write_text(
        f"{HEAD}    @task\n    def forever(self):\n        self.client.get('/begun')\n        while True: pass\n",
        encoding="utf-8",
    )
    run = tmp_path / "run"
    run.mkdir()
    Feed(endpoints=(), requests=()).write(run / FEED_FILE)
    bundle_of(Locustfile(file=code)).write(run / LOCUSTFILE_FILE)
    with python("-c", ALONE, str(run), str(code), gateway[1]) as parent:
        eventually(lambda: gateway[0].requests["GET /begun"] > 0, within_s=60)
        parent.kill()
        parent.wait()
    eventually(lambda: loads_of(run) == [], within_s=30)
