"""The deploy version: where it is told, what is no version, and what cannot be had."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from include.perf.model.errors import NoData, TargetError
from include.perf.pipeline.loading import MAX_VERSION, read_deploy_version
from include.perf.runs.record import Verdict
from tests.fakes.clock import START
from tests.fakes.metrics import FakeMetrics
from tests.fakes.small_catalogue import SELECTOR, small_service
from tests.fakes.small_platform import Platform
from tests.fakes.target import FakeTarget

ADDRESSES = ("10.0.0.7", "10.0.0.8")


class LabelledMetrics(FakeMetrics):
    """Knows the labels of one series."""

    def __init__(self, labels: dict[str, str]) -> None:
        super().__init__({})
        self.labels = labels
        self.questions: list[tuple[str, str]] = []

    def label(self, query: str, label: str, *, at: object) -> str:
        """Return the label of the series, whatever the query."""
        assert at == START
        self.questions.append((query, label))
        if label not in self.labels:
            raise NoData(f"no label {label}")
        return self.labels[label]


def told(document: Any, **where: Any) -> str | None:
    """Return the version that a service tells at its path."""
    target = FakeTarget()
    target.documents = [document]
    service = small_service(deploy_version={"path": "/version", **where})
    version = read_deploy_version(service, ADDRESSES, target, FakeMetrics({}), at=START)
    assert target.asked == [ADDRESSES]
    return version


def test_a_service_that_does_not_tell() -> None:
    """Nobody is asked."""
    assert read_deploy_version(small_service(), ADDRESSES, FakeTarget(), FakeMetrics({}), at=START) is None


@pytest.mark.parametrize(
    ("document", "field", "version"),
    [
        ({"version": "2.4.1"}, "version", "2.4.1"),
        ({"build": {"git": {"sha": "9f2c61d"}}}, "build.git.sha", "9f2c61d"),
        ({"version": 17}, "version", "17"),
        ({"version": " 2.4.1\x1b[31m\n(blue)\t"}, "version", "2.4.1 [31m (blue)"),
        ({"version": "x" * 200}, "version", "x" * MAX_VERSION),
    ],
)
def test_a_field_of_json(document: Any, field: str, version: str) -> None:
    """By its dotted path; on one line, and no longer than people read."""
    assert told(document, field=field) == version


NO_VERSIONS = [{}, [], "2.4.1", None, *({"version": each} for each in (None, True, "", " \n", ["1"], {"tag": "1"}))]


@pytest.mark.parametrize("document", NO_VERSIONS)
def test_what_is_no_version(document: Any) -> None:
    """Nothing, nothing readable, or not where it should be."""
    with pytest.raises(TargetError, match=r"^orders-service reports no version: its answer has no text at 'version'"):
        told(document)


def test_a_label_of_a_metric() -> None:
    """The query knows the service's selector."""
    metrics = LabelledMetrics({"tag": "2.4.1"})
    service = small_service(deploy_version={"query": "max by (tag) (build_info{$selector})", "label": "tag"})
    assert read_deploy_version(service, ADDRESSES, FakeTarget(), metrics, at=START) == "2.4.1"
    assert metrics.questions == [(f"max by (tag) (build_info{{{SELECTOR}}})", "tag")]


def test_what_cannot_be_had_is_an_error() -> None:
    """Who asks decides what that means."""
    by_path, by_query = (small_service(deploy_version=each) for each in ({"path": "/v"}, {"query": "x"}))
    with pytest.raises(TargetError, match="returned 404 instead of 200"):
        read_deploy_version(by_path, ADDRESSES, FakeTarget(), FakeMetrics({}), at=START)
    with pytest.raises(NoData):
        read_deploy_version(by_query, ADDRESSES, FakeTarget(), LabelledMetrics({}), at=START)


# During a run


def telling(platform: Platform, *versions: str) -> Platform:
    """Let the service tell its version, one answer after another."""
    service = small_service(deploy_version={"path": "/version"})
    platform.catalogue = replace(platform.catalogue, services={service.name: service})
    platform.target.documents = [{"version": each} for each in versions]
    return platform


def test_the_version_is_in_the_record(platform: Platform) -> None:
    """The same before and after the load."""
    record = telling(platform, "2.4.1").execute()
    assert (record.verdict, record.deploy_version) == (Verdict.NO_BASELINE, "2.4.1")


def test_a_deployment_during_the_load_makes_the_run_invalid(platform: Platform) -> None:
    """Figures of two versions are of neither; a second try of the load asks again."""
    record = telling(platform, "2.4.0", "2.4.1").execute()
    assert record.verdict is Verdict.INVALID
    assert record.validity == (
        "the service was deployed during the run: version 2.4.0 before the load, 2.4.1 after it; start a new run",
    )
    uri = platform.plan()
    platform.target.documents = [{"version": each} for each in ("2.4.1", "2.4.2", "2.4.2")]
    for stage in (platform.run_stages.stage_data, platform.run_stages.run_load, platform.run_stages.run_load):
        stage(uri)
    platform.run_stages.scrape(uri)
    assert platform.night_stages.compare([uri])[uri] is Verdict.NO_BASELINE


def test_a_version_that_cannot_be_had_is_only_a_warning(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """The run is as good without it."""
    with caplog.at_level(logging.WARNING):
        record = telling(platform).execute()
    assert (record.verdict, record.deploy_version) == (Verdict.NO_BASELINE, None)
    assert "cannot read the deployed version of orders-service: GET " in caplog.text


def test_a_service_that_tells_nothing_is_not_asked(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """Nor is anything logged of it."""
    with caplog.at_level(logging.WARNING):
        assert platform.execute().deploy_version is None
    assert "deploy version" not in caplog.text
