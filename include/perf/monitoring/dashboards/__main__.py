"""Write Grafana's files: ``python -m include.perf.monitoring.dashboards [--folder grafana]``.

The files are the dashboard, and the provisioning of the dashboard and of the Prometheus data source.

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
    # the dashboard is generated (make dashboards), so changes in the browser would be lost
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
      # scrape interval of the job that scrapes Bellwether
      timeInterval: 15s
"""


def grafana_files() -> Mapping[str, str]:
    """Return the content of each file by its path below Grafana's folder."""
    board = JSONEncoder(indent=2, sort_keys=True).encode(bellwether_dashboard())
    return {
        "dashboards/bellwether.json": f"{board}\n",
        "provisioning/dashboards/bellwether.yaml": DASHBOARDS,
        "provisioning/datasources/prometheus.yaml": DATASOURCES,
    }


FOLDER = PROJECT_ROOT / "grafana"


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(prog="python -m include.perf.monitoring.dashboards", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="target folder; default: grafana/ in the project")
    folder = parser.parse_args().folder
    for name, content in grafana_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
