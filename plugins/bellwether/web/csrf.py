"""Keeps other sites from changing anything in the name of somebody who is logged in.

Airflow's login is a cookie, which browsers send along with what other pages start. So a change needs two things that
another site does not have: a token that only our pages carry, and the browser's word that it comes from them.

Source: OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Signed Double-Submit Cookie" and "Fetch Metadata".
"""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from fastapi import Request
from itsdangerous import BadSignature, URLSafeTimedSerializer

FIELD = "csrf_token"
VALID_S = 12 * 3600
"""A form that was opened longer ago is asked for again."""


class Forged(Exception):
    """A change that does not come from one of our pages; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """Makes and checks tokens, each for one user and for some hours; nothing is kept.

    They belong to the user and not to the login's own token, since auth managers replace that one at any time.

    Attributes:
        secret: Airflow's; the same in every API server.
        hosts: where browsers reach Airflow, when a proxy tells it another name.
    """

    secret: str = field(repr=False)
    hosts: frozenset[str] = frozenset()

    def token_for(self, user_id: str) -> str:
        """Return a token for the forms of a user."""
        return self._signer.dumps(user_id)

    def check(self, request: Request, *, token: str, user_id: str) -> None:
        """Make sure that a request comes from a form of this user.

        Raises:
            Forged: it does not, or the form is too old.
        """
        self._check_origin(request)
        try:
            holder = self._signer.loads(token, max_age=VALID_S)
        except BadSignature as err:
            raise Forged("this form is too old or not from this page; open the page again and repeat") from err
        if holder != user_id:
            raise Forged("this form was opened by somebody else; open the page again and repeat")

    @property
    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secret, salt="bellwether-form")

    def _check_origin(self, request: Request) -> None:
        """Believe the browser: what another site started says so. Programs that are no browser say nothing."""
        site = request.headers.get("sec-fetch-site", "same-origin")
        origin = request.headers.get("origin")
        is_ours = origin is None or urlsplit(origin).netloc in (request.headers.get("host"), *self.hosts)
        if site != "same-origin" or not is_ours:
            raise Forged("this change was started by another site, so it was not done; do it on this page")
