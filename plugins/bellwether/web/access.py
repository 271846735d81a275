"""Authentication and permissions of the viewer, both from Airflow.

Airflow mounts plugin apps without any protection, so this module checks every request before it is answered.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlencode

from fastapi import HTTPException, Request

if TYPE_CHECKING:
    from airflow.api_fastapi.auth.managers.models.base_user import BaseUser


class NotLoggedIn(Exception):
    """The request has no valid login."""


class Forbidden(Exception):
    """The viewer may not do this; the message names the permission that it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A logged-in user, the viewer of a page.

    Attributes:
        id: unique to the user and the same for all their logins.
        name: recorded with every change.
        may_read: whether they may view a DAG, and so the runs of its scenario.
        may_trigger: whether they may trigger a DAG, and so change the baselines and silences of its scenario.
    """

    id: str
    name: str
    may_read: Callable[[str], bool]
    may_trigger: Callable[[str], bool]


Authenticate = Callable[[Request], Awaitable[Visitor]]
"""Returns the user who sent a request.

Raises:
    NotLoggedIn: the request has no valid login.
"""


async def airflow_visitor(request: Request) -> Visitor:
    """Return the Airflow user, from the cookie of its UI or from a bearer token.

    Raises:
        NotLoggedIn: the login is missing, expired or not signed by Airflow.
    """
    from airflow.api_fastapi.core_api.security import bearer_scheme, get_user

    try:
        user = await get_user(request, None, await bearer_scheme(request))
    except HTTPException as err:
        raise NotLoggedIn from err
    return Visitor(
        id=str(user.get_id()),
        name=user.get_name(),
        may_read=cache(lambda dag_id: _is_allowed(request, user, dag_id, method="GET")),
        may_trigger=cache(lambda dag_id: _is_allowed(request, user, dag_id, method="POST")),
    )


def _is_allowed(request: Request, user: "BaseUser", dag_id: str, *, method: Literal["GET", "POST"]) -> bool:
    """Return whether Airflow's auth manager lets the user view (GET) or trigger (POST) a DAG."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag

    entity = DagAccessEntity.RUN if method == "POST" else None
    try:
        requires_access_dag(method, entity, dag_id)(request, user)
    except HTTPException:
        return False
    return True


def login_address(request: Request) -> str:
    """Return the URL of Airflow's login, which redirects back to the requested page."""
    requested = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{airflow_path(request)}/api/v2/auth/login?{urlencode({'next': requested})}"


def airflow_path(request: Request) -> str:
    """Return the path prefix of Airflow itself; empty for none."""
    path: str = request.scope.get("app_root_path", "")
    return path
