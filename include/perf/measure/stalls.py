"""Stalls: spells in which the service answered nothing although requests were waiting for it.

**Rule.** A stall is a spell between two moments, each of them one at which an answer came, or the last waiting request
was given up, or the first one was sent, such that

- no answer came in between, and at every moment of it at least one request had been sent and had not ended;
- it is at least `LEAST_S` long;
- at least `LEAST_ARRIVALS` requests came due in it;
- it begins no earlier than the first answer of the run.

An answer is one with a status, good or not; a time-out or a refused connection is none. Requests count from when they
were sent, so that a generator that stood still itself is no stall of the service.

**Why.** With independent service times answers come about as evenly as requests do: that none comes while k requests
come due has a chance of e⁻ᵏ, 2·10⁻⁹ for twenty, whatever the rate is at that time and however slow the service is. One
slow request at the end of a load, or a service that takes seconds for everything, is therefore no stall. Before its
first answer a service cannot be told from a slow one.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.perf.runs.figures import Stall

LEAST_S = 1.0
LEAST_ARRIVALS = 20

Floats = NDArray[np.float64]


def stalls_of(rows: pd.DataFrame, *, started_at: float) -> tuple[Stall, ...]:
    """Return the stalls of a run in order, warm-up included.

    Args:
        rows: of the record, with the columns due_at, start_lag_s, latency_s, service_time_s and status.
        started_at: Unix time at which the schedule started; stalls are told from there, to the millisecond.
    """
    went_out = (rows["service_time_s"] > 0) | (rows["status"] > 0)
    due = rows["due_at"].to_numpy() - started_at
    sent = (due + rows["start_lag_s"].to_numpy())[went_out]
    ended = (due + rows["latency_s"].to_numpy())[went_out]
    answered = ended[(rows["status"] > 0)[went_out]]
    if not answered.size:
        return ()
    begins, ends = _busy_spells(sent, ended)
    moments = np.sort(np.concatenate([begins, answered, ends]))
    is_long = (np.diff(moments) >= LEAST_S) & (moments[:-1] >= answered.min())
    starts, stops = moments[:-1][is_long], moments[1:][is_long]
    due.sort()
    arrivals = np.searchsorted(due, stops) - np.searchsorted(due, starts)
    spell = np.searchsorted(begins, starts, side="right") - 1
    is_stall = (starts < ends[spell]) & (arrivals >= LEAST_ARRIVALS)
    return tuple(
        Stall(start_s=round(float(start), 3), duration_s=round(float(stop - start), 3))
        for start, stop in zip(starts[is_stall], stops[is_stall], strict=True)
    )


def _busy_spells(sent: Floats, ended: Floats) -> tuple[Floats, Floats]:
    """Return begins and ends of the spells in which at least one request was in flight, in order."""
    order = np.argsort(sent)
    sent = sent[order]
    latest = np.maximum.accumulate(ended[order])
    is_idle = sent[1:] > latest[:-1]
    return sent[np.r_[True, is_idle]], latest[np.r_[is_idle, True]]
