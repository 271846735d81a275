"""Templates: which placeholders there are, and which are refused."""

from typing import Any

import pytest

from include.perf.catalogue.own_values import DueTime, RandomChoice, RandomInteger, own_value
from include.perf.catalogue.template import (
    DECIMALS,
    FIELDS,
    Placeholder,
    parts_of,
    placeholders_of,
    problems_of_template,
    text_of,
    without_placeholders,
)

KNOWN = f"{', '.join(FIELDS)}; nor a value of the request's own; known: uuid, sequence, now, random_int, random_choice"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("$price", [Placeholder("price")]),
        ("${price}", [Placeholder("price")]),
        ("$instrument/$quantity", [Placeholder("instrument"), "/", Placeholder("quantity")]),
        ("${price}0", [Placeholder("price"), "0"]),
        ("$$", ["$"]),
        ("$$price", ["$price"]),
        ("$$$price", ["$", Placeholder("price")]),
        ("5 $ and $5", ["5 $ and $5"]),  # a name begins with a letter
        ("", []),
        ("${price as text}", [Placeholder("price", form="text")]),
        ("${ now( ms , +30s ) as text }", [Placeholder("now", ("ms", "+30s"), "text")]),
        ("${random_choice('a, b', c)}", [Placeholder("random_choice", ("a, b", "c"))]),
        ("${accounts.account-id as number}", [Placeholder("accounts.account-id", form="number")]),
    ],
)
def test_parts(text: str, parts: list[Any]) -> None:
    assert list(parts_of(text)) == parts


@pytest.mark.parametrize(("text", "shown"), [("a ${", "${"), ("${}", "${}"), ("${a b}", "${a b}"), ("${1}", "${1}")])
def test_a_malformed_placeholder_is_refused(text: str, shown: str) -> None:
    """With the text in which it is, and how a dollar sign is written."""
    assert problems_of_template({"note": text}) == [
        "a placeholder must look like ${price}, ${now(ms)} or ${accounts.id as number}, but "
        f"{text!r} has {shown}; write $$ for a dollar sign"
    ]


@pytest.mark.parametrize("inside", ["random_choice(a\rb)", f"random_choice({'a' * 140_000})"])
def test_arguments_that_cannot_be_read_are_refused(inside: str) -> None:
    with pytest.raises(ValueError, match=r"^the arguments of \$\{random_choice\(a.*\} cannot be read"):
        parts_of(f"${{{inside}}}")


@pytest.mark.parametrize(("text", "literal"), [("$$5 of $5", "$5 of $5"), ("", ""), ("a $uuid", None)])
def test_a_template_without_placeholders_is_a_text(text: str, literal: str | None) -> None:
    assert without_placeholders(text) == literal


def test_placeholders_are_found_everywhere() -> None:
    """In keys, values and lists, however deep."""
    template = {"a": ["$price", {"$instrument": "x $side y"}], "b": None, "c": (3, "$$volume")}
    assert [placeholder.name for placeholder in placeholders_of(template)] == ["price", "instrument", "side"]


@pytest.mark.parametrize(
    ("template", "problems"),
    [
        (
            [{"a": "$pice", "b": ["$pice", "x $Bid y"]}, None, 3, "$price $$cash"],
            [f"${name} is not a field of the market data; known: {KNOWN}" for name in ("Bid", "pice")],
        ),
        ("${price(3)}", ["$price is a field of the market data and takes no arguments"]),
        ("${side as number}", ["$side is text and cannot be sent as a number"]),
        ("${uuid as number}", ["$uuid is text and cannot be sent as a number"]),
        ("${random_choice(1, x) as number}", ["$random_choice is text and cannot be sent as a number"]),
        ("${random_choice(1, 2.5) as number}", []),
        ("${accounts.id(3)}", ["${accounts.id} is a column of a data file and takes no arguments"]),
        ("${accounts.id as number}", []),
        (
            "${acounts.id}",
            ["${acounts.id} names the data file 'acounts', which is not in data_files; known: accounts, symbols"],
        ),
        ("\ue001", ["the private-use character U+E001 must not be in a request; remove it"]),
        ({"\ue03f": 1}, ["the private-use character U+E03F must not be in a request; remove it"]),
    ],
)
def test_problems(template: Any, problems: list[str]) -> None:
    """Each problem once, in order."""
    assert problems_of_template(template, files=("symbols", "accounts")) == problems


def test_every_field_is_allowed() -> None:
    """Names in FIELDS are never refused."""
    assert problems_of_template([f"${name}" for name in FIELDS]) == []


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("now", [], DueTime()),
        ("now", ["ms"], DueTime("ms")),
        ("now", ["-1.5h"], DueTime("rfc3339", -5400.0)),
        ("now", ["us", "+250ms"], DueTime("us", 0.25)),
        ("random_int", ["-5", "5"], RandomInteger(-5, 5)),
        ("random_choice", ["GTC"], RandomChoice(("GTC",))),
    ],
)
def test_own_values(name: str, arguments: list[str], value: object) -> None:
    assert own_value(name, arguments) == value


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        (
            "now",
            ["tomorrow"],
            "${now} takes a unit (rfc3339, basic, s, ms, us) and an offset, as in ${now(ms, +30s)}, but has (tomorrow)",
        ),
        (
            "now",
            ["+1s", "ms"],
            "${now} takes a unit (rfc3339, basic, s, ms, us) and an offset, as in ${now(ms, +30s)}, but has (+1s, ms)",
        ),
        (
            "random_int",
            ["5", "1"],
            "${random_int} takes the lowest and the highest integer, as in ${random_int(1, 100)}, each at most "
            "9,007,199,254,740,992, but has (5, 1)",
        ),
        (
            "random_int",
            ["0", "9007199254740993"],
            "${random_int} takes the lowest and the highest integer, as in ${random_int(1, 100)}, each at most "
            "9,007,199,254,740,992, but has (0, 9007199254740993)",
        ),
        ("random_choice", [], "${random_choice} needs what to choose from, such as ${random_choice(GTC, IOC)}"),
        ("now", ["+36501d"], "the offset of ${now} must be at most 36,500 days, but is +36501d"),
        ("uuid", ["4"], "${uuid} takes no arguments, but has 4; write $uuid"),
        ("sequence", ["1"], "${sequence} takes no arguments, but has 1; write $sequence"),
    ],
)
def test_wrong_arguments_are_refused(name: str, arguments: list[str], problem: str) -> None:
    with pytest.raises(ValueError, match=r".*") as caught:
        own_value(name, arguments)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("price", 1.1, "1.10000"),
        ("close", 149.5, "149.50000"),
        ("spread", 0.00012, "0.00012"),
        ("volatility", 1e-05, "0.00001"),  # no exponent
        ("quantity", 3000, "3000"),
        ("instrument", "EUR_USD", "EUR_USD"),
    ],
)
def test_fields_as_text(field: str, value: Any, text: str) -> None:
    """Prices have the decimals of their instrument."""
    assert text_of(field, {field: value, DECIMALS: 5}) == text
