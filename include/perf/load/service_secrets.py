"""The secrets with which a service is called.

They come from its Connection, and reach the load processes only through a pipe or the encrypted channel. They are used
only in requests, and never written to a file, log, message or command line.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
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
class User:
    """Who logs in."""

    login: str = field(repr=False)
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSecrets:
    """The secrets of a login, which fetches tokens; they never reach a load process.

    Attributes:
        users: those who log in; of a grant of client credentials, the client itself.
        client: of a password grant, if the server knows its clients.
    """

    users: tuple[User, ...]
    client: User | None = None

    def texts(self) -> Iterator[str]:
        """Yield every text that must be masked."""
        for user in (*self.users, *filter(None, [self.client])):
            yield from (user.password, user.login)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSecrets:
    """What a Connection holds for a service.

    Attributes:
        headers: of every request.
        signing_key: of a service whose requests are signed.
        login: of a service with a login.
    """

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    signing_key: SigningKey | None = field(default=None, repr=False)
    login: LoginSecrets | None = field(default=None, repr=False)

    def texts(self) -> Iterator[str]:
        """Yield every text that must be masked."""
        yield from self.headers.values()
        if self.signing_key is not None:
            yield from filter(None, (self.signing_key.secret, self.signing_key.key_id))
        if self.login is not None:
            yield from self.login.texts()

    def with_headers(self, headers: Mapping[str, str]) -> "ServiceSecrets":
        """Return them with further headers."""
        return replace(self, headers={**self.headers, **headers})

    def masked(self) -> "ServiceSecrets":
        """Return what stands for them in requests that are shown."""
        return ServiceSecrets(
            headers=dict.fromkeys(self.headers, MASK), signing_key=SigningKey(secret=MASK, key_id=MASK)
        )

    def message(self) -> dict[str, Any]:
        """Return what a load process needs of them, for the pipe or the channel to it."""
        key = None if self.signing_key is None else asdict(self.signing_key)
        return {"headers": dict(self.headers), "signing_key": key}

    @staticmethod
    def read(message: Mapping[str, Any]) -> "ServiceSecrets":
        """Read them from a message."""
        key = message["signing_key"]
        return ServiceSecrets(headers=message["headers"], signing_key=None if key is None else SigningKey(**key))
