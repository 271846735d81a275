"""Who looks on, and what Airflow allows them: its own login, its own permissions.

Airflow mounts the apps of plugins without any protection, so nothing is served before somebody got past here.
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
    """Nobody is logged in, or not any more."""


class Forbidden(Exception):
    """Somebody is logged in who may not do this; says what, and what it takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Somebody who is logged in.

    Attributes:
        id: the same for every login of theirs, and nobody else's.
        name: what is kept with what they change.
        may_read: whether they may see a DAG, and so the runs of that scenario.
        may_trigger: whether they may start runs of a DAG, and so change what its scenario is held to.
    """

    id: str
    name: str
    may_read: Callable[[str], bool]
    may_trigger: Callable[[str], bool]


Door = Callable[[Request], Awaitable[Visitor]]
"""Says who asks.

Raises:
    NotLoggedIn: nobody that is known.
"""


async def airflow_door(request: Request) -> Visitor:
    """Return the user that Airflow knows: by the cookie of its UI, or by a bearer token.

    Raises:
        NotLoggedIn: there is no login, it is over, or it is none of Airflow's.
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
    """Ask Airflow's own rule: to read the DAG, or to make runs of it."""
    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from airflow.api_fastapi.core_api.security import requires_access_dag

    entity = DagAccessEntity.RUN if method == "POST" else None
    try:
        requires_access_dag(method, entity, dag_id)(request, user)
    except HTTPException:
        return False
    return True


def login_address(request: Request) -> str:
    """Return Airflow's login, which leads back to where somebody wanted to go."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{airflow_path(request)}/api/v2/auth/login?{urlencode({'next': wanted})}"


def airflow_path(request: Request) -> str:
    """Return the path that Airflow itself is below, empty for none."""
    path: str = request.scope.get("app_root_path", "")
    return path
