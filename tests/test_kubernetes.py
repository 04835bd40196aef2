"""docs/operations/kubernetes builds with Kustomize, and gives each program what it reads and no more."""

import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import CollectorRegistry

from api.reports.attention import TaskQueueGauges
from sandbox.stack.environment import PROJECT_ROOT
from tests.program_settings import SETTINGS
from worker import WorkerRole

_OVERLAYS = PROJECT_ROOT / "docs" / "operations" / "kubernetes" / "overlays"
_NAMES = sorted(path.name for path in _OVERLAYS.iterdir())
_VERSIONS = ("1.30", "1.37")
"""The oldest that the manifests need (`preStop.sleep`), and the newest."""
_RELEASE = "2026-12-01"

Manifest = dict[str, Any]


@cache
def _built(overlay: str) -> list[Manifest]:
    # By path: there may be another kubectl, with another Kustomize, on the PATH.
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    built = subprocess.run([kubectl, "kustomize", _OVERLAYS / overlay], capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return [*yaml.safe_load_all(built.stdout)]


def _of_kind(overlay: str, kind: str) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in _built(overlay) if each["kind"] == kind}


def _pods(overlay: str) -> dict[str, Manifest]:
    """The pod templates, by program."""
    return {
        each["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"]: each["spec"]["template"]
        for kind in ("Deployment", "Job")
        for each in _of_kind(overlay, kind).values()
    }


def _container(overlay: str, program: str) -> Manifest:
    container: Manifest
    [container] = _pods(overlay)[program]["spec"]["containers"]
    return container


@pytest.mark.parametrize("version", _VERSIONS)
@pytest.mark.parametrize("overlay", _NAMES)
def test_manifests_follow_kubernetes_schemas(overlay: str, version: str) -> None:
    for manifest in _built(overlay):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_schema_refuses_what_it_does_not_know() -> None:
    [api, *_] = _of_kind("self-hosted", "Deployment").values()
    wrong = api | {"spec": api["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, _VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", _NAMES)
def test_every_pod_is_restricted_and_limited(overlay: str) -> None:
    stripe_worker = {"stripe-worker"} if overlay == "self-hosted" else set[str]()
    assert _pods(overlay).keys() == {"api", "worker", "migrate"} | stripe_worker
    for program, pod in _pods(overlay).items():
        assert pod["spec"]["securityContext"]["runAsUser"] == 10001
        assert pod["spec"]["automountServiceAccountToken"] is False
        container = _container(overlay, program)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        assert container["image"] == f"registry.example/holdfast:{_RELEASE}"


@pytest.mark.parametrize("overlay", _NAMES)
def test_every_deployment_has_probes_a_disruption_budget_and_an_autoscaler(overlay: str) -> None:
    for name, deployment in _of_kind(overlay, "Deployment").items():
        template = deployment["spec"]["template"]
        [container] = template["spec"]["containers"]
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
        assert deployment["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        budget = _of_kind(overlay, "PodDisruptionBudget")[name]
        assert budget["spec"]["selector"] == deployment["spec"]["selector"]
        scaler = _of_kind(overlay, "HorizontalPodAutoscaler")[name]
        assert scaler["spec"]["scaleTargetRef"]["name"] == name
        assert "replicas" not in deployment["spec"]  # or each apply would undo the autoscaler
        others = [each for each in _of_kind(overlay, "Deployment").values() if each != deployment]
        for other in others:
            labels = other["spec"]["template"]["metadata"]["labels"]
            assert not deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize(
    ("overlay", "labels"),
    [("self-hosted", {"type": "workflow"}), ("temporal-cloud", {"type": "workflow", "build_id": _RELEASE})],
)
def test_workers_are_scaled_by_a_gauge_of_the_api(overlay: str, labels: dict[str, str]) -> None:
    scalers = _of_kind(overlay, "HorizontalPodAutoscaler")
    [worker] = [scaler for name, scaler in scalers.items() if name.startswith("worker")]
    [metric] = [each["external"]["metric"] for each in worker["spec"]["metrics"] if each["type"] == "External"]
    TaskQueueGauges(registry := CollectorRegistry())
    [gauge] = [each for each in registry.collect() if each.name == metric["name"]]
    assert gauge.type == "gauge"
    assert metric["selector"]["matchLabels"] == labels


def test_both_task_queues_have_workers() -> None:
    def roles(overlay: str) -> list[str]:
        containers = [_container(overlay, program) for program in _pods(overlay) if program.endswith("worker")]
        return [env["value"] for each in containers for env in each["env"] if env["name"] == "HOLDFAST_WORKER_ROLE"]

    assert sorted(roles("self-hosted")) == [WorkerRole.BOOKINGS, WorkerRole.STRIPE]
    # The default, which polls both.
    assert roles("temporal-cloud") == []


def test_workers_that_call_stripe_are_not_scaled_by_what_waits() -> None:
    scaler = _of_kind("self-hosted", "HorizontalPodAutoscaler")["stripe-worker"]
    assert [each["type"] for each in scaler["spec"]["metrics"]] == ["Resource"]


@pytest.mark.parametrize("overlay", _NAMES)
@pytest.mark.parametrize("program", SETTINGS)
def test_programs_get_settings_that_they_read(overlay: str, program: str) -> None:
    [shared] = [each["data"] for each in _of_kind(overlay, "ConfigMap").values()]
    container = _container(overlay, program)
    given = {*shared, *(each["name"] for each in container["env"])}
    unread = {name for name in given - SETTINGS[program] if not name.startswith("TEMPORAL_")}
    assert unread == set()
    assert shared["HOLDFAST_ENV"] == "production"


def test_docs_list_the_secrets_of_each_program() -> None:
    page = (PROJECT_ROOT / "docs" / "operations" / "kubernetes.md").read_text()
    named = {
        reference["secretRef"]["name"]
        for overlay in _NAMES
        for program in _pods(overlay)
        for reference in _container(overlay, program)["envFrom"]
        if "secretRef" in reference
    }
    assert named == {"holdfast-api", "holdfast-worker", "holdfast-migrate", "temporal-api-key"}
    assert [name for name in named if f"`{name}`" not in page] == []


def test_temporal_is_chosen_by_the_environment_alone() -> None:
    self_hosted, cloud = (
        {**next(iter(_of_kind(overlay, "ConfigMap").values()))["data"]} for overlay in ("self-hosted", "temporal-cloud")
    )
    for program in ("api", "worker"):
        mounts = {mount["name"]: mount["mountPath"] for mount in _container("self-hosted", program)["volumeMounts"]}
        for name in (
            "TEMPORAL_TLS_CLIENT_CERT_PATH",
            "TEMPORAL_TLS_CLIENT_KEY_PATH",
            "TEMPORAL_TLS_SERVER_CA_CERT_PATH",
        ):
            assert self_hosted[name].startswith(mounts["temporal-tls"])
        assert {"secretRef": {"name": "temporal-api-key"}} in _container("temporal-cloud", program)["envFrom"]
    assert {"secretRef": {"name": "temporal-api-key"}} not in _container("temporal-cloud", "migrate")["envFrom"]
    assert not any("TLS" in name for name in cloud)


def test_a_release_is_a_worker_deployment_of_its_own_with_its_build_id() -> None:
    [worker] = [name for name in _of_kind("temporal-cloud", "Deployment") if name != "api"]
    assert worker == f"worker-{_RELEASE}"
    environment = _container("temporal-cloud", "worker")["env"]
    build_ids = [each["value"] for each in environment if each["name"] == "HOLDFAST_BUILD_ID"]
    assert build_ids == [_RELEASE]
    assert _pods("temporal-cloud")["worker"]["metadata"]["labels"]["app.kubernetes.io/version"] == _RELEASE
