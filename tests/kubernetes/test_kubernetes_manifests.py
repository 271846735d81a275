"""kubernetes/ matches the schemas of the Kubernetes API, and its parts match each other; no cluster is needed."""

import shutil
import subprocess
from ipaddress import ip_address, ip_network
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
CONNECTIONS = "bellwether-connections"
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


def secrets_of(pod: str) -> dict[str, tuple[str, str]]:
    """Return the secrets of a pod's container: name and key by variable."""
    assert "envFrom" not in container(pod), "a whole secret has more than the pod uses"
    found = {name: value["secretKeyRef"] for name, value in variables(pod).items() if isinstance(value, dict)}
    return {name: (reference["name"], reference["key"]) for name, reference in found.items()}


def test_pods_hold_only_the_secrets_that_they_use() -> None:
    """A load needs no key for people's logins, for tokens and for stored Connections, and no database."""
    connections = ("AIRFLOW_CONN_PROMETHEUS_DEFAULT", "AIRFLOW_CONN_BELLWETHER_LOCUST", "AIRFLOW_CONN_BELLWETHER_S3")
    assert secrets_of("bellwether-load") == {
        "AIRFLOW__API__SECRET_KEY": (VALUES["apiSecretKeySecretName"], "api-secret-key"),
        "AIRFLOW__CELERY__RESULT_BACKEND": (VALUES["data"]["resultBackendSecretName"], "connection"),
        "AIRFLOW__CELERY__BROKER_URL": (VALUES["data"]["brokerUrlSecretName"], "connection"),
        **{name: (CONNECTIONS, name) for name in connections},
    }
    assert secrets_of("locust-worker") == {"BELLWETHER_LOCUST_KEY": ("bellwether-locust", "key")}
    assert yaml.safe_load(VALUES["extraEnvFrom"]) == [{"secretRef": {"name": CONNECTIONS}}]


def test_results_of_celery_have_a_login_of_their_own() -> None:
    """Otherwise the load worker would hold the password of Airflow's database."""
    text = (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
    (line,) = (line for line in text.splitlines() if VALUES["data"]["resultBackendSecretName"] in line)
    assert "://celery:" in line
    assert "postgres/celery" in line


POLICIES = {name: document["spec"] for (kind, name), document in OBJECTS.items() if kind == "NetworkPolicy"}
DNS = {("UDP", 53), ("TCP", 53)}


def egress_of(policy: str) -> list[tuple[set[str], set[tuple[str, Any]]]]:
    """Return where a policy lets its pods go: the peers, and the ports (none for all)."""
    rules = POLICIES[policy]["egress"]
    return [
        (
            {" ".join(sorted(labels_of(peer))) for peer in rule["to"]},
            {(port["protocol"], port["port"]) for port in rule.get("ports", ())},
        )
        for rule in rules
    ]


def labels_of(peer: dict[str, Any]) -> set[str]:
    """Return the labels or the address block of a peer."""
    selectors = [peer[kind]["matchLabels"] for kind in ("namespaceSelector", "podSelector") if kind in peer]
    labels = {f"{name}={value}" for selector in selectors for name, value in selector.items()}
    assert labels or peer["ipBlock"], "an empty selector matches everything"
    return labels or {peer["ipBlock"]["cidr"]}


def test_only_locust_workers_reach_the_master() -> None:
    """And the API server reaches the logs."""
    to_port = {rule["ports"][0]["port"]: rule["from"] for rule in POLICIES["load-worker"]["ingress"]}

    assert [selected_by(peer["podSelector"]) for peer in to_port["locust"]] == [["locust-worker"]]
    assert to_port["task-logs"] == [{"podSelector": {"matchLabels": {"release": "airflow", "component": "api-server"}}}]
    assert POLICIES["locust-worker"]["ingress"] == []


def test_every_worker_has_an_egress_policy() -> None:
    """Ours and the chart's; what a policy does not list is closed."""
    assert {name for policy in POLICIES.values() for name in selected_by(policy["podSelector"])} == set(PODS)
    assert POLICIES["airflow-worker"]["podSelector"] == {"matchLabels": {"release": "airflow", "component": "worker"}}
    for name, policy in POLICIES.items():
        assert "Egress" in policy["policyTypes"], name


def test_locust_workers_reach_names_targets_and_the_master() -> None:
    """Nothing else: neither Airflow nor the internet."""
    own = "app.kubernetes.io/component=load-worker app.kubernetes.io/part-of=bellwether"
    assert egress_of("locust-worker") == [
        ({"k8s-app=kube-dns kubernetes.io/metadata.name=kube-system"}, DNS),
        ({"bellwether/load-allowed=true"}, set()),
        ({own}, {("TCP", "locust")}),
    ]


def test_the_load_worker_reaches_what_a_load_needs() -> None:
    """Names, targets (the deploy version), the API server, and broker, Prometheus and object store."""
    assert egress_of("load-worker") == [
        ({"k8s-app=kube-dns kubernetes.io/metadata.name=kube-system"}, DNS),
        ({"bellwether/load-allowed=true"}, set()),
        ({"component=api-server release=airflow"}, {("TCP", 8080)}),
        ({"bellwether/backends=true", "192.0.2.0/28"}, {("TCP", port) for port in (6379, 5432, 9090, 443)}),
    ]


def test_only_the_worker_that_sends_messages_reaches_the_internet() -> None:
    """By HTTPS, and no private address, such as the metadata of a cloud machine."""
    *_, internet = POLICIES["airflow-worker"]["egress"]
    (peer,) = internet["to"]
    assert internet["ports"] == [{"port": 443, "protocol": "TCP"}]
    excepted = [ip_network(block) for block in peer["ipBlock"]["except"]]
    for address in ("10.1.2.3", "172.20.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "127.0.0.1"):
        assert any(ip_address(address) in block for block in excepted), address
    open_to_all = [name for name in POLICIES if any("0.0.0.0/0" in peers for peers, _ in egress_of(name))]
    assert open_to_all == ["airflow-worker"]


def test_nodes_are_drained_one_worker_at_a_time() -> None:
    """The disruption budget selects the workers."""
    budget = OBJECTS["PodDisruptionBudget", "locust-worker"]["spec"]

    assert budget["maxUnavailable"] == 1
    assert selected_by(budget["selector"]) == ["locust-worker"]
