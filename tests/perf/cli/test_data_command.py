"""The command ``data convert``: what it writes, and that it writes nothing that could not be used."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.cli.arguments import argument_parser
from include.perf.cli.data_command import convert_data
from include.perf.model.errors import ConfigurationError, DataError

EXPORT = "20120201 000000;1.306600;1.306600;1.306560;1.306560;0\n20120201 000100;1.30657;1.30657;1.30647;1.30656;17\n"


def convert(folder: Path, *options: str, text: str = EXPORT) -> str:
    export = folder / "export.csv"
    export.write_text(text, encoding="utf-8")
    output = io.StringIO()
    words = ["data", "convert", str(export), "--output", str(folder / "new.csv"), "--instrument", "EUR_USD", *options]
    options_ = argument_parser().parse_args(words)
    assert convert_data(options_, Console(file=output, width=300, color_system=None)) == 0
    return output.getvalue()


def test_the_columns_are_those_of_market_data(tmp_path: Path) -> None:
    printed = convert(tmp_path, "--spread", "0.0001")
    assert (tmp_path / "new.csv").read_text(encoding="utf-8") == (
        "timestamp,instrument,open,high,low,close,volume,spread\n"
        "2012-02-01T05:00:00Z,EUR_USD,1.3066,1.3066,1.30656,1.30656,0,0.0001\n"
        "2012-02-01T05:01:00Z,EUR_USD,1.30657,1.30657,1.30647,1.30656,17,0.0001\n"
    )
    assert printed == f"2 bars written to {tmp_path / 'new.csv'}\n"


def test_unusual_rows_are_warnings(tmp_path: Path) -> None:
    printed = convert(tmp_path, "--spread", "0")
    assert printed.startswith(f"warning: the bars of {tmp_path / 'export.csv'} line 2: spread is 0, which is unusual")


def test_bars_that_could_not_be_used_are_not_written(tmp_path: Path) -> None:
    """With the sentence that a scenario would give."""
    with pytest.raises(DataError) as caught:
        convert(tmp_path, "--spread", "2")
    assert str(caught.value).startswith("2 problems:")
    assert f"the bars of {tmp_path / 'export.csv'} line 2: spread must be less than 50%" in str(caught.value)
    assert not (tmp_path / "new.csv").exists()


def test_the_length_of_bars_is_one_of_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"^--bars must be one of S1, .*, W1, but is 'M7'$"):
        convert(tmp_path, "--spread", "0.1", "--bars", "M7")
