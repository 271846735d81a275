"""The command ``preview``: what it prints, and that it prints no secret."""

import argparse
import dataclasses
import io
import socket
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console

from include.perf.catalogue.login import Login
from include.perf.catalogue.reading import read_catalogue
from include.perf.catalogue.service import Service
from include.perf.cli import preview_command
from include.perf.cli.preview_command import PreviewCommand
from include.perf.load.service_secrets import ServiceSecrets
from include.perf.model.errors import CatalogueError, ConfigurationError

PROJECT = Path(__file__).parents[3]
SECRET = "Bearer 4f9c1e77a0"


def printed(service: str, *, credentials: Mapping[str, str] | Exception, scenario: str | None = None) -> str:
    """Return what the command prints for a service of the project's own catalogue."""

    def read(_: Service) -> ServiceSecrets:
        if isinstance(credentials, Exception):
            raise credentials
        return ServiceSecrets(headers=credentials)

    output = io.StringIO()
    options = argparse.Namespace(service=service, scenario=scenario)
    console = Console(file=output, width=200, color_system=None)
    assert PreviewCommand(credentials=read).execute(options, console) == 0
    return output.getvalue()


def test_the_requests_are_printed_as_they_go_over_the_wire() -> None:
    """Each endpoint once, with all headers; those with secrets are masked."""
    text = printed("trading-gateway", credentials={"Authorization": SECRET})
    assert SECRET.split()[1] not in text
    for start in ("POST /api/v1/orders HTTP/1.1", "GET /api/v1/positions?instrument="):
        request = text[text.index(start) :]
        head = request[: request.index("\n\n")]
        assert "Host: trading-gateway-service:8000" in head
        assert "Authorization: ***" in head
    assert '{"instrument":"' in text
    assert text.count("── ") == 4


def test_the_market_data_is_that_of_the_scenario() -> None:
    calm, wild = (
        printed("trading-gateway", credentials={}, scenario=name)
        for name in ("overnight_processing", "high_volatility")
    )
    assert calm != wild


def test_missing_credentials_are_only_a_warning() -> None:
    """The requests are the same without them."""
    text = printed("trading-gateway", credentials=ConfigurationError("there is no connection gateway_api"))
    assert text.startswith("warning: the headers with secrets are missing here: there is no connection gateway_api\n")
    assert "POST /api/v1/orders HTTP/1.1" in text


def test_the_header_of_a_token_is_there_and_nothing_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value is masked; the secrets of the login are in no request."""
    made = read_catalogue(PROJECT / "include")
    login = Login(url="/login", grant="password", header="X-Session")
    service = made.service("trading-gateway").model_copy(update={"login": login, "connection": "gateway_api"})
    changed = dataclasses.replace(made, services={service.name: service})
    monkeypatch.setattr(preview_command, "read_catalogue", lambda: changed)
    monkeypatch.setattr(socket, "socket", None)
    text = printed("trading-gateway", credentials=ConfigurationError("no connection"), scenario="market_open")
    assert text.count("X-Session: Bearer ***") == 4


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(CatalogueError, match=r"^service 'nobody' is not in the catalogue; known: "):
        printed("nobody", credentials={})
