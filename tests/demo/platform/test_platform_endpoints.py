"""All 24 endpoints: they respond, are deterministic, and refuse invalid requests with a reason."""

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from demo.platform.catalogue import SERVICES, service_name
from demo.platform.examples import example
from include.perf.catalogue.reading import load_catalogue
from include.perf.load.staging import build_feed

WINDOW = {
    "instrument": "EUR_USD",
    "timeframe": "M5",
    "start_time": "2026-01-05T07:00:00Z",
    "end_time": "2026-01-05T13:00:00Z",
}
FEATURES = {"price_momentum": 0.001, "volume_trend": 0.1, "volatility": 0.0003}
ORDER = {"instrument": "EUR_USD", "order_type": "market", "side": "buy", "quantity": 1000}
STATEFUL = {"/api/v1/orders", "/api/v1/positions", "/api/v1/executions"}

# service, method, path, a good request, a key that every good answer has
ENDPOINTS: list[tuple[str, str, str, dict[str, Any], str]] = [
    ("analysis-engine-service", "POST", "/api/v1/analysis/market", WINDOW, "rsi_14"),
    ("analysis-engine-service", "POST", "/api/v1/analysis/patterns", WINDOW, "counts"),
    ("analysis-engine-service", "POST", "/api/v1/analysis/signals", WINDOW, "recommendation"),
    ("analysis-engine-service", "POST", "/api/v1/analysis/regime", WINDOW, "volatility_regime"),
    ("trading-gateway-service", "POST", "/api/v1/orders", ORDER, "order_id"),
    ("trading-gateway-service", "GET", "/api/v1/positions", {"instrument": "EUR_USD"}, "positions"),
    ("trading-gateway-service", "GET", "/api/v1/executions", {"limit": 5, **WINDOW}, "executions"),
    ("trading-gateway-service", "GET", "/api/v1/market-data", WINDOW, "columns"),
    ("feature-store-service", "POST", "/api/v1/features", WINDOW, "features"),
    ("feature-store-service", "GET", "/api/v1/feature-sets", WINDOW, "feature_sets"),
    ("feature-store-service", "GET", "/api/v1/data-sources", WINDOW, "data_sources"),
    ("feature-store-service", "POST", "/api/v1/calculations", WINDOW, "latest"),
    ("ml-integration-service", "GET", "/api/v1/models", WINDOW, "models"),
    (
        "ml-integration-service",
        "POST",
        "/api/v1/predictions",
        {"model_id": "momentum-logit", "features": FEATURES},
        "prediction",
    ),
    ("ml-integration-service", "POST", "/api/v1/training", {"model_id": "momentum-logit", **WINDOW}, "weights"),
    ("ml-integration-service", "POST", "/api/v1/evaluation", {"model_id": "momentum-logit", **WINDOW}, "scores"),
    ("strategy-execution-engine", "GET", "/api/v1/strategies", WINDOW, "strategies"),
    (
        "strategy-execution-engine",
        "POST",
        "/api/v1/backtests",
        {"strategy_id": "sma-crossover", "initial_capital": 10_000, **WINDOW},
        "sharpe",
    ),
    (
        "strategy-execution-engine",
        "POST",
        "/api/v1/executions",
        {"strategy_id": "sma-crossover", "quantity": 1_000, **WINDOW},
        "average_price",
    ),
    ("strategy-execution-engine", "GET", "/api/v1/performance", {"strategy_id": "momentum"}, "performance"),
    ("data-pipeline-service", "GET", "/api/v1/pipelines", WINDOW, "pipelines"),
    ("data-pipeline-service", "GET", "/api/v1/data-sources", WINDOW, "data_sources"),
    ("data-pipeline-service", "GET", "/api/v1/transformations", WINDOW, "transformations"),
    (
        "data-pipeline-service",
        "POST",
        "/api/v1/jobs",
        {"pipeline_id": "returns", "parameters": WINDOW},
        "checksum",
    ),
]
OF_CLIENTS = {
    ("trading-gateway-service", "GET", "/api/v1/orders/{client_order_id}"),
    ("trading-gateway-service", "POST", "/api/v1/cancellations"),
    ("trading-gateway-service", "GET", "/api/v1/open-orders"),
} | {
    (service, *route)
    for service in SERVICES
    for route in (("GET", "/api/v1/signed"), ("POST", "/api/v1/signed"), ("GET", "/api/v1/account"))
}
"""Endpoints that no scenario of the demo loads; they check what a client sends."""

IDS = [f"{service} {method} {path}" for service, method, path, _, _ in ENDPOINTS]


def place(method: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"params": values} if method == "GET" else {"json": values}


@pytest.mark.parametrize(("service", "method", "path", "values", "key"), ENDPOINTS, ids=IDS)
def test_an_endpoint_responds_deterministically(
    start: Callable[..., Any], service: str, method: str, path: str, values: dict[str, Any], key: str
) -> None:
    """A valid request gets status 200, and the same request the same response."""
    running = start(service)
    answer = running.ask(method, path, **place(method, values))
    assert answer.status_code == 200, answer.text
    assert key in answer.json()
    if path not in STATEFUL:
        assert running.ask(method, path, **place(method, values)).content == answer.content
    assert running.metric("http_requests_total", endpoint=path, method=method, status="200") in (1, 2)


def test_the_platform_has_24_endpoints(start: Callable[..., Any]) -> None:
    """The OpenAPI documents list exactly these, in addition to health, metrics and what checks clients."""
    listed = set()
    for service in SERVICES:
        for path, methods in start(service).ask("GET", "/openapi.json").json()["paths"].items():
            listed |= {(service, method.upper(), path) for method in methods if path.startswith("/api/")}
    assert listed == OF_CLIENTS | {(service, method, path) for service, method, path, _, _ in ENDPOINTS}
    assert len(ENDPOINTS) == 24


def test_a_client_order_id_is_used_once(start: Callable[..., Any]) -> None:
    """A second order with it is refused, and the first one is found by it; the path is counted as one endpoint."""
    service = start("trading-gateway-service")
    order = {"instrument": "EUR_USD", "order_type": "market", "side": "buy", "quantity": 100, "client_order_id": "a-1"}
    placed = service.ask("POST", "/api/v1/orders", json=order).json()
    refused = service.ask("POST", "/api/v1/orders", json=order)
    assert (refused.status_code, refused.json()["detail"]) == (
        409,
        "client_order_id 'a-1' was used before; each order needs its own",
    )
    found = service.ask("GET", "/api/v1/orders/a-1").json()
    assert found == {"client_order_id": "a-1"} | {key: placed[key] for key in placed if key != "executions"}
    assert service.ask("GET", "/api/v1/orders/a-2").status_code == 404
    for status in ("200", "404"):
        path = "/api/v1/orders/{client_order_id}"
        assert service.metric("http_requests_total", endpoint=path, method="GET", status=status) == 1


def test_an_order_works_for_a_while_and_can_be_cancelled(start: Callable[..., Any], clock: Any) -> None:
    """Two orders work for 200 ms and 5 s: the first matches when it is looked at then, the second is cancelled."""
    service = start("trading-gateway-service")
    order = {"instrument": "EUR_USD", "order_type": "market", "side": "buy", "quantity": 100}

    def open_orders() -> Any:
        return service.ask("GET", "/api/v1/open-orders").json()["open_orders"]

    for name, for_ms in (("b-1", 200), ("b-2", 5_000)):
        body = order | {"client_order_id": name, "fill_after_ms": for_ms}
        accepted = service.ask("POST", "/api/v1/orders", json=body)
        assert (accepted.status_code, accepted.json()["status"]) == (202, "working")
    assert (service.ask("GET", "/api/v1/orders/b-1").json()["status"], open_orders()) == ("working", 2)
    clock.now_s += 0.2
    assert service.ask("GET", "/api/v1/orders/b-1").json()["status"] == "filled"
    for name, status in (("b-1", "filled"), ("b-2", "cancelled")):
        cancelled = service.ask("POST", "/api/v1/cancellations", json={"client_order_id": name})
        assert cancelled.json()["status"] == status
    clock.now_s += 60
    assert (service.ask("GET", "/api/v1/orders/b-2").json()["status"], open_orders()) == ("cancelled", 0)


def test_a_resting_order_is_open_until_it_is_cancelled(start: Callable[..., Any]) -> None:
    """Its limit is far from the market."""
    service = start("trading-gateway-service")
    order = {"instrument": "EUR_USD", "order_type": "limit", "side": "buy", "quantity": 100, "price": 0.5}
    placed = service.ask("POST", "/api/v1/orders", json=order | {"client_order_id": "c-1"}).json()
    assert placed["status"] == "resting"
    assert service.ask("GET", "/api/v1/open-orders").json() == {"open_orders": 1}
    cancelled = service.ask("POST", "/api/v1/cancellations", json={"client_order_id": "c-1"}).json()
    assert (cancelled["status"], cancelled["order_id"]) == ("cancelled", placed["order_id"])
    assert service.ask("GET", "/api/v1/open-orders").json() == {"open_orders": 0}


def test_openapi_documents_query_and_body(start: Callable[..., Any]) -> None:
    """The route that validates directly is documented like any other."""
    paths = start("trading-gateway-service").ask("GET", "/openapi.json").json()["paths"]
    parameters = {p["name"] for p in paths["/api/v1/market-data"]["get"]["parameters"]}
    assert parameters == {"instrument", "timeframe", "start_time", "end_time", "limit"}
    assert "requestBody" in paths["/api/v1/orders"]["post"]


@pytest.mark.parametrize("service", SERVICES)
def test_lists_need_no_parameters(start: Callable[..., Any], service: str) -> None:
    """Every GET works without parameters."""
    running = start(service)
    for owner, method, path, _, _ in ENDPOINTS:
        if owner == service and method == "GET":
            assert running.ask("GET", path).status_code == 200


@pytest.mark.parametrize("service", SERVICES)
def test_every_example_is_a_valid_request(start: Callable[..., Any], service: str) -> None:
    """The first 120 requests of background traffic get status 200; all four endpoints are among them."""
    running = start(service)
    requests = [example(service, number) for number in range(120)]
    assert {running.send(request).status_code for request in requests} == {200}
    assert len({(r.method, r.path) for r in requests}) == 4
    assert requests[17] == example(service, 17)


# path, what to change of the good request (None removes), what the message must say
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("analysis-engine-service", "/api/v1/analysis/market", {"instrument": "EUR_XXX"}, "'EUR_USD'"),
    ("analysis-engine-service", "/api/v1/analysis/market", {"instrument": None}, "Field required"),
    ("analysis-engine-service", "/api/v1/analysis/signals", {"timeframe": "M2"}, "'M1', 'M5'"),
    ("analysis-engine-service", "/api/v1/analysis/regime", {"start_time": "2026-01-05T07:00:00"}, "timezone"),
    ("analysis-engine-service", "/api/v1/analysis/regime", {"end_time": "2026-01-05T07:00:00Z"}, "must be after"),
    ("analysis-engine-service", "/api/v1/analysis/market", {"end_time": "2027-02-01T00:00:00Z"}, "366 days"),
    ("analysis-engine-service", "/api/v1/analysis/market", {"start_time": "1812-01-01T00:00:00Z"}, "1990-01-01"),
    ("trading-gateway-service", "/api/v1/orders", {"order_type": "limit"}, "must have a price"),
    ("trading-gateway-service", "/api/v1/orders", {"quantity": 0}, "greater than or equal to 0.01"),
    ("trading-gateway-service", "/api/v1/orders", {"side": "long"}, "'buy' or 'sell'"),
    ("trading-gateway-service", "/api/v1/orders", {"time_in_force": "GTD"}, "'GTC'"),
    ("trading-gateway-service", "/api/v1/executions", {"limit": 201}, "less than or equal to 200"),
    ("trading-gateway-service", "/api/v1/market-data", {"end_time": "2026-01-05T01:00:00Z"}, "must be after"),
    ("feature-store-service", "/api/v1/features", {"features": ["price"]}, "'price_momentum'"),
    ("feature-store-service", "/api/v1/features", {"lookback": 1}, "greater than or equal to 2"),
    ("feature-store-service", "/api/v1/calculations", {"calculation": "wma"}, "'sma'"),
    ("ml-integration-service", "/api/v1/predictions", {"features": {"volatility": 1}}, "Field required"),
    ("ml-integration-service", "/api/v1/predictions", {"features": {**FEATURES, "volatility": -1}}, "equal to 0"),
    ("ml-integration-service", "/api/v1/training", {"epochs": 51}, "less than or equal to 50"),
    ("strategy-execution-engine", "/api/v1/backtests", {"initial_capital": 0}, "greater than or equal to 1"),
    ("strategy-execution-engine", "/api/v1/executions", {"instrument": None}, "Field required"),
    ("data-pipeline-service", "/api/v1/jobs", {"parameters": {"timeframe": "H9"}}, "'M1', 'M5'"),
    ("data-pipeline-service", "/api/v1/pipelines", {"start_time": "9999-12-31T00:00:00Z", "end_time": None}, "2100"),
]


@pytest.mark.parametrize(("service", "path", "change", "message"), WRONG)
def test_wrong_input_is_refused_with_a_reason(
    start: Callable[..., Any], service: str, path: str, change: dict[str, Any], message: str
) -> None:
    """The response is 422 with the rule, and is counted as 422."""
    running = start(service)
    method, good = next((m, v) for s, m, p, v, _ in ENDPOINTS if (s, p) == (service, path))
    values = {k: v for k, v in {**good, **change}.items() if v is not None}
    answer = running.ask(method, path, **place(method, values))
    assert answer.status_code == 422, answer.text
    assert message in answer.json()["detail"][0]["msg"]
    assert answer.json()["detail"][0]["loc"][0] == ("query" if method == "GET" else "body")
    assert running.metric("http_requests_total", endpoint=path, method=method, status="422") == 1


def test_a_body_that_is_not_json_is_refused(start: Callable[..., Any]) -> None:
    running = start("analysis-engine-service")
    for body in (b"", b"{not json", b"\xff\xfe{}", b'{"instrument": "\\ud800"}'):
        answer = running.ask("POST", "/api/v1/analysis/market", content=body)
        assert answer.status_code == 422
        assert "Invalid JSON" in answer.json()["detail"][0]["msg"]


def test_a_body_may_arrive_in_pieces(start: Callable[..., Any]) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        body = json.dumps(WINDOW).encode()
        yield body[:20]
        yield body[20:]

    running = start("analysis-engine-service")
    assert running.ask("POST", "/api/v1/analysis/market", content=pieces()).status_code == 200


def test_another_method_is_not_allowed(start: Callable[..., Any]) -> None:
    assert start("analysis-engine-service").ask("GET", "/api/v1/analysis/market").status_code == 405


@pytest.mark.parametrize(
    ("service", "path", "field", "known"),
    [
        ("ml-integration-service", "/api/v1/predictions", "model_id", "volatility-linear"),
        ("ml-integration-service", "/api/v1/training", "model_id", "momentum-logit"),
        ("ml-integration-service", "/api/v1/evaluation", "model_id", "momentum-logit"),
        ("strategy-execution-engine", "/api/v1/backtests", "strategy_id", "sma-crossover"),
        ("strategy-execution-engine", "/api/v1/executions", "strategy_id", "breakout"),
        ("strategy-execution-engine", "/api/v1/performance", "strategy_id", "momentum"),
        ("data-pipeline-service", "/api/v1/jobs", "pipeline_id", "clean-prices"),
    ],
)
def test_an_unknown_id_is_not_found(start: Callable[..., Any], service: str, path: str, field: str, known: str) -> None:
    """The response is 404 with the known names."""
    method, good = next((m, v) for s, m, p, v, _ in ENDPOINTS if (s, p) == (service, path))
    answer = start(service).ask(method, path, **place(method, {**good, field: "nope"}))
    assert answer.status_code == 404
    assert f"unknown {field} 'nope'" in answer.json()["detail"]
    assert known in answer.json()["detail"]


@pytest.mark.parametrize(
    ("timeframe", "hours", "bars", "bar_seconds"),
    [
        ("M1", 24, 240, 360),  # 1,440 bars merge by 6
        ("M1", 4, 240, 60),
        ("M5", 24, 144, 600),  # 288 bars merge by 2
        ("H1", 1, 60, 3_600),  # extended into the past to 60 bars
        ("D1", 24 * 366, 183, 172_800),  # 366 bars merge by 2
    ],
)
def test_a_window_has_60_to_240_bars(
    start: Callable[..., Any], timeframe: str, hours: int, bars: int, bar_seconds: int
) -> None:
    days, rest = divmod(hours, 24)
    month, day = (1, 5 + days) if days < 26 else (1, 6)
    year = 2026 if days < 26 else 2027
    window = {**WINDOW, "timeframe": timeframe, "start_time": "2026-01-05T00:00:00Z"}
    window["end_time"] = f"{year}-{month:02}-{day:02}T{rest:02}:00:00Z"
    answer = start("analysis-engine-service").ask("POST", "/api/v1/analysis/market", json=window).json()
    assert (answer["bars"], answer["bar_seconds"]) == (bars, bar_seconds)
    assert answer["to"] == window["end_time"]


def test_market_data_has_the_bars_of_its_window_and_no_more(start: Callable[..., Any]) -> None:
    running = start("trading-gateway-service")
    hour = {**WINDOW, "end_time": "2026-01-05T08:00:00Z"}
    answer = running.ask("GET", "/api/v1/market-data", params=hour).json()
    assert answer["bars"] == 12
    assert {len(column) for column in answer["columns"].values()} == {12}
    assert answer["ask"] - answer["bid"] == pytest.approx(0.00006)
    merged = running.ask("GET", "/api/v1/market-data", params={**hour, "limit": 4}).json()
    assert (merged["bars"], merged["bar_seconds"]) == (4, 900)
    assert merged["columns"]["close"][-1] == answer["columns"]["close"][-1]


def test_without_times_the_window_ends_with_the_last_closed_bar(start: Callable[..., Any], clock: Any) -> None:
    clock.now_s += 123
    answer = start("data-pipeline-service").ask("GET", "/api/v1/pipelines").json()
    assert (answer["to"], answer["bars"]) == ("2026-01-07T12:00:00Z", 60)


def test_an_order_becomes_an_execution_and_a_position(start: Callable[..., Any]) -> None:
    running = start("trading-gateway-service")
    placed = running.ask("POST", "/api/v1/orders", json={**ORDER, "quantity": 1500}).json()
    assert (placed["status"], placed["filled_quantity"]) == ("filled", 1500)
    executions = running.ask("GET", "/api/v1/executions").json()["executions"]
    assert [(e["order_id"], e["quantity"], e["time"]) for e in executions] == [
        (placed["order_id"], 1500, "2026-01-07T12:00:00Z")
    ]
    (position,) = running.ask("GET", "/api/v1/positions").json()["positions"]
    assert (position["quantity"], position["average_price"]) == (1500, placed["average_price"])
    # bought at the ask, valued at the mid: half the spread of 0.6 pips
    assert position["unrealised_pnl"] == pytest.approx(-0.045, abs=0.011)
    assert running.ask("GET", "/api/v1/positions", params={"instrument": "USD_JPY"}).json()["positions"] == []


def test_a_strategys_executions_show_in_its_performance(start: Callable[..., Any]) -> None:
    running = start("strategy-execution-engine")
    request = {"strategy_id": "momentum", "quantity": 400, "side": "sell", **WINDOW}
    first, second = (running.ask("POST", "/api/v1/executions", json=request).json() for _ in range(2))
    assert (first["execution_id"], second["execution_id"]) == (1, 2)
    assert [s["quantity"] for s in first["slices"]] == [100] * 4
    rows = running.ask("GET", "/api/v1/performance").json()["performance"]
    by_id = {row["strategy_id"]: row for row in rows}
    assert (by_id["momentum"]["executions"], by_id["momentum"]["position"]) == (2, -800)
    assert by_id["breakout"]["executions"] == 0


@pytest.mark.parametrize("given", ["feature-store", "feature-store-service"])
def test_a_service_is_known_with_and_without_its_suffix(given: str) -> None:
    assert service_name(given) == "feature-store-service"


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown service 'fax'; known: analysis-engine-service"):
        service_name("fax")


def test_responses_meet_the_expectations_of_the_catalogue(start: Callable[..., Any]) -> None:
    """Responses to the catalogue's requests meet its expectations; a refusal does not."""
    catalogue = load_catalogue(Path(__file__).parents[3] / "include")
    scenario = catalogue.scenario("high_volatility")
    expecting = [(s, e) for s in catalogue.services.values() for e in s.endpoints if e.expect is not None]
    assert [f"{service.short_name} {endpoint.name}" for service, endpoint in expecting] == [
        "trading-gateway orders",
        "ml-integration predictions",
    ]
    for service, endpoint in expecting:
        platform, check = start(service.name), endpoint.expect.compiled()
        only = service.model_copy(update={"endpoints": (endpoint,)})
        for request in build_feed(catalogue.data_path(scenario), only, scenario.load).requests[0][::10]:
            answer = platform.ask(endpoint.method, request.target, content=request.body)
            assert check(answer.status_code, answer.content) is None
        refused = platform.ask(endpoint.method, endpoint.path, json={})
        assert check(refused.status_code, refused.content) == "HTTP 422"
        assert check(200, refused.content).startswith("wrong answer: ")
