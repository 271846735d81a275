"""Alerts that were set aside, and an alert book that cannot be read as a whole, on the pages."""

import json
from pathlib import Path
from typing import Any

import pytest

from include.perf.alerts.book import DeliveryState
from tests.plugins.web.conftest import Pages

AT = "2026-03-02T06:30:00Z"
ASIDE: dict[str, Any] = {
    "id": "3f9a1c0b77aa2d41",
    "part": "message",
    "event": "opened",
    "channel": "#trading",
    "message": {"text": "engine <b>is</b> slower", "plain": "", "blocks": [], "image_alt": "", "icon": ""},
    "created_at": AT,
    "state": DeliveryState.SET_ASIDE.value,
    "reason": "Slack did not accept the message (error is_archived): engine <b>is</b> slower",
}
PENDING = ASIDE | {"id": "pending", "state": "pending", "message": ASIDE["message"] | {"text": "not yet"}}


@pytest.fixture
def book(tmp_path: Path, pages: Pages) -> Pages:
    """A book with a message that was set aside, one that is pending, an odd entry and an odd field."""
    content = {"schema_version": 2, "outbox": [ASIDE, PENDING, {"id": "odd-1"}], "watched_since": "<i>x</i>"}
    (tmp_path / "alerts.json").write_text(json.dumps(content))
    return pages


def test_the_problems_page_shows_the_reason_and_the_commands(book: Pages) -> None:
    """Of what was set aside, and of what cannot be read; what is pending needs nobody."""
    page = book.get("/problems").text
    assert '<h2 id="undelivered">Alerts that were set aside</h2>' in page
    assert "<strong>engine &lt;b&gt;is&lt;/b&gt; slower</strong>" in page
    assert "<code>3f9a1c0b77aa2d41</code> · message to #trading · <time>" in page
    assert "Slack did not accept the message (error is_archived)</p>" in page
    assert "<code>python -m include.perf alerts retry ID</code>" in page
    assert "<code>alerts drop ID</code>" in page
    assert "<li>left out of outbox: outbox[2] cannot be read: " in page
    assert "<li>left out of watched_since: " in page
    assert "not yet" not in page


def test_the_matrix_points_to_it(book: Pages) -> None:
    """With the number of all of it."""
    page = book.get("/").text
    assert (
        '3 entries of the alert book were set aside or cannot be read</span>. <a href="/deployed/bellwether/problems">'
        in page
    )


def test_only_who_sees_every_scenario_sees_it(book: Pages) -> None:
    """A message may name any cell."""
    for user, is_seen in (("viewer", True), ("half", False), ("nobody", False)):
        for path, text in (("/problems", "set aside</h2>"), ("/problems", "left out of "), ("/", "set aside or")):
            assert (text in book.get(path, user=user).text) is is_seen, (user, path)


def test_nothing_is_shown_when_all_was_delivered(pages: Pages) -> None:
    """The usual state."""
    assert "set aside" not in pages.get("/problems").text + pages.get("/").text
