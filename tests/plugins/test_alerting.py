"""Who is told of a run: on-call about a regression, the pipeline's own people about what could not be judged."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from bellwether.alerting import tell, tell_unmeasured

from include.perf.catalogue import load_catalogue
from include.perf.errors import DeliveryError, StoreError
from include.perf.pipeline import Pipeline
from include.perf.run import RunRecord, Verdict
from tests.fakes import raising
from tests.plugins.conftest import StandIn
from tests.records import record_of

GOLDEN = Path(__file__).parents[1] / "golden" / "charts"
HEADLINE = ":rotating_light: analysis-engine-service is slower at market_open: p95 61.2 ms, +45 % (was 42.1 ms)"


def pipeline_with(record: RunRecord, folder: Path) -> Pipeline:
    """Return a pipeline that knows one finished run, whose folder is given."""

    @contextmanager
    def lend(uri: str) -> Iterator[Path]:
        assert uri == "file:///run"
        yield folder

    known: Any = SimpleNamespace(
        record=lambda uri: record, catalogue=load_catalogue(), store=SimpleNamespace(folder=lend)
    )
    return cast(Pipeline, known)


@pytest.fixture(autouse=True)
def _prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "http://prometheus:9090")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder with its three charts."""
    charts = tmp_path / "charts"
    charts.mkdir()
    for name in ("comparison", "latency", "throughput"):
        (charts / f"{name}.png").write_bytes((GOLDEN / f"regression_{name}.png").read_bytes())
    return tmp_path


def test_a_regression_is_told_once_with_two_charts(bot: StandIn, folder: Path) -> None:
    """One message in the service's channel, and the two charts that explain it in the thread."""
    tell(pipeline_with(record_of(Verdict.REGRESSION), folder), "file:///run")
    first, reply = bot.messages()
    assert (first["channel_name"], first["text"]) == ("performance", HEADLINE)
    assert [file["name"] for file in reply["files"]] == ["comparison.png", "latency.png"]
    assert reply["thread_ts"] == first["ts"]


def test_a_regression_without_charts_is_told_all_the_same(bot: StandIn, tmp_path: Path) -> None:
    """Charts that could not be drawn cost nobody the message."""
    tell(pipeline_with(record_of(Verdict.REGRESSION), tmp_path), "file:///run")
    assert [message["text"] for message in bot.messages()] == [HEADLINE]


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.REGRESSION])
def test_everything_else_is_silence(bot: StandIn, folder: Path, verdict: Verdict) -> None:
    """A run that passed, improved, was skipped or cannot be judged is nothing to wake anyone for."""
    with pytest.raises(AirflowSkipException, match=f"^{verdict} is nothing to wake anyone for$"):
        tell(pipeline_with(record_of(verdict), folder), "file:///run")
    assert bot.calls() == []


def test_a_message_that_cannot_be_delivered_is_an_error(bot: StandIn, folder: Path) -> None:
    """The task is red and says so; the verdict stands in the record."""
    bot.fail(kind="slack_error", error="invalid_auth", times=100)
    with pytest.raises(DeliveryError, match=r"^Slack did not take the message \(error invalid_auth\)"):
        tell(pipeline_with(record_of(Verdict.REGRESSION), folder), "file:///run")


# What could not be judged


def night_of(*records: RunRecord) -> tuple[Pipeline, list[str]]:
    """Return a pipeline that knows the finished runs of a night, and their addresses."""
    known = {f"file:///{number}": record for number, record in enumerate(records)}
    pipeline: Any = SimpleNamespace(record=known.__getitem__, catalogue=load_catalogue())
    return cast(Pipeline, pipeline), list(known)


def test_what_could_not_be_judged_is_told_once(bot: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message for the night, in the pipeline's own channel, with the reason of each and a link to the run."""
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    invalid, skipped = record_of(Verdict.INVALID), record_of(Verdict.SKIPPED)
    tell_unmeasured(*night_of(record_of(Verdict.PASS), invalid, record_of(Verdict.REGRESSION), skipped))
    (message,) = bot.messages()
    assert (message["channel_name"], message["text"]) == (
        "performance-ops",
        ":construction: market_open: 2 of 4 services could not be judged; this is about the measurement, not about the "
        "services",
    )
    shown = str(message["blocks"])
    assert "• *analysis-engine-service* INVALID: the load generator could not keep up: 451.0/s" in shown
    assert "(and 1 reason more)" in shown
    assert "• *analysis-engine-service* SKIPPED: the market opens in 4 min" in shown
    assert "https://airflow.example/dags/market_open/runs/scheduled__2026-03-02T06:30:00+00:00" in shown


@pytest.mark.parametrize("verdict", [each for each in Verdict if each not in (Verdict.INVALID, Verdict.SKIPPED)])
def test_a_night_that_was_judged_is_silence(bot: StandIn, verdict: Verdict) -> None:
    """Whatever came of it."""
    with pytest.raises(AirflowSkipException, match=r"^every run could be judged$"):
        tell_unmeasured(*night_of(record_of(verdict), record_of(Verdict.PASS)))
    assert bot.calls() == []


def test_who_cannot_be_told_is_an_error(bot: StandIn) -> None:
    """The task is red; the verdicts stand in the records."""
    bot.fail(kind="slack_error", error="invalid_auth", times=100)
    with pytest.raises(DeliveryError, match=r"^Slack did not take the message \(error invalid_auth\)"):
        tell_unmeasured(*night_of(record_of(Verdict.INVALID)))


def test_a_run_without_a_record_is_an_error() -> None:
    """Its report was ended from outside."""
    unfinished: Any = SimpleNamespace(record=raising(StoreError("run file:///0 is not finished")))
    with pytest.raises(StoreError, match=r"^run file:///0 is not finished$"):
        tell_unmeasured(unfinished, ["file:///0"])
