"""The arguments of the command line: every command has help, and help imports nothing heavy."""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.perf.cli.arguments import argument_parser

ROOT = Path(__file__).parents[3]

HEAVY = ("boto3", "matplotlib", "numpy", "pandas", "pydantic", "requests", "rich", "scipy", "urllib3", "yaml")

HELP_OF_ALL = """
import contextlib, io, json, sys
from include.perf.__main__ import main

for words in json.loads(sys.argv[1]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main([*words, "--help"])
        except SystemExit as end:
            assert end.code == 0, words
    assert out.getvalue().startswith("usage: python -m include.perf"), words
print(json.dumps(sorted(sys.modules)))
"""


def commands_of(parser: argparse.ArgumentParser, *words: str) -> Iterator[tuple[str, ...]]:
    """Yield the words of a command and of each command below it."""
    yield words
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from commands_of(below, *words, name)


COMMANDS = tuple(commands_of(argument_parser()))


def test_the_help_of_no_command_imports_anything_heavy() -> None:
    """Python and argparse take some 40 ms; pandas, SciPy, pydantic or rich alone would take longer."""
    done = subprocess.run(
        [sys.executable, "-c", HELP_OF_ALL, json.dumps(COMMANDS)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = set(json.loads(done.stdout))
    assert {name.partition(".")[0] for name in imported} & set(HEAVY) == set()
    assert {name for name in imported if name.startswith("include.")} == {
        "include.perf",
        "include.perf.__main__",
        "include.perf.cli",
        "include.perf.cli.arguments",
    }


def test_every_command_is_listed() -> None:
    """Groups of commands have actions."""
    assert {words[0] for words in COMMANDS if words} == {
        *("alerts", "baselines", "capacity", "check", "compare", "data", "draft", "halt"),
        *("history", "metrics", "preview", "resume", "rules", "run", "smoke"),
    }
    assert ("baselines", "promote") in COMMANDS
    assert len(COMMANDS) == 1 + 15 + 6 + 5 + 3 + 3 + 1


@pytest.mark.parametrize("words", [(), ("baselines",), ("alerts",), ("rules",), ("history",)])
def test_a_command_is_required(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """The message names what is missing."""
    with pytest.raises(SystemExit, match="2"):
        argument_parser().parse_args(words)
    assert f"required: {'action' if words else 'command'}" in capsys.readouterr().err
