"""The command ``draft``: YAML that can be put into services.yaml, and what it lacks."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.perf.__main__ import main
from include.perf.catalogue.service import Service
from include.perf.model.yaml_entries import PROJECT_ROOT

CODE = """
from locust import HttpUser, task

open("executed", "w")


class Trader(HttpUser):
    host = "http://gateway:8000"

    def on_start(self):
        self.client.post("/login")

    @task(3)
    def positions(self):
        self.client.get("/api/v1/positions", params={"instrument": "EUR_USD"})

    @task
    def life(self):
        self.client.post("/api/v1/orders", json={"quantity": 1000})
        self.client.get("/api/v1/orders", headers={"X-Kind": "all"})
"""


def test_the_draft_is_an_entry_and_names_what_it_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing of the file is executed."""
    path = tmp_path / "gateway.py"
    path.write_text(CODE, encoding="utf-8")
    assert main(["draft", "--locustfile", str(path)]) == 0
    text = capsys.readouterr().out
    entry = yaml.safe_load(text)["gateway-service"]
    del entry["endpoints"][1]["steps"][1]["headers"]
    service = Service.model_validate({"name": "gateway-service", **entry})
    assert (service.base_url, [found.weight for found in service.endpoints]) == ("http://gateway:8000", [3, 1])
    assert "# To be corrected: life/orders-2, headers: X-Kind" in text
    assert "#   line 10, Trader.on_start: requests outside tasks are not translated" in text
    assert "#   locustfile: locustfiles/gateway.py" in text
    assert not Path("executed").exists()


def test_a_file_without_anything_to_say_as_data_runs_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The only proposal is the locustfile itself, with the name and address from the command line."""
    path = tmp_path / "users.py"
    path.write_text("from shared import Trader\n", encoding="utf-8")
    assert main(["draft", "--locustfile", str(path), "--service", "fx", "--base-url", "http://fx:80"]) == 0
    entry = yaml.safe_load(capsys.readouterr().out)["fx"]
    assert (entry["locustfile"], entry["base_url"]) == ("locustfiles/users.py", "http://fx:80")
    assert Service.model_validate({"name": "fx", **entry}).locustfile is not None


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "cannot read"), ("x = (", "is not valid Python: '(' was never closed (line 1)")],
)
def test_a_file_that_cannot_be_read(
    tmp_path: Path, content: str | None, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and one sentence."""
    path = tmp_path / "wrong.py"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    assert main(["draft", "--locustfile", str(path)]) == 2
    assert problem in " ".join(capsys.readouterr().err.split())


def test_locust_is_not_imported() -> None:
    """It would patch the standard library."""
    code = (
        "import sys; from include.perf.__main__ import main; "
        "main(['draft', '--locustfile', 'benchmarks/locustfiles/http_user.py']); "
        "sys.exit(any(name in sys.modules for name in ('locust', 'gevent')))"
    )
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, check=True, stdout=subprocess.DEVNULL, timeout=60)
