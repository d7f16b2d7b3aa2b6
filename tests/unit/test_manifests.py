"""The hand-written YAML fits the code and itself; whether a cluster takes it is asked in tests/cluster."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hooks.settings import read_settings
from sources_cli.admission import yaml

METACONTROLLER = Path(__file__).parents[2] / "metacontroller"


def objects(file: str) -> dict[str, Any]:
    return {it.value["kind"]: it.value for it in yaml.load((METACONTROLLER / file).read_text())}


HOOK = objects("base/hook.yaml")
POD = HOOK["Deployment"]["spec"]["template"]
CONTAINER = POD["spec"]["containers"][0]
ENVIRON = {it["name"]: it["value"] for it in CONTAINER["env"]}


class Remembering(dict[str, str]):
    asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)


def test_the_hook_reads_every_variable_it_is_given() -> None:
    environ = Remembering(ENVIRON)
    settings = read_settings(environ)
    assert environ.asked >= ENVIRON.keys()
    assert settings.adapter_image == CONTAINER["image"]


def test_its_config_directory_is_where_the_config_maps_are_mounted() -> None:
    mounts = {it["name"]: it["mountPath"] for it in CONTAINER["volumeMounts"]}
    assert mounts == {name: f"{ENVIRON['CONFIG_DIR']}/{name}" for name in ("config-logging", "config-observability")}
    volumes = {it["name"]: it["configMap"] for it in POD["spec"]["volumes"]}
    assert volumes == {name: {"name": name, "optional": True} for name in mounts}


@pytest.mark.parametrize("kind", ["Service", "PodDisruptionBudget"])
def test_what_is_selected_are_the_hooks_pods(kind: str) -> None:
    selector = HOOK[kind]["spec"]["selector"]
    wanted = selector.get("matchLabels", selector)
    assert wanted.items() <= POD["metadata"]["labels"].items()
    assert HOOK["Deployment"]["spec"]["selector"]["matchLabels"].items() <= POD["metadata"]["labels"].items()


def test_one_pod_may_always_be_disrupted_and_one_always_answers() -> None:
    assert HOOK["Deployment"]["spec"]["replicas"] - HOOK["PodDisruptionBudget"]["spec"]["minAvailable"] == 1
    assert HOOK["Deployment"]["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_nobody_gets_a_token() -> None:
    assert HOOK["ServiceAccount"]["automountServiceAccountToken"] is False
    assert POD["spec"]["automountServiceAccountToken"] is False


def restricted(pod: Mapping[str, Any]) -> bool:
    """PodSecurity ``restricted``, as far as such pods can break it."""
    contexts = [it["securityContext"] for it in pod["containers"]]
    return pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}} and all(
        it == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        for it in contexts
    )


@pytest.mark.parametrize("file", ["base/hook.yaml", "samples/quickstart.yaml"])
def test_pods_are_restricted_and_bounded(file: str) -> None:
    pod = objects(file)["Deployment"]["spec"]["template"]["spec"]
    assert restricted(pod)
    assert all(it["resources"]["limits"]["memory"] for it in pod["containers"])
    assert all("readinessProbe" in it for it in pod["containers"])


def test_the_generated_controller_asks_that_hook() -> None:
    controller = objects("sources/sample_source/controller.yaml")["CompositeController"]
    metadata, [port] = HOOK["Service"]["metadata"], HOOK["Service"]["spec"]["ports"]
    for hook in controller["spec"]["hooks"].values():
        service = hook["webhook"]["service"]
        assert (service["namespace"], service["name"]) == (metadata["namespace"], metadata["name"])
        assert service["port"] == port["port"]
    assert port["targetPort"] in [it["name"] for it in CONTAINER["ports"]]


def test_roles_are_bound_to_one_account_of_metacontroller() -> None:
    accounts = [
        it.value["subjects"]
        for file in ("base/metacontroller-rbac.yaml", "sources/sample_source/rbac.yaml")
        for it in yaml.load((METACONTROLLER / file).read_text())
        if it.value["kind"] == "ClusterRoleBinding"
    ]
    assert len(accounts) == 2
    assert accounts[0] == accounts[1]


def test_kustomizations_name_files_that_are_there_and_set_the_image_alike() -> None:
    base, overlay = (objects(f"{it}/kustomization.yaml")["Kustomization"] for it in ("base", "overlays/example"))
    assert overlay["replacements"] == base["replacements"]
    assert overlay["images"][0]["name"] == CONTAINER["image"].rpartition(":")[0]
    for directory, listed in (("base", base), ("overlays/example", overlay)):
        for resource in listed["resources"]:
            assert (METACONTROLLER / directory / resource).exists(), resource


def test_every_manifest_of_the_base_is_applied() -> None:
    listed = objects("base/kustomization.yaml")["Kustomization"]["resources"]
    there = {it.name for it in (METACONTROLLER / "base").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(listed) == there
