"""The order that the master sends to its workers: everything that they need for the load."""

import json
from pathlib import Path
from typing import Any

from include.perf.load.load_plan import LoadPlan
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.json_files import to_json
from include.perf.runs.results_store import FEED_FILE, LOCUSTFILE_FILE


def order_of(plan: LoadPlan, secrets: ServiceSecrets) -> bytes:
    """Return the order as JSON, which is the same for every worker."""
    order = {
        "plan": _portable(plan),
        "feed": (plan.folder / FEED_FILE).read_text(encoding="utf-8"),
        "ca": _content_of(plan.ca_file),
        "client_certificate": _content_of(plan.client_certificate),
        "secrets": secrets.message(),
    }
    if plan.locustfile is not None:
        order["locustfile"] = (plan.folder / LOCUSTFILE_FILE).read_text(encoding="utf-8")
    return json.dumps({"order": order}).encode()


def _portable(plan: LoadPlan) -> dict[str, Any]:
    """Return a plan without the paths of this machine, which mean nothing on another."""
    values: dict[str, Any] = json.loads(to_json(plan))
    return values | {"folder": ".", "ca_file": None, "client_certificate": None}


def _content_of(path: Path | None) -> str | None:
    return None if path is None else path.read_text(encoding="utf-8")
