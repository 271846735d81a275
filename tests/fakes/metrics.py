"""A Prometheus that answers the queries it knows, and what it says of the small service."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from include.perf.measure.metrics_source import LabelledValue, Sample
from include.perf.model.errors import NoData
from tests.fakes.clock import START
from tests.fakes.small_catalogue import SELECTOR, small_service


class FakeMetrics:
    """Answers exactly the queries it knows; any other fails the test.

    Attributes:
        answers: a value, or an error to raise, by query.
        asked: every query with its time.
        series_of: the values of a query of several series, or an error; no data of any other.
        over_time: the samples of a query over time, or an error; no data of any other.
        asked_over_time: every such query with its start, end and step.
    """

    def __init__(self, answers: Mapping[str, float | Exception]) -> None:
        self.answers = dict(answers)
        self.asked: list[tuple[str, datetime]] = []
        self.series_of: dict[str, tuple[LabelledValue, ...] | Exception] = {}
        self.over_time: dict[str, tuple[Sample, ...] | Exception] = {}
        self.asked_over_time: list[tuple[str, datetime, datetime, float]] = []

    def value(self, query: str, *, at: datetime) -> float:
        """Return the answer to a query."""
        self.asked.append((query, at))
        if query not in self.answers:
            raise AssertionError(f"unexpected query {query!r}; known are {sorted(self.answers)}")
        answer = self.answers[query]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def values(self, query: str, *, at: datetime) -> tuple[LabelledValue, ...]:
        """Return the answer to a query of several series; no data where none is known."""
        self.asked.append((query, at))
        found = self.series_of.get(query, NoData(f"no data for {query}"))
        if isinstance(found, Exception):
            raise found
        return found

    def label(self, query: str, label: str, *, at: datetime) -> str:
        """No series has labels here."""
        raise NoData(f"no data for {query}")

    def series(self, query: str, *, start: datetime, end: datetime, step_s: float) -> tuple[Sample, ...]:
        """Return the answer to a query over time; no data where none is known."""
        self.asked_over_time.append((query, start, end, step_s))
        found = self.over_time.get(query, NoData(f"no data for {query}"))
        if isinstance(found, Exception):
            raise found
        return found


IS_SCRAPED = f"count(up{{{SELECTOR}}} == 1)"


def coverage_query(window: str = "10000ms") -> str:
    """Return how the coverage of the small service is asked for."""
    return f"min(sum_over_time(up{{{SELECTOR}}}[{window}]))"


def started_query(window: str = "12000ms") -> str:
    """Return how it is asked whether the small service was started: over two scrapes more than the window."""
    return f"max(max_over_time(process_start_time_seconds{{{SELECTOR}}}[{window}]))"


def healthy_answers(window: str = "10000ms") -> dict[str, float | Exception]:
    """Return what Prometheus says of the small service: ten scrapes in ten seconds, and three figures."""
    target = small_service().prometheus
    return {
        IS_SCRAPED: 1.0,
        coverage_query(window): 10.0,
        coverage_query("2000ms"): 2.0,  # at each end
        started_query(f"{int(window.removesuffix('ms')) + 2000}ms"): (START - timedelta(days=1)).timestamp(),
        target.query("cpu_usage", window=window): 1.5,
        target.query("memory_usage", window=window): 512.0 * 1024**2,
        target.query("disk_usage", window=window): 0.40,
    }
