"""Templates: how they are filled, and which placeholders are refused."""

from typing import Any

import pytest

from include.perf.catalogue.endpoint import FIELDS, problems_of_template, render

ROW = {"instrument": "EUR_USD", "price": 1.0845, "quantity": 3000, "volume": 0}


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("$price", 1.0845),  # one placeholder keeps its type
        ("$quantity", 3000),
        ("$volume", 0),
        ("$instrument", "EUR_USD"),
        ("$instrument daily", "EUR_USD daily"),  # within text it becomes text
        ("$instrument/$quantity", "EUR_USD/3000"),
        (" $price", " 1.0845"),
        ("$$", "$"),
        ("$$price", "$price"),
        ("$$$price", "$1.0845"),
        ("5 $ and $5", "5 $ and $5"),  # a name begins with a letter
        ("", ""),
        (7, 7),
        (2.5, 2.5),
        (True, True),
        (None, None),
        ({"a": ["$price", {"b": "$quantity"}]}, {"a": [1.0845, {"b": 3000}]}),
        (("$price", "x"), [1.0845, "x"]),  # JSON knows lists only
        ({"$price": 1}, {"$price": 1}),  # keys are no templates
    ],
)
def test_render(template: Any, rendered: Any) -> None:
    """Placeholders become the row's values; a single one keeps the type of the value."""
    result = render(template, ROW)
    assert result == rendered
    assert type(result) is type(rendered)


def test_the_template_itself_does_not_change() -> None:
    """A template is used for every row."""
    template = {"order": {"price": "$price", "tags": ["$instrument"]}}
    render(template, ROW)
    assert template == {"order": {"price": "$price", "tags": ["$instrument"]}}


def test_unknown_placeholders_are_reported_once_each_in_order() -> None:
    """Each is reported with the known fields, wherever it is."""
    problems = problems_of_template([{"a": "$pice", "b": ["$pice", "x $Bid y"]}, None, 3, "$price $$cash"])
    known = ", ".join(FIELDS)
    assert problems == [
        f"$Bid is not a field of the market data; known: {known}",
        f"$pice is not a field of the market data; known: {known}",
    ]


def test_every_field_is_allowed() -> None:
    """Names in FIELDS are never refused."""
    assert problems_of_template([f"${name}" for name in FIELDS]) == []
