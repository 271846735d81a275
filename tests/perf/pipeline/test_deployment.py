"""The deploy version: where it is read, what is not a version, and what happens if it cannot be read."""

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


def version_of(document: Any, **where: Any) -> str | None:
    """Return the version that a service reports at its path."""
    target = FakeTarget()
    target.documents = [document]
    service = small_service(deploy_version={"path": "/version", **where})
    version = read_deploy_version(service, ADDRESSES, target, FakeMetrics({}), at=START)
    assert target.asked == [ADDRESSES]
    return version


def test_a_secret_in_the_version_is_masked() -> None:
    """The version is stored, and a service may repeat its credentials there."""
    target = FakeTarget()
    target.secret = "pl4nted"
    target.documents = [{"version": "2.4.1 pl4nted"}]
    service = small_service(deploy_version={"path": "/version"})
    assert read_deploy_version(service, ADDRESSES, target, FakeMetrics({}), at=START) == "2.4.1 ***"


def test_a_service_without_a_deploy_version() -> None:
    """Nothing is requested."""
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
    """It is found by its dotted path, put on one line, and cut."""
    assert version_of(document, field=field) == version


NO_VERSIONS = [
    {},
    [],
    "2.4.1",
    None,
    *({"version": version} for version in (None, True, "", " \n", ["1"], {"tag": "1"})),
]


@pytest.mark.parametrize("document", NO_VERSIONS)
def test_an_answer_without_a_version_is_an_error(document: Any) -> None:
    """The field is missing, empty, not text, or elsewhere."""
    with pytest.raises(TargetError, match=r"^orders-service reports no version: its answer has no text at 'version'"):
        version_of(document)


def test_a_label_of_a_metric() -> None:
    """The query contains the selector of the service."""
    metrics = LabelledMetrics({"tag": "2.4.1"})
    service = small_service(deploy_version={"query": "max by (tag) (build_info{$selector})", "label": "tag"})
    assert read_deploy_version(service, ADDRESSES, FakeTarget(), metrics, at=START) == "2.4.1"
    assert metrics.questions == [(f"max by (tag) (build_info{{{SELECTOR}}})", "tag")]


def test_a_version_that_cannot_be_read_is_an_error() -> None:
    """The caller decides what that means."""
    by_path, by_query = (small_service(deploy_version=source) for source in ({"path": "/v"}, {"query": "x"}))
    with pytest.raises(TargetError, match="returned 404 instead of 200"):
        read_deploy_version(by_path, ADDRESSES, FakeTarget(), FakeMetrics({}), at=START)
    with pytest.raises(NoData):
        read_deploy_version(by_query, ADDRESSES, FakeTarget(), LabelledMetrics({}), at=START)


# During a run


def telling(platform: Platform, *versions: str) -> Platform:
    """Let the service report its versions, one per request."""
    service = small_service(deploy_version={"path": "/version"})
    platform.catalogue = replace(platform.catalogue, services={service.name: service})
    platform.target.documents = [{"version": version} for version in versions]
    return platform


def test_the_version_is_in_the_record(platform: Platform) -> None:
    """It is the same before and after the load."""
    record = telling(platform, "2.4.1").execute()
    assert (record.verdict, record.deploy_version) == (Verdict.NO_BASELINE, "2.4.1")


def test_a_deployment_during_the_load_makes_the_run_invalid(platform: Platform) -> None:
    """The figures belong to neither version; a second try of the load reads the version again."""
    record = telling(platform, "2.4.0", "2.4.1").execute()
    assert record.verdict is Verdict.INVALID
    assert record.validity == (
        "the service was deployed during the run: version 2.4.0 before the load, 2.4.1 after it; start a new run",
    )
    uri = platform.plan()
    platform.target.documents = [{"version": version} for version in ("2.4.1", "2.4.2", "2.4.2")]
    for stage in (platform.run_stages.stage_data, platform.run_stages.run_load, platform.run_stages.run_load):
        stage(uri)
    platform.run_stages.scrape(uri)
    assert platform.night_stages.compare([uri])[uri] is Verdict.NO_BASELINE


def test_an_unreadable_version_is_only_a_warning(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """The run does not need it."""
    with caplog.at_level(logging.WARNING):
        record = telling(platform).execute()
    assert (record.verdict, record.deploy_version) == (Verdict.NO_BASELINE, None)
    assert "cannot read the deployed version of orders-service: GET " in caplog.text


def test_no_version_is_read_without_a_deploy_version(platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is logged, either."""
    with caplog.at_level(logging.WARNING):
        assert platform.execute().deploy_version is None
    assert "deploy version" not in caplog.text
