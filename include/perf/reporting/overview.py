"""What a dry run and a smoke run found, as text for a log or a terminal."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from include.perf.metric import Unit, format_value
from include.perf.phrase import one_line, utc_time
from include.perf.reporting.markdown import table

if TYPE_CHECKING:
    from include.perf.dry_run import PlannedEndpoint, PlannedLoad
    from include.perf.smoke import SmokeResult

MAX_BODY = 160


def loads_in_words(loads: "Iterable[PlannedLoad]") -> str:
    """Return each load in a few lines: where to, when, how much, and whether it would be sent at all."""
    return "\n\n".join("\n".join(_lines(load)) for load in loads)


def _lines(load: "PlannedLoad") -> Iterator[str]:
    verdict = "would be sent" if not load.refused else "would NOT be sent"
    yield f"{load.scenario} · {load.service} ({load.environment}): {verdict}"
    yield from (f"  refused: {reason}" for reason in load.refused)
    leads = f" ({', '.join(load.addresses)})" if load.addresses else ""
    yield f"  to       {load.base_url}{leads}"
    yield f"  when     {utc_time(load.starts_at)} at the earliest, over by {utc_time(load.ends_at)}"
    yield f"  load     {load.load}: {load.requests:,} requests"
    for endpoint in load.endpoints:
        yield f"  {endpoint.requests:>9,}  {endpoint.method} {endpoint.example[0]}{_body(endpoint)}"


def _body(endpoint: "PlannedEndpoint") -> str:
    body = endpoint.example[1]
    if body is None:
        return ""
    text = one_line(body)
    return "  " + (text if len(text) <= MAX_BODY else text[: MAX_BODY - 1] + "…")


def smoke_in_words(results: "Sequence[SmokeResult]") -> str:
    """Return how each endpoint answered, and below the table what was wrong."""
    rows = [
        [
            result.service,
            result.endpoint,
            "good" if result.is_good else f"{result.failed} of {result.sent} failed",
            format_value(result.slowest_s, Unit.SECONDS),
        ]
        for result in results
    ]
    problems = [f"{result.path}: {result.problem}" for result in results if result.problem]
    return "\n".join([table(["service", "endpoint", "answers", "slowest"], rows, right=[3]), *problems])
