"""The command ``data`` of the command line: it converts exports of trading platforms."""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from include.perf.load.export_formats import ExportFormat, own_format
from include.perf.load.market_data import read_market_data
from include.perf.load.market_exports import Conversion, bars_of
from include.perf.load.staging import TIMEFRAMES
from include.perf.model.errors import ConfigurationError, DataError
from include.perf.model.file_writer import write_atomically


def _own_format(options: argparse.Namespace) -> ExportFormat | None:
    if options.columns is None:
        return None
    pairs = [pair.partition("=") for pair in options.columns.split(",")]
    columns = {meaning.strip(): name.strip() for meaning, _, name in pairs}
    if len(columns) < len(pairs) or not all(columns.values()):
        raise ConfigurationError(f"--columns must be pairs such as time=Date,bid=Bid, but is {options.columns!r}")
    return own_format(columns, options.times)


def convert_data(options: argparse.Namespace, console: Console) -> int:
    """Convert an export into a file with the project's own columns; the result is checked before it is written."""
    lengths = {name: seconds for seconds, name in TIMEFRAMES.items()}
    if options.bars is not None and options.bars not in lengths:
        raise ConfigurationError(f"--bars must be one of {', '.join(lengths)}, but is {options.bars!r}")
    given = Conversion(
        instrument=options.instrument,
        zone=options.timezone,
        spread=options.spread,
        bar_s=lengths.get(options.bars),
        times=options.times if options.columns is None else None,
        form=_own_format(options),
    )
    bars = bars_of(options.file, given)
    bars["timestamp"] = [time.isoformat().replace("+00:00", "Z") for time in bars["timestamp"]]
    content = bars.to_csv(index=False).encode()
    with tempfile.TemporaryDirectory(prefix="bellwether-data-") as folder:
        checked = Path(folder) / options.output.name
        checked.write_bytes(content)
        name = f"the bars of {options.file}"
        try:
            read_market_data(checked, warn=lambda text: console.print(f"warning: {text.replace(str(checked), name)}"))
        except DataError as err:
            raise DataError([problem.replace(str(checked), name) for problem in err.problems]) from err
    try:
        write_atomically(options.output, content)
    except OSError as err:
        raise ConfigurationError(f"cannot write {options.output}: {err.strerror}; name another --output") from err
    console.print(f"{len(bars):,} bars written to {options.output}")
    return 0
