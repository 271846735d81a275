"""Servers that repeat in their answers, in every way they can think of, the secrets that they were sent."""

import base64
import json
import threading
from collections.abc import Iterator
from itertools import cycle
from urllib.parse import unquote_plus

from tests.security.planted import SECRETS, echoes_of
from tests.socket_servers import Script, Talk, answer

STATUSES = ("500 Oh", "502 Oh", "503 Oh", "504 Oh", "401 Oh", "403 Oh", "404 Oh", "409 Oh", "418 Oh", "429 Oh")


def secrets_in(request: bytes) -> list[str]:
    """Return what came in a request's header fields: each value, and what can be read out of it."""
    found = []
    for line in request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(": ")
        if name.lower() in ("authorization", "x-api-key"):
            scheme, _, credentials = value.partition(" ")
            found += [value, credentials or value]
            if scheme == "Basic":
                login = base64.b64decode(credentials).decode()
                found += [login, login.partition(":")[2]]
    return found


def service(*, seen: set[str]) -> Script:
    """A service under test: well when asked for its health, as its version it tells a secret; all else fails.

    Args:
        seen: takes each planted secret that arrived.
    """
    lock, turns = threading.Lock(), cycle(range(10_000))

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            secrets = secrets_in(request)
            seen.update(name for name, secret in SECRETS.items() if secret in secrets)
            with lock:
                turn = next(turns)
            if request.startswith(b"GET /health"):
                talk.send(answer(json.dumps({"version": f"2.4.1 {secrets[-1]}"}).encode()))
            elif request.startswith(b"GET /sick"):
                talk.send(answer(" ".join(secrets).encode(), status="503 Sick"))
            else:
                talk.send(_wrong(secrets, turn))

    return script


def _wrong(secrets: list[str], turn: int) -> bytes:
    """Return a wrong answer; each kind of error begins with another form of a secret."""
    said = [echo for secret in secrets for echo in echoes_of(secret)]
    kind, echo = turn % (len(STATUSES) + 2), said[(turn // 3) % len(said)]
    if kind == len(STATUSES):
        return answer(echo.encode())  # 200, and no JSON
    if kind == len(STATUSES) + 1:
        return f"HTTP/1.1 2x0 {echo}\r\n\r\n".encode()
    headers = f"X-Seen: {echo}\r\n" if echo.isascii() else ""
    return answer(f"you sent {echo}".encode(), status=STATUSES[kind], headers=headers)


def prometheus(*, seen: set[str], is_well: bool = True) -> Script:
    """A Prometheus that knows the service is scraped, and fails at everything else in the words of its login.

    Args:
        is_well: else it fails at that, too.
    """
    lock, turns = threading.Lock(), cycle(range(10_000))

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            secrets = secrets_in(request)
            seen.update(name for name, secret in SECRETS.items() if secret in secrets)
            query = unquote_plus(request.split(b" ")[1].decode())
            with lock:
                turn = next(turns)
            if is_well and ("count(up" in query or "build_info" in query):
                talk.send(_vector({"version": f"1.0 {secrets[-1]}"}, "1"))
            else:
                talk.send(_refusals(secrets)[turn % 6])

    return script


def _vector(labels: dict[str, str], value: str) -> bytes:
    result = [{"metric": labels, "value": [1, value]}]
    return _json({"status": "success", "data": {"resultType": "vector", "result": result}})


def _json(document: object, *, status: str = "200 OK") -> bytes:
    return answer(json.dumps(document).encode(), status=status)


def _refusals(secrets: list[str]) -> list[bytes]:
    header, told = secrets[0], " ".join(echo for secret in secrets for echo in echoes_of(secret))
    empty = {"resultType": "vector", "result": []}
    return [
        _json({"status": "error", "error": told}, status="400 Bad Request"),
        answer(b"{}", status="302 Found", headers=f"Location: https://{header}@login.test/{header}?t={header}\r\n"),
        answer(b"{}", status=f"418 {header}"),
        answer(b"<html>", headers=f"Content-Type: text/{header}\r\n"),
        _json({"status": "error", "error": told}),
        _json({"status": "success", "data": empty, "warnings": [told]}),
    ]


def receiver(received: list[bytes]) -> Script:
    """A receiver of annotations that keeps what it got, and takes none."""

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            received.append(request)
            talk.send(answer(request, status="500 Oh"))

    return script


def bodies_of(requests: list[bytes]) -> Iterator[bytes]:
    """Yield what was said, without the header fields, where a secret belongs."""
    for request in requests:
        yield request.partition(b"\r\n\r\n")[2]
