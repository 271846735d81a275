"""Who is told of a run: on-call about a regression, nobody about anything else."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from bellwether.alerting import tell

from include.perf.catalogue import load_catalogue
from include.perf.errors import DeliveryError
from include.perf.pipeline import Pipeline
from include.perf.run import RunRecord, Verdict
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
