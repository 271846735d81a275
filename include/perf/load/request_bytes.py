"""The bytes of requests with their secrets and signatures: prepared for a load, or of a single request."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from include.perf.catalogue.service import Service
from include.perf.catalogue.signing import AwsSigning, PartsSigning
from include.perf.load.aws_signing import AwsSigner
from include.perf.load.examples import ExampleMoment
from include.perf.load.feed import Request
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.load.signing import PartsSigner, Signer
from include.perf.load.slot_values import Draw, SlotValues
from include.perf.load.slots import Rendered, Slot, SlotRequests
from include.perf.load.wire import headers_of_load, wire_format
from include.perf.model.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSettings:
    """What all requests of a service have in common.

    Attributes:
        headers: of the service, without secrets.
        signing: how they are signed; ``None`` if they are not.
    """

    base_url: str
    headers: Mapping[str, str]
    secrets: ServiceSecrets
    keep_alive: bool
    signing: PartsSigning | AwsSigning | None

    def signer(self, *, first: int) -> Signer | None:
        """Return what signs the requests of an endpoint; ``None`` if they are not signed.

        Args:
            first: the number of the signer's first slot.

        Raises:
            ConfigurationError: there is no key.
        """
        signing, key = self.signing, self.secrets.signing_key
        if signing is None:
            return None
        if key is None:
            raise ConfigurationError("the requests must be signed, but there is no key; the Connection must have one")
        kind = AwsSigner if isinstance(signing, AwsSigning) else PartsSigner
        return kind(signing, key, first=first)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBytes:
    """The requests of an endpoint.

    Attributes:
        wires: (rows,) the bytes of each, with slots.
        slots: all of them, those of the signature last.
        signatures: (rows,) how each is signed; none if they are not.
    """

    wires: Sequence[bytes]
    slots: tuple[Slot, ...]
    signatures: Sequence[Rendered]


def prepared_bytes(
    method: str, requests: Sequence[Request], settings: RequestSettings, *, slots: tuple[Slot, ...] = ()
) -> PreparedBytes:
    """Prepare the bytes of the requests of an endpoint.

    Args:
        slots: of the requests.

    Raises:
        ConfigurationError: the requests must be signed, but there is no key.
    """
    is_signed = all(request.is_signed for request in requests)
    signer = settings.signer(first=len(slots)) if is_signed else None
    has_slots = bool(slots) or signer is not None

    def wire(request: Request) -> bytes:
        if signer is not None:
            request = signer.placed(request)
        headers = headers_of_load(
            settings.headers, settings.secrets.headers, keep_alive=settings.keep_alive, own=request.headers
        )
        return wire_format(method, request, base_url=settings.base_url, headers=headers, has_slots=has_slots)

    wires = list(map(wire, requests))
    if signer is None:
        return PreparedBytes(wires=wires, slots=slots, signatures=())
    signatures = list(map(signer.signature, wires))
    return PreparedBytes(wires=wires, slots=(*slots, *signer.slots), signatures=signatures)


def single_request(
    service: Service, method: str, request: Request, secrets: ServiceSecrets, *, keep_alive: bool
) -> bytes:
    """Return the bytes of a request without slots, signed now.

    Raises:
        ConfigurationError: it must be signed, but there is no key.
    """
    settings = RequestSettings(
        base_url=service.base_url,
        headers=service.headers,
        secrets=secrets,
        keep_alive=keep_alive,
        signing=service.signing,
    )
    prepared = prepared_bytes(method, [request], settings)
    if not prepared.signatures:
        return prepared.wires[0]
    values = SlotValues(prepared.slots, {}, Draw())
    values.start(time.time())
    return SlotRequests(prepared.wires, values, signatures=prepared.signatures).wire(0, ExampleMoment(0, 0))
