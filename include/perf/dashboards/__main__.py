"""Write Grafana's files: ``python -m include.perf.dashboards [--folder grafana]``."""

import argparse
from pathlib import Path

from include.perf.dashboards.provisioning import grafana_files

FOLDER = Path(__file__).parents[3] / "grafana"


def main() -> None:
    """Write them."""
    parser = argparse.ArgumentParser(prog="python -m include.perf.dashboards", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="by default grafana/ in the project")
    folder = parser.parse_args().folder
    for name, content in grafana_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
