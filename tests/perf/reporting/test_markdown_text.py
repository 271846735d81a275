"""Markdown: nothing in a text becomes markup, and tables line up."""

import pytest

from include.perf.reporting.markdown_text import MAX_EXAMPLE, code, escape, table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("market_open", "market_open"),
        ("scheduled__2026", "scheduled__2026"),
        ("__init__", r"\_\_init\_\_"),
        ("t < 3 & p > 4", "t < 3 & p > 4"),
        ("<b>&lt;", "&lt;b>&amp;lt;"),
        ("a\\|b", r"a\\\|b"),
        ("a\r\n\tb\u202ec", "a b c"),
        ("> quote", r"\> quote"),
        ("1.0.0", "1.0.0"),
        ("", ""),
    ],
)
def test_escape_touches_only_what_is_markup(text: str, expected: str) -> None:
    """Plain text stays readable; markup shows as itself."""
    assert escape(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a|b", "`a|b`"), ("a`b", "`` a`b ``"), ("```", "```` ``` ````"), ("", "(empty)"), ("a\nb", "`a b`")],
)
def test_code_cannot_be_left(text: str, expected: str) -> None:
    """The fence is longer than any run of backticks in the text."""
    assert code(text) == expected


def test_examples_are_cut_at_their_limit() -> None:
    """300 characters stay whole; one more costs the last two for an ellipsis."""
    assert code("x" * MAX_EXAMPLE) == f"`{'x' * MAX_EXAMPLE}`"
    assert code("x" * (MAX_EXAMPLE + 1)) == f"`{'x' * (MAX_EXAMPLE - 1)}…`"


def test_tables_line_up_as_plain_text() -> None:
    """Every line is equally long, figures stand right."""
    lines = table(["Name", "n"], [["a", "1"], ["longer", "1000"]], right=(1,)).splitlines()
    assert lines == [
        "| Name   |    n |",
        "| ------ | ---: |",
        "| a      |    1 |",
        "| longer | 1000 |",
    ]
