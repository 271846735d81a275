"""The section of `benchmarks.load` about journeys: what they cost, next to the same requests sent one by one."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.bellwether import Outcome
from benchmarks.bench import Bench
from benchmarks.load_sections import median_cpu
from benchmarks.tables import Row, Table
from benchmarks.target import Behaviour

JOURNEYS_RPS, ROUNDS = 500.0, 5

QUOTE: dict[str, Any] = {"name": "quote", "method": "GET", "path": "/v1/quotes", "query": {"instrument": "$instrument"}}
PLACE: dict[str, Any] = {"name": "place", "method": "POST", "path": "/v1/orders"}
STATE: dict[str, Any] = {"name": "state", "method": "GET"}
CANCEL: dict[str, Any] = {"name": "cancel", "method": "DELETE"}
BODY = {"instrument": "$instrument", "units": 1000}

SINGLE = (
    QUOTE,
    PLACE | {"body": BODY | {"quote": "q-1234"}},
    STATE | {"path": "/v1/orders/o-1234"},
    CANCEL | {"path": "/v1/orders/o-1234"},
)
"""Four requests, each an arrival of its own."""

STEPS = (
    QUOTE | {"capture": {"quote": {"json": "status"}}},
    PLACE | {"body": BODY | {"quote": "$quote"}, "capture": {"order": {"json": "price"}}},
    STATE | {"path": "/v1/orders/$order"},
    CANCEL | {"path": "/v1/orders/$order"},
)
"""The same four as steps; two capture from the JSON of their answers, three send what was captured."""

KINDS: Mapping[str, tuple[float, Sequence[Mapping[str, Any]]]] = {
    "four single requests": (4 * JOURNEYS_RPS, SINGLE),
    "a journey of four steps": (JOURNEYS_RPS, ({"name": "life", "steps": STEPS},)),
    "a journey that thinks 0.1 s before each step": (
        JOURNEYS_RPS,
        ({"name": "life", "steps": (STEPS[0], *(step | {"think_s": 0.1} for step in STEPS[1:]))},),
    ),
}


def journeys(bench: Bench) -> Table:
    """Measure what a journey costs, alternately with the same requests sent one by one, by one worker."""
    outcomes: dict[str, list[Outcome]] = {name: [] for name in KINDS}
    for number in range(1 if bench.is_quick else ROUNDS):
        for name in KINDS if number % 2 else reversed(list(KINDS)):
            rate_rps, endpoints = KINDS[name]
            outcome = bench.drive(
                Behaviour(seed=bench.seed),
                note=f"({name})",
                endpoints=endpoints,
                rate_rps=rate_rps,
                duration_s=bench.run_s,
                workers=1,
            )
            outcomes[name] += [outcome] if outcome else []
    plain = median_cpu(outcomes["four single requests"])
    rows = [_row(name, found, plain) for name, found in outcomes.items()]
    return Table(title="journeys: four steps, and four single requests", rows=rows, notes=bench.failure_notes())


def _row(name: str, outcomes: Sequence[Outcome], plain: float) -> Row:
    cpu = median_cpu(outcomes)
    return {
        "arrivals": name,
        "runs": len(outcomes),
        "valid": sum(not outcome.problems for outcome in outcomes),
        "requests /s": _median([len(o.truth.arrived) / o.figures.window.duration_s for o in outcomes]),
        "CPU s per 1,000": cpu,
        "ratio": cpu / plain,
        "cores": _median([o.figures.generator.cpu_cores for o in outcomes]),
        "schedule lag p99 ms": _median([1000 * o.figures.generator.schedule_lag_p99_s for o in outcomes]),
        "abandoned": sum(journey.abandoned for o in outcomes for journey in o.figures.journeys),
        "bias p50 ms": _median([o.bias_ms("p50") for o in outcomes]),
        "bias p99 ms": _median([o.bias_ms("p99") for o in outcomes]),
    }


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if len(values) else np.nan
