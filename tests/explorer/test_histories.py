"""Fifty random histories, and one of a seed that nobody chose, break no rule; a seed is a history for good."""

import hashlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from include.perf.adapters.s3.client import client_of
from tests.explorer.__main__ import report
from tests.explorer.exploring import explored, replayed
from tests.explorer.history import HISTORIES
from tests.explorer.shrinking import shortest
from tests.explorer.world import BUCKET
from tests.object_stores import ObjectStore

AT_A_TIME = 5
IN_AN_OBJECT_STORE = 4


def check(seeds: Iterator[int] | range) -> None:
    """Fail with the shortest history of the first seed that breaks a rule."""
    for seed in seeds:
        outcome = explored(seed)
        if outcome.broken:
            pytest.fail(report(shortest(outcome)), pytrace=False)


@pytest.mark.parametrize("first", range(0, HISTORIES, AT_A_TIME))
def test_random_histories_break_no_rule(first: int) -> None:
    """What is stored is whole, what is alerted arrives once, and loads do not meet, whatever fails in between."""
    check(range(first, first + AT_A_TIME))


def test_a_seed_that_nobody_chose_breaks_no_rule() -> None:
    """Every run of the tests looks at one more history; the seed is in the failure."""
    check(range(seed := random.SystemRandom().randrange(1_000, 1_000_000), seed + 1))


def test_a_seed_is_the_same_history_in_another_process() -> None:
    """Nothing depends on hashes, threads or the time."""
    seed = IN_AN_OBJECT_STORE + 1
    printed = subprocess.run(
        [sys.executable, "-m", "tests.explorer", "--seed", str(seed), "--whole"],
        env={**os.environ, "PYTHONHASHSEED": "4321"},
        capture_output=True,
        text=True,
        check=True,
        timeout=280,
    ).stdout
    assert printed == report(explored(seed)) + "\n"


def test_a_history_is_replayed_from_its_interruptions() -> None:
    """The list of interruptions decides everything; no random number is needed."""
    outcome = explored(IN_AN_OBJECT_STORE)
    assert outcome.history.interruptions
    assert _digest(replayed(outcome.history).story) == _digest(outcome.story)


def test_the_object_store_in_memory_behaves_like_a_server(s3: ObjectStore) -> None:
    """The server of the other tests leads to the same history."""

    def client() -> Any:
        found = client_of(s3.login)
        found.create_bucket(Bucket=BUCKET)
        return found

    outcome = explored(IN_AN_OBJECT_STORE, objects=client)
    assert outcome.history.in_object_store
    assert outcome.story == explored(IN_AN_OBJECT_STORE).story


def _digest(story: list[str]) -> str:
    return hashlib.sha256("\n".join(story).encode()).hexdigest()
