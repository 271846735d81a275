"""Markdown: text never becomes markup, and tables are aligned."""

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
    """Plain text stays readable; markup is shown literally."""
    assert escape(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a|b", "`a|b`"), ("a`b", "`` a`b ``"), ("```", "```` ``` ````"), ("", "(empty)"), ("a\nb", "`a b`")],
)
def test_text_cannot_end_its_code_span(text: str, expected: str) -> None:
    """The fence is longer than any run of backticks in the text."""
    assert code(text) == expected


def test_long_examples_are_shortened() -> None:
    """300 characters are unchanged; 301 become 299 and an ellipsis."""
    assert code("x" * MAX_EXAMPLE) == f"`{'x' * MAX_EXAMPLE}`"
    assert code("x" * (MAX_EXAMPLE + 1)) == f"`{'x' * (MAX_EXAMPLE - 1)}…`"


def test_tables_are_aligned_as_plain_text() -> None:
    """All lines have the same length, and figures are right-aligned."""
    lines = table(["Name", "n"], [["a", "1"], ["longer", "1000"]], right=(1,)).splitlines()
    assert lines == [
        "| Name   |    n |",
        "| ------ | ---: |",
        "| a      |    1 |",
        "| longer | 1000 |",
    ]
