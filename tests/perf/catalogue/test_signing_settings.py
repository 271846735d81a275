"""What the catalogue says about signatures, and what it refuses."""

import re
import textwrap
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from include.perf.catalogue.service import Service
from include.perf.catalogue.signed_parts import PARTS
from include.perf.model.yaml_entries import PROJECT_ROOT
from tests.real_loads import service_at

HEADER = {"parts": ["method", "target", "body"], "header": "X-Signature"}
AWS = {"style": "aws", "region": "eu-west-1", "service": "execute-api"}


def signed(signing: dict[str, Any], **changes: Any) -> Service:
    return service_at("https://broker.example", **{"connection": "broker", "signing": signing, **changes})


def problem_of(signing: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        signed(signing, **changes)
    return str(caught.value)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_part_by_its_name(name: str) -> None:
    places = {"timestamp": {"header": "X-Time"}, "nonce": {"header": "X-Nonce"}, "key_id": {"query": "key"}}
    service = signed({"parts": [name], "header": "X-Signature", **places})
    assert Service.model_validate_json(service.model_dump_json()) == service


def test_white_space_of_a_signature_counts() -> None:
    """A separator is often a line break, which the other entries of the catalogue do not have."""
    signing = signed({**HEADER, "separator": "\n", "parts": ["method", {"text": " \n"}]}).signing
    assert signing is not None
    assert signing.model_dump()["separator"] == "\n"
    assert signing.model_dump()["parts"][1] == {"text": " \n"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"parts": ["methd"]}, "'methd' is not a part of a request that can be signed; known: method, path, query,"),
        ({"parts": [{"hash": ["boddy"]}]}, "'boddy' is not a part of a request"),
        ({"parts": [{"head": "X-Time"}]}, "needs a known part, {header: …}, {text: …} or {hash: […]}, but is"),
        ({"parts": []}, "needs at least one part, such as body"),
        ({"parts": ["timestamp"]}, "the part timestamp needs the setting timestamp, which says where it is sent"),
        ({"parts": [{"hash": ["nonce"]}]}, "the part nonce needs the setting nonce"),
        ({"header": None}, "needs one of header, query and form, to define where it is sent"),
        ({"query": "signature"}, "needs one of header, query and form"),
        ({"timestamp": {"unit": "ms"}}, "needs one of header, query and form"),
        ({"timestamp": {"unit": "m", "header": "X-Time"}}, "'rfc3339', 'basic', 's', 'ms' or 'us'"),
        ({"header": None, "form": "sign"}, "the signature cannot be in the form, which it may cover"),
        (
            {"nonce": {"form": "id"}},
            "orders, signing: nonce is sent in the form field id, but the endpoint has no",
        ),
        ({"nonce": {"header": "x-signature"}}, "the header x-signature is used more than once"),
        ({"header": "Host"}, "Host is set by the load generator itself"),
        ({"header": "X-Forwarded-Host"}, "X-Forwarded-Host redirects requests away from base_url"),
        ({"prefix": "evil.example/"}, 'must have only letters, digits, spaces, _ = , : " and -, and $key_id'),
        ({"header": None, "query": "sign", "prefix": "HMAC "}, "prefix is only for a signature in a header"),
        ({"separator": "\ue000"}, "must have no private-use characters"),
        ({"parts": [{"text": "\ue03f"}]}, "must have no private-use characters"),
        (
            {"parts": [{"header": "X-Tenant"}]},
            "orders, signing: the part {header: X-Tenant} is not sent; add it",
        ),
        ({"parts": [{"header": "Content-Type"}]}, "positions, signing: the part {header: Content-Type} is not sent"),
        ({"parts": [{"hash": [{"header": "X-Signature"}]}]}, "the part {header: X-Signature} is not sent"),
        ({"parts": [{"header": "Content-Length"}]}, "cannot be signed: the load generator sets it last; remove it"),
        ({"style": "rsa"}, "style must be one of parts, aws, but is 'rsa'"),
        ({"secret": "s3cr3t"}, "signing.secret\n  Extra inputs are not permitted"),
        (AWS | {"service": "S3"}, "must be the service name of AWS, such as execute-api"),
        (AWS | {"payload": "none"}, "should be 'hash' or 'unsigned'"),
        (AWS | {"region": "eu west"}, "must be a region, such as eu-west-1"),
    ],
)
def test_what_cannot_be_signed(changes: dict[str, Any], problem: str) -> None:
    signing = changes if changes.get("style") == "aws" else {**HEADER, **changes}
    orders = {"name": "orders", "method": "POST", "path": "/orders", "body": {"a": 1}}
    positions = {"name": "positions", "method": "GET", "path": "/positions"}
    found = problem_of(signing, endpoints=[orders, positions])
    assert problem in found


@pytest.mark.parametrize(
    ("signing", "endpoint", "problem"),
    [
        (HEADER, {"headers": {"X-Tenant-Id": "a"}}, ""),
        (
            {**HEADER, "timestamp": {"header": "X-Time"}},
            {"headers": {"x-time": "$now"}},
            "orders, signing: timestamp is sent in the header X-Time, which headers set too; remove one of them",
        ),
        (
            {**HEADER, "nonce": {"query": "id"}},
            {"query": {"id": "$uuid"}},
            "orders, signing: nonce is sent in the query field id, which query sets too; remove one of them",
        ),
        (
            {**HEADER, "nonce": {"form": "id"}},
            {"form": {"id": "$uuid"}, "method": "POST"},
            "orders, signing: nonce is sent in the form field id, which form sets too; remove one of them",
        ),
        (
            {**HEADER, "parts": ["sorted_query"]},
            {"query": {"ids": ["$uuid", "$sequence"]}},
            "orders, signing: the query field ids has values of the request's own in its name or its list",
        ),
        (AWS, {"query": {"$uuid": 1}}, "orders, signing: the query field $uuid has values of the request's own"),
        (AWS, {"query": {"ids": [2, 1], "id": "$uuid"}}, ""),
        (AWS, {"headers": {"X-Amz-Date": "x"}}, "orders, signing: the signature sets the header X-Amz-Date, which"),
    ],
)
def test_the_endpoint_of_a_problem_is_named(signing: dict[str, Any], endpoint: dict[str, Any], problem: str) -> None:
    made = {"name": "orders", "method": "GET", "path": "/orders"} | endpoint
    changes = {"endpoints": [made], "allowed_headers": ["X-Amz-Date"]}
    if problem:
        assert problem in problem_of(signing, **changes)
    else:
        assert signed(signing, **changes).signing is not None


def test_the_documented_examples() -> None:
    """Those of docs/services.md can be copied."""
    section = (PROJECT_ROOT / "docs" / "services.md").read_text(encoding="utf-8").partition("### Signed requests")[2]
    blocks = re.findall(r"```yaml\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
    examples = [entry for block in blocks for entry in re.split(r"\n\n", textwrap.dedent(block))]
    endpoint = {"name": "orders", "method": "POST", "path": "/orders", "form": {"a": 1}}
    found = [yaml.safe_load(example) for example in examples]
    settings = [entry.get("signing") or entry["broker-service"]["signing"] for entry in found]
    assert len(settings) == 5
    for setting in settings:
        assert signed(setting, endpoints=[endpoint]).signing is not None


def test_a_signature_needs_a_connection() -> None:
    assert "signing needs the setting connection, which names the Connection" in problem_of(HEADER, connection=None)


def test_a_changing_body_of_s3_has_no_hash_before_the_load() -> None:
    """Its hash is in a header of its own; the remedy is to send that it is not signed."""
    orders = {"name": "orders", "method": "PUT", "path": "/bucket/$uuid", "text": "$uuid"}
    s3 = AWS | {"service": "s3"}
    assert "orders, signing: the header X-Amz-Content-Sha256 cannot have the hash" in problem_of(s3, endpoints=[orders])
    signed(s3 | {"payload": "unsigned"}, endpoints=[orders])
    allowed = {"headers": {"x-amz-content-sha256": "x"}, "allowed_headers": ["x-amz-content-sha256"]}
    taken = problem_of(s3, **allowed)
    assert "the signature sets the header X-Amz-Content-Sha256, which headers set too; remove it there" in taken


def test_single_endpoints_may_be_unsigned() -> None:
    """Such an endpoint is not checked, and somebody must have meant it."""
    orders = {"name": "orders", "method": "GET", "path": "/orders", "query": {"nonce": "1"}}
    public = {"name": "public", "method": "GET", "path": "/time", "query": {"$uuid": "1"}, "sign": False}
    signing = HEADER | {"parts": ["sorted_query"]}
    assert signed(signing, endpoints=[orders, public]).endpoints[1].sign is False
    assert "signing has no effect, because every endpoint has sign: false" in problem_of(signing, endpoints=[public])
    with pytest.raises(ValidationError, match=r"public, sign: has no effect, because the service has no signing"):
        service_at("http://127.0.0.1:1", endpoints=[public])
