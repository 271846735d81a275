"""Judge a run against its hard limits, whatever its baseline: which are exceeded, and which could not be checked.

With re-runs the median counts, as for every other judgement; of two runs the better one. A single run that exceeds a
limit is a reason for re-runs.

**Throughput** has a lower limit. It applies only to runs that requested at least as much: 100 requests/s say nothing
about a limit of 480.

**Failures of an endpoint.** The service's limit L on the error rate also applies to each endpoint, so that one that
fails completely is not hidden among many. Few requests need more: with k of n requests failed, the limit is exceeded if
k / n > L and P(X ≥ k) < `CHANCE` for X binomial with n and L.

**Percentiles of an endpoint** need as many requests as those of a run: `MIN_SAMPLES`.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from scipy.special import bdtrc

from include.perf.catalogue.hard_limits import ERROR_RATE, HardLimit
from include.perf.measure.validity import MIN_RATE_SHARE
from include.perf.model.metric import LATENCY_SHARES, METRICS, MIN_SAMPLES
from include.perf.runs.figures import EndpointFigures
from include.perf.runs.record import Collapse, ExceededLimit, Severity
from include.perf.verdict import reasons
from include.perf.verdict.contender import Contender, MeasuredRun, value_of

CHANCE = 0.01

THROUGHPUT = "throughput"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitFindings:
    """What the limits of a run show.

    Attributes:
        exceeded: those of the service first, in the order of the catalogue.
        notes: a sentence for each limit that a single run of several exceeded, or that could not be checked.
    """

    exceeded: tuple[ExceededLimit, ...] = ()
    notes: tuple[str, ...] = ()


def judge_limits(contender: Contender) -> LimitFindings:
    """Compare a run and its re-runs with the limits of its service."""
    exceeded, notes = [], []
    for limit in contender.limits:
        found = _checked(limit, contender)
        if isinstance(found, ExceededLimit):
            exceeded.append(found)
        elif found is not None:
            notes.append(found)
    return LimitFindings(exceeded=tuple(exceeded), notes=tuple(notes))


def collapse_in(contender: Contender) -> Collapse | None:
    """Return how the service failed under the first load that it did not survive; ``None`` if it survived all.

    A failure is a fact, unlike a figure: one of several runs is enough for a warning, and without another run that
    survived it is critical.
    """
    failed = [run.collapse for run in contender.runs if run.collapse]
    if not failed:
        return None
    is_confirmed = len(failed) == len(contender.runs) or len(failed) > 1
    return Collapse(
        happened=failed[0],
        severity=Severity.CRITICAL if is_confirmed else Severity.WARNING,
        evidence=reasons.of_collapse(failed=len(failed), runs=len(contender.runs), no_rerun=contender.no_rerun),
    )


def _checked(limit: HardLimit, contender: Contender) -> ExceededLimit | str | None:
    """Return that a limit is exceeded, or a note about it, or ``None`` if the run is within it."""
    values = [(run.run_id, value) for run in contender.runs if (value := _value(run, limit)) is not None]
    if not values:
        return _unchecked(limit, contender)
    judged = _median(limit, [value for _, value in values])
    if not limit.is_exceeded_by(judged):
        beyond = [run_id for run_id, value in values if limit.is_exceeded_by(value)]
        return reasons.exceeded_in_some(limit, beyond=beyond, runs=len(values)) if beyond else None
    if limit.is_inherited and not _is_certain(limit, contender):
        return None
    return ExceededLimit(
        metric=limit.metric,
        unit=METRICS[limit.metric].unit,
        limit=limit.value,
        value=judged,
        severity=Severity(limit.severity),
        endpoint=limit.endpoint,
        evidence=reasons.of_limit(runs=len(values), no_rerun=contender.no_rerun),
    )


def _median(limit: HardLimit, values: list[float]) -> float:
    metric = METRICS[limit.metric]
    ordered = sorted(values, key=lambda value: metric.worsening(baseline=0, value=value))
    return ordered[0] if len(ordered) == 2 else statistics.median_low(ordered)


def _value(run: MeasuredRun, limit: HardLimit) -> float | None:
    """Return the value that a limit applies to; ``None`` if there is none, or the limit does not apply to the run."""
    endpoint = _endpoint(run, limit.endpoint)
    if limit.metric == THROUGHPUT and not _is_requested(run, limit, endpoint):
        return None
    if not limit.endpoint:
        return value_of(run.metrics, limit.metric)
    return None if endpoint is None else _of_endpoint(endpoint, limit.metric)


def _of_endpoint(endpoint: EndpointFigures, metric: str) -> float | None:
    if metric == ERROR_RATE:
        return endpoint.failed / endpoint.due if endpoint.due else None
    if metric == THROUGHPUT:
        return endpoint.throughput
    known: Mapping[str, float | None] = {name: getattr(endpoint, name) for name in LATENCY_SHARES}
    return known[metric] if endpoint.due >= MIN_SAMPLES[metric] else None


def _endpoint(run: MeasuredRun, name: str) -> EndpointFigures | None:
    return next((endpoint for endpoint in run.endpoints if endpoint.name == name), None)


def _is_requested(run: MeasuredRun, limit: HardLimit, endpoint: EndpointFigures | None) -> bool:
    """Return whether as much was requested as a limit on throughput demands."""
    if run.requested_rps is None:
        return False
    requested = run.requested_rps
    if limit.endpoint:
        requested *= endpoint.due / run.due if endpoint is not None and run.due else 0.0
    return requested >= MIN_RATE_SHARE * limit.value


def _is_certain(limit: HardLimit, contender: Contender) -> bool:
    """Return whether so many failures of an endpoint are unlikely at the limit, in more than half of the runs."""
    counts = [found for run in contender.runs if (found := _endpoint(run, limit.endpoint)) is not None]
    certain = [count for count in counts if bdtrc(count.failed - 1, count.due, limit.value) < CHANCE]
    return 2 * len(certain) > len(counts)


def _unchecked(limit: HardLimit, contender: Contender) -> str | None:
    """Return why a limit was not checked; ``None`` where that is no news."""
    if limit.is_inherited or limit.metric == THROUGHPUT:
        return None
    return reasons.limit_not_checked(limit, _why_absent(contender.runs, limit))


def _why_absent(runs: Sequence[MeasuredRun], limit: HardLimit) -> str:
    if not limit.endpoint:
        return next(_reasons_of(runs, limit.metric), "it was not measured")
    endpoint = _endpoint(runs[0], limit.endpoint)
    if endpoint is None:
        return "the endpoint got no request"
    if limit.metric in MIN_SAMPLES and endpoint.due < MIN_SAMPLES[limit.metric]:
        return f"{endpoint.due} requests are too few for it (at least {MIN_SAMPLES[limit.metric]} are needed)"
    return "no request was answered"


def _reasons_of(runs: Sequence[MeasuredRun], metric: str) -> Iterator[str]:
    for run in runs:
        found = run.metrics.get(metric)
        if found is not None and found.reason is not None:
            yield found.reason
