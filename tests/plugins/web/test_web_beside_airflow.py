"""The app in a real server, beside a route like those of Airflow's API, while the results store hangs."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn
from bellwether.web import isolation, sources
from fastapi import FastAPI

from tests.fakes.hanging import Hanging
from tests.plugins.web.conftest import Pages
from tests.socket_servers import free_port
from tests.waiting import until

RELOADS = 45
"""More than the 40 threads that all synchronous routes of a process share."""
PATIENCE_S = 120.0


@pytest.fixture
def store(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hanging]:
    """The results store of the pages, with a run; it hangs whatever it is asked."""
    pages.add_run()
    assert pages.get("/").status_code == 200
    hanging = Hanging(pages.site.store, named="store")
    monkeypatch.setattr(pages.site.index, "_store", hanging)
    pages.use(store=hanging)
    pages.clock.move(240)
    hanging.hang("cells", "latest", "read", "names", "opened")
    yield hanging
    hanging.release()


@pytest.fixture
def address(pages: Pages) -> Iterator[str]:
    """The address of a server with a synchronous route beside the pages, as in Airflow's API server."""
    outer, port = FastAPI(), free_port()

    @outer.get("/health")
    def health() -> dict[str, str]:
        return {"status": "healthy"}

    outer.mount("/bellwether", pages.app)
    server = uvicorn.Server(uvicorn.Config(outer, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, within_s=60, what="the server listens")
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(60)


def test_reloads_of_a_hung_page_take_no_thread_of_airflow(
    pages: Pages, store: Hanging, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other routes answer while more requests wait than there are shared threads, and the pages are shown at last."""
    monkeypatch.setattr(sources, "PATIENCE_S", PATIENCE_S)  # all reloads wait until the store is released
    monkeypatch.setattr(isolation, "PAGE_WAIT_S", PATIENCE_S)
    headers = {"X-User": "editor", "Accept": "text/html"}
    waiting = threading.Semaphore(0)

    def reload(number: int) -> int:
        with httpx.Client(timeout=PATIENCE_S) as client:
            request = client.build_request("GET", f"{address}/bellwether/?reload={number}", headers=headers)
            waiting.release()
            return client.send(request).status_code

    with ThreadPoolExecutor(RELOADS) as pool:
        reloads = [pool.submit(reload, number) for number in range(RELOADS)]
        for _ in range(RELOADS):
            waiting.acquire()
        assert store.began.wait(PATIENCE_S)
        for _ in range(20):
            assert httpx.get(f"{address}/health", timeout=PATIENCE_S / 2).json() == {"status": "healthy"}
        assert store.hung == 1
        assert not any(reload.done() for reload in reloads)
        store.release()
        assert [reload.result() for reload in reloads] == [200] * RELOADS
