"""A service with a locustfile: its settings, and what ``check`` finds without executing it."""

from pathlib import Path
from typing import Any

import pytest

from include.perf.catalogue.reading import load_catalogue, read_catalogue
from include.perf.catalogue.service import Service
from include.perf.catalogue.worker_rates import worker_rate_of
from include.perf.model.errors import CatalogueError
from tests.catalogues import SERVICES, catalogue_folder
from tests.real_loads import service_at

CODE = "from locust import HttpUser, task\n\n\nclass Trader(HttpUser):\n    @task\n    def buy(self):\n        pass\n"
ENTRY = "    endpoints:\n      - {name: state, method: GET, path: /state}\n"


def service_with(**changes: Any) -> Service:
    """Return a service with a locustfile and no endpoints."""
    return service_at("http://gateway:8000", **({"endpoints": [], "locustfile": "locustfiles/gateway.py"} | changes))


def folder_with(tmp_path: Path, setting: str, *, code: str = CODE) -> Path:
    """Write a catalogue whose second service has a locustfile."""
    (tmp_path / "locustfiles").mkdir()
    (tmp_path / "locustfiles" / "gateway.py").write_text(code, encoding="utf-8")
    assert ENTRY in SERVICES
    return catalogue_folder(tmp_path, services=SERVICES.replace(ENTRY, f"    locustfile: {setting}\n"))


@pytest.mark.parametrize(
    ("given", "classes"),
    [
        ("locustfiles/gateway.py", ()),
        ("locustfiles/gateway.py:Trader", ("Trader",)),
        ("locustfiles/gateway.py:Trader, Reader", ("Trader", "Reader")),
        ({"file": "locustfiles/gateway.py", "user_classes": ["Trader"]}, ("Trader",)),
    ],
)
def test_the_short_forms(given: object, classes: tuple[str, ...]) -> None:
    """A path, or a path with classes."""
    locustfile = service_with(locustfile=given).locustfile
    assert locustfile is not None
    assert (locustfile.file, locustfile.user_classes) == (Path("locustfiles/gateway.py"), classes)


def test_further_ports_are_ports_of_the_service() -> None:
    """What is forbidden for a port holds for each of them."""
    service = service_with(locustfile={"file": "locustfiles/g.py", "ports": [9000]})
    assert service.ports == (8000, 9000)
    assert service_at("http://gateway:8000").ports == (8000,)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"locustfile": None}, "endpoints must have at least one endpoint; or set locustfile"),
        ({"locustfile": "locustfiles/gateway.txt"}, "must be a Python file"),
        ({"locustfile": "gateway.py"}, "must be in a folder of its own below the catalogue's"),
        ({"locustfile": "a/../../gateway.py"}, "must be in a folder of its own below the catalogue's"),
        ({"locustfile": {"file": "a/b.py", "user_classes": ["no class"]}}, "must be the name of a class"),
        ({"locustfile": {"file": "a/b.py", "ports": [0]}}, "greater than or equal to 1"),
        (
            {"endpoints": [{"name": "a", "method": "GET", "path": "/a"}], "cookies": True},
            "endpoints, cookies has no effect on a locustfile",
        ),
        ({"headers": {"X-Id": "$uuid"}}, "headers: $uuid cannot be filled in for a locustfile"),
    ],
)
def test_wrong_settings(changes: dict[str, Any], problem: str) -> None:
    """One clear sentence each."""
    with pytest.raises(ValueError, match="1 validation error") as caught:
        service_with(**changes)
    assert problem in str(caught.value)


def test_a_catalogue_with_a_locustfile(tmp_path: Path) -> None:
    """Its path is absolute once the catalogue is read."""
    catalogue = load_catalogue(folder_with(tmp_path, "locustfiles/gateway.py:Trader"))
    locustfile = catalogue.service("engine").locustfile
    assert locustfile is not None
    assert locustfile.file == tmp_path / "locustfiles" / "gateway.py"


@pytest.mark.parametrize(
    ("setting", "code", "problem"),
    [
        ("locustfiles/other.py", CODE, "locustfiles/other.py; put the locustfile there"),
        ("locustfiles/gateway.py:Buyer", CODE, "has no class Buyer; its classes: Trader"),
        ("locustfiles/gateway.py", "x = (", "is not valid Python: '(' was never closed (line 1)"),
        ("locustfiles/gateway.py", "x = 1\n", "has no class, and imports none; it needs a User class of Locust"),
        ("locustfiles/gateway.py", "x = 1\0", "is not valid Python"),
    ],
)
def test_a_wrong_locustfile_leaves_its_service_out(tmp_path: Path, setting: str, code: str, problem: str) -> None:
    """The other services go on."""
    catalogue = read_catalogue(folder_with(tmp_path, f"'{setting}'", code=code))
    assert list(catalogue.services) == ["orders-service"]
    (found,) = [text for text in catalogue.problems if "engine.locustfile" in text]
    assert problem in found


def test_a_link_out_of_the_catalogue_is_refused(tmp_path: Path) -> None:
    """Whoever writes the catalogue may not make the load processes run other files."""
    outside = tmp_path / "outside"
    inside = tmp_path / "catalogue"
    outside.mkdir()
    inside.mkdir()
    (outside / "evil.py").write_text(CODE, encoding="utf-8")
    folder = folder_with(inside, "locustfiles/evil.py")
    (inside / "locustfiles" / "evil.py").symlink_to(outside / "evil.py")
    with pytest.raises(CatalogueError, match="is not in a folder of its own below the catalogue's"):
        load_catalogue(folder)


def test_a_class_that_is_imported_is_not_looked_for(tmp_path: Path) -> None:
    """Only a load process imports."""
    code = "from users import Trader\n"
    assert load_catalogue(folder_with(tmp_path, "locustfiles/gateway.py:Trader", code=code)).problems == ()


@pytest.mark.parametrize(
    ("code", "rate_rps"),
    [
        ("from locust import FastHttpUser\n\nclass A(FastHttpUser): ...\n", 1000),
        ("import locust\n\nclass A(locust.FastHttpUser): ...\n", 1000),
        ("from locust import FastHttpUser, HttpUser\n\nclass A(FastHttpUser): ...\n\nclass B(HttpUser): ...\n", 350),
        ("from users import *\n", 350),
    ],
)
def test_a_worker_holds_what_its_client_allows(tmp_path: Path, code: str, rate_rps: float) -> None:
    """The fast client needs a third of the processor time."""
    service = load_catalogue(folder_with(tmp_path, "locustfiles/gateway.py", code=code)).service("engine")
    assert worker_rate_of(service) == rate_rps
    assert worker_rate_of(service.model_copy(update={"worker_rps": 700})) == 700
