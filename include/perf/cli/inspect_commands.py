"""The command ``metrics`` of the command line."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from include.perf.model.errors import ConfigurationError
from include.perf.model.json_files import write_atomically
from include.perf.monitoring.cell_status import Sources
from include.perf.monitoring.families import exposition_of


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsCommands:
    """Writes our own metrics, for where nobody can scrape them.

    Attributes:
        sources: gives those that the environment names.
    """

    sources: Callable[[], Sources]

    def add_to(self, commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        """Add ``metrics`` to the commands there are."""
        metrics = commands.add_parser("metrics", help="what Bellwether tells Prometheus about itself, as text")
        metrics.add_argument(
            "--output",
            type=Path,
            metavar="FILE.prom",
            help="a file that is replaced at once, for the textfile collector of node_exporter",
        )
        metrics.set_defaults(command=self._write)

    def _write(self, options: argparse.Namespace, console: Console) -> int:
        content = exposition_of(self.sources().statuses()).content
        if options.output is None:
            console.out(content.decode(), end="")
            return 0
        try:
            write_atomically(options.output, content)
        except OSError as err:
            raise ConfigurationError(f"cannot write {options.output}: {err.strerror}; name another --output") from err
        return 0
