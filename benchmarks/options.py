"""The command line of a benchmark; each has a quick mode, which the tests run."""

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

QUICK_NOTE = "Quick mode: this shows that the benchmark runs. The samples are too small for meaningful figures."


def parser_of(module: str, text: str | None) -> argparse.ArgumentParser:
    """Return the parser of ``python -m benchmarks.MODULE``, whose help is the docstring of the module."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{module}",
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def parse(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, *, quick: Mapping[str, Any]
) -> argparse.Namespace:
    """Add ``--quick`` and parse; with it, the defaults of ``quick`` apply to every option that is not given."""
    parser.add_argument("--quick", action="store_true", help="run in seconds; the figures mean nothing then")
    options, _ = parser.parse_known_args(arguments)
    if options.quick:
        parser.set_defaults(**quick)
    return parser.parse_args(arguments)


def notes_of(options: argparse.Namespace) -> tuple[str, ...]:
    """Return what the reader of the figures must know about the mode."""
    return (QUICK_NOTE,) if options.quick else ()
