"""Open the world of a history, and remove it again."""

import atexit
import logging
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest import mock

from include.perf.catalogue.catalogue import Catalogue
from include.perf.load import reservations, staging
from include.perf.load.feed import Feed
from include.perf.pipeline import load_tries
from tests.explorer.boundaries import Boundaries
from tests.explorer.decisions import Decisions
from tests.explorer.history import History
from tests.explorer.machine import Machine
from tests.explorer.object_requests import simulated_client
from tests.explorer.world import World, catalogue
from tests.fakes.object_client import MemoryClient

IN_MEMORY = next((folder for folder in ("/dev/shm",) if os.access(folder, os.W_OK)), None)  # noqa: S108 - a fast disk
"""Where the files of histories are, if there is a file system in memory."""

POLL_INTERVAL_S = 4.0
"""How often a waiting load looks whether it can start; once a second takes most of a history's time."""

NewClient = Callable[[], Any]
"""Returns the client of an empty object store."""


@contextmanager
def opened(
    decisions: Decisions, history: History, *, objects: NewClient = MemoryClient, baselines: bytes | None = None
) -> Iterator[World]:
    """Open the world of a history, in which nothing happened yet; what touches the outside asks its machine.

    Args:
        baselines: the content of ``baselines.json``.
    """
    machine = Machine(decisions)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bellwether-history-", dir=IN_MEMORY)))
        (folder / "results").mkdir()
        (folder / "tmp").mkdir()
        client = objects() if history.in_object_store else None
        boundaries = Boundaries(machine, folder, source=random.Random(history.seed))
        world = World(
            machine=machine,
            boundaries=boundaries,
            folder=folder,
            catalogue=_catalogue(),
            objects=client,
        )
        if baselines is not None:
            world.place_baselines(baselines)
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable(logging.CRITICAL)
        stack.enter_context(mock.patch.object(tempfile, "tempdir", str(folder / "tmp")))
        stack.enter_context(mock.patch.object(staging, "build_feed", _feed))
        for waiting in (reservations, load_tries):
            stack.enter_context(mock.patch.object(waiting, "POLL_INTERVAL_S", POLL_INTERVAL_S))
        stack.enter_context(boundaries.replaced())
        stack.enter_context(simulated_client(client, machine))
        try:
            yield world
        finally:
            machine.bury()


_BUILD_FEED = staging.build_feed
_FEEDS: dict[str, Feed] = {}


def _feed(data: Path, service: Any, load: Any) -> Feed:
    """Build the feed of each cell once: it is a fifth of a history's time, and touches nothing of the history."""
    key = f"{data} {service!r} {load!r}"
    if key not in _FEEDS:
        _FEEDS[key] = _BUILD_FEED(data, service, load)
    return _FEEDS[key]


@lru_cache(maxsize=1)
def _catalogue() -> Catalogue:
    folder = Path(tempfile.mkdtemp(prefix="bellwether-catalogue-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return catalogue(folder)
