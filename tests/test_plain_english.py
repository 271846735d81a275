"""The prose of the code keeps to plain English: see the glossary in CONTRIBUTING.md."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROSE_FOLDERS = ("include", "plugins", "dags", "demo")
CODE_FOLDERS = (*PROSE_FOLDERS, "benchmarks", "tests", "scripts")

DIALECT = re.compile(r"\b(tell|tells|told|held to|for sure)\b", re.IGNORECASE)
STORED_NAMES = ("tell_late", "told_by", '"told"')
"""Names that Airflow's database, earlier records and the alert book hold."""

PROSE_TOKENS = {tokenize.COMMENT, tokenize.STRING}
if hasattr(tokenize, "FSTRING_MIDDLE"):  # from Python 3.12 on, an f-string is several tokens
    PROSE_TOKENS.add(tokenize.FSTRING_MIDDLE)


def sources(*folders: str) -> list[Path]:
    """Return the Python files of some folders, without this one."""
    found = (path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")))
    return [path for path in found if path != Path(__file__)]


def tokens_of(source: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens of a module."""
    return tokenize.generate_tokens(io.StringIO(source).readline)


def dialect_in(source: str) -> list[str]:
    """Return the lines of docstrings, comments and strings with words of the dialect."""
    found = []
    for token in tokens_of(source):
        if token.type in PROSE_TOKENS:
            text = re.sub("|".join(STORED_NAMES), "", token.string)
            found += [f"line {token.start[0]}: {match[0]}" for match in DIALECT.finditer(text)]
    return found


def dialect_names_in(source: str) -> set[str]:
    """Return the names with a part of the dialect, such as ``told_once``."""
    names = {token.string for token in tokens_of(source) if token.type == tokenize.NAME}
    return {name for name in names if {"tell", "tells", "told"} & set(name.lower().split("_"))} - set(STORED_NAMES)


def loops_with_each(source: str) -> list[int]:
    """Return the lines of loops and comprehensions over a variable ``each``."""
    targets = [node.target for node in ast.walk(ast.parse(source)) if isinstance(node, ast.For | ast.comprehension)]
    names = [name for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return [name.lineno for name in names if name.id == "each"]


def files_with(look: object, *folders: str) -> set[str]:
    """Return the files in which ``look`` finds something."""
    assert callable(look)
    return {str(path.relative_to(ROOT)) for path in sources(*folders) if look(path.read_text(encoding="utf-8"))}


def test_prose_is_free_of_the_dialect() -> None:
    """Docstrings, comments and strings say log, notify, print, explain or decide, not tell."""
    assert files_with(dialect_in, *PROSE_FOLDERS) == set()


def test_names_are_free_of_the_dialect() -> None:
    """Names use the words of the glossary, too."""
    assert files_with(dialect_names_in, *PROSE_FOLDERS) == set()


def test_loop_variables_are_nouns() -> None:
    """A loop variable says what it is: ``deviation``, not ``each``."""
    assert files_with(loops_with_each, *CODE_FOLDERS) == set()


@pytest.mark.parametrize(
    ("source", "count"),
    [
        ('"""Tell on-call."""\n', 1),
        ("x = 1  # it is held to the baseline\n", 1),
        ('log.info("who was told of %s", name)\n', 1),
        ('log.info(f"told {name}")\n', 1),
        ('from bellwether.lateness import tell_late  # stored as "tell_late"\n', 0),
        ("told = 1\n", 0),
    ],
)
def test_the_search_finds_the_dialect(source: str, count: int) -> None:
    """Otherwise an empty result would prove nothing."""
    assert len(dialect_in(source)) == count


def test_the_search_finds_names_and_loops() -> None:
    """Names by their parts, and ``each`` in loops, comprehensions and tuples."""
    assert dialect_names_in("told_before, tell_late, folder = 1, 2, 3\n") == {"told_before"}
    loops = "for each in x:\n    pass\ny = [each for each in x]\nz = {k: each for k, each in x}\n"
    assert sorted(loops_with_each(loops)) == [1, 3, 4]
