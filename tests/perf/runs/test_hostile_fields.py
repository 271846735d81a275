"""Every field of a record takes hostile values in turn: the record is refused in a sentence, or can be used."""

import json
from dataclasses import replace
from typing import Any

import pytest

from include.perf.baselines.history import night_of
from include.perf.model.errors import ItemError
from include.perf.model.json_files import MAX_PROBLEM, from_json, to_json
from include.perf.reporting.html_page import page
from include.perf.reporting.junit import junit
from include.perf.reporting.markdown_text import render
from include.perf.reporting.report import run_document
from include.perf.runs.figures import Stall
from include.perf.runs.record import RunRecord
from include.perf.runs.run_index import entry_of
from tests.odd_items import ANY_VALUE, places_of, with_value
from tests.records import generator_figures, regressed_record


def full_record() -> RunRecord:
    """Return a record in which no field is empty."""
    record = regressed_record()
    (found,) = record.deviations
    shift = replace(found.shift, absolute_low=0.01, absolute_high=0.02)
    return replace(
        record,
        deviations=(replace(found, since=record.started_at, first_version="2", previous_version="1", shift=shift),),
        shifts={"latency_p95": shift},
        judged={"latency_p95": 0.0612},
        platform={"latency_p95": 0.1},
        within_run={"latency_p95": 0.1},
        notes=("a note",),
        reruns=("run-7",),
        reported_by="run-9",
        stalls=(Stall(start_s=1.0, duration_s=2.0),),
        generator=generator_figures(hosts=("host",), requests_by_address={"192.0.2.1": 4}, lost_workers=(1,)),
    )


def use(record: RunRecord) -> None:
    """Do with a record what index, history, report, page and other tools do."""
    to_json(entry_of(record, "file:///results/x"))
    night_of(record)
    junit([record])
    document = run_document(record, charts={})
    render(document)
    assert "<script>alert(1)" not in page(document, image=lambda _: None)


def problem_with(content: bytes) -> str:
    """Return why a record is refused; nothing if it can be used."""
    try:
        record = from_json(RunRecord, content, where="run.json")
    except ItemError as err:
        return str(err)
    use(record)
    return ""


DOCUMENT: dict[str, Any] = json.loads(to_json(full_record()))


@pytest.mark.parametrize("top", list(DOCUMENT))
def test_no_field_can_hold_what_breaks_its_readers(top: str) -> None:
    """Whatever one field holds, reading fails with a short sentence on one line, or everything works."""
    for place in places_of(DOCUMENT):
        if place[0] != top:
            continue
        for name, value in ANY_VALUE.items():
            problem = problem_with(with_value(DOCUMENT, place, value))
            assert len(problem) < MAX_PROBLEM + 50, (place, name)
            assert problem.isprintable(), (place, name)


@pytest.mark.parametrize(("low", "high"), [("low", "high"), ("absolute_low", "absolute_high")])
def test_an_interval_must_begin_before_it_ends(low: str, high: str) -> None:
    """A shift of 0.5 to 0.4 has no width, and so no uncertainty to round with."""
    document = json.loads(to_json(full_record()))
    document["shifts"]["latency_p95"] |= {low: 0.5, high: 0.4}
    with pytest.raises(ItemError, match=r"the interval from 0\.5 to 0\.4 ends before it begins"):
        from_json(RunRecord, json.dumps(document).encode(), where="run.json")
