"""Objects: conditional writes, and the messages when a server fails."""

import multiprocessing
from collections.abc import Iterator
from dataclasses import replace

import pytest
from botocore.config import Config

from include.perf.adapters.s3 import client
from include.perf.adapters.s3.client import S3Login
from include.perf.adapters.s3.objects import Objects
from include.perf.adapters.s3.place import S3Place, s3_place
from include.perf.model.errors import ConfigurationError, StoreError
from tests.object_stores import ObjectStore, Proxy
from tests.socket_servers import Serve, Talk, always, answer, free_port

XML = "<Error><Code>{}</Code><Message>{}</Message></Error>"


@pytest.fixture(autouse=True)
def _short_timeouts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients with a read timeout of half a second."""
    monkeypatch.setattr(client, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    client.client_in.cache_clear()
    yield
    client.client_in.cache_clear()


def with_login(objects: Objects, login: S3Login) -> Objects:
    """Return the same objects with another login."""
    return Objects(objects.place, lambda: login)


# Conditional writes


def test_only_one_of_two_conflicting_writes_succeeds(objects: Objects) -> None:
    """The other one is refused and changes nothing."""
    first = objects.swap("a", b"1", expected=None)
    assert first is not None
    assert objects.swap("a", b"2", expected=None) is None
    second = objects.swap("a", b"3", expected=first)
    assert second is not None
    assert objects.swap("a", b"4", expected=first) is None
    assert objects.version("a") is not None
    assert (objects.read("a"), objects.etag("a")) == (b"3", second)


def test_a_removed_object_conflicts(objects: Objects) -> None:
    """It was removed after it was read."""
    etag = objects.swap("a", b"1", expected=None)
    objects.remove("a")
    assert objects.swap("a", b"2", expected=etag) is None
    assert (objects.read("a"), objects.etag("a")) == (None, None)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_write_whose_response_was_lost_succeeds(
    s3: ObjectStore, objects: Objects, proxy: Proxy, is_there: bool
) -> None:
    """The server refuses the repeated request because the first one succeeded."""
    expected = objects.swap("a", b"1", expected=None) if is_there else None
    proxy.lost_answers = 1
    assert with_login(objects, s3.through(proxy)).swap("a", b"2", expected=expected) == objects.etag("a")
    assert (objects.read("a"), proxy.lost_answers) == (b"2", 0)


def test_a_server_that_supports_conditions(objects: Objects) -> None:
    """The check passes, also when it is repeated."""
    objects.check_conditions()
    objects.check_conditions()


@pytest.mark.parametrize("kept", [set(), {b"if-none-match"}, {b"if-match"}])
def test_a_server_that_ignores_conditions(serve: Serve, kept: set[bytes]) -> None:
    """It could silently lose a baseline, also if it supports only one of the two conditions."""
    written: list[bytes] = []

    def script(talk: Talk) -> None:
        while (request := talk.read_request()) is not None:
            names = {line.partition(b":")[0].lower() for line in request.split(b"\r\n")}
            is_refused = written and names & kept
            if request.startswith(b"PUT") and not is_refused:
                written.append(request)
            status = "412 Precondition Failed" if request.startswith(b"PUT") and is_refused else "200 OK"
            body = XML.format("PreconditionFailed", "").encode() if is_refused else b""
            talk.send(answer(body, status=status, headers='ETag: "mark"\r\n'))

    login = S3Login(access_key_id="a", secret_access_key="b", endpoint_url=serve(script).url, region_name="us-east-1")
    objects = Objects(S3Place(bucket="bucket", prefix="results"), lambda: login)
    with pytest.raises(StoreError, match=r"^s3://bucket/results ignores If-Match and If-None-Match, so concurrent"):
        objects.check_conditions()


# Failures


@pytest.mark.parametrize("fault", ["reset", "503"])
def test_a_failed_request_is_retried(s3: ObjectStore, objects: Objects, proxy: Proxy, fault: str) -> None:
    """Without an error."""
    objects.write("a", b"1")
    proxy.faults = [fault]
    assert with_login(objects, s3.through(proxy)).read("a") == b"1"


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (
            "reset",
            r"cannot be reached or does not answer \(the connection was closed without a response\); check network",
        ),
        ("silent", r"cannot be reached or does not answer \(no response within 0\.5 s\); check network"),
        ("503", r"still fails after 2 attempts \(SlowDown\); try again later$"),
    ],
)
def test_a_server_that_keeps_failing(s3: ObjectStore, objects: Objects, proxy: Proxy, fault: str, message: str) -> None:
    """The message has the action, the URI and the remedy."""
    proxy.fault = fault
    login = s3.through(proxy)
    where = f"{objects.place.uri}/a: {login.endpoint_url} "
    far = with_login(objects, login)
    for action, access in (
        ("read", lambda: far.read("a")),
        ("write", lambda: far.write("a", b"1")),
        ("remove", lambda: far.remove("a")),
    ):
        with pytest.raises(StoreError, match=f"^cannot {action} {where}{message}"):
            access()
    with pytest.raises(StoreError, match=f"^cannot list {objects.place.uri}/a/: {login.endpoint_url} {message}"):
        list(far.listed("a"))


def test_a_server_that_is_down(objects: Objects) -> None:
    """The message has the URL, but not the key."""
    login = S3Login(access_key_id="key-id", secret_access_key="s3cr3t", endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError, match=r"cannot be reached .*\(no connection\)") as caught:
        with_login(objects, replace(login, region_name="us-east-1")).read("a")
    assert login.endpoint_url is not None
    assert login.endpoint_url in str(caught.value)
    assert "s3cr3t" not in f"{caught.value}{login!r}"


def test_an_invalid_endpoint_url(objects: Objects) -> None:
    """The message says what it must be, and where it is set."""
    far = with_login(objects, S3Login(endpoint_url="minio:9000", region_name="us-east-1", given_in="the vault"))
    problem = f"{objects.place.uri}/a: endpoint_url must be a URL such as http://minio:9000, but is 'minio:9000'; "
    with pytest.raises(StoreError, match=f"^cannot read {problem}correct it in the vault, or AWS_ENDPOINT_URL_S3$"):
        far.read("a")
    with pytest.raises(StoreError, match=f"^cannot write {problem}"):
        far.write("a", b"1")


def test_errors_of_a_reader_are_passed_on(objects: Objects) -> None:
    """Content that a reader cannot parse is not a failure of the store."""
    objects.write("a", b"not a number")
    with pytest.raises(ValueError, match="invalid literal"), objects.opened("a") as body:
        int(body.read())


def test_a_missing_bucket(s3: ObjectStore) -> None:
    """When reading and when writing."""
    objects = Objects(S3Place(bucket="nobodys", prefix=""), lambda: s3.login)
    problem = f"there is no bucket nobodys at {s3.login.endpoint_url}; create it, or correct the URI"
    with pytest.raises(StoreError, match=f"^cannot read s3://nobodys/a: {problem}"):
        objects.read("a")
    with pytest.raises(StoreError, match=r"^cannot write s3://nobodys/a: there is no bucket nobodys"):
        objects.write("a", b"")


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (
            "403 Forbidden",
            "AccessDenied",
            r"no permission for this in bucket bucket \(AccessDenied\); docs/storage\.md lists",
        ),
        (
            "403 Forbidden",
            "InvalidAccessKeyId",
            r"rejected the credentials \(InvalidAccessKeyId\); correct them in the vault$",
        ),
        ("403 Forbidden", "SignatureDoesNotMatch", r"rejected the credentials \(SignatureDoesNotMatch\); correct them"),
        (
            "403 Forbidden",
            "RequestTimeTooSkewed",
            r"the clock of this machine differs from that of .* \(RequestTimeTooSkewed\); set it$",
        ),
        ("400 Bad Request", "AuthorizationHeaderMalformed", r"bucket bucket is in another region"),
        ("501 Not Implemented", "NotImplemented", r"does not support this request \(NotImplemented\)"),
        ("400 Bad Request", "Whatever", r"refused the request \(Whatever\)$"),
    ],
)
def test_refused_requests(serve: Serve, status: str, code: str, message: str) -> None:
    """The text of the server is not repeated, because it may contain secrets."""
    url = serve(always(answer(XML.format(code, "key-id s3cr3t").encode(), status=status))).url
    login = S3Login(
        access_key_id="key-id", secret_access_key="s3cr3t", endpoint_url=url, region_name="eu-1", given_in="the vault"
    )
    with pytest.raises(StoreError, match=f"^cannot write s3://bucket/a: .*{message}") as caught:
        Objects(S3Place(bucket="bucket", prefix=""), lambda: login).write("a", b"")
    assert "s3cr3t" not in str(caught.value)


def test_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says where to set them."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/none",
        "AWS_CONFIG_FILE": "/none",
    }.items():
        monkeypatch.setenv(name, value)
    login = S3Login(endpoint_url="http://127.0.0.1:1", region_name="us-east-1")
    message = r"no credentials or no region are set for http://127\.0\.0\.1:1; set them in AWS_ACCESS_KEY_ID and"
    with pytest.raises(StoreError, match=message):
        Objects(S3Place(bucket="bucket", prefix=""), lambda: login).read("a")


# URIs


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix", "normal"),
    [
        ("s3://bucket", "bucket", "", "s3://bucket"),
        ("s3://bucket/", "bucket", "", "s3://bucket"),
        ("s3://my-bucket.eu/a/b%20c/", "my-bucket.eu", "a/b c", "s3://my-bucket.eu/a/b%20c"),
    ],
)
def test_a_uri_has_a_bucket_and_a_prefix(uri: str, bucket: str, prefix: str, normal: str) -> None:
    """It is percent-encoded."""
    place = s3_place(uri, setting="X")
    assert (place.bucket, place.prefix, place.uri) == (bucket, prefix, normal)
    assert place.path_of(place.uri_of("a/b ü")) == "a/b ü"


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///a", "s3://Bucket/a", "s3://b/a", "s3://bucket/a//b", "s3://bucket/../a"]
)
def test_an_invalid_uri(uri: str) -> None:
    """The message says which setting has it and what it must be."""
    with pytest.raises(ConfigurationError, match=r"^BELLWETHER_BASELINES must be s3://bucket/prefix, .*, but is 's3:"):
        s3_place(uri, setting="BELLWETHER_BASELINES")


def test_a_forked_process_has_its_own_connections(s3: ObjectStore, objects: Objects) -> None:
    """On a shared connection they would read each other's responses: 2 × 30 concurrent reads of different objects."""
    for name in "ab":
        objects.write(name, name.encode() * 1000)
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(2), context.Queue()

    def read(name: str) -> None:
        start.wait()
        results.put({objects.read(name) == name.encode() * 1000 for _ in range(30)})

    processes = [context.Process(target=read, args=(name,)) for name in "ab"]
    for process in processes:
        process.start()
    assert [results.get(timeout=60) for _ in processes] == [{True}, {True}]
    for process in processes:
        process.join(timeout=60)


def test_timeouts(s3: ObjectStore) -> None:
    """Of connecting and of reading."""
    config: Config = client.client_of(s3.login).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 0.5)
