"""The manifests agree with the code and with each other. tests/cluster applies them to an API server."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapter.contract.timeouts import TIMEOUTS
from hooks.settings import read_settings, reference
from sources_cli.admission import yaml

METACONTROLLER = Path(__file__).parents[2] / "metacontroller"


def objects(file: str) -> dict[str, Any]:
    return {document.value["kind"]: document.value for document in yaml.load((METACONTROLLER / file).read_text())}


HOOK = objects("base/hook.yaml")
POD = HOOK["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]
ENVIRON = {variable["name"]: variable.get("value", "") for variable in CONTAINER["env"]}


def test_every_variable_of_the_hook_is_a_setting() -> None:
    assert ENVIRON.keys() <= {name for name, _, _ in reference()}
    assert read_settings(ENVIRON).adapter_image == CONTAINER["image"]


def test_hook_sleeps_before_it_stops_within_its_grace_period() -> None:
    """Metacontroller waits 10 s for a response. Requests that arrive during the sleep must be answered."""
    [(handler, sleep)] = CONTAINER["lifecycle"]["preStop"].items()
    assert (handler, sleep) == ("sleep", {"seconds": TIMEOUTS.pre_stop_s})
    assert POD["spec"]["terminationGracePeriodSeconds"] >= sleep["seconds"] + 10


def test_config_directory_is_where_the_config_maps_are_mounted() -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert mounts == {name: f"{ENVIRON['CONFIG_DIR']}/{name}" for name in ("config-logging", "config-observability")}
    volumes = {volume["name"]: volume["configMap"] for volume in POD["spec"]["volumes"]}
    assert volumes == {name: {"name": name, "optional": True} for name in mounts}


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
def test_selector_matches_the_pods_of_the_hook(kind: str) -> None:
    selector = HOOK[kind]["spec"]["selector"]
    wanted = selector.get("matchLabels", selector)
    assert wanted.items() <= POD["metadata"]["labels"].items()
    assert HOOK["Deployment"]["spec"]["selector"]["matchLabels"].items() <= POD["metadata"]["labels"].items()


def test_disruption_budget_and_rollout_keep_one_hook_pod_available() -> None:
    assert HOOK["Deployment"]["spec"]["replicas"] - HOOK["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert HOOK["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_hook_has_no_service_account_token() -> None:
    assert HOOK["ServiceAccount"]["automountServiceAccountToken"] is False
    assert POD["spec"]["automountServiceAccountToken"] is False


def restricted(pod: Mapping[str, Any]) -> bool:
    """The rules of PodSecurity ``restricted`` that these pods could violate."""
    contexts = [container["securityContext"] for container in pod["containers"]]
    return pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} and all(
        context
        == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        for context in contexts
    )


@pytest.mark.parametrize("file", ["base/hook.yaml", "samples/quickstart.yaml"])
def test_pods_are_restricted_and_have_limits_and_probes(file: str) -> None:
    pod = objects(file)["Deployment"]["spec"]["template"]["spec"]
    assert restricted(pod)
    assert all(container["resources"]["limits"]["memory"] for container in pod["containers"])
    assert all("readinessProbe" in container for container in pod["containers"])


def test_generated_controller_calls_this_hook() -> None:
    controller = objects("sources/sample_source/controller.yaml")["CompositeController"]
    metadata, ports = HOOK["Service"]["metadata"], HOOK["Service"]["spec"]["ports"]
    [port] = [port for port in ports if port["name"] == "hook"]
    for hook in controller["spec"]["hooks"].values():
        service = hook["webhook"]["service"]
        assert (service["namespace"], service["name"]) == (metadata["namespace"], metadata["name"])
        assert service["port"] == port["port"]
    assert {each["targetPort"] for each in ports} <= {container_port["name"] for container_port in CONTAINER["ports"]}


def test_roles_are_bound_to_the_same_account_of_metacontroller() -> None:
    accounts = [
        document.value["subjects"]
        for file in ("base/metacontroller-rbac.yaml", "sources/sample_source/rbac.yaml")
        for document in yaml.load((METACONTROLLER / file).read_text())
        if document.value["kind"] == "ClusterRoleBinding"
    ]
    assert len(accounts) == 2
    assert accounts[0] == accounts[1]


def test_every_resource_of_a_kustomization_exists_and_every_file_is_listed() -> None:
    for file in METACONTROLLER.rglob("kustomization.yaml"):
        [kustomization] = [document.value for document in yaml.load(file.read_text())]
        listed = [*kustomization.get("resources", []), *kustomization.get("components", [])]
        assert [each for each in listed if not (file.parent / each).exists()] == [], file
        if file.parent.parent.name == "components" or file.parent.name in ("base", "settings"):
            assert {each.name for each in file.parent.glob("*.yaml")} - {"kustomization.yaml"} <= set(listed), file
