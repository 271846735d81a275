"""Measure what it costs Airflow to parse the DAG files, and how long the command line takes to show its help.

Airflow parses the DAG files every half minute and before every task.

Run from the project's root::

    python -m benchmarks.parse [--runs 5] [--quick] [--json]

Method. Each run is a fresh process. It first imports what Airflow's DAG processor has loaded before it opens a DAG
file. Then it executes each file of dags/ and measures the CPU time of that alone; other processes do not influence CPU
time. The output lists the top-level packages that the files import. pandas, Matplotlib, gevent and Locust must not be
among them. For the command line it measures the CPU time of ``python -m include.perf --help``, from the start of Python
to its end. The best run counts, because it was disturbed least.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.options import notes_of, parse, parser_of
from benchmarks.tables import Table

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
    """Parse dags/ in a fresh process; return the CPU times and the loaded packages."""
    with tempfile.TemporaryDirectory(prefix="bellwether-airflow-") as home:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTEST"))}
        environment |= {"AIRFLOW_HOME": home, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"}
        done = subprocess.run(
            [sys.executable, "-c", PARSE], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        )
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def measure_help() -> float:
    """Show the help of the command line in a fresh process; return its CPU time in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "include.perf", "--help"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a few times and print the best run."""
    parser = parser_of("parse", __doc__)
    parser.add_argument("--runs", type=int, default=5, help="fresh processes, of which the best counts")
    parser.add_argument("--json", action="store_true", help="print the best run as JSON")
    options = parse(parser, arguments, quick={"runs": 1})
    best = min((measure() for _ in range(options.runs)), key=lambda run: sum(run["files_cpu_s"].values()))
    best["help_cpu_s"] = min(measure_help() for _ in range(options.runs))
    if options.json:
        sys.stdout.write(json.dumps(best, indent=2) + "\n")
        return
    rows = [{"file": f"dags/{name}", "CPU s": cpu_s} for name, cpu_s in best["files_cpu_s"].items()]
    rows.append({"file": "(Airflow itself, once per process)", "CPU s": best["airflow_cpu_s"]})
    rows.append({"file": "(python -m include.perf --help)", "CPU s": best["help_cpu_s"]})
    packages = f"Imported packages: {', '.join(best['new_packages'])}."
    sys.stdout.write(Table(title="parse: DAG files", rows=rows, notes=[*notes_of(options), packages]).text())


if __name__ == "__main__":
    main()
