"""Journeys by real load processes, against a gateway of known truth."""

import re
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests
import yaml

from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.load.generator import Progress
from include.perf.load.load_plan import JOURNEY_COLUMNS, REQUEST_COLUMNS
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.staging import build_feed
from include.perf.measure.measurement import measure
from include.perf.measure.request_rows import read_record, read_requests
from include.perf.measure.validity import load_problems
from include.perf.runs.results_store import FEED_FILE, REQUESTS_FILE
from tests.demo_services import demo_service
from tests.distributed_loads import Pool
from tests.fakes.small_catalogue import write_csv
from tests.order_gateway import LIFE_CYCLE, OrderGateway
from tests.perf.adapters.generator.test_locust_stops import NOISE, Stop
from tests.real_loads import Onlooker, loads_of, order_for, service_at, summary_in

pytestmark = pytest.mark.integration

LOAD = LoadProfile(rate_rps=40, duration_s=10, warmup_s=0, max_concurrency=200)
GENTLE = LOAD.model_copy(update={"rate_rps": 10.0})
ROOT = Path(__file__).parents[4]
DUE = 400  # 40/s × 10 s
STOPPED_WITHIN_S = 5.0


def run(folder: Path, url: str, watch: Any, *, load: LoadProfile = LOAD, **changes: Any) -> Service:
    """Drive a load of journeys to its end, and check that none of its processes is left."""
    service = service_at(url, **({"endpoints": [LIFE_CYCLE]} | changes))
    folder.mkdir()
    build_feed(write_csv(folder.parent / "data.csv"), service, load).write(folder / FEED_FILE)
    LocustGenerator(credentials=lambda _: ServiceSecrets()).run(order_for(service, load, folder), watch=watch)
    assert loads_of(folder) == []
    return service


def rows_of(folder: Path) -> pd.DataFrame:
    return read_requests(folder / REQUESTS_FILE, (*REQUEST_COLUMNS, *JOURNEY_COLUMNS))


def test_journeys_follow_the_schedule_while_the_service_stalls(tmp_path: Path) -> None:
    """The service answers nothing for a second: journeys are due as before, and each step shows the wait as latency.

    Known truth: who asks within the stall is answered at its end.
    """
    gateway = OrderGateway()

    def on_progress(progress: Progress) -> None:
        if progress.elapsed_s >= 3.0 and gateway.stall == (0.0, 0.0):
            gateway.stall = (time.time() + 0.5, time.time() + 1.5)

    with gateway.serve() as server:
        run(tmp_path / "run", server.url, Onlooker(on_progress))
    figures = measure(tmp_path / "run")
    assert [problem for problem in load_problems(LOAD, figures) if not problem.startswith(NOISE)] == []

    rows, journeys = read_record(tmp_path / "run" / REQUESTS_FILE)
    (life,) = figures.journeys
    assert (life.name, life.due, life.abandoned) == ("life", DUE, 0)
    assert len(journeys) == DUE
    assert figures.due == len(rows) == len(gateway.served)
    gaps = journeys["due_at"].sort_values().diff().dropna()
    assert gaps.to_numpy() == pytest.approx(1 / 40, abs=1e-5)

    truth = Counter(line.split("/")[1].split(" ")[0] for line, _, _ in gateway.served)
    names = Counter(rows["endpoint"])
    assert names["life/quote"] == names["life/place"] == names["life/cancel"] == DUE
    assert truth["quotes"] == DUE
    begins, ends = gateway.stall
    for name, least in (("life/quote", 20), ("life/place", 5), ("life/poll", 1)):
        inside = rows[
            (rows["endpoint"] == name)
            & rows["due_at"].between(begins + 0.02, ends - 0.02)
            & (rows["service_time_s"] > 0.05)
        ]
        assert len(inside) >= least, name
        assert (inside["due_at"] + inside["latency_s"]).to_numpy() == pytest.approx(ends, abs=0.1)
    assert gateway.placed == DUE
    assert gateway.open == set()


def test_each_row_has_its_journey_and_its_step(tmp_path: Path) -> None:
    """By the number of the arrival: its steps follow one another, and the pauses are as long as they say."""
    with OrderGateway().serve() as server:
        run(tmp_path / "run", server.url, Onlooker())
    rows = rows_of(tmp_path / "run")
    assert set(rows["part"]) == {"step"}
    assert rows["arrival"].nunique() == DUE
    for _, journey in rows.groupby("arrival"):
        steps = journey.sort_values("due_at")
        names = [name.removeprefix("life/") for name in steps["endpoint"]]
        assert names[:3] == ["quote", "place", "poll"]
        assert names[-1] == "cancel"
        ends = (steps["due_at"] + steps["latency_s"]).to_numpy()
        pauses = steps["due_at"].to_numpy()[1:] - ends[:-1]
        assert pauses[:2] == pytest.approx([0.2, 0.05], abs=0.00051)  # to the nearest millisecond of the schedule
        assert pauses[2:-1] == pytest.approx([0.05] * (len(names) - 4), abs=0.00051)
        grid = (steps["due_at"].to_numpy()[1:-1] - summary_in(tmp_path / "run").started_at) * 1000
        assert grid == pytest.approx(grid.round(), abs=0.002)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_load_that_is_stopped_leaves_no_order_open(tmp_path: Path, workers: int) -> None:
    """Some orders are on their way, some users think, some look at their orders when the load is stopped."""
    gateway = OrderGateway(place_s=0.1)
    stop = Stop(after_s=3.0)
    load = LOAD.model_copy(update={"duration_s": 60, "workers": workers})
    with gateway.serve() as server:
        run(tmp_path / "run", server.url, stop, load=load)
        assert stop.at is not None
        assert gateway.placed > 80
        assert gateway.open == set()
        assert max(came for _, came, _ in gateway.served) - stop.at <= STOPPED_WITHIN_S
    figures = measure(tmp_path / "run")
    (life,) = figures.journeys
    assert life.abandoned > 0
    assert life.reasons == {"unfinished": life.abandoned}


def test_workers_on_other_machines_take_journeys_and_clean_up(tmp_path: Path) -> None:
    """Two of them share the arrivals; when the load is stopped, no order stays open."""
    gateway, stop = OrderGateway(place_s=0.1), Stop(after_s=3.0)
    load = LOAD.model_copy(update={"duration_s": 60})
    folder = tmp_path / "run"
    folder.mkdir()
    with gateway.serve() as server, ExitStack() as running:
        service = service_at(server.url, endpoints=[LIFE_CYCLE])
        build_feed(write_csv(tmp_path / "data.csv"), service, load).write(folder / FEED_FILE)
        pool = Pool(folder=tmp_path, running=running)
        for _ in range(2):
            pool.start()
        pool.drive(folder, server.url, load=load, workers=2, watch=stop, endpoints=[LIFE_CYCLE])
        assert stop.at is not None
        assert gateway.placed > 80
        assert gateway.open == set()
        assert max(came for _, came, _ in gateway.served) - stop.at <= STOPPED_WITHIN_S
    figures = measure(folder)
    (life,) = figures.journeys
    assert life.due == figures.measured_arrivals == figures.arrivals
    assert 0 < life.abandoned < life.due


def test_without_finally_the_orders_of_a_stopped_load_stay_open(tmp_path: Path) -> None:
    """This is what the test before would have found."""
    gateway = OrderGateway()
    endpoints = [{name: value for name, value in LIFE_CYCLE.items() if name != "finally"}]
    with gateway.serve() as server:
        run(tmp_path / "run", server.url, Stop(after_s=2.0), endpoints=endpoints)
        assert len(gateway.open) == gateway.placed > 40


@pytest.mark.parametrize(
    ("number", "name", "steps"),
    [
        (0, "trading-gateway-service", {"login", "quote", "place", "poll", "cancel"}),
        (1, "ml-integration-service", {"lookup", "prediction"}),
    ],
)
def test_the_examples_of_the_documentation(tmp_path: Path, number: int, name: str, steps: set[str]) -> None:
    """Against the services of the demo: every journey reaches its end, and no order stays open."""
    text = (ROOT / "docs" / "journeys.md").read_text(encoding="utf-8")
    entry = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)[number])
    with demo_service(name) as demo:
        run(tmp_path / "run", demo.url, Onlooker(), load=GENTLE, endpoints=entry["endpoints"])
        if name == "trading-gateway-service":
            assert requests.get(f"{demo.url}/api/v1/open-orders", timeout=5).json() == {"open_orders": 0}
    figures = measure(tmp_path / "run")
    (journey,) = figures.journeys
    assert (journey.abandoned, figures.failed) == (0, 0), figures.errors
    named = {endpoint.name.removeprefix(f"{journey.name}/") for endpoint in figures.endpoints}
    assert steps <= named
    if name == "trading-gateway-service":
        dues = {endpoint.name: endpoint.due for endpoint in figures.endpoints}
        assert dues["order-life/poll"] >= 2 * journey.due  # an order works for 200 ms
        assert dues["order-life/cancel"] == journey.due
