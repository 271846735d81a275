"""Every benchmark still runs: each is started in its quick mode, as a user would start it."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from benchmarks.load import SECTIONS
from benchmarks.options import QUICK_NOTE

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"
WITHIN_S = 200

STARTED_BY_OTHERS = ("bellwether", "scraped", "wakes")
"""Modules that a benchmark starts in a process of its own, and nobody else."""

LOADS = ("distributed", "load", "scraping", "services")
"""Benchmarks that send real load or keep real time. They mostly wait, so they run at the same time."""

NEEDED = {"distributed": ("cc", "gcc", "clang"), "load": ("cc", "gcc", "clang"), "scraping": ("prometheus",)}
"""For some benchmarks, programs of which one must be in PATH."""

_TABLE = re.compile(r"^\| .+ \|\n\| [-: |]+ \|\n\| .+ \|$", re.MULTILINE)


def _programs() -> list[str]:
    """Return the modules of benchmarks/ that can be run."""

    def is_program(path: Path) -> bool:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        return any(isinstance(node, ast.If) and "__main__" in ast.unparse(node.test) for node in tree.body)

    return [path.stem for path in sorted(FOLDER.glob("*.py")) if is_program(path)]


COMMANDS = [name for name in _programs() if name not in STARTED_BY_OTHERS]


def _command(name: str, folder: Path) -> list[str]:
    arguments = [str(folder / "years")] if name == "synthetic_years" else []
    return [sys.executable, "-m", f"benchmarks.{name}", *arguments, "--quick"]


def _check(name: str, *, code: int, output: str, errors: str) -> None:
    assert code == 0, f"{name} ended with {code}:\n{output}\n{errors}"
    assert QUICK_NOTE in output
    assert _TABLE.search(output), f"{name} printed no table:\n{output}\n{errors}"
    assert "Traceback" not in errors


def _skip_without_tools(name: str) -> None:
    tools = NEEDED.get(name, ())
    if tools and not any(map(shutil.which, tools)):
        pytest.skip(f"none of {', '.join(tools)} is in PATH")


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, "subprocess.Popen[bytes]"]]:
    """Start all benchmarks of `LOADS` at once; their output goes to files."""
    running = {}
    for name in LOADS:
        folder = tmp_path_factory.mktemp(name)
        with (folder / "output").open("wb") as output, (folder / "errors").open("wb") as errors:
            running[name] = subprocess.Popen(_command(name, folder), cwd=ROOT, stdout=output, stderr=errors)
    yield running
    for process in running.values():
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in LOADS])
def test_runs_in_quick_mode(name: str, tmp_path: Path) -> None:
    """A benchmark without load ends well in its quick mode, and prints its table."""
    done = subprocess.run(
        _command(name, tmp_path), cwd=ROOT, capture_output=True, text=True, check=False, timeout=WITHIN_S
    )
    _check(name, code=done.returncode, output=done.stdout, errors=done.stderr)


@pytest.mark.parametrize("name", LOADS)
def test_runs_in_quick_mode_with_load(
    name: str, loads: Mapping[str, "subprocess.Popen[bytes]"], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A benchmark that sends load ends well in its quick mode, and prints its tables."""
    _skip_without_tools(name)
    code = loads[name].wait(timeout=WITHIN_S)
    folder = next(tmp_path_factory.getbasetemp().glob(f"{name}[0-9]*"))
    output, errors = ((folder / file).read_text(encoding="utf-8") for file in ("output", "errors"))
    _check(name, code=code, output=output, errors=errors)
    assert "No figures for" not in output
    if name == "load":
        assert [line for line in SECTIONS if f"## {line}: " not in output] == []
        without = 0 if shutil.which("nginx") else 1  # the section ways has no table then
        assert len(_TABLE.findall(output)) >= len(SECTIONS) - without


@pytest.mark.parametrize("name", NEEDED)
def test_missing_program(name: str, tmp_path: Path) -> None:
    """In quick mode, a benchmark without a program that it needs says so and ends well."""
    done = subprocess.run(
        _command(name, tmp_path),
        cwd=ROOT,
        env={"PATH": str(tmp_path), "PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=WITHIN_S,
    )
    assert done.returncode == 0, done.stderr
    assert NEEDED[name][0] in done.stderr
    assert "PATH" in done.stderr
    assert "Traceback" not in done.stderr


def test_programs_are_benchmarks_or_parts_of_one() -> None:
    """A module that can be run has a quick mode, or is started by a benchmark."""
    assert set(LOADS) <= set(COMMANDS)
    source = "".join(path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py"))
    for name in STARTED_BY_OTHERS:
        assert f'"-m", "benchmarks.{name}"' in source
