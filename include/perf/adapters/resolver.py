"""The machine's resolver, with a limit on the time it may take."""

import socket
import threading
from queue import Empty, SimpleQueue

TIMEOUT_S = 5.0


def resolve(host: str, port: int, *, timeout_s: float = TIMEOUT_S) -> list[str]:
    """Return the addresses of a host as text, in the resolver's order (RFC 6724), each once.

    ``getaddrinfo`` knows no limit of time and cannot be interrupted: it is asked in a thread that is left alone when it
    takes too long.

    Raises:
        OSError: they could not be had in time; a ``socket.gaierror`` where the resolver says why.
    """
    answers: SimpleQueue[list[str] | OSError] = SimpleQueue()
    name = f"resolve {host}"
    threading.Thread(target=lambda: answers.put(_ask(host, port)), name=name, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        raise TimeoutError(f"the resolver did not answer within {timeout_s:g} s") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _ask(host: str, port: int) -> list[str] | OSError:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as err:  # a label that is too long; no OSError by itself
        return OSError(f"{host!r} is no name of a host: {err}")
    except OSError as err:
        return err
    return list(dict.fromkeys(str(where[0]) for _, _, _, _, where in found))
