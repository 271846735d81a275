"""The secrets of a login in a connection.

- Client credentials: login and password are the client's name and secret.
- A password grant: login and password are the user's; extra may have ``client_id`` and ``client_secret``.
- A login of the service's own: login and password.

Extra may have further users, ``{"users": [{"login": "…", "password": "…"}]}``: the tokens of a load then belong to
different users in turn. Error messages contain nothing of the connection.
"""

from collections.abc import Mapping
from typing import Any

from include.perf.catalogue.login import Login
from include.perf.load.service_secrets import LoginSecrets, User


def read_login_secrets(
    login: Login, *, name: str | None, password: str | None, extra: Mapping[str, Any]
) -> LoginSecrets:
    """Return the secrets of a login.

    Args:
        name, password: the fields login and password of the connection.

    Raises:
        ValueError: one is missing, or no text.
    """
    first = [{"login": name or "", "password": password or ""}] if name or password else []
    further = extra.get("users", [])
    if not isinstance(further, list):
        raise ValueError('users in extra must be a list such as [{"login": "…", "password": "…"}]')
    users = tuple(_user(given) for given in (*first, *further))
    if not users:
        raise ValueError("a login needs secrets; set login and password")
    client = {"login": extra.get("client_id"), "password": extra.get("client_secret", "")}
    has_client = login.grant == "password" and "client_id" in extra
    return LoginSecrets(users=users, client=_user(client) if has_client else None)


def _user(given: Any) -> User:
    values = (given.get("login"), given.get("password")) if isinstance(given, Mapping) else (None, None)
    if not all(isinstance(value, str) for value in values):
        raise ValueError("login and password, also those of users and of a client in extra, must be text")
    return User(login=str(values[0]), password=str(values[1]))
