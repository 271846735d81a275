"""A catalogue of one small service and one short scenario, with its data."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from include.perf.catalogue.catalogue import Catalogue
from include.perf.catalogue.scenario.market_hours import OWN_FILE, load_market_hours
from include.perf.catalogue.scenario.scenario import Scenario
from include.perf.catalogue.service import Service
from tests.fakes.clock import START

CSV_HEADER = "timestamp,instrument,open,high,low,close,volume,spread"
SELECTOR = 'service="orders-service"'


def csv_lines(*, count: int = 80, cadence_s: int = 60, instruments: tuple[str, ...] = ("EUR_USD",)) -> list[str]:
    """Return a CSV of market data: closes of 1.1000, 1.1001, … volumes 100, 101, …, a spread of 0.0002."""
    lines = [CSV_HEADER]
    for number in range(count):
        time = START + timedelta(seconds=cadence_s * number)
        close = 1.1 + number / 10_000
        prices = f"{close:.4f},{close + 0.0005:.4f},{close - 0.0005:.4f},{close:.4f}"
        lines += [f"{time:%Y-%m-%dT%H:%M:%SZ},{name},{prices},{100 + number},0.0002" for name in instruments]
    return lines


def write_csv(path: Path, **shape: Any) -> Path:
    """Write `csv_lines` to a file."""
    path.write_text("\n".join([*csv_lines(**shape), ""]), encoding="utf-8")
    return path


def small_service(**changes: Any) -> Service:
    """Return a service with two endpoints, scraped every second."""
    made: dict[str, Any] = {
        "name": "orders-service",
        "base_url": "http://orders-service:8000",
        "allowed_hosts": ["orders-service"],
        "prometheus": {"selector": SELECTOR, "scrape_interval_s": 1},
        "endpoints": [
            {"name": "place", "method": "POST", "path": "/orders", "body": {"price": "$price", "side": "$side"}},
            {"name": "positions", "method": "GET", "path": "/positions", "query": {"instrument": "$instrument"}},
        ],
    }
    return Service.model_validate(made | changes)


def small_scenario(**changes: Any) -> Scenario:
    """Return a scenario of 40/s for 10 s after 5 s of warm-up: 600 arrivals, 400 of them measured."""
    made: dict[str, Any] = {
        "name": "brief",
        "title": "Brief",
        "load": {"rate_rps": 40, "duration_s": 10, "warmup_s": 5},
        "data": "brief.csv",
    }
    return Scenario.model_validate(made | changes)


def small_catalogue(folder: Path) -> Catalogue:
    """Return a catalogue of one service and one scenario, its data in ``folder``."""
    write_csv(folder / "brief.csv")
    service, scenario = small_service(), small_scenario()
    return Catalogue(
        folder=folder,
        services={service.name: service},
        scenarios={scenario.name: scenario},
        market_hours=load_market_hours(OWN_FILE),
    )
