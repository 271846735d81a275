"""The connection to the object store: its credentials, and that they are not shown."""

import json
import logging
from pathlib import Path

import pytest
from airflow.sdk.log import redact
from bellwether import alerting, upkeep_tasks
from bellwether.wiring import AirflowS3, storage

from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.wiring.storage import Storage
from include.perf.model.errors import ConfigurationError, StoreError
from tests.catalogues import catalogue_folder
from tests.object_stores import ObjectStore

CONNECTION = "AIRFLOW_CONN_BELLWETHER_S3"
SECRET = "s3cr3t-0815-key"


def connection(**fields: object) -> str:
    """Return a connection as Airflow reads it from the environment."""
    return json.dumps({"conn_type": "aws", **fields})


@pytest.fixture
def _only_the_connection(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Results and baselines in a bucket; only the connection has credentials and endpoint."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name in ("ALERTS", "INDEX", "LOAD_LOCKS", "RULES"):
        monkeypatch.delenv(f"BELLWETHER_{name}", raising=False)
    bucket, login = s3.bucket(), s3.login
    extra = {"endpoint_url": login.endpoint_url, "region_name": login.region_name}
    given = connection(login=login.access_key_id, password=SECRET, extra=json.dumps(extra))
    monkeypatch.setenv(CONNECTION, given)
    monkeypatch.setenv("BELLWETHER_RESULTS_URI", f"s3://{bucket}/results")
    monkeypatch.setenv("BELLWETHER_BASELINES", f"s3://{bucket}/baselines.json")


def test_the_connection_has_credentials_and_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret is in no text, and is masked in the logs."""
    extra = {"endpoint_url": "http://minio:9000", "region_name": "eu-1"}
    monkeypatch.setenv(CONNECTION, connection(login="key-id", password=SECRET, extra=json.dumps(extra)))
    login = AirflowS3()()
    assert login == S3Login(
        access_key_id="key-id",
        secret_access_key=SECRET,
        endpoint_url="http://minio:9000",
        region_name="eu-1",
        given_in="the connection bellwether_s3",
    )
    assert SECRET not in repr(login)
    assert redact(f"it is {SECRET}") == "it is ***"


def test_without_a_connection_boto3_finds_the_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine role needs no keys; a connection may have only the endpoint."""
    monkeypatch.delenv(CONNECTION, raising=False)
    assert AirflowS3()() == S3Login(given_in="the connection bellwether_s3, or where else boto3 finds them")
    monkeypatch.setenv(CONNECTION, connection(extra=json.dumps({"endpoint_url": "http://minio:9000"})))
    assert AirflowS3()() == S3Login(endpoint_url="http://minio:9000", given_in="the connection bellwether_s3")


@pytest.mark.parametrize("half", [{"login": "key-id"}, {"password": SECRET}])
def test_one_key_without_the_other_is_refused(monkeypatch: pytest.MonkeyPatch, half: dict[str, str]) -> None:
    """boto3's own keys must not replace them."""
    monkeypatch.setenv(CONNECTION, connection(**half))
    with pytest.raises(ConfigurationError, match=r"^the connection bellwether_s3 must have the access key id as login"):
        AirflowS3()()


def test_a_connection_that_is_no_longer_found_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Airflow also says "not found" if it cannot read it; boto3's own credentials must not be used."""
    given = connection(login="key-id", password=SECRET)
    monkeypatch.setenv(CONNECTION, given)
    access = AirflowS3()
    login = access()
    monkeypatch.delenv(CONNECTION)
    for _ in range(2):
        with pytest.raises(StoreError, match=r"^the connection bellwether_s3 is no longer found; try again"):
            access()
    monkeypatch.setenv(CONNECTION, given)
    assert access() == login


@pytest.mark.usefixtures("_only_the_connection")
def test_tasks_use_the_object_store(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Alerts and the removal of old data use the credentials of the connection, which no log contains."""
    monkeypatch.setenv("BELLWETHER_CATALOGUE", str(catalogue_folder(tmp_path)))
    caplog.set_level(logging.DEBUG)
    assert storage().results().root_uri.startswith("s3://")
    storage().results().create(service="a", scenario="b", run_id="r1")
    alerting.deliver()
    storage().alerts().update(lambda _: None)
    cleared = upkeep_tasks.prune.function()
    assert cleared["failed"] == {}
    assert SECRET not in caplog.text


@pytest.mark.usefixtures("_only_the_connection")
def test_missing_credentials_name_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where to add them."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/none")
    monkeypatch.setenv(CONNECTION, connection(extra=json.dumps({"region_name": "eu-1"})))
    with pytest.raises(
        StoreError, match=r"no credentials or no region are set .*; set them in the connection bellwether_s3$"
    ):
        storage().baselines().read()
    assert Storage().s3() == S3Login()
