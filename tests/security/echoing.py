"""Servers whose responses repeat the secrets in the requests, in many encodings."""

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
    """Return the secrets in a request's header fields: the values, and what they encode."""
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
    """Return a service under test: healthy, with a secret in its version; all other requests fail.

    Every third login fails, too, with the secret of the client as its error.

    Args:
        seen: collects the names of the planted secrets that arrive.
    """
    lock, numbers, logins = threading.Lock(), cycle(range(10_000)), cycle(range(3))

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            secrets = secrets_in(request)
            seen.update(name for name, secret in SECRETS.items() if secret in secrets)
            with lock:
                number = next(numbers)
            if request.startswith(b"POST /oauth/token") and next(logins) == 2:
                talk.send(_json({"error": secrets[-1]}, status="401 Unauthorized"))
            elif request.startswith(b"POST /oauth/token"):
                talk.send(_json({"access_token": SECRETS["fetched token"], "expires_in": 6}))
            elif request.startswith(b"GET /health"):
                talk.send(answer(json.dumps({"version": f"2.4.1 {secrets[-1]}"}).encode()))
            elif request.startswith(b"GET /sick"):
                talk.send(answer(" ".join(secrets).encode(), status="503 Sick"))
            else:
                talk.send(_wrong(secrets, number))

    return script


def _wrong(secrets: list[str], number: int) -> bytes:
    """Return an error response; kinds of errors and encodings of secrets alternate."""
    echoes = [echo for secret in secrets for echo in echoes_of(secret)]
    kind, echo = number % (len(STATUSES) + 2), echoes[(number // 3) % len(echoes)]
    if kind == len(STATUSES):
        return answer(echo.encode())  # 200, and no JSON
    if kind == len(STATUSES) + 1:
        return f"HTTP/1.1 2x0 {echo}\r\n\r\n".encode()
    headers = f"X-Seen: {echo}\r\n" if echo.isascii() else ""
    return answer(f"you sent {echo}".encode(), status=STATUSES[kind], headers=headers)


def prometheus(*, seen: set[str], is_well: bool = True) -> Script:
    """Return a Prometheus that confirms scrapes of the service; its other responses are errors with its credentials.

    Args:
        is_well: whether it confirms the scrapes.
    """
    lock, numbers = threading.Lock(), cycle(range(10_000))

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            secrets = secrets_in(request)
            seen.update(name for name, secret in SECRETS.items() if secret in secrets)
            query = unquote_plus(request.split(b" ")[1].decode())
            with lock:
                number = next(numbers)
            if is_well and ("count(up" in query or "build_info" in query):
                talk.send(_vector({"version": f"1.0 {secrets[-1]}"}, "1"))
            else:
                talk.send(_refusals(secrets)[number % 6])

    return script


def _vector(labels: dict[str, str], value: str) -> bytes:
    result = [{"metric": labels, "value": [1, value]}]
    return _json({"status": "success", "data": {"resultType": "vector", "result": result}})


def _json(document: object, *, status: str = "200 OK") -> bytes:
    return answer(json.dumps(document).encode(), status=status)


def _refusals(secrets: list[str]) -> list[bytes]:
    header, text = secrets[0], " ".join(echo for secret in secrets for echo in echoes_of(secret))
    empty = {"resultType": "vector", "result": []}
    return [
        _json({"status": "error", "error": text}, status="400 Bad Request"),
        answer(b"{}", status="302 Found", headers=f"Location: https://{header}@login.test/{header}?t={header}\r\n"),
        answer(b"{}", status=f"418 {header}"),
        answer(b"<html>", headers=f"Content-Type: text/{header}\r\n"),
        _json({"status": "error", "error": text}),
        _json({"status": "success", "data": empty, "warnings": [text]}),
    ]


def receiver(received: list[bytes]) -> Script:
    """Return a receiver of annotations that stores its requests, and refuses them all."""

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            received.append(request)
            talk.send(answer(request, status="500 Oh"))

    return script


def bodies_of(requests: list[bytes]) -> Iterator[bytes]:
    """Yield the bodies of requests; their header fields may contain secrets."""
    for request in requests:
        yield request.partition(b"\r\n\r\n")[2]
