"""Requests that were refused, 401 or 403, after earlier ones had been let in: a token or a session ended in mid-run.

That is no error of the service, so it has a kind of its own. An endpoint that refuses some of its requests from the
start is another matter: its requests are wrong, or the service is.

**Rule.** Let n good answers of an endpoint be due before its first refusal, and let q be the share of refusals from
then on. Had they been there from the start, none would be among n requests with probability (1 - q)^n. They began in
mid-run if that is below `CHANCE`. With q = r / (m + 1) for r of m requests, a single good answer is never enough.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from include.perf.runs.figures import RefusedRequests

REFUSED = (401, 403)

CHANCE = 0.001

BEGAN = "(began in mid-run)"


def refusals_of(rows: pd.DataFrame) -> Mapping[str, float]:
    """Return the endpoints whose refusals began in mid-run, each with the due time of its first one in Unix seconds.

    Args:
        rows: with the columns ``due_at``, ``endpoint``, ``status`` and ``error``, warm-up included.
    """
    is_refused = rows["status"].isin(REFUSED) & (rows["error"] != "")
    found = {}
    for name in rows.loc[is_refused, "endpoint"].unique():
        of_endpoint = rows["endpoint"] == name
        due_at = rows.loc[of_endpoint, "due_at"].to_numpy()
        refused = is_refused[of_endpoint].to_numpy()
        first_at = float(due_at[refused].min())
        is_later = due_at >= first_at
        good_before = int(np.count_nonzero((rows.loc[of_endpoint, "error"] == "").to_numpy() & ~is_later))
        share = np.count_nonzero(refused) / (np.count_nonzero(is_later) + 1)
        if good_before * math.log1p(-share) < math.log(CHANCE):
            found[str(name)] = first_at
    return found


def kind_of(kind: str, endpoint: str, refusals: Mapping[str, float]) -> str:
    """Return the kind of an error, as the record names it.

    Args:
        refusals: from `refusals_of`.
    """
    return f"{kind} {BEGAN}" if endpoint in refusals and kind in {f"HTTP {status}" for status in REFUSED} else kind


def refusals_in(measured: pd.DataFrame, refusals: Mapping[str, float], *, started_at: float) -> RefusedRequests | None:
    """Return the figures of the refusals that began in mid-run; ``None`` without any in the measured window."""
    is_refused = measured["status"].isin(REFUSED) & (measured["error"] != "") & measured["endpoint"].isin(refusals)
    statuses = measured.loc[is_refused, "status"].unique()
    if not len(statuses):
        return None
    return RefusedRequests(
        statuses=tuple(sorted(map(int, statuses))),
        count=int(is_refused.sum()),
        since_s=min(refusals.values()) - started_at,
    )
