"""One load of Bellwether's generator against the target: the reported figures and the truth.

The validity benchmark also runs this module as a program, to send a load without the right to raise its priority::

    python -m benchmarks.bellwether '{"url": …, "folder": …, "load": {…}}'
"""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from benchmarks import target as targets
from benchmarks.peers import SHARES
from benchmarks.target import Behaviour, Floats, Truth
from benchmarks.watch import Watch
from include.perf.adapters.generator.load_process import LOG_FILE
from include.perf.adapters.generator.locust_generator import LocustGenerator
from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.prometheus_target import PrometheusTarget
from include.perf.catalogue.scenario.load_profile import LoadProfile
from include.perf.catalogue.service import Service
from include.perf.load.feed import Feed, FeedEndpoint, Request
from include.perf.load.generator import LoadOrder, Progress
from include.perf.load.service_secrets import ServiceSecrets, SigningKey
from include.perf.load.slots import Slot, marker
from include.perf.load.staging import prepared
from include.perf.measure.measurement import measure
from include.perf.measure.request_rows import read_requests
from include.perf.measure.validity import load_problems
from include.perf.model.errors import LoadError
from include.perf.runs.figures import LoadFigures
from include.perf.runs.results_store import FEED_FILE, REQUESTS_FILE

ROOT = Path(__file__).parents[1]
WARMUP_S = 3
MARGIN_S = 120.0
"""How much longer than its load a target lives if this process is killed."""

REQUESTS_PER_ENDPOINT = 500
PR_CAPBSET_DROP, CAP_SYS_NICE = 24, 23

ENDPOINTS = (
    Endpoint(name="prices", method="GET", path="/v1/prices/eurusd", weight=3, query={"bars": 60}),
    Endpoint(name="orders", method="POST", path="/v1/orders", weight=1, body={"symbol": "EURUSD", "units": 1000}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One load, and what the target logged of it.

    Attributes:
        truth: the arrivals of the measured window.
        whole_truth: the arrivals of the run, warm-up included.
        due: (n,) due times of the run's arrivals by the generator, Unix seconds, ascending.
        cpu_per_1000_s: CPU seconds of all processes of the load per 1,000 requests; ``None`` for too short a load.
        foreign_cores: processor cores that other processes of this machine used meanwhile.
        rss: sampled memory in bytes over the measured window.
    """

    load: LoadProfile
    figures: LoadFigures
    problems: list[str]
    truth: Truth
    whole_truth: Truth
    due: Floats
    cpu_per_1000_s: float | None
    foreign_cores: float | None
    rss: list[int]

    def reported_ms(self, name: str) -> float:
        """Return a latency percentile in ms that the generator reported; NaN without one."""
        value = self.figures.metrics[f"latency_{name}"].value
        return np.nan if value is None else 1000 * value

    def true_ms(self, name: str) -> float:
        """Return the same percentile in ms from the target's log, from arrival to answer."""
        latencies = self.truth.latency_s
        return float(1000 * np.quantile(latencies, SHARES[name])) if len(latencies) else np.nan

    def bias_ms(self, name: str) -> float:
        """Return reported minus true, in ms."""
        return self.reported_ms(name) - self.true_ms(name)

    @property
    def start_lags_s(self) -> Floats:
        """The k-th arrival at the target minus the k-th due time, in the measured window; empty if some are missing."""
        arrived = self.whole_truth.arrived
        if len(arrived) != len(self.due):
            return np.array([])
        lags: Floats = (arrived - self.due)[self.due >= self.figures.window.start.timestamp()]
        return lags

    def start_lag_ms(self, share: float) -> float:
        """Return a quantile in ms of the start lags."""
        lags = self.start_lags_s
        return float(1000 * np.quantile(lags, share)) if len(lags) else np.nan

    def share_within(self, seconds: float) -> float:
        """Return the share of the start lags that are at most this long."""
        lags = self.start_lags_s
        return float(np.mean(lags <= seconds)) if len(lags) else np.nan

    def true_from_due_ms(self, name: str) -> float:
        """Return a percentile in ms of the k-th answer in the target's log minus the k-th due time."""
        truth = self.whole_truth
        if len(truth.arrived) != len(self.due):
            return np.nan
        took = (truth.answered - self.due)[self.due >= self.figures.window.start.timestamp()]
        return float(1000 * np.nanquantile(took, SHARES[name]))

    def per_second(self) -> "np.ndarray[Any, np.dtype[np.int64]]":
        """Return how many requests reached the target in each second of the measured window."""
        start = self.figures.window.start.timestamp()
        edges = start + np.arange(self.load.duration_s + 1)
        return np.histogram(self.truth.arrived, bins=edges)[0]


def load_profile(**fields: Any) -> LoadProfile:
    """Return a load profile.

    Raises:
        targets.BenchmarkError: this version of the generator refuses a field.
    """
    try:
        return LoadProfile(**{"warmup_s": WARMUP_S} | fields)
    except ValidationError as err:
        reasons = "; ".join(error["msg"].removeprefix("Value error, ") for error in err.errors())
        raise targets.BenchmarkError(f"refused, {reasons}") from err


def drive(
    program: Path,
    load: LoadProfile,
    behaviour: Behaviour,
    *,
    others: tuple[int, ...] = (),
    at_normal_priority: bool = False,
    generator: LocustGenerator | None = None,
    requests: Feed | None = None,
    signing: Mapping[str, Any] | None = None,
    endpoints: Sequence[Mapping[str, Any]] | None = None,
) -> Outcome:
    """Run one load against a fresh target, and return its figures and the truth.

    Args:
        others: processes that do not belong to the load.
        generator: the default sends from worker processes on this machine.
        requests: by default those of `feed`.
        signing: how the requests are signed; by default they are not.
        endpoints: entries of the catalogue, whose requests are sent instead.

    Raises:
        targets.BenchmarkError: the load left no complete record.
    """
    lives_s = load.warmup_s + load.duration_s + MARGIN_S
    with (
        tempfile.TemporaryDirectory(prefix="bellwether-load-") as name,
        targets.running(program, behaviour, for_s=lives_s) as target,
        Watch(others=(target.pid, *others)) as watch,
    ):
        folder = Path(name)
        entry = service(target.url, signing, endpoints)
        (requests or (feed_of(entry, load) if endpoints else feed())).write(folder / FEED_FILE)
        try:
            if at_normal_priority:
                _generate_at_normal_priority(target.url, load, folder, for_s=lives_s)
            else:
                _generate(entry, load, folder, generator or LocustGenerator(credentials=_secrets))
            return _outcome(load, folder, target.truth(), watch)
        except LoadError as err:
            raise targets.BenchmarkError(f"{err}; the end of its log: {_end_of_log(folder)}") from err


def _secrets(_: Service) -> ServiceSecrets:
    return ServiceSecrets(signing_key=SigningKey(secret="benchmark", key_id="benchmark"))  # noqa: S106 - of a bench


def _generate(target: Service, load: LoadProfile, folder: Path, generator: LocustGenerator) -> None:
    order = LoadOrder(service=target, load=load, folder=folder, addresses=("127.0.0.1",))
    generator.run(order, watch=Unwatched())


def _generate_at_normal_priority(url: str, load: LoadProfile, folder: Path, *, for_s: float) -> None:
    order = json.dumps({"url": url, "folder": str(folder), "load": load.model_dump()})
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.bellwether", order],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=for_s,
    )
    if done.returncode:
        raise targets.BenchmarkError(f"the load at normal priority failed: {done.stderr.strip()[-500:]}")


def _end_of_log(folder: Path) -> str:
    path = folder / LOG_FILE
    return " / ".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-4:]) if path.exists() else "–"


def _outcome(load: LoadProfile, folder: Path, truth: Truth, watch: Watch) -> Outcome:
    figures = measure(folder)
    start, end = figures.window.start.timestamp(), figures.window.end.timestamp()
    inside = truth.between(start, end)
    used = watch.cpu_between(start, end)
    cpu_per_1000_s = None
    if used is not None:
        cpu, first, last = used
        cpu_per_1000_s = 1000 * cpu / max(1, len(truth.between(first, last).arrived))
    return Outcome(
        load=load,
        figures=figures,
        problems=load_problems(load, figures),
        truth=inside,
        whole_truth=truth,
        due=np.sort(read_requests(folder / REQUESTS_FILE)["due_at"].to_numpy()),
        cpu_per_1000_s=cpu_per_1000_s,
        foreign_cores=watch.foreign_cores(start, end),
        rss=watch.rss_between(start, end),
    )


def feed() -> Feed:
    """Return the requests of a load: reads and orders, all different."""
    requests = []
    for endpoint in ENDPOINTS:
        rows = []
        for row in range(REQUESTS_PER_ENDPOINT):
            body = None if endpoint.body is None else json.dumps({**dict(endpoint.body), "row": row}).encode()
            rows.append(Request(f"{endpoint.path}?row={row}", body))
        requests.append(tuple(rows))
    return Feed(
        endpoints=tuple(
            FeedEndpoint(name=endpoint.name, method=endpoint.method, weight=endpoint.weight, rows=len(rows))
            for endpoint, rows in zip(ENDPOINTS, requests, strict=True)
        ),
        requests=tuple(requests),
    )


def feed_with_slots() -> Feed:
    """Return the same requests, each with three values of its own: two in the path, one in the body or the query."""
    plain = feed()
    slots = (Slot("uuid", (), "path"), Slot("sequence", (), "path"), Slot("now", (), "json"))
    uuid, number, now = (marker(index) for index in range(len(slots)))

    def with_slots(request: Request) -> Request:
        target = request.target.replace("?", f"/{uuid}/{number}?")
        if request.body is None:
            return Request(f"{target}&at={now}", None)
        return Request(target, request.body[:-1] + f',"at":"{now}"}}'.encode())

    return Feed(
        endpoints=tuple(replace(endpoint, slots=slots) for endpoint in plain.endpoints),
        requests=tuple(tuple(map(with_slots, requests)) for requests in plain.requests),
    )


class Unwatched:
    """A watch that never stops a load."""

    def take_in(self, progress: Progress) -> None:
        """Ignore the progress."""

    def reason_to_stop(self) -> str | None:
        """Return no reason."""
        return None


def feed_of(entry: Service, load: LoadProfile) -> Feed:
    """Return the requests of a catalogue's entry, with as many different ones as `feed` has."""
    pairs = [f"PAIR_{number:03d}" for number in range(REQUESTS_PER_ENDPOINT)]
    return prepared(pd.DataFrame({"instrument": pairs}), entry, load)


def service(
    url: str, signing: Mapping[str, Any] | None = None, endpoints: Sequence[Mapping[str, Any]] | None = None
) -> Service:
    """Return the catalogue's entry of a target."""
    entry = Service(
        name="target",
        environment="benchmark",
        base_url=url,
        allowed_hosts=("127.0.0.1",),
        prometheus=PrometheusTarget(selector='job="target"'),
        endpoints=ENDPOINTS,
    )
    changes: dict[str, Any] = {} if signing is None else {"connection": "benchmark", "signing": signing}
    changes |= {} if endpoints is None else {"endpoints": endpoints}
    return Service.model_validate(entry.model_dump() | changes) if changes else entry


def give_up_priority() -> None:
    """Give up the right to raise a priority, for this process and its children."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_CAPBSET_DROP, CAP_SYS_NICE, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "cannot drop the capability CAP_SYS_NICE")


def main(order: Mapping[str, Any]) -> None:
    """Send the load that another process ordered."""
    give_up_priority()
    _generate(service(order["url"]), LoadProfile(**order["load"]), Path(order["folder"]), LocustGenerator())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
