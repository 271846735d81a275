"""Protects changes against cross-site request forgery (CSRF).

Airflow's login is a cookie, which browsers also send with requests that other sites start. So a change takes two things
that another site cannot provide: a token from one of our forms, and request headers that name our own origin.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Signed Double-Submit Cookie" and "Fetch Metadata".
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

FIELD = "csrf_token"
VALID_S = 12 * 3600
"""How long a form stays valid after it was opened."""


class ForgedRequest(Exception):
    """A change that does not come from one of our pages; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Creates and checks CSRF tokens. A token is signed for one user, expires after `VALID_S`, and is not stored.

    A token belongs to the user and not to the login session, which auth managers may renew at any time.

    Attributes:
        secret: Airflow's secret key, the same in all API servers.
        hosts: where browsers reach Airflow, in case a proxy changes the Host header.
    """

    secret: str = field(repr=False)
    hosts: frozenset[str] = frozenset()

    def token_for(self, user_id: str) -> str:
        """Return a token for the forms of a user."""
        return self._signer.dumps(user_id)

    def check(self, request: Request, *, token: str, user_id: str) -> None:
        """Check that a request comes from a form of this user.

        Raises:
            ForgedRequest: it does not, or the form has expired.
        """
        self._check_origin(request)
        try:
            holder = self._signer.loads(token, max_age=VALID_S)
        except BadSignature as err:
            raise ForgedRequest("this form has expired or is not ours; reload the page and try again") from err
        if holder != user_id:
            raise ForgedRequest("another user opened this form; reload the page and try again")

    @property
    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret, salt="bellwether-form")

    def _check_origin(self, request: Request) -> None:
        """Refuse a request that a browser reports as started by another site; other programs send no such headers."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        is_ours = origin is None or urlsplit(origin).netloc in (request.headers.get("host"), *self.hosts)
        if site != "same-origin" or not is_ours:
            raise ForgedRequest("another site started this change, so it was rejected; make it on this page")
