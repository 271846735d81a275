"""A real load whose users keep their cookies."""

import re
import threading
from collections import Counter
from pathlib import Path

import pytest

from tests.real_loads import LOAD, drive, folder_in, rows_in
from tests.socket_servers import SocketServer, Talk, answer

pytestmark = pytest.mark.integration


def test_each_user_is_new_once(tmp_path: Path) -> None:
    """The service closes connections now and then; a user keeps its session over all of them."""
    lock = threading.Lock()
    requests: Counter[str] = Counter()

    def serve(talk: Talk) -> None:
        for _ in range(7):
            request = talk.read_request()
            if request is None:
                return
            found = re.search(rb"\r\nCookie: session=(\w+)\r\n", request)
            with lock:
                name = found[1].decode() if found else f"s{len(requests)}"
                requests[name] += 1
            talk.send(answer(headers="" if found else f"Set-Cookie: session={name}; Path=/\r\n"))

    folder = folder_in(tmp_path, "cookies")
    load = LOAD.model_copy(update={"rate_rps": 30, "max_concurrency": 4, "workers": 2})
    with SocketServer(serve) as server:
        drive(folder, server.url, load=load, cookies=True)
    assert len(rows_in(folder)) == 300
    assert 2 <= len(requests) <= 4
    assert sum(requests.values()) >= 290  # POST requests that died on a closed connection are not sent again
