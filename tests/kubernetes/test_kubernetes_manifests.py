"""kubernetes/: held to the schemas of Kubernetes' own API, and to what its parts must have in common. No cluster."""

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
    """Return the environment of a pod's container: values, and where those from secrets come from."""
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in container(pod)["env"]}


def picks(selector: dict[str, Any]) -> list[str]:
    """Return the pods of ours that a selector picks out."""
    wanted = selector.get("matchLabels", selector).items()
    return [name for name, pod in PODS.items() if wanted <= pod["metadata"]["labels"].items()]


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("which", sorted(OBJECTS))
def test_every_object_is_one_that_kubernetes_knows(which: tuple[str, str], version: str) -> None:
    """No field is unknown, missing or of the wrong type, in the oldest and the newest version that is meant."""
    kubernetes_validate.validate(OBJECTS[which], version, strict=True)


def test_a_field_that_nobody_knows_is_found() -> None:
    """The check above can fail."""
    wrong = OBJECTS["Deployment", "locust-worker"] | {"replica": 3}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, NEWEST, strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl to render with")
def test_kubectl_renders_the_same_objects() -> None:
    """With the namespace, and the image of the registry in both pods."""
    rendered = subprocess.run(
        ["kubectl", "kustomize", FOLDER], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    found = list(yaml.safe_load_all(rendered))

    assert {(each["kind"], each["metadata"]["name"]) for each in found} == set(OBJECTS)
    assert {each["metadata"]["namespace"] for each in found} == {KUSTOMIZATION["namespace"]}
    image = f"{VALUES['images']['airflow']['repository']}:{VALUES['images']['airflow']['tag']}"
    assert rendered.count(f"image: {image}") == len(PODS)


def test_the_chart_runs_the_same_image() -> None:
    """Tasks, masters and workers are of one version, or workers are refused."""
    (image,) = KUSTOMIZATION["images"]

    assert VALUES["images"]["airflow"] == {"repository": image["newName"], "tag": image["newTag"]}
    assert {container(pod)["image"] for pod in PODS} == {image["name"]}


@pytest.mark.parametrize("chart", ["createUserJob", "webserver"])
def test_the_chart_makes_no_login_that_everybody_knows(chart: str) -> None:
    """Neither newer charts nor older ones, which have the setting elsewhere."""
    assert VALUES[chart]["defaultUser"] == {"enabled": False}


@pytest.mark.parametrize("pod", sorted(PODS))
def test_every_pod_may_do_little_and_has_its_resources_to_itself(pod: str) -> None:
    """No root, nothing to write to but what is mounted, no token of the cluster; requests equal limits (Guaranteed)."""
    spec, only = PODS[pod]["spec"], container(pod)

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert only["resources"]["requests"] == only["resources"]["limits"]
    assert only["resources"]["limits"]["cpu"].isdigit()  # whole processors, which the kubelet can give to it alone
    assert "livenessProbe" in only
    assert spec["terminationGracePeriodSeconds"] <= 30


def test_locust_workers_find_the_master() -> None:
    """By the name of a Service that leads to the one pod with the tasks of the queue."""
    service = OBJECTS["Service", "bellwether-load"]
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}

    assert variables("locust-worker")["BELLWETHER_LOCUST_MASTER"] == f"bellwether-load:{ports['locust']}"
    assert picks(service["spec"]["selector"]) == ["bellwether-load"]
    assert service["spec"]["clusterIP"] == "None"
    assert OBJECTS["StatefulSet", "bellwether-load"]["spec"]["replicas"] == 1
    assert {port["name"]: port["containerPort"] for port in container("bellwether-load")["ports"]} == ports


def test_loads_go_to_the_queue_that_the_load_worker_serves() -> None:
    """The chart's workers take the other tasks, and say the same of where results and baselines are."""
    chart = {each["name"]: each["value"] for each in VALUES["env"]}
    own = variables("bellwether-load")

    assert container("bellwether-load")["args"][2:4] == ["--queues", chart["BELLWETHER_LOAD_QUEUE"]]
    assert {name: own[name] for name in chart} == chart
    assert own["AIRFLOW__CORE__EXECUTOR"] == VALUES["executor"]
    assert own["AIRFLOW__CORE__AUTH_MANAGER"] == VALUES["config"]["core"]["auth_manager"]


def test_both_take_their_secrets_from_the_same_place() -> None:
    """A key that differs shows as refused tokens and tasks that stay queued."""
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
    """And they reach nothing but the master, names, and namespaces that may be loaded."""
    master, worker = (OBJECTS["NetworkPolicy", name]["spec"] for name in ("load-worker", "locust-worker"))
    to_port = {rule["ports"][0]["port"]: rule["from"] for rule in master["ingress"]}

    assert picks(master["podSelector"]) == ["bellwether-load"]
    assert [picks(peer["podSelector"]) for peer in to_port["locust"]] == [["locust-worker"]]
    assert picks(worker["podSelector"]) == ["locust-worker"]
    assert (worker["policyTypes"], worker["ingress"]) == (["Ingress", "Egress"], [])
    to_master, to_targets, to_names = worker["egress"]
    assert [picks(peer["podSelector"]) for peer in to_master["to"]] == [["bellwether-load"]]
    assert to_targets == {"to": [{"namespaceSelector": {"matchLabels": {"bellwether/load-allowed": "true"}}}]}
    assert {port["port"] for port in to_names["ports"]} == {53}


def test_nodes_are_drained_one_worker_at_a_time() -> None:
    """The budget is of the workers."""
    budget = OBJECTS["PodDisruptionBudget", "locust-worker"]["spec"]

    assert budget["maxUnavailable"] == 1
    assert picks(budget["selector"]) == ["locust-worker"]
