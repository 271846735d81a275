"""kubernetes/ matches the schemas of the Kubernetes API, and its parts match each other; no cluster is needed."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text(encoding="utf-8"))
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text(encoding="utf-8"))
DOCUMENTS: list[dict[str, Any]] = [
    document
    for name in KUSTOMIZATION["resources"]
    for document in yaml.safe_load_all((FOLDER / name).read_text(encoding="utf-8"))
]
OBJECTS = {(document["kind"], document["metadata"]["name"]): document for document in DOCUMENTS}
PODS = {
    name: OBJECTS[kind, name]["spec"]["template"]
    for kind, name in (("StatefulSet", "bellwether-load"), ("Deployment", "locust-worker"))
}
OLDEST, NEWEST = "1.30", "1.37"


def container(pod: str) -> dict[str, Any]:
    """Return the only container of a pod."""
    (only,) = PODS[pod]["spec"]["containers"]
    return dict(only)


def variables(pod: str) -> dict[str, Any]:
    """Return the environment of a pod's container: values, or the secrets that they come from."""
    return {variable["name"]: variable.get("value", variable.get("valueFrom")) for variable in container(pod)["env"]}


def selected_by(selector: dict[str, Any]) -> list[str]:
    """Return our pods that a selector matches."""
    wanted = selector.get("matchLabels", selector).items()
    return [name for name, pod in PODS.items() if wanted <= pod["metadata"]["labels"].items()]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("which", sorted(OBJECTS))
def test_every_object_is_valid(which: tuple[str, str], version: str) -> None:
    """No field is unknown, missing or of the wrong type, in the oldest and the newest supported version."""
    kubernetes_validate.validate(OBJECTS[which], version, strict=True)


def test_an_unknown_field_is_found() -> None:
    """Otherwise the check above would prove nothing."""
    wrong = OBJECTS["Deployment", "locust-worker"] | {"replica": 3}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not in PATH")
def test_kubectl_renders_the_same_objects() -> None:
    """The objects have the namespace, and both pods the image of the registry."""
    rendered = subprocess.run(
        ["kubectl", "kustomize", FOLDER], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    found = list(yaml.safe_load_all(rendered))

    assert {(item["kind"], item["metadata"]["name"]) for item in found} == set(OBJECTS)
    assert {item["metadata"]["namespace"] for item in found} == {KUSTOMIZATION["namespace"]}
    image = f"{VALUES['images']['airflow']['repository']}:{VALUES['images']['airflow']['tag']}"
    assert rendered.count(f"image: {image}") == len(PODS)


def test_the_chart_runs_the_same_image() -> None:
    """Tasks, masters and workers must have the same version, or the master refuses workers."""
    (image,) = KUSTOMIZATION["images"]

    assert VALUES["images"]["airflow"] == {"repository": image["newName"], "tag": image["newTag"]}
    assert {container(pod)["image"] for pod in PODS} == {image["name"]}


@pytest.mark.parametrize("chart", ["createUserJob", "webserver"])
def test_the_chart_creates_no_default_user(chart: str) -> None:
    """Older charts have the setting in another place."""
    assert VALUES[chart]["defaultUser"] == {"enabled": False}


@pytest.mark.parametrize("pod", sorted(PODS))
def test_every_pod_has_minimal_rights_and_guaranteed_resources(pod: str) -> None:
    """No root, only mounted folders are writable, no cluster token; requests equal limits (QoS Guaranteed)."""
    spec, only = PODS[pod]["spec"], container(pod)

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["requests"] == only["resources"]["limits"]
    assert only["resources"]["limits"][
        "cpu"
    ].isdigit()  # an integer, so that the kubelet can assign dedicated processors
    assert "livenessProbe" in only
    assert spec["terminationGracePeriodSeconds"] <= 30


def test_locust_workers_find_the_master() -> None:
    """They use the name of the Service of the only pod that takes tasks from the queue."""
    service = OBJECTS["Service", "bellwether-load"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}

    assert variables("locust-worker")["BELLWETHER_LOCUST_MASTER"] == f"bellwether-load:{ports['locust']}"
    assert selected_by(service["spec"]["selector"]) == ["bellwether-load"]
    assert service["spec"]["clusterIP"] == "None"
    assert OBJECTS["StatefulSet", "bellwether-load"]["spec"]["replicas"] == 1
    assert {port["name"]: port["containerPort"] for port in container("bellwether-load")["ports"]} == ports


def test_loads_go_to_the_queue_that_the_load_worker_serves() -> None:
    """The chart's workers take the other tasks, with the same locations of results and baselines."""
    chart = {variable["name"]: variable["value"] for variable in VALUES["env"]}
    own = variables("bellwether-load")

    assert container("bellwether-load")["args"][2:4] == ["--queues", chart["BELLWETHER_LOAD_QUEUE"]]
    assert {name: own[name] for name in chart} == chart
    assert own["AIRFLOW__CORE__EXECUTOR"] == VALUES["executor"]
    assert own["AIRFLOW__CORE__AUTH_MANAGER"] == VALUES["config"]["core"]["auth_manager"]


def test_both_use_the_same_secrets() -> None:
    """Different keys would lead to refused tokens, and to tasks that stay queued."""
    own = variables("bellwether-load")
    keys = VALUES["fernetKeySecretName"], VALUES["apiSecretKeySecretName"], VALUES["jwtSecretName"]
    variable = ("AIRFLOW__CORE__FERNET_KEY", "fernet-key"), ("AIRFLOW__API__SECRET_KEY", "api-secret-key")
    variable += (("AIRFLOW__API_AUTH__JWT_SECRET", "jwt-secret"),)

    for secret, (name, key) in zip(keys, variable, strict=True):
        assert own[name] == {"secretKeyRef": {"name": secret, "key": key}}
    for name, secret in (
        ("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", VALUES["data"]["metadataSecretName"]),
        ("AIRFLOW__CELERY__RESULT_BACKEND", VALUES["data"]["resultBackendSecretName"]),
        ("AIRFLOW__CELERY__BROKER_URL", VALUES["data"]["brokerUrlSecretName"]),
    ):
        assert own[name] == {"secretKeyRef": {"name": secret, "key": "connection"}}
    assert yaml.safe_load(VALUES["extraEnvFrom"]) == container("bellwether-load")["envFrom"]


def test_only_locust_workers_reach_the_master() -> None:
    """They can reach only the master, DNS, and the namespaces that allow load."""
    master, worker = (OBJECTS["NetworkPolicy", name]["spec"] for name in ("load-worker", "locust-worker"))
    to_port = {rule["ports"][0]["port"]: rule["from"] for rule in master["ingress"]}

    assert selected_by(master["podSelector"]) == ["bellwether-load"]
    assert [selected_by(peer["podSelector"]) for peer in to_port["locust"]] == [["locust-worker"]]
    assert selected_by(worker["podSelector"]) == ["locust-worker"]
    assert (worker["policyTypes"], worker["ingress"]) == (["Ingress", "Egress"], [])
    to_master, to_targets, to_names = worker["egress"]
    assert [selected_by(peer["podSelector"]) for peer in to_master["to"]] == [["bellwether-load"]]
    assert to_targets == {"to": [{"namespaceSelector": {"matchLabels": {"bellwether/load-allowed": "true"}}}]}
    assert {port["port"] for port in to_names["ports"]} == {53}


def test_nodes_are_drained_one_worker_at_a_time() -> None:
    """The disruption budget selects the workers."""
    budget = OBJECTS["PodDisruptionBudget", "locust-worker"]["spec"]

    assert budget["maxUnavailable"] == 1
    assert selected_by(budget["selector"]) == ["locust-worker"]
