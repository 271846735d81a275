"""Form bodies and uploads are limited before they are read as a whole."""

from collections.abc import AsyncIterator

import pytest
from bellwether.web.limits import MAX_BODY_BYTES

from tests.plugins.web.conftest import Pages
from tests.plugins.web.test_web_changes import CHANGES

FORM = "application/x-www-form-urlencoded"
UPLOAD = "multipart/form-data; boundary=x"
UPLOAD_BEGINS = b'--x\r\nContent-Disposition: form-data; name="reason"; filename="a"\r\n\r\n'
PART_BYTES = 16 * 1024


class Endless:
    """A body that does not end.

    Attributes:
        sent: its bytes that were asked for.
    """

    def __init__(self, begin: bytes) -> None:
        self._begin = begin
        self.sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the beginning, and then the same again and again."""
        yield self._begin
        while True:
            self.sent += PART_BYTES
            yield b"a" * PART_BYTES


@pytest.mark.parametrize("path", CHANGES)
@pytest.mark.parametrize(("kind", "begin"), [(FORM, b"reason="), (UPLOAD, UPLOAD_BEGINS)])
def test_a_body_without_an_end_is_refused(pages: Pages, path: str, kind: str, begin: bytes) -> None:
    """Also for someone who may change nothing: the form is read before permissions are checked."""
    for user in ("editor", "viewer"):
        body = Endless(begin)
        response = pages.request("POST", path, user=user, content=body, headers={"Content-Type": kind})
        assert response.status_code == 413
        assert "The request has more than 65,536 bytes" in response.text
        assert body.sent <= MAX_BODY_BYTES + PART_BYTES


def test_without_a_login_no_body_is_read(pages: Pages) -> None:
    """The login comes first."""
    body = Endless(b"reason=")
    response = pages.request("POST", CHANGES[0], user=None, content=body, headers={"Content-Type": FORM})
    assert response.status_code == 401
    assert body.sent <= PART_BYTES


def test_a_form_up_to_the_limit_is_read(pages: Pages) -> None:
    """What is wrong with it is then another error."""
    body = b"reason=" + b"a" * (MAX_BODY_BYTES - len(b"reason="))
    response = pages.request("POST", "/silences", content=body, headers={"Content-Type": FORM})
    assert response.status_code not in {413, 500}
