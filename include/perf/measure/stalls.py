"""Stalls: intervals in which the service answered nothing although requests were waiting.

**Definition.** A stall is an interval between two events such that

- no answer arrived within it, and at every moment of it at least one request was in flight;
- it is at least `MIN_STALL_S` long;
- at least `MIN_ARRIVALS` requests became due within it;
- it does not begin before the first answer of the run.

The events are: an answer arrived; the first request was sent; the last waiting request was given up. An answer has a
status, good or not; a timeout or a refused connection is no answer. A request is in flight from when it was sent, so a
stall of the generator is not a stall of the service.

**Reason.** With independent service times, answers arrive about as evenly as requests become due. The probability that
none arrives while k requests become due is e⁻ᵏ, 2·10⁻⁹ for k = 20, at any rate and for any service time. So one slow
request at the end of a load is no stall, and neither is a service that takes seconds for every request. Before its
first answer, a stalled service cannot be distinguished from a slow one.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from include.perf.runs.figures import Stall

MIN_STALL_S = 1.0
MIN_ARRIVALS = 20

Floats = NDArray[np.float64]


def stalls_of(rows: pd.DataFrame, *, started_at: float) -> tuple[Stall, ...]:
    """Return the stalls of a run in order, including those of the warm-up.

    Args:
        rows: of the record, with the columns due_at, start_lag_s, latency_s, service_time_s and status.
        started_at: Unix time at which the schedule started; the times of stalls are relative to it, in milliseconds.
    """
    went_out = (rows["service_time_s"] > 0) | (rows["status"] > 0)
    due = rows["due_at"].to_numpy() - started_at
    sent = (due + rows["start_lag_s"].to_numpy())[went_out]
    ended = (due + rows["latency_s"].to_numpy())[went_out]
    answered = ended[(rows["status"] > 0)[went_out]]
    if not answered.size:
        return ()
    begins, ends = _busy_intervals(sent, ended)
    moments = np.sort(np.concatenate([begins, answered, ends]))
    is_long = (np.diff(moments) >= MIN_STALL_S) & (moments[:-1] >= answered.min())
    starts, stops = moments[:-1][is_long], moments[1:][is_long]
    due.sort()
    arrivals = np.searchsorted(due, stops) - np.searchsorted(due, starts)
    busy = np.searchsorted(begins, starts, side="right") - 1
    is_stall = (starts < ends[busy]) & (arrivals >= MIN_ARRIVALS)
    return tuple(
        Stall(start_s=round(float(start), 3), duration_s=round(float(stop - start), 3))
        for start, stop in zip(starts[is_stall], stops[is_stall], strict=True)
    )


def _busy_intervals(sent: Floats, ended: Floats) -> tuple[Floats, Floats]:
    """Return the begins and ends of the intervals in which at least one request was in flight, in order."""
    order = np.argsort(sent)
    sent = sent[order]
    latest = np.maximum.accumulate(ended[order])
    is_idle = sent[1:] > latest[:-1]
    return sent[np.r_[True, is_idle]], latest[np.r_[is_idle, True]]
