"""A small catalogue in files, for tests that change one of its lines."""

from pathlib import Path

from tests.fakes.small_catalogue import write_csv

SERVICES = """\
schema_version: 1
defaults:
  prometheus: {scrape_interval_s: 5, queries: {disk_usage: "avg_over_time(disk{$selector}[$window])"}}
services:
  orders-service:
    base_url: http://orders-service:8000
    allowed_hosts: [orders-service]
    prometheus: {selector: 'service="orders"'}
    endpoints:
      - {name: place, method: POST, path: /orders, body: {price: $price}}
  engine:
    base_url: https://engine.example:8443
    allowed_hosts: [engine.example]
    prometheus: {selector: 'service="engine"', scrape_interval_s: 15}
    endpoints:
      - {name: state, method: GET, path: /state}
"""
SCENARIOS = """\
schema_version: 1
defaults:
  load: {warmup_s: 30}
scenarios:
  calm: {title: Calm, load: {rate_rps: 10, duration_s: 60}, data: calm.csv}
  storm:
    title: Storm
    load: {rate_rps: 100, duration_s: 60, warmup_s: 5}
    data: calm.csv
    services: [engine]
    schedule: {cron: "0 2 * * 6", timezone: Europe/London}
"""


def catalogue_folder(folder: Path, *, services: str = SERVICES, scenarios: str = SCENARIOS) -> Path:
    """Write both files and their CSV file, and return the folder."""
    (folder / "services.yaml").write_text(services, encoding="utf-8")
    (folder / "scenarios.yaml").write_text(scenarios, encoding="utf-8")
    write_csv(folder / "calm.csv")
    return folder
