"""Measure what reading the DAG files costs Airflow, which does so every half minute and before every task.

Run from the project's root::

    python -m benchmarks.parse [--runs 5] [--json]

Method. Each run is a fresh process. It imports first what Airflow's DAG processor has loaded before it opens a
DAG file, then executes each file of dags/ and takes the CPU time of that alone: CPU seconds, because the wall clock
also says what else the machine did. Named are the modules that came with the files, by their top package; pandas,
Matplotlib, gevent and Locust must not be among them. The best run is the least disturbed one.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

PARSE = """
import importlib.util, json, sys, time
from pathlib import Path

started = time.process_time()
import airflow.sdk
import airflow.dag_processing.dagbag
import airflow.dag_processing.processor
from airflow.sdk import DAG, CronTriggerTimetable, Param, TriggerRule, dag, get_current_context, task, task_group
import airflow.sdk.exceptions

airflow_cpu_s = time.process_time() - started
before = set(sys.modules)
files = {}
for path in sorted(Path("dags").glob("*.py")):
    started = time.process_time()
    spec = importlib.util.spec_from_file_location("parsed_" + path.stem, path)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    files[path.name] = time.process_time() - started
new = sorted({name.partition(".")[0] for name in set(sys.modules) - before})
loaded = sorted({name.partition(".")[0] for name in sys.modules})
print(json.dumps({"airflow_cpu_s": airflow_cpu_s, "files_cpu_s": files, "new_packages": new, "packages": loaded}))
"""


def measure() -> dict[str, Any]:
    """Read dags/ in a fresh process and return what it cost and what it loaded."""
    with tempfile.TemporaryDirectory(prefix="bellwether-airflow-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
        environment |= {"AIRFLOW_HOME": home, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"}
        done = subprocess.run(
            [sys.executable, "-c", PARSE], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main() -> None:
    """Measure a few times and print the best run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print the best run as JSON")
    options = parser.parse_args()
    best = min((measure() for _ in range(options.runs)), key=lambda run: sum(run["files_cpu_s"].values()))
    if options.json:
        sys.stdout.write(json.dumps(best, indent=2) + "\n")
        return
    lines = [f"Airflow itself, once a process: {best['airflow_cpu_s']:.2f} s of CPU"]
    lines += [f"dags/{name}: {cpu_s:.3f} s of CPU" for name, cpu_s in best["files_cpu_s"].items()]
    lines += [f"packages that came with them: {', '.join(best['new_packages'])}"]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
