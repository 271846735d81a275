"""Send light, steady traffic to services, such as the production twins of the demo.

::

    python -m demo.platform.traffic --rate 5 --url http://127.0.0.1:8201 --for 3600
    python -m demo.platform.traffic --url analysis-engine-service=http://127.0.0.1:8201 --url …

Each service gets `--rate` requests per second on its own connection. Request i is due at start + i / rate. A request
that is late because the previous one took long is sent at once, so the average rate is kept. The traffic ends after
`--for` seconds. Only loopback addresses are accepted.
"""

import argparse
import http.client
import ipaddress
import json
import logging
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

from demo.platform.catalogue import service_name
from demo.platform.examples import ExampleRequest, example
from demo.platform.server import exit_with_parent

log = logging.getLogger(__name__)

_TIMEOUT_S = 10.0
_MAX_RATE_RPS = 50.0
_MAX_FOR_S = 24 * 3600.0
_STARTUP_S = 30.0

Send = Callable[[ExampleRequest], int]
"""Sends a request and returns the status; raises OSError or HTTPException without a response."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficTarget:
    """A service to send to.

    Attributes:
        host: a loopback address or name.
        port: of the service.
        service: full name, None to ask the service.
    """

    host: str
    port: int
    service: str | None


def parse_target(text: str) -> TrafficTarget:
    """Read URL or SERVICE=URL.

    Raises:
        ValueError: not plain HTTP, no port, not loopback, or an unknown service.
    """
    name, _, url = text.rpartition("=")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or not parts.port:
        raise ValueError(f"{text!r} must be [SERVICE=]http://HOST:PORT")
    if not is_loopback(parts.hostname):
        raise ValueError(f"{text!r} is not on this machine: traffic goes to loopback addresses only")
    return TrafficTarget(host=parts.hostname, port=parts.port, service=service_name(name) if name else None)


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost` or a literal loopback address; names are not resolved."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class KeptConnection:
    """A kept-alive connection to a service; it reconnects after a failure."""

    def __init__(self, target: TrafficTarget) -> None:
        self._http = http.client.HTTPConnection(target.host, target.port, timeout=_TIMEOUT_S)

    def send(self, request: ExampleRequest) -> int:
        """Send a request, read the answer and return its status."""
        return self._exchange(request)[0]

    def healthz(self) -> Mapping[str, Any]:
        """Return the response of /healthz."""
        answer: Mapping[str, Any] = json.loads(self._exchange(ExampleRequest(method="GET", path="/healthz"))[1])
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _exchange(self, request: ExampleRequest) -> tuple[int, bytes]:
        target = f"{request.path}?{urlencode(request.query)}" if request.query else request.path
        body = None if request.body is None else json.dumps(request.body).encode()
        try:
            self._http.request(request.method, target, body, {"content-type": "application/json"})
            answer = self._http.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            self._http.close()
            raise


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The schedule of the traffic.

    Attributes:
        rate_rps: requests a second.
        for_s: seconds until the last is due.
        clock: monotonic seconds.
        wait: waits for seconds; returns whether the traffic must stop.
    """

    rate_rps: float
    for_s: float
    clock: Callable[[], float]
    wait: Callable[[float], bool]


def send_steadily(service: str, send: Send, pace: Pace) -> Counter[str]:
    """Send a service's example requests on schedule.

    Returns:
        How often each status came; `unanswered` for requests without a response.
    """
    outcomes: Counter[str] = Counter()
    started_s = pace.clock()
    for number in range(int(pace.rate_rps * pace.for_s)):
        due_s = started_s + number / pace.rate_rps
        if pace.wait(max(0.0, due_s - pace.clock())) or pace.clock() - started_s > pace.for_s:
            break
        try:
            outcomes[str(send(example(service, number)))] += 1
        except (OSError, http.client.HTTPException) as err:
            if not outcomes["unanswered"]:
                log.warning("%s: no response: %s", service, err)
            outcomes["unanswered"] += 1
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """Send until the end of the time or SIGTERM; return the exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    stopping = threading.Event()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        signal.signal(wanted, lambda *_: stopping.set())
    if options.exit_with_parent:
        exit_with_parent(stop=stopping.set)
    pace = Pace(rate_rps=options.rate, for_s=options.for_s, clock=time.monotonic, wait=stopping.wait)
    threads = [
        threading.Thread(target=serve_target, args=(target, pace), name=f"traffic-{target.port}", daemon=True)
        for target in options.url
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) and not stopping.wait(0.2):
        pass
    for thread in threads:
        thread.join(timeout=_TIMEOUT_S)
    return 0


def serve_target(target: TrafficTarget, pace: Pace) -> None:
    """Send to one service until the end of the time; without a name, /healthz has it."""
    connection = KeptConnection(target)
    try:
        service = target.service or _ask_service(connection, pace)
        if service is None:
            log.warning("port %s: no service responded within %s s", target.port, _STARTUP_S)
            return
        log.info("%s: %s requests/s for %s s to port %s", service, pace.rate_rps, pace.for_s, target.port)
        log.info("%s: done, %s", service, dict(send_steadily(service, connection.send, pace)))
    finally:
        connection.close()


def _ask_service(connection: KeptConnection, pace: Pace) -> str | None:
    deadline_s = pace.clock() + _STARTUP_S
    while pace.clock() < deadline_s:
        try:
            return service_name(connection.healthz()["service"])
        except (OSError, http.client.HTTPException, ValueError, KeyError):
            if pace.wait(0.5):
                return None
    return None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo.platform.traffic",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--url", action="append", required=True, type=_target, help="[SERVICE=]http://127.0.0.1:PORT; repeatable"
    )
    parser.add_argument(
        "--rate", type=_within(_MAX_RATE_RPS), default=5.0, help="requests/s to each service (default: %(default)s)"
    )
    parser.add_argument(
        "--for", dest="for_s", type=_within(_MAX_FOR_S), default=3600.0, help="seconds (default: %(default)s)"
    )
    parser.add_argument("--exit-with-parent", action="store_true", help="stop when the parent process ends")
    return parser


def _target(text: str) -> TrafficTarget:
    try:
        return parse_target(text)
    except ValueError as err:
        raise argparse.ArgumentTypeError(str(err)) from err


def _within(most: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not 0 < value <= most:
            raise argparse.ArgumentTypeError(f"must be above 0 and at most {most:g}, but is {text}")
        return value

    return number


if __name__ == "__main__":
    raise SystemExit(main())
