"""Write Grafana's files: ``python -m include.perf.monitoring.dashboards [--folder grafana]``.

Every file that Grafana reads: the dashboard, and by what it finds that and Prometheus when it starts.

Source: Grafana documentation, "Provision Grafana".
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from include.perf.model.yaml_entries import PROJECT_ROOT
from include.perf.monitoring.dashboards.bellwether import bellwether_dashboard

DASHBOARDS = """\
apiVersion: 1
providers:
  - name: bellwether
    folder: Performance
    type: file
    # what is changed in the browser is lost: the dashboard is made by code (make dashboards)
    allowUiUpdates: false
    options:
      path: ${BELLWETHER_DASHBOARDS}
"""

DATASOURCES = """\
apiVersion: 1
datasources:
  - name: Prometheus
    type: prometheus
    access: proxy
    url: ${PROMETHEUS_URL}
    jsonData:
      httpMethod: POST
      # of the job that scrapes Bellwether
      timeInterval: 15s
"""


def grafana_files() -> Mapping[str, str]:
    """Return the content of every file by its path below Grafana's folder."""
    board = JSONEncoder(indent=2, sort_keys=True).encode(bellwether_dashboard())
    return {
        "dashboards/bellwether.json": f"{board}\n",
        "provisioning/dashboards/bellwether.yaml": DASHBOARDS,
        "provisioning/datasources/prometheus.yaml": DATASOURCES,
    }


FOLDER = PROJECT_ROOT / "grafana"


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m include.perf.monitoring.dashboards", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="by default grafana/ in the project")
    folder = parser.parse_args().folder
    for name, content in grafana_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
