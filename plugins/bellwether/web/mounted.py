"""Where Airflow shows the page "Performance": an entry in its navigation, and a tab of every DAG run.

Every process of Airflow reads this, so that it imports next to nothing; see `bellwether.web.lazy`.
"""

from typing import Any

from bellwether.links import URL_PREFIX, pages_path
from bellwether.web.lazy import LazyApp, performance_app

TITLE = "Performance"


def fastapi_apps() -> list[dict[str, Any]]:
    """Return the app as Airflow mounts it."""
    return [{"app": LazyApp(performance_app), "url_prefix": URL_PREFIX, "name": TITLE}]


def external_views() -> list[dict[str, Any]]:
    """Return the pages that Airflow's UI shows; their addresses begin where browsers find Airflow."""
    base = pages_path()
    look = {
        "name": TITLE,
        "icon": f"{base}/static/icon.svg",
        "icon_dark_mode": f"{base}/static/icon-dark.svg",
    }
    return [
        {**look, "href": f"{base}/", "destination": "nav", "nav_top_level": True, "url_route": "performance"},
        {
            **look,
            "href": f"{base}/dag-runs/{{DAG_ID}}/{{RUN_ID}}",
            "destination": "dag_run",
            "url_route": "performance-of-run",
        },
    ]
