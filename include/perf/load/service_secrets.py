"""The secrets with which a service is called.

They come from its Connection, and reach the load processes only through a pipe or the encrypted channel. They are used
only in requests, and never written to a file, log, message or command line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from include.perf.model.masking import MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """The key that signs requests.

    Attributes:
        secret: as the Connection has it; `include.perf.catalogue.signing` says how it is decoded.
        key_id: names the key to the service; empty if the service needs no name.
    """

    secret: str = field(repr=False)
    key_id: str = field(default="", repr=False)

    @property
    def is_masked(self) -> bool:
        """Whether it only stands for a key, in a request that is shown."""
        return self.secret == MASK


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSecrets:
    """What a Connection holds for a service.

    Attributes:
        headers: of every request.
        signing_key: of a service whose requests are signed.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    signing_key: SigningKey | None = field(default=None, repr=False)

    def texts(self) -> Iterator[str]:
        """Yield every text that must be masked."""
        yield from self.headers.values()
        if self.signing_key is not None:
            yield from filter(None, (self.signing_key.secret, self.signing_key.key_id))

    def masked(self) -> "ServiceSecrets":
        """Return what stands for them in requests that are shown."""
        return ServiceSecrets(
            headers=dict.fromkeys(self.headers, MASK), signing_key=SigningKey(secret=MASK, key_id=MASK)
        )

    def message(self) -> dict[str, Any]:
        """Return them for the pipe or the channel to a load process."""
        return asdict(self) | {"headers": dict(self.headers)}

    @staticmethod
    def read(message: Mapping[str, Any]) -> "ServiceSecrets":
        """Read them from a message."""
        key = message["signing_key"]
        return ServiceSecrets(headers=message["headers"], signing_key=None if key is None else SigningKey(**key))
