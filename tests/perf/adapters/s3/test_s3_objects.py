"""Objects: what is written on a condition, and what is said when a server fails."""

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
def _impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Clients that wait for half a second where they would wait for thirty."""
    monkeypatch.setattr(client, "READ_TIMEOUT_S", 0.5)
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    client.client_in.cache_clear()
    yield
    client.client_in.cache_clear()


def beyond(objects: Objects, login: S3Login) -> Objects:
    """Return the same objects for somebody else."""
    return Objects(objects.place, lambda: login)


# Conditions


def test_of_two_who_saw_the_same_one_writes(objects: Objects) -> None:
    """The other one is told, and what was there stays."""
    first = objects.swap("a", b"1", expected=None)
    assert first is not None
    assert objects.swap("a", b"2", expected=None) is None
    second = objects.swap("a", b"3", expected=first)
    assert second is not None
    assert objects.swap("a", b"4", expected=first) is None
    assert objects.version("a") is not None
    assert (objects.read("a"), objects.etag("a")) == (b"3", second)


def test_what_is_gone_is_not_what_it_was(objects: Objects) -> None:
    """Somebody removed it meanwhile."""
    mark = objects.swap("a", b"1", expected=None)
    objects.remove("a")
    assert objects.swap("a", b"2", expected=mark) is None
    assert (objects.read("a"), objects.etag("a")) == (None, None)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_write_whose_answer_was_lost_is_known_as_done(
    s3: ObjectStore, objects: Objects, proxy: Proxy, is_there: bool
) -> None:
    """The client asks again, and is refused because of its own first request."""
    expected = objects.swap("a", b"1", expected=None) if is_there else None
    proxy.lost_answers = 1
    assert beyond(objects, s3.through(proxy)).swap("a", b"2", expected=expected) == objects.etag("a")
    assert (objects.read("a"), proxy.lost_answers) == (b"2", 0)


def test_a_server_that_keeps_conditions(objects: Objects) -> None:
    """Nothing is said, asked once or again."""
    objects.check_conditions()
    objects.check_conditions()


@pytest.mark.parametrize("kept", [set(), {b"if-none-match"}, {b"if-match"}])
def test_a_server_that_takes_no_heed_of_conditions(serve: Serve, kept: set[bytes]) -> None:
    """It would lose a baseline without a word; also one that keeps only half of them."""
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
    with pytest.raises(StoreError, match=r"^s3://bucket/results takes no heed of If-Match and If-None-Match, so that"):
        objects.check_conditions()


# What goes wrong


@pytest.mark.parametrize("fault", ["reset", "503"])
def test_a_server_that_fails_for_a_moment_is_asked_again(
    s3: ObjectStore, objects: Objects, proxy: Proxy, fault: str
) -> None:
    """Nobody is bothered with it."""
    objects.write("a", b"1")
    proxy.faults = [fault]
    assert beyond(objects, s3.through(proxy)).read("a") == b"1"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("reset", r"cannot be reached or does not answer \(ConnectionClosedError\); check network"),
        ("silent", r"cannot be reached or does not answer \(ReadTimeoutError\); check network"),
        ("503", r"fails \(SlowDown\), also when asked again; try again later$"),
    ],
)
def test_a_server_that_goes_on_failing(s3: ObjectStore, objects: Objects, proxy: Proxy, fault: str, said: str) -> None:
    """It is said what could not be done, where, and what to look at."""
    proxy.fault = fault
    login = s3.through(proxy)
    where = f"{objects.place.uri}/a: {login.endpoint_url} "
    far = beyond(objects, login)
    for what, access in (
        ("read", lambda: far.read("a")),
        ("write", lambda: far.write("a", b"1")),
        ("remove", lambda: far.remove("a")),
    ):
        with pytest.raises(StoreError, match=f"^cannot {what} {where}{said}"):
            access()
    with pytest.raises(StoreError, match=f"^cannot list {objects.place.uri}/a/: {login.endpoint_url} {said}"):
        list(far.listed("a"))


def test_a_server_that_is_not_there(objects: Objects) -> None:
    """The address is in the message, the key is not."""
    login = S3Login(access_key_id="key-id", secret_access_key="s3cr3t", endpoint_url=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(StoreError, match=r"cannot be reached .*\(EndpointConnectionError\)") as caught:
        beyond(objects, replace(login, region_name="us-east-1")).read("a")
    assert login.endpoint_url is not None
    assert login.endpoint_url in str(caught.value)
    assert "s3cr3t" not in f"{caught.value}{login!r}"


def test_an_endpoint_that_is_no_address(objects: Objects) -> None:
    """It is said what it must be, and where it stands."""
    far = beyond(objects, S3Login(endpoint_url="minio:9000", region_name="us-east-1", given_in="the vault"))
    said = f"{objects.place.uri}/a: endpoint_url must be an address such as http://minio:9000, but is 'minio:9000'; "
    with pytest.raises(StoreError, match=f"^cannot read {said}correct it in the vault, or AWS_ENDPOINT_URL_S3$"):
        far.read("a")
    with pytest.raises(StoreError, match=f"^cannot write {said}"):
        far.write("a", b"1")


def test_what_goes_wrong_with_an_open_object_is_told_as_it_is(objects: Objects) -> None:
    """It is no trouble of the store's when a reader cannot make sense of what is in it."""
    objects.write("a", b"no number")
    with pytest.raises(ValueError, match="invalid literal"), objects.opened("a") as body:
        int(body.read())


def test_a_bucket_that_is_not_there(s3: ObjectStore) -> None:
    """For reading and for writing."""
    objects = Objects(S3Place(bucket="nobodys", prefix=""), lambda: s3.login)
    said = f"^cannot read s3://nobodys/a: there is no bucket nobodys at {s3.login.endpoint_url}; make it, or correct"
    with pytest.raises(StoreError, match=said):
        objects.read("a")
    with pytest.raises(StoreError, match=r"^cannot write s3://nobodys/a: there is no bucket nobodys"):
        objects.write("a", b"")


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (
            "403 Forbidden",
            "AccessDenied",
            r"no right to do that in bucket bucket \(AccessDenied\); docs/storage\.md lists",
        ),
        (
            "403 Forbidden",
            "InvalidAccessKeyId",
            r"refuses the credentials \(InvalidAccessKeyId\); correct them in the vault$",
        ),
        ("403 Forbidden", "SignatureDoesNotMatch", r"refuses the credentials \(SignatureDoesNotMatch\); correct them"),
        (
            "403 Forbidden",
            "RequestTimeTooSkewed",
            r"finds this machine's clock wrong \(RequestTimeTooSkewed\); set it$",
        ),
        ("400 Bad Request", "AuthorizationHeaderMalformed", r"bucket bucket is in another region"),
        ("501 Not Implemented", "NotImplemented", r"does not know what is asked of it \(NotImplemented\)"),
        ("400 Bad Request", "Whatever", r"refuses it \(Whatever\)$"),
    ],
)
def test_what_a_server_refuses(serve: Serve, status: str, code: str, said: str) -> None:
    """In our words: what the server says besides may have secrets in it."""
    url = serve(always(answer(XML.format(code, "key-id s3cr3t").encode(), status=status))).url
    login = S3Login(
        access_key_id="key-id", secret_access_key="s3cr3t", endpoint_url=url, region_name="eu-1", given_in="the vault"
    )
    with pytest.raises(StoreError, match=f"^cannot write s3://bucket/a: .*{said}") as caught:
        Objects(S3Place(bucket="bucket", prefix=""), lambda: login).write("a", b"")
    assert "s3cr3t" not in str(caught.value)


def test_without_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are to be set is said."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_SHARED_CREDENTIALS_FILE": "/none",
        "AWS_CONFIG_FILE": "/none",
    }.items():
        monkeypatch.setenv(name, value)
    login = S3Login(endpoint_url="http://127.0.0.1:1", region_name="us-east-1")
    said = (
        r"there are no credentials or there is no region for http://127\.0\.0\.1:1; set them in AWS_ACCESS_KEY_ID and"
    )
    with pytest.raises(StoreError, match=said):
        Objects(S3Place(bucket="bucket", prefix=""), lambda: login).read("a")


# Addresses


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix", "normal"),
    [
        ("s3://bucket", "bucket", "", "s3://bucket"),
        ("s3://bucket/", "bucket", "", "s3://bucket"),
        ("s3://my-bucket.eu/a/b%20c/", "my-bucket.eu", "a/b c", "s3://my-bucket.eu/a/b%20c"),
    ],
)
def test_an_address_names_a_bucket_and_a_prefix(uri: str, bucket: str, prefix: str, normal: str) -> None:
    """Quoted as every address."""
    place = s3_place(uri, setting="X")
    assert (place.bucket, place.prefix, place.uri) == (bucket, prefix, normal)
    assert place.path_of(place.uri_of("a/b ü")) == "a/b ü"


@pytest.mark.parametrize(
    "uri", ["s3://", "s3:///a", "s3://Bucket/a", "s3://b/a", "s3://bucket/a//b", "s3://bucket/../a"]
)
def test_an_address_that_is_none(uri: str) -> None:
    """It is said where it stands and what it must be."""
    with pytest.raises(ConfigurationError, match=r"^BELLWETHER_BASELINES must be s3://bucket/prefix, .*, but is 's3:"):
        s3_place(uri, setting="BELLWETHER_BASELINES")


def test_a_process_that_was_forked_has_connections_of_its_own(s3: ObjectStore, objects: Objects) -> None:
    """On a shared one each would read what the other was answered: 2 × 30 reads of different objects at once."""
    for name in "ab":
        objects.write(name, name.encode() * 1000)
    context = multiprocessing.get_context("fork")
    start, told = context.Barrier(2), context.Queue()

    def read(name: str) -> None:
        start.wait()
        told.put({objects.read(name) == name.encode() * 1000 for _ in range(30)})

    processes = [context.Process(target=read, args=(name,)) for name in "ab"]
    for process in processes:
        process.start()
    assert [told.get(timeout=60) for _ in processes] == [{True}, {True}]
    for process in processes:
        process.join(timeout=60)


def test_how_long_an_answer_may_take(s3: ObjectStore) -> None:
    """Nobody waits for ever, and a connection is not waited for longer than five seconds."""
    config: Config = client.client_of(s3.login).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 0.5)
