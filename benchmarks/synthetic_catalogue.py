"""Write a catalogue of any size: copies of the project's services and scenarios under other names."""

from pathlib import Path
from typing import Any

import yaml

from include.perf.catalogue.catalogue import SCENARIOS_FILE, SERVICES_FILE
from include.perf.model.yaml_entries import PROJECT_FOLDER

CAPACITY_RPS = 5_000.0


def write_catalogue(folder: Path, *, services: int, scenarios: int) -> Path:
    """Write both files and return the folder; every scenario loads every service, once a week."""
    folder.mkdir(parents=True, exist_ok=True)
    document = _read(SERVICES_FILE)
    models = list(document["services"].values())
    document["services"] = {
        f"svc{number:03}-service": _service(models[number % len(models)], f"svc{number:03}")
        for number in range(services)
    }
    _write(folder / SERVICES_FILE, document)
    document = _read(SCENARIOS_FILE) | {"capacity_rps": CAPACITY_RPS}
    models = list(document["scenarios"].values())
    document["scenarios"] = {
        f"scenario_{number}": _scenario(models[number % len(models)], number) for number in range(scenarios)
    }
    _write(folder / SCENARIOS_FILE, document)
    return folder


def _service(model: dict[str, Any], name: str) -> dict[str, Any]:
    selector = f'service="{name}-service",environment="staging"'
    reached = {"base_url": f"http://{name}:8000", "allowed_hosts": [name]}
    return model | reached | {"prometheus": {"selector": selector}, "production": None}


def _scenario(model: dict[str, Any], number: int) -> dict[str, Any]:
    cron = {"cron": f"0 2 * * {number % 7}", "timezone": "UTC"}
    data = str(PROJECT_FOLDER / model["data"])
    return model | {"title": f"Scenario {number}", "schedule": cron, "data": data, "production_hours": None}


def _read(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((PROJECT_FOLDER / name).read_text(encoding="utf-8"))
    return document


def _write(path: Path, document: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
