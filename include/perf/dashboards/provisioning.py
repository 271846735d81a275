"""Every file that Grafana reads: the dashboard, and by what it finds that and Prometheus when it starts.

Source: Grafana documentation, "Provision Grafana".
"""

from collections.abc import Mapping

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from include.perf.dashboards.bellwether import bellwether_dashboard

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
