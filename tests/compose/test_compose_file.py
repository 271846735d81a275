"""docker-compose.yaml, .env.example and the Prometheus configuration, without an engine."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from include.perf.catalogue.reading import load_catalogue

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
TEXT = "\n".join(
    line for line in (ROOT / "docker-compose.yaml").read_text(encoding="utf-8").splitlines() if line.strip()[:1] != "#"
)
ONE_SHOT = "airflow-init"
LONG_RUNNING = sorted(set(SERVICES) - {ONE_SHOT})
OURS = "${BELLWETHER_IMAGE:-bellwether:latest}"

VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_0-9]+)(?::([-?])([^{}]*(?:\{[^{}]*\})?[^{}]*))?\}")
"""Name, kind (- or ?), and the default or the message; a default may contain another variable."""


def variables() -> dict[str, set[tuple[str, str]]]:
    """Return the variables of the file with their uses: kind, and default or message."""
    found: dict[str, set[tuple[str, str]]] = {}
    for name, kind, rest in VARIABLE.findall(TEXT):
        found.setdefault(name, set()).add((kind, rest))
        for inner, inner_kind, inner_rest in VARIABLE.findall(rest):
            found.setdefault(inner, set()).add((inner_kind, inner_rest))
    return found


EXAMPLE = dict(
    re.findall(r"^(#?[A-Z_0-9]+)=(.*)$", (ROOT / ".env.example").read_text(encoding="utf-8"), flags=re.MULTILINE)
)
"""Every variable of .env.example with its value; optional ones start with a #."""

SECRETS = {name for name, value in EXAMPLE.items() if not value and name[0] != "#"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_container_has_minimal_rights(name: str) -> None:
    """No root, no capabilities, only mounted folders are writable, and resources are limited."""
    service = SERVICES[name]

    assert service["user"].partition(":")[0] not in {"", "0", "root"}
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert service["pids_limit"] <= 512
    assert re.fullmatch(r"\d+[mg]", service["mem_limit"])
    assert 0 < service["cpus"] <= 2  # the engine refuses more than the machine has
    assert "privileged" not in service
    assert "cap_add" not in service


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_logs_of_every_container_are_rotated(name: str) -> None:
    """At most five files of 10 MB are kept."""
    assert SERVICES[name]["logging"] == {"driver": "json-file", "options": {"max-size": "10m", "max-file": "5"}}


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_service_restarts_and_has_a_health_check(name: str) -> None:
    """It also has a stop grace period."""
    service = SERVICES[name]

    assert service["healthcheck"]["test"][0] in {"CMD", "CMD-SHELL"}
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"].endswith("s")


def test_the_database_is_initialised_before_airflow_starts() -> None:
    """Every part of Airflow waits for the one-shot container to succeed."""
    airflow = {"api-server", "scheduler", "dag-processor", "triggerer", "worker", "worker-load"}

    assert SERVICES[ONE_SHOT]["restart"] == "no"
    assert {name for name, service in SERVICES.items() if ONE_SHOT in service.get("depends_on", ())} == airflow
    for name in airflow:
        assert SERVICES[name]["depends_on"][ONE_SHOT] == {"condition": "service_completed_successfully"}


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_every_image_has_a_version(name: str) -> None:
    """Images are pinned; our own is built from pinned ones, and never pulled."""
    image = SERVICES[name]["image"]
    if image == OURS:
        assert SERVICES[name]["pull_policy"] == "never"
    else:
        default = VARIABLE.fullmatch(image)
        assert default is not None, image
        assert re.search(r":v?\d[\w.]*$", default[3]), image


def test_the_dockerfile_has_the_same_base_images() -> None:
    """A build without compose uses the same defaults."""
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name, value in SERVICES[ONE_SHOT]["build"]["args"].items():
        assert f"ARG {name}={value.removeprefix(f'${{{name}:-').removesuffix('}')}\n" in dockerfile


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_ports_are_open_on_this_machine_only(name: str) -> None:
    """Only parts with a login can listen on another address."""
    for port in SERVICES[name].get("ports", ()):
        assert port.startswith(("127.0.0.1:", "${BIND_ADDRESS:-127.0.0.1}:")), port
        assert port.startswith("127.0.0.1:") or name in {"api-server", "grafana"}


def test_database_and_broker_are_isolated() -> None:
    """They are in an internal network, without load generators and targets."""
    for service, network in (("postgres", "data"), ("redis", "queue")):
        assert COMPOSE["networks"][network] == {"internal": True}
        assert SERVICES[service]["networks"] == [network]
    assert SERVICES["locust-worker"]["networks"] == ["load"]


def test_only_secrets_are_required() -> None:
    """`up` fails with the name of a missing secret; there are no default passwords."""
    required = {name for name, uses in variables().items() if any(kind == "?" for kind, _ in uses)}

    assert required == SECRETS
    for name in SECRETS:
        assert {kind for kind, _ in variables()[name]} == {"?"}, name


def test_no_secret_is_in_a_command() -> None:
    """Process lists and health checks show none: secrets are environment variables of the container."""
    for name, service in SERVICES.items():
        shown = yaml.safe_dump([service.get("command"), service.get("entrypoint"), service.get("healthcheck")])
        assert not [secret for secret in SECRETS if f"${{{secret}" in shown], name


def test_env_example_names_every_variable_with_its_default() -> None:
    """All settings are in .env.example, with the defaults of the compose file."""
    described = {name.removeprefix("#"): value for name, value in EXAMPLE.items()}
    own = {"COMPOSE_PROFILES"}  # read by compose itself

    assert set(described) == set(variables()) | own
    for name, uses in variables().items():
        defaults = {rest for kind, rest in uses if kind == "-" and rest and "$" not in rest}
        assert not defaults or defaults == {described[name]}, name


def test_loads_have_a_dedicated_queue_and_worker() -> None:
    """Only worker-load takes tasks from the queue of run_load."""
    queue = SERVICES["worker-load"]["environment"]["BELLWETHER_LOAD_QUEUE"]
    commands = {name: SERVICES[name]["command"] for name in ("worker", "worker-load")}
    taken = {name: command[command.index("--queues") + 1] for name, command in commands.items()}

    assert taken == {"worker": "default", "worker-load": queue}
    assert SERVICES["locust-worker"]["environment"]["BELLWETHER_LOCUST_MASTER"] == "worker-load:5557"


def test_scrape_targets_have_the_labels_of_the_catalogue() -> None:
    """Services are scraped with the labels of their selectors, at the interval of the catalogue."""
    targets = yaml.safe_load((ROOT / "compose/prometheus/targets.yaml").read_text(encoding="utf-8"))
    settings = yaml.safe_load((ROOT / "compose/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    services = load_catalogue().services

    assert {group["labels"]["service"] for group in targets} == set(services)
    for group in targets:
        service = services[group["labels"]["service"]]
        assert group["targets"] == [str(service.base_url).removeprefix("http://").rstrip("/")]
        assert service.prometheus.selector == ",".join(f'{name}="{value}"' for name, value in group["labels"].items())
        assert settings["global"]["scrape_interval"] == f"{service.prometheus.scrape_interval_s:g}s"


def test_prometheus_sees_replaced_files() -> None:
    """The folder is mounted: a mounted file would still show the old content after an editor or git replaces it."""
    settings = yaml.safe_load((ROOT / "compose/prometheus/prometheus.yml").read_text(encoding="utf-8"))
    service = SERVICES["prometheus"]
    named = [settings["scrape_configs"][0]["file_sd_configs"][0]["files"][0]]
    named += [word.partition("=")[2] for word in service["command"] if word.startswith("--config.file=")]
    named += service["entrypoint"][1:2]

    assert "./compose/prometheus:/etc/prometheus:ro" in service["volumes"]
    assert {Path(file).parent for file in named} == {Path("/etc/prometheus")}
    assert {Path(file).name for file in named} == {path.name for path in (ROOT / "compose/prometheus").iterdir()}


def test_prometheus_takes_no_orders_over_http() -> None:
    """Whoever reaches its port could have it reload or end."""
    started = yaml.safe_dump([SERVICES["prometheus"]["command"], SERVICES["prometheus"]["entrypoint"]])
    assert "enable-lifecycle" not in started
    assert "enable-admin-api" not in started


def test_the_demo_has_every_service_of_the_catalogue() -> None:
    """They run under the host names of the catalogue."""
    demo = {name for name, service in SERVICES.items() if service.get("profiles") == ["demo"]}

    assert demo == {*load_catalogue().services, "slack"}
