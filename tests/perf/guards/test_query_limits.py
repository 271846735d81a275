"""Stop criteria about the target: queried repeatedly, and exceeded for a full window."""

import logging
from typing import Any

import pytest

from include.perf.catalogue.scenario.stop_criterion import StopCriterion
from include.perf.guards.query_limits import QueryLimit, inquiries_of
from include.perf.model.errors import NoData, PartialAnswer, PrometheusUnavailable, QueryRejected
from tests.fakes.clock import FixedClock
from tests.fakes.metrics import FakeMetrics
from tests.fakes.small_catalogue import SELECTOR, small_service

QUERY = f"cpu{{{SELECTOR}}}"
CPU: dict[str, Any] = {"name": "CPU", "query": "cpu{$selector}", "above": 3.5, "window_s": 10}
REASON = "CPU has been above 3.5 for 10 s, it is 3.9 (stop_when)"
DOWN = PrometheusUnavailable("Prometheus is down")
EMPTY = NoData("no data for it")


class Asked:
    """A criterion that is queried every two seconds, with the results that a test sets."""

    def __init__(self, **changes: Any) -> None:
        self.clock = FixedClock()
        self.metrics = FakeMetrics({})
        self._limit = QueryLimit(StopCriterion.model_validate(CPU | changes), small_service(), self.metrics, self.clock)

    def ask(self, *answers: float | Exception, every_s: float = 2.0) -> list[str | None]:
        """Return what each answer led to; ``down`` where there was none."""
        reasons: list[str | None] = []
        for answer in answers:
            self.metrics.answers[QUERY] = answer
            try:
                reasons.append(self._limit.reached())
            except (PrometheusUnavailable, PartialAnswer):
                reasons.append("down")
            self.clock.move(every_s)
        return reasons


def test_the_query_contains_the_selector_of_the_service() -> None:
    """It is evaluated at the current time."""
    asked = Asked()
    asked.ask(1.0, 2.0)
    assert [query for query, _ in asked.metrics.asked] == [QUERY] * 2
    assert [at for _, at in asked.metrics.asked] == [FixedClock().now, asked.clock.now.replace(second=2)]


def test_the_limit_must_be_exceeded_for_the_full_window() -> None:
    """At 0, 2, 4, 6, 8 and 10 s."""
    assert Asked().ask(4.0, 5.0, 3.6, 4.0, 4.0, 3.9) == [None] * 5 + [REASON]


def test_a_partial_result_is_no_result() -> None:
    """An incomplete sum may be below any limit; after a full window the time starts again."""
    part = PartialAnswer("Prometheus has only a part of the answer")
    answers = Asked().ask(4.0, *[part] * 6, *[4.0] * 6)
    assert answers == [None, *["down"] * 6, *[None] * 5, REASON.replace("3.9", "4")]


def test_a_lower_limit() -> None:
    assert Asked(above=None, below=1).ask(*[0.0] * 6)[-1] == "CPU has been below 1 for 10 s, it is 0 (stop_when)"


@pytest.mark.parametrize("good", [3.5, 0.0])
def test_one_good_result_starts_the_time_again(good: float) -> None:
    """A value equal to the limit is good."""
    assert Asked().ask(*[4.0] * 5, good, *[4.0] * 5) == [None] * 11
    assert Asked().ask(*[4.0] * 5, good, *[4.0] * 5, 3.9)[-1] == REASON


@pytest.mark.parametrize(("silence", "problem"), [(DOWN, "down"), (EMPTY, None)])
def test_a_query_without_a_result_changes_nothing(silence: Exception, problem: str | None) -> None:
    """A busy target misses scrapes, which must not hide it. Without a result, no limit is exceeded either."""
    assert Asked().ask(4.0, silence, silence, silence, silence, 3.9) == [None, *[problem] * 4, REASON]
    assert Asked().ask(*[4.0] * 5, silence, 3.9) == [None] * 5 + [problem, REASON]
    assert Asked().ask(silence, silence, silence, silence, silence, silence, 3.9)[-1] is None


@pytest.mark.parametrize("silence", [DOWN, EMPTY])
def test_after_a_full_window_without_a_result_the_time_starts_again(silence: Exception) -> None:
    """The values in between are unknown."""
    asked = Asked()
    assert asked.ask(4.0, *[silence] * 5, 4.0, 4.0)[-2:] == [None, None]
    assert asked.ask(4.0, 4.0, 4.0, 3.9)[-2:] == [None, REASON]


def test_slow_results_count() -> None:
    """They are further apart than the window, and each exceeds the limit."""
    assert Asked(window_s=1).ask(4.0, 3.9, every_s=5.0) == [None, REASON.replace("10 s", "1 s")]


def test_no_data_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A query without data does not protect, so a warning asks for attention."""
    with caplog.at_level(logging.WARNING):
        assert Asked().ask(*[EMPTY] * 50) == [None] * 50
    assert [record.getMessage() for record in caplog.records] == [
        "the stop criterion CPU above 3.5 over 10 s has no effect at the moment: no data for it"
    ]


def test_a_wrong_query_ends_the_load_immediately() -> None:
    """It would stay wrong, and a limit that cannot be checked does not protect."""
    assert Asked().ask(QueryRejected("Prometheus refused cpu{: parse error")) == [
        "CPU cannot be watched: Prometheus refused cpu{: parse error; correct the query (stop_when, not the target)"
    ]


def test_only_criteria_with_a_query_become_inquiries() -> None:
    """They are polled every two seconds, or twice per window."""
    criteria = [
        StopCriterion.model_validate(entry)
        for entry in (
            {"metric": "error_ratio", "above": 0.5, "window_s": 30},
            CPU,
            {"query": "up{$selector}", "below": 1, "window_s": 1},
        )
    ]
    metrics = FakeMetrics({QUERY: 1.0, f"up{{{SELECTOR}}}": DOWN})
    inquiries = inquiries_of(criteria, small_service(), metrics, FixedClock())
    assert len(inquiries) == 2
    for inquiry in inquiries:
        inquiry.ask()
    assert sorted(query for query, _ in metrics.asked) == [QUERY, f"up{{{SELECTOR}}}"]
    assert [inquiry.reason() for inquiry in inquiries] == [None, None]
    assert [inquiry._every_s for inquiry in inquiries] == [2.0, 0.5]
    assert inquiries[1]._name == "the stop criterion up{$selector} below 1 over 1 s"
