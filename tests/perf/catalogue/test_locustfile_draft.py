"""A draft of a service from a locustfile: what can be said as data, and what cannot, by line."""

import ast
from typing import Any

import pytest

from include.perf.catalogue.locustfile_draft import LocustfileDraft, draft_of

HEAD = "from locust import FastHttpUser, HttpUser, TaskSet, task\n\n\n"


def draft(body: str) -> LocustfileDraft:
    """Draft from the code of classes; its first line is line 4."""
    return draft_of(ast.parse(HEAD + body))


def one_task(code: str) -> LocustfileDraft:
    """Draft from a class with one task, whose code begins in line 7."""
    return draft(f"class Trader(HttpUser):\n    @task\n    def order(self):\n        {code}\n")


@pytest.mark.parametrize(
    ("call", "entry"),
    [
        ("get('/orders')", {"name": "order", "method": "GET", "path": "/orders"}),
        ("get(url='/orders', name='all orders')", {"name": "all-orders", "method": "GET", "path": "/orders"}),
        ("request('delete', '/orders/1')", {"name": "order", "method": "DELETE", "path": "/orders/1"}),
        (
            "post('/orders', json={'price': 1.5, 'ids': [1, None], 'note': '5 $'})",
            {
                "name": "order",
                "method": "POST",
                "path": "/orders",
                "body": {"price": 1.5, "ids": [1, None], "note": "5 $$"},
            },
        ),
        (
            "put('/orders', data={'a': 'b'}, params={'x': 1}, headers={'Accept': 'text/csv'}, timeout=5)",
            {
                "name": "order",
                "method": "PUT",
                "path": "/orders",
                "form": {"a": "b"},
                "query": {"x": 1},
                "headers": {"Accept": "text/csv"},
            },
        ),
        ("post('/orders', data='plain')", {"name": "order", "method": "POST", "path": "/orders", "text": "plain"}),
    ],
)
def test_a_task_with_one_request_is_an_endpoint(call: str, entry: dict[str, Any]) -> None:
    """Its constants are the settings; dollar signs begin placeholders in the catalogue, so they are doubled."""
    drafted = one_task(f"self.client.{call}")
    assert (list(drafted.endpoints), drafted.left_out) == ([entry], [])


def test_a_task_with_several_requests_is_a_journey() -> None:
    """One after another; names of steps differ."""
    (journey,) = one_task("self.client.get('/a/quote'); self.client.get('/b/quote'); self.client.post('/')").endpoints
    assert journey == {
        "name": "order",
        "steps": [
            {"name": "quote", "method": "GET", "path": "/a/quote"},
            {"name": "quote-2", "method": "GET", "path": "/b/quote"},
            {"name": "request", "method": "POST", "path": "/"},
        ],
    }


def test_weights_are_the_shares_that_the_tasks_have_in_locust() -> None:
    """Classes 3 : 1. The tasks of the first are 2 : 1, so a = 1/2 and b = 1/4; c is alone and has 1/4."""
    drafted = draft(
        "class Trader(HttpUser):\n    weight = 3\n    host = 'http://gateway:8000'\n"
        "    @task(2)\n    def a(self): self.client.get('/a')\n"
        "    @task()\n    def b(self): self.client.get('/b')\n\n"
        "class Auditor(FastHttpUser):\n    @task\n    def c(self): self.client.get('/c')\n"
        "class Base(HttpUser):\n    abstract = True\n    @task\n    def d(self): self.client.get('/d')\n"
    )
    assert [(entry["name"], entry.get("weight", 1)) for entry in drafted.endpoints] == [("a", 2), ("b", 1), ("c", 1)]
    assert drafted.host == "http://gateway:8000"


@pytest.mark.parametrize(
    ("code", "left_out"),
    [
        ("self.client.get(f'/orders/{self.id}')", "line 7, Trader.order: its path has variables"),
        ("self.client.get('/a' + self.b)", "line 7, Trader.order: its path is not constant"),
        ("self.client.get('http://other/a')", "line 7, Trader.order: its path is not a constant that begins with /"),
        ("self.client.post('/a', json=self.order)", "line 7, Trader.order: its json is not constant"),
        ("self.client.post('/a', files={'a': 'b'})", "line 7, Trader.order: the argument files has no setting"),
        ("self.client.get(*self.args)", "line 7, Trader.order: its path is not constant"),
        ("self.client.get('/a', **self.args)", "line 7, Trader.order: its arguments are not all named"),
        ("for i in range(3): self.client.get('/a')", "line 7, Trader.order: a request inside for depends on the code"),
        ("self.helper()", "line 6, Trader.order: it has no request of self.client in its own code"),
    ],
)
def test_what_depends_on_the_code_is_named_with_its_line(code: str, left_out: str) -> None:
    """It is in the draft in no other form."""
    drafted = one_task(code)
    assert drafted.endpoints == []
    assert [str(left).startswith(left_out) for left in drafted.left_out] == [True], drafted.left_out


def test_what_is_no_task_is_named_too() -> None:
    """Logins, checks, task sets."""
    drafted = draft(
        "class Section(TaskSet):\n    pass\n\n"
        "class Trader(HttpUser):\n    tasks = [Section]\n"
        "    def on_start(self): self.client.post('/login')\n"
        "    def helper(self): self.client.post('/helper')\n"
        "    @task\n    def quote(self):\n"
        "        with self.client.get('/a', catch_response=True) as response: response.success()\n"
        "    @task\n    class Inner(TaskSet): pass\n"
    )
    assert [(left.line, left.where) for left in drafted.left_out] == [
        (4, "Section"),
        (8, "Trader.tasks"),
        (9, "Trader.on_start"),
        (13, "Trader.quote"),
        (15, "Trader.Inner"),
    ]
    assert [entry["name"] for entry in drafted.endpoints] == ["quote"]


def test_a_file_without_users_has_an_empty_draft() -> None:
    """The file may import them."""
    assert draft("x = 1\n") == LocustfileDraft(endpoints=[], host=None, left_out=[])
