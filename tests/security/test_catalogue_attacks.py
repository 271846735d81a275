"""A hostile catalogue: it runs no code, reads no other file, and is refused within seconds."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from include.perf.catalogue.reading import load_catalogue
from include.perf.load.market_data import read_market_data
from include.perf.model.errors import BellwetherError, CatalogueError, DataError
from include.perf.model.yaml_entries import MAX_BYTES
from tests.catalogues import SCENARIOS, SERVICES, catalogue_folder
from tests.fakes.small_catalogue import write_csv

WITHIN_S = 10.0
"""Some take a second on an idle machine; without the guards, they take hours or all memory."""

ALIASES = ["&a0 [x, x, x, x, x, x, x, x, x]", *(f"&a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10))]
BOMB = "[" + ", ".join(ALIASES) + "]"  # 9 to the tenth power values
MERGES = "{" + ", ".join(
    ["a0: &m0 {k: 1}", *(f"a{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 9)}]}}" for n in range(1, 10))]
) + "}"  # fmt: skip


def refusal_of(folder: Path) -> str:
    """Return why a catalogue is refused; fail if that takes too long."""
    began = time.process_time()
    with pytest.raises(CatalogueError) as refused:
        load_catalogue(folder)
    assert time.process_time() - began < WITHIN_S
    return str(refused.value)


@pytest.mark.parametrize(
    ("services", "reason"),
    [
        (BOMB, "has more than 400,000 values"),
        (f"{SERVICES}      - {{name: bomb, method: POST, path: /x, body: {{b: {BOMB}}}}}\n", "more than 400,000"),
        (f"schema_version: 1\nservices: {MERGES}\n", "has more than 400,000 values"),
        (f"{SERVICES}      - &own {{name: own, method: POST, path: /x, body: {{b: *own}}}}\n", "or contains itself"),
        ("services: " + "[" * 5_000 + "]" * 5_000, "nested too deeply"),
        ("services: " + "{a: " * 5_000 + "1" + "}" * 5_000, "nested too deeply"),
        (f"services: {'9' * 5_000}", "an integer may have at most 40 digits"),
        (f"services: 1{':59' * 100_000}", "an integer may have at most 40 digits"),
        ("# " + "x" * MAX_BYTES, "must have at most 4,000,000 bytes"),
    ],
    ids=["list", "body", "merge", "itself", "deep list", "deep mapping", "long", "sexagesimal", "large"],
)
def test_a_small_file_cannot_take_endless_work(tmp_path: Path, services: str, reason: str) -> None:
    """Nested aliases, deep nesting and long numbers are refused with the reason."""
    assert reason in refusal_of(catalogue_folder(tmp_path, services=services))


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch owned']",
        "!!python/name:os.system",
        "!!python/object/new:subprocess.Popen [['touch', 'owned']]",
        "!ENV ${HOME}",
        "!include /etc/passwd",
    ],
)
def test_tags_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tag: str) -> None:
    """YAML is only read as data."""
    monkeypatch.chdir(tmp_path)
    reason = refusal_of(catalogue_folder(tmp_path, services=f"schema_version: 1\nservices: {tag}\n"))
    assert "could not determine a constructor for the tag" in reason
    assert not (tmp_path / "owned").exists()


def _link(folder: Path, target: Path) -> str:
    (folder / "linked.csv").symlink_to(target)
    return "linked.csv"


@pytest.mark.parametrize(
    "named",
    [
        lambda _, outside: str(outside),
        lambda folder, outside: os.path.relpath(outside, folder),
        _link,
    ],
    ids=["absolute", "upwards", "link"],
)
def test_data_is_read_from_the_catalogue_only(tmp_path: Path, named: Callable[[Path, Path], str]) -> None:
    """Error messages quote the content of data files, so other files must not be read."""
    folder, outside = tmp_path / "catalogue", tmp_path / "private.csv"
    folder.mkdir()
    outside.write_text("user,password\nroot,hush\n", encoding="utf-8")
    catalogue_folder(folder)
    scenarios = SCENARIOS.replace("data: calm.csv}", f"data: {named(folder, outside)}}}")
    (folder / "scenarios.yaml").write_text(scenarios, encoding="utf-8")
    reason = refusal_of(folder)
    assert "is not in the catalogue's folder" in reason
    assert "hush" not in reason


@pytest.mark.parametrize("device", ["/dev/zero", "fifo"])
def test_a_ca_bundle_must_be_a_regular_file(tmp_path: Path, device: str) -> None:
    """An endless device, or a pipe without a writer, would block every parse of the DAGs."""
    if device == "fifo":
        os.mkfifo(tmp_path / device)
    services = SERVICES.replace("  engine:\n", f"  engine:\n    ca_file: {device}\n")
    assert "put the PEM bundle there" in refusal_of(catalogue_folder(tmp_path, services=services))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("path", "/a HTTP/1.1\\r\\nHost: evil"),
        ("path", "http://evil.example/"),
        ("path", "//evil.example/x"),
        ("path", "/%2F%2Fevil.example/x"),
        ("path", "/a/../../x"),
        ("name", "../../etc"),
        ("name", "{{ conn.bell.password }}"),
    ],
)
def test_names_and_paths_cannot_inject(tmp_path: Path, name: str, value: str) -> None:
    """Line breaks, path traversal and templates are refused."""
    endpoint = {"name": "state", "method": "GET", "path": "/s", name: value}
    settings = ", ".join(f'{key}: "{text}"' for key, text in endpoint.items())
    services = SERVICES.replace("{name: state, method: GET, path: /state}", f"{{{settings}}}")
    assert "engine.endpoints[0]" in refusal_of(catalogue_folder(tmp_path, services=services))


@pytest.mark.parametrize(
    "rows",
    [
        "\x00",
        '"' * 100_001,
        "a," * 200_000,
        '"' + "x" * 200_000 + '"',
        "=cmd|' /C calc'!A1,b\n" * 5,
        "\x1f\x8b\x08" * 99,
    ],
    ids=["zero bytes", "quotes", "columns", "a long field", "formulas", "compressed"],
)
def test_odd_market_data_is_refused(tmp_path: Path, rows: str) -> None:
    """Odd bytes, quotes and very many columns are reported as problems of the data."""
    path = tmp_path / "odd.csv"
    write_csv(path)
    path.write_text(path.read_text(encoding="utf-8") + rows, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(DataError) as refused:
        read_market_data(path)
    assert time.process_time() - began < WITHIN_S
    assert isinstance(refused.value, BellwetherError)
    assert len(str(refused.value)) < 20_000
