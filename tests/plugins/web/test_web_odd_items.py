"""Odd items in the results store: every page works without them, and names them to whom may see them."""

import os
from dataclasses import replace
from datetime import timedelta

import pytest

from include.perf.baselines.history import read_nights
from include.perf.runs.record import RunRecord
from tests.odd_items import HOSTILE_VALUES, hostile_record
from tests.plugins.web.conftest import Pages
from tests.records import regressed_record

PATHS = (
    "/",
    "/cells/engine/calm?range=all",
    "/cells/engine/storm",
    "/runs/engine/calm/run-1",
    "/baselines",
    "/problems",
)


def add_odd(pages: Pages, content: bytes | None, *, scenario: str = "calm") -> str:
    """Store a run with this record, or a FIFO in place of the record, and return its URI."""
    uri = pages.store.create(service="engine", scenario=scenario, run_id="run-2")
    if content is None:
        os.mkfifo(pages.store.root / "engine" / scenario / "run-2" / "run.json")
    else:
        pages.store.write(uri, "run.json", content)
    pages.clock.now += timedelta(seconds=2)
    return uri


def odd_record() -> RunRecord:
    return replace(regressed_record(), service="engine", scenario="calm", run_id="run-2")


@pytest.mark.parametrize("flaw", [*HOSTILE_VALUES, None])
def test_every_page_works_and_names_the_item(pages: Pages, flaw: str | None) -> None:
    """One hostile record, or a FIFO in its place, changes no other page."""
    pages.add_run()
    uri = add_odd(pages, None if flaw is None else hostile_record(odd_record(), flaw))
    for path in PATHS:
        assert pages.get(path).status_code == 200, path
    for path in PATHS[:2]:
        assert f"<li>left out: {uri}/run.json " in pages.get(path).text or f"run.json of {uri}" in pages.get(path).text
    assert "left out: " not in pages.get("/cells/engine/storm").text
    assert "run-1" in pages.get("/cells/engine/calm?range=all").text
    assert pages.get("/runs/engine/calm/run-2").status_code == 404
    assert len(read_nights(pages.store, service="engine", scenario="calm")) == 1


def test_an_item_is_named_only_to_whom_may_see_its_scenario(pages: Pages) -> None:
    """Its URI has the name of the scenario."""
    add_odd(pages, b"{", scenario="storm")
    assert "left out: " in pages.get("/", user="viewer").text
    for user in ("half", "nobody"):
        assert "left out: " not in pages.get("/", user=user).text


@pytest.mark.parametrize("count", [10**12, 0])
def test_the_largest_values_are_shown(pages: Pages, count: int) -> None:
    """At their bounds, values overflow nothing."""
    record = regressed_record()
    amount = 1e18 if count else 0.0
    metrics = {name: replace(value, value=amount) for name, value in record.metrics.items()}
    shift = replace(record.deviations[0].shift, ratio=1e100, absolute=-1e100, low=-1e100, high=1e100)
    pages.add_run(
        metrics=metrics,
        judged=dict.fromkeys(metrics, amount),
        load=replace(record.load, due=count, sent=count, finished=count, failed=count, requested_rate_rps=amount),
        deviations=tuple(replace(found, baseline=amount, value=amount, shift=shift) for found in record.deviations),
        shifts=dict.fromkeys(metrics, shift),
        baseline=None if record.baseline is None else replace(record.baseline, metrics=dict.fromkeys(metrics, amount)),
        started_at=record.started_at.replace(year=2199 if count else 2000),
    )
    for path in PATHS:
        assert pages.get(path).status_code == 200, path
    assert "left out: " not in pages.get("/").text
    assert len(read_nights(pages.store, service="engine", scenario="calm")) == 1
