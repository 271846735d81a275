"""Signed requests: the test vectors that brokers and AWS publish, and what every request repeats or does not."""

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote, unquote

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials as AwsCredentials

from include.perf.catalogue.endpoint import Endpoint
from include.perf.catalogue.service import Service
from include.perf.load.captures import Captured
from include.perf.load.examples import ExampleMoment, example_requests
from include.perf.load.feed import Feed, FeedEndpoint, Request, read_feed
from include.perf.load.request_bytes import RequestSettings, prepared_bytes, single_request
from include.perf.load.request_template import RequestTemplate
from include.perf.load.service_secrets import ServiceSecrets, SigningKey
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import SlotRequests
from include.perf.load.staging import build_feed
from include.perf.model.errors import ConfigurationError
from tests.fakes.small_catalogue import small_scenario, small_service, write_csv
from tests.real_loads import service_at

URL = "https://broker.example"
AT = 1_764_579_600.25
AWS_KEY = SigningKey(secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", key_id="AKIDEXAMPLE")
BROKER_KEY = SigningKey(secret="s3cr3t+key", key_id="id+1/a")


def settings_of(service: Service, key: SigningKey | None, headers: Mapping[str, str] | None = None) -> RequestSettings:
    return RequestSettings(
        base_url=service.base_url,
        headers=service.headers,
        secrets=ServiceSecrets(headers=headers or {}, signing_key=key),
        keep_alive=True,
        signing=service.signing,
    )


def broker(signing: Mapping[str, Any], url: str = URL, **changes: Any) -> Service:
    return service_at(url, connection="broker", signing=signing, **changes)


def signed(
    service: Service,
    method: str,
    request: Request,
    *,
    key: SigningKey = BROKER_KEY,
    at: float = AT,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return a request without slots of its own, signed at a time."""
    prepared = prepared_bytes(method, [request], settings_of(service, key, headers))
    values = SlotValues(prepared.slots, {}, Draw())
    values.start(at)
    return SlotRequests(prepared.wires, values, signatures=prepared.signatures).wire(0, ExampleMoment(7, 0))


def fields_of(wire: bytes) -> dict[str, str]:
    head = wire.partition(b"\r\n\r\n")[0].decode("latin-1")
    return dict(line.split(": ", 1) for line in head.split("\r\n")[1:])


def target_of(wire: bytes) -> str:
    return wire.split(b" ", 2)[1].decode()


def test_the_query_of_binance() -> None:
    """The example of "SIGNED endpoint security" of the Binance Spot API."""
    service = broker(
        {
            "parts": ["query", "body"],
            "query": "signature",
            "timestamp": {"query": "timestamp"},
            "key_id": {"header": "X-MBX-APIKEY"},
        }
    )
    key = SigningKey(secret="NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j", key_id="vmPUZE6mv9")
    query = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000"
    wire = signed(service, "POST", Request(f"/api/v3/order?{query}", None), key=key, at=1_499_827_319.559)
    assert target_of(wire) == (
        f"/api/v3/order?{query}&timestamp=1499827319559"
        "&signature=c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    )
    assert fields_of(wire)["X-MBX-APIKEY"] == "vmPUZE6mv9"


def test_the_nested_hash_of_kraken() -> None:
    """The example of "Authentication" of the Kraken API: a hash of other parts, as bytes, under a base64 secret."""
    body = b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25"
    service = broker(
        {
            "parts": ["path", {"hash": [{"text": "1616492376594"}, "body"], "algorithm": "sha256", "encoding": "raw"}],
            "algorithm": "sha512",
            "secret_encoding": "base64",
            "encoding": "base64",
            "header": "API-Sign",
        }
    )
    key = SigningKey(secret="kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==")
    wire = signed(service, "POST", Request("/0/private/AddOrder", body), key=key)
    assert fields_of(wire)["API-Sign"] == (
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    )


@pytest.mark.parametrize("given", [b"pair=XBTUSD", b""])
def test_a_nonce_in_the_form(given: bytes) -> None:
    """As Kraken wants it; the length of the body counts it."""
    signing = {
        "parts": [{"hash": ["nonce", "body"], "encoding": "raw"}],
        "header": "X-Sign",
        "nonce": {"form": "nonce"},
    }
    form = [{"name": "orders", "method": "POST", "path": "/orders", "form": {}}]
    wire = signed(broker(signing, endpoints=form), "POST", Request("/orders", given))
    body = wire.partition(b"\r\n\r\n")[2]
    nonce = body.rpartition(b"nonce=")[2]
    assert body == given + (b"&" if given else b"") + b"nonce=" + nonce
    assert fields_of(wire)["Content-Length"] == str(len(body))
    mac = hmac.digest(b"s3cr3t+key", hashlib.sha256(nonce + body).digest(), "sha256")
    assert fields_of(wire)["X-Sign"] == mac.hex()


def test_a_health_check_has_no_form() -> None:
    """Its request stays without a body; the nonce is signed all the same."""
    signing = {"parts": ["nonce", "path"], "header": "X-Sign", "nonce": {"form": "nonce"}}
    form = [{"name": "orders", "method": "POST", "path": "/orders", "form": {}}]
    wire = signed(broker(signing, endpoints=form), "GET", Request("/healthz", None))
    assert wire.endswith(b"\r\n\r\n")
    assert re.fullmatch("[0-9a-f]{64}", fields_of(wire)["X-Sign"])


AWS = {"style": "aws", "region": "us-east-1", "service": "service"}
AWS_TIME = 1_440_938_160.0  # 2015-08-30 12:36:00 UTC


@pytest.mark.parametrize(
    ("method", "target", "signature"),
    [
        ("GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("GET", "/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        ("POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
    ],
    ids=["get-vanilla", "get-vanilla-query-order-key-case", "post-vanilla"],
)
def test_the_test_suite_of_aws(method: str, target: str, signature: str) -> None:
    """The Signature Version 4 Test Suite."""
    service = broker(AWS, "https://example.amazonaws.com")
    wire = signed(service, method, Request(target, None), key=AWS_KEY, at=AWS_TIME)
    assert fields_of(wire)["X-Amz-Date"] == "20150830T123600Z"
    assert fields_of(wire)["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders=host;x-amz-date, Signature={signature}"
    )


@pytest.mark.parametrize(
    ("method", "target", "params", "body"),
    [
        ("GET", "/prices/EUR%2FUSD/a%20b", {}, None),
        ("GET", "/prices//list?b=2&a=%C3%A9&a=1&flag&c=", {}, None),
        ("GET", "/info?full=yes/no,maybe:*", {"full": "yes/no,maybe:*"}, None),
        ("POST", "/orders?x=1", {}, b'{"price":"1.0845","note":"\xc3\xa9 100%"}'),
        ("PUT", "/orders:batch/(1)", {}, b""),
    ],
)
def test_aws_signatures_agree_with_botocore(
    method: str, target: str, params: dict[str, str], body: bytes | None
) -> None:
    """Escaped paths, odd queries, bodies and a session token of the Connection."""
    secret_headers = {"X-Amz-Security-Token": "t0ken  of a   session"}
    service = broker(AWS | {"service": "execute-api", "region": "eu-west-1"})
    wire = signed(service, method, Request(target, body), key=AWS_KEY, at=AT, headers=secret_headers)
    sent = fields_of(wire)
    reference = AWSRequest(
        method=method,
        url=URL + (target.partition("?")[0] if params else target),
        data=body or b"",
        params=params,
        headers={name: sent[name] for name in ("Content-Type", *secret_headers) if name in sent},
    )
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(int(AT), UTC)):
        SigV4Auth(AwsCredentials(AWS_KEY.key_id, AWS_KEY.secret), "execute-api", "eu-west-1").add_auth(reference)
    assert sent["Authorization"] == reference.headers["Authorization"]


@pytest.mark.parametrize(
    ("method", "target", "body", "payload"),
    [
        ("GET", "/bucket/prices/EUR/a%20b", None, None),
        ("GET", "/bucket//prices//?list-type=2&prefix=a%2Fb&flag", None, None),
        ("PUT", "/bucket/orders:batch/(1)@x", b'{"price":"1.0845","note":"\xc3\xa9 100%"}', None),
        ("PUT", "/bucket/key", b"body", "unsigned"),
        ("DELETE", "/bucket/key~1", None, "hash"),
    ],
)
def test_signatures_of_s3_agree_with_botocore(
    method: str, target: str, body: bytes | None, payload: str | None
) -> None:
    """Paths are encoded once, as every client of S3 sends them, and a header says what is signed of the body."""
    given = AWS | {"service": "s3"} | ({} if payload is None else {"payload": payload})
    wire = signed(broker(given), method, Request(target, body), key=AWS_KEY, at=AT)
    sent = fields_of(wire)
    expected = "UNSIGNED-PAYLOAD" if payload == "unsigned" else hashlib.sha256(body or b"").hexdigest()
    assert sent["X-Amz-Content-Sha256"] == expected
    path, mark, query = target.partition("?")
    url = URL + quote(unquote(path), safe="/-_.~") + mark + query
    reference = AWSRequest(method=method, url=url, data=body or b"")
    if "Content-Type" in sent:
        reference.headers["Content-Type"] = sent["Content-Type"]
    reference.context["client_config"] = Config(s3={"payload_signing_enabled": payload != "unsigned"})
    with patch("botocore.auth.get_current_datetime", lambda: datetime.fromtimestamp(int(AT), UTC)):
        S3SigV4Auth(AwsCredentials(AWS_KEY.key_id, AWS_KEY.secret), "s3", "us-east-1").add_auth(reference)
    assert sent["Authorization"] == reference.headers["Authorization"]


def test_another_service_of_aws_may_want_the_hash_of_the_body_too() -> None:
    """Such as the serverless collections of OpenSearch."""
    wire = signed(broker(AWS | {"service": "aoss", "payload": "hash"}), "POST", Request("/x", b"{}"), key=AWS_KEY)
    assert fields_of(wire)["X-Amz-Content-Sha256"] == hashlib.sha256(b"{}").hexdigest()
    assert "x-amz-content-sha256" in fields_of(wire)["Authorization"]


def test_an_endpoint_that_is_not_signed(tmp_path: Path) -> None:
    """Public prices beside signed orders, in the feed of a load and in a single request."""
    endpoints = [
        {"name": "orders", "method": "POST", "path": "/orders", "body": {"id": "$uuid"}},
        {"name": "time", "method": "GET", "path": "/time", "sign": False},
    ]
    service = broker({"parts": ["path"], "header": "X-Sign"}, endpoints=endpoints)
    template = [RequestTemplate(endpoint, headers={}) for endpoint in service.endpoints]
    feed = Feed(
        endpoints=tuple(
            FeedEndpoint(
                name=endpoint.name, method=endpoint.method, weight=1, rows=1, slots=made.slots, is_signed=endpoint.sign
            )
            for endpoint, made in zip(service.endpoints, template, strict=True)
        ),
        requests=tuple((made.request({}),) for made in template),
    )
    feed.write(tmp_path / "feed.jsonl")
    found = read_feed(tmp_path / "feed.jsonl")
    assert [endpoint.is_signed for endpoint in found.endpoints] == [True, False]
    for index, is_signed in enumerate((True, False)):
        wires = prepared_bytes("GET", found.requests[index], settings_of(service, BROKER_KEY)).wires
        assert (b"X-Sign" in wires[0]) is is_signed
        (example,) = example_requests(found, index, [0])
        assert example.is_signed is is_signed


def test_the_parts_of_a_broker() -> None:
    """Timestamp, method, path with query, and body, as many brokers sign them; the own values are filled in before."""
    service = broker(
        {
            "parts": ["timestamp", "nonce", "method", "target", {"header": "X-Tenant"}, "host", "body_hash", "key_id"],
            "separator": "\n",
            "algorithm": "sha384",
            "header": "Authorization",
            "prefix": "HMAC $key_id:",
            "encoding": "base64",
            "timestamp": {"header": "X-Timestamp", "unit": "rfc3339"},
            "nonce": {"header": "X-Nonce"},
            "key_id": {"query": "key"},
        },
        headers={"X-Tenant": "tenant ${random_int(5, 5)}"},
    )
    endpoint = Endpoint.model_validate(
        {
            "name": "orders",
            "method": "POST",
            "path": "/v1/${random_choice(a/b, a/b)}/orders",
            "query": {"id": "$sequence"},
            "body": {"at": "$now", "note": "100 %", "uuid": "$uuid"},
        }
    )
    template = RequestTemplate(endpoint, headers=service.headers)
    requests = [template.request({}), template.request({})]
    prepared = prepared_bytes("POST", requests, settings_of(service, BROKER_KEY), slots=template.slots)
    values = SlotValues(prepared.slots, {}, Draw())
    values.start(AT)
    made = SlotRequests(prepared.wires, values, signatures=prepared.signatures)
    seen = set()
    for number in range(50):
        wire = made.wire(number % 2, ExampleMoment(number, number, due_s=number * 0.001))
        head, _, body = wire.partition(b"\r\n\r\n")
        sent = fields_of(wire)
        assert int(sent["Content-Length"]) == len(body)
        assert sent["X-Timestamp"] == json.loads(body)["at"] == f"2025-12-01T09:00:00.{250 + number:03}Z"
        assert sent["X-Nonce"] == json.loads(body)["uuid"]
        assert target_of(wire).startswith("/v1/a%2Fb/orders?id=")
        assert target_of(wire).endswith("&key=id%2B1%2Fa")
        text = "\n".join(
            [
                *(sent["X-Timestamp"], sent["X-Nonce"], "POST", target_of(wire), "tenant 5", "broker.example"),
                *(hashlib.sha384(body).hexdigest(), "id+1/a"),
            ]
        )
        mac = base64.b64encode(hmac.digest(b"s3cr3t+key", text.encode(), "sha384")).decode()
        assert sent["Authorization"] == f"HMAC id+1/a:{mac}"
        assert b"\xee\x80" not in head
        seen.add(mac)
    assert len(seen) == 50


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        ("s", "1764579600"),
        ("ms", "1764579600250"),
        ("us", "1764579600250000"),
        ("rfc3339", "2025-12-01T09:00:00.250Z"),
        ("basic", "20251201T090000Z"),
    ],
)
@pytest.mark.parametrize("place", ["header", "query"])
def test_the_units_of_a_timestamp(unit: str, text: str, place: str) -> None:
    """It is signed as text, and encoded where it is sent in the query."""
    timestamp = {"unit": unit, place: "ts"}
    service = broker({"parts": ["timestamp"], "query": "sig", "encoding": "base64", "timestamp": timestamp})
    wire = signed(service, "GET", Request("/x?a=1", None))
    mac = base64.b64encode(hmac.digest(b"s3cr3t+key", text.encode(), "sha256")).decode()
    assert unquote(target_of(wire).rpartition("&sig=")[2]) == mac
    assert target_of(wire).endswith("&sig=" + quote(mac, safe=""))
    sent = fields_of(wire)["ts"] if place == "header" else unquote(target_of(wire).split("&")[1]).removeprefix("ts=")
    assert sent == text


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("/x?b=2&a=1&a=0&B=3", "B=3&a=0&a=1&b=2"),
        ("/x", ""),
        ("/x?a-b=1&a=2", "a=2&a-b=1"),
    ],
)
def test_a_sorted_query(target: str, text: str) -> None:
    service = broker({"parts": ["method", "path", "sorted_query"], "separator": "|", "header": "X-Sign"})
    mac = hmac.digest(b"s3cr3t+key", f"GET|/x|{text}".encode(), "sha256").hex()
    assert fields_of(signed(service, "GET", Request(target, None)))["X-Sign"] == mac


def test_a_sequence_as_nonce_rises_with_the_arrivals() -> None:
    service = broker({"parts": ["nonce"], "header": "X-Sign", "nonce": {"header": "X-Nonce", "value": "sequence"}})
    assert fields_of(signed(service, "GET", Request("/x", None)))["X-Nonce"] == "1764579600250007"


def test_a_single_request_is_signed_now() -> None:
    """Smoke runs and health checks sign as a load does."""
    service = broker({"parts": ["timestamp"], "header": "X-Sign", "timestamp": {"header": "X-Time", "unit": "s"}})
    secrets = ServiceSecrets(signing_key=BROKER_KEY)
    sent = fields_of(single_request(service, "GET", Request("/x", None), secrets, keep_alive=False))
    assert abs(int(sent["X-Time"]) - datetime.now(UTC).timestamp()) < 5
    assert sent["X-Sign"] == hmac.digest(b"s3cr3t+key", sent["X-Time"].encode(), "sha256").hex()


@pytest.mark.parametrize(
    "signing",
    [
        {"parts": ["timestamp"], "header": "X-Sign", "timestamp": {"header": "X-Time"}, "secret_encoding": "base64"}
        | {"key_id": {"header": "X-Key"}},
        AWS,
    ],
)
def test_a_shown_request_has_no_signature(signing: Mapping[str, Any]) -> None:
    """A preview has neither the key nor its ID."""
    service = broker(signing)
    secrets = ServiceSecrets(signing_key=BROKER_KEY, headers={"X-Pass": "s3cr3t"}).masked()
    text = single_request(service, "GET", Request("/x", None), secrets, keep_alive=False).decode()
    assert "***" in text
    assert not re.search(r"s3cr3t|id\+1|[0-9a-f]{64}", text)


def test_without_a_key_nothing_is_sent() -> None:
    """Such as in a load process that somebody started without its parent."""
    service = broker({"parts": ["path"], "header": "X-Sign"})
    with pytest.raises(ConfigurationError, match=r"^the requests must be signed, but there is no key"):
        single_request(service, "GET", Request("/x", None), ServiceSecrets(), keep_alive=False)


def test_a_key_is_not_printed() -> None:
    """Not even if the object itself is logged."""
    secrets = ServiceSecrets(signing_key=BROKER_KEY, headers={"X-Pass": "s3cr3t"})
    assert not re.search(r"s3cr3t|id\+1", repr(secrets))
    assert ServiceSecrets.read(json.loads(json.dumps(secrets.message()))) == secrets


def test_a_signature_covers_what_was_captured(tmp_path: Path) -> None:
    """A step is signed when it is due, with the values of its journey in path and body."""
    signing = {"parts": ["method", "target", "body"], "separator": "|", "header": "X-Signature"}
    ask = {"name": "ask", "method": "GET", "path": "/a", "capture": {"x": {"json": "x"}, "n": {"json": "n"}}}
    place = {"name": "place", "method": "POST", "path": "/b/$x", "body": {"n": "$n", "text": "is $x"}}
    service = small_service(endpoints=[{"name": "life", "steps": [ask, place]}], connection="orders", signing=signing)
    feed = build_feed(write_csv(tmp_path / "data.csv"), service, small_scenario().load)
    settings = settings_of(service, BROKER_KEY)
    prepared = prepared_bytes("POST", feed.requests[1], settings, slots=feed.endpoints[1].slots)
    requests = SlotRequests(prepared.wires, SlotValues(prepared.slots, {}, Draw()), signatures=prepared.signatures)
    captured: Captured = {("x", "path"): b"q%20r", ("x", "json"): b"q r", ("n", "value"): b"17"}
    wire = requests.wire(0, ExampleMoment(0, 0, captured=captured))
    body = b'{"n":17,"text":"is q r"}'
    signature = hmac.new(b"s3cr3t+key", b"POST|/b/q%20r|" + body, hashlib.sha256).hexdigest()
    assert wire.startswith(b"POST /b/q%20r HTTP/1.1\r\n")
    assert wire.endswith(b"\r\n\r\n" + body)
    assert f"\r\nX-Signature: {signature}\r\n".encode() in wire
