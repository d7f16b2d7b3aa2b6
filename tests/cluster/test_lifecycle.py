"""The lifecycle of a source under the real Metacontroller: creation, changes around it, deletion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.api import eventually
from tests.cluster.local_cluster import DEPLOYMENTS, SOURCES
from tests.cluster.namespace import SourceNamespace, env_of

THING = "life.example.com/v1/Thing"
THING_CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.life.example.com"},
    "spec": {
        "group": "life.example.com",
        "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def test_source_becomes_ready_and_its_adapter_gets_the_sink_url(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    source = ns.wait_until_ready()
    url = f"http://display.{ns.name}.svc.cluster.local"
    assert source["status"]["sinkUri"] == url
    assert env_of(ns.deployment())["K_SINK"] == url
    assert ns.revision() == 1
    ns.record("first-sync", which=0)
    ns.record("ready")


def test_source_becomes_ready_when_its_sink_is_created_later(ns: SourceNamespace) -> None:
    ns.source()
    condition = ns.wait_for_condition("SinkProvided", "False", "NotFound")
    assert f"Service {ns.name}/display does not exist" in condition["message"]
    assert ns.deployments() == []
    ns.record("sink-not-found")
    ns.service()
    ns.wait_until_ready()


def test_deleted_sink_sets_ready_false_and_keeps_the_adapter_running(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    [before], pods = ns.deployments(), ns.pods()
    ns.api.delete("v1", "services", "display", ns.name)
    ns.wait_for_condition("Ready", "False", "NotFound")
    assert "sinkUri" not in ns.read()["status"]
    ns.record("sink-lost")
    ns.service()
    ns.wait_until_ready()
    [after] = ns.deployments()
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert [pod["metadata"]["uid"] for pod in ns.pods()] == [pod["metadata"]["uid"] for pod in pods]


def test_changed_service_port_rolls_out_the_adapter(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    patch = {"spec": {"ports": [{"name": "http", "port": 8081}]}}
    ns.api.patch("v1", "services", "display", patch, ns.name)
    url = f"http://display.{ns.name}.svc.cluster.local:8081"
    eventually(
        lambda: ns.read()["status"].get("sinkUri"),
        lambda value: value == url,
        "the new port is in status.sinkUri",
        details=ns.describe,
    )
    ns.wait_until_ready()
    assert env_of(ns.deployment())["K_SINK"] == url
    assert ns.revision() == 2
    ns.record("service-port-changed")


def test_newly_allowed_sink_kind_applies_to_existing_sources(ns: SourceNamespace) -> None:
    """No restart is needed: the list of allowed kinds is part of the CompositeController's spec."""
    ns.api.serve(THING_CRD)
    ns.add_cleanup(ns.cluster.install)
    address = {"status": {"address": {"url": "http://thing.example.com/in"}}}
    metadata = {"name": "t", "namespace": ns.name}
    ns.api.create({"apiVersion": "life.example.com/v1", "kind": "Thing", "metadata": metadata, **address})
    ns.source(sink={"ref": {"apiVersion": "life.example.com/v1", "kind": "Thing", "name": "t"}})
    condition = ns.wait_for_condition("Ready", "False", "SinkKindNotAllowed")
    assert "allowed: v1/Service" in condition["message"]
    ns.record("sink-kind-not-allowed")
    ns.cluster.install("v1/Service", THING)
    assert ns.wait_until_ready()["status"]["sinkUri"] == "http://thing.example.com/in"


def test_changed_logging_configuration_rolls_out_every_adapter(ns: SourceNamespace) -> None:
    directory = ns.cluster.config / "config-logging"
    ns.add_cleanup(ns.cluster.install)
    ns.cluster.install(resync_s=3)
    ns.service()
    names = ("one", "two")
    for name in names:
        ns.source(name)
    for name in names:
        ns.wait_until_ready(name)
    directory.mkdir()
    ns.add_cleanup(lambda: [(directory / "loglevel.controller").unlink(), directory.rmdir()])
    (directory / "loglevel.controller").write_text("debug")
    (directory / "zap-logger-config").write_text('{"level": "debug"}')
    ns.add_cleanup((directory / "zap-logger-config").unlink)

    def followed() -> list[bool]:
        return ["debug" in env_of(deployment).get("K_LOGGING_CONFIG", "") for deployment in ns.deployments()]

    eventually(
        followed, lambda value: value == [True, True], "both adapters have the new configuration", details=ns.describe
    )
    for name in names:
        ns.wait_until_ready(name)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"spec": {"replicas": 3}}, id="scales it"),
        pytest.param({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}, id="edits its template"),
        pytest.param({"metadata": {"annotations": {"samples.knative.dev/template-hash": "x"}}}, id="edits its hash"),
    ],
)
def test_foreign_changes_of_the_deployment_are_reverted(ns: SourceNamespace, change: Any) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    before = ns.deployment()
    ns.api.patch(*DEPLOYMENTS, before["metadata"]["name"], change, ns.name)

    def wanted() -> bool:
        now = ns.deployment()
        same = all(now["spec"][key] == before["spec"][key] for key in ("replicas", "template"))
        return bool(same and now["metadata"]["annotations"].items() >= _template_hash(before).items())

    eventually(wanted, bool, "the Deployment is as before", details=ns.describe)
    ns.wait_until_ready()


def _template_hash(deployment: Any) -> dict[str, str]:
    return {key: value for key, value in deployment["metadata"]["annotations"].items() if "template-hash" in key}


def test_deleted_deployment_is_recreated(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    first = ns.deployment()
    ns.api.delete(*DEPLOYMENTS, first["metadata"]["name"], ns.name)
    eventually(
        ns.deployments,
        lambda value: [one["metadata"]["uid"] for one in value] not in ([], [first["metadata"]["uid"]]),
        "another Deployment",
        details=ns.describe,
    )
    ns.wait_until_ready()


def test_deleting_a_source_deletes_its_deployment_and_its_pods(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    ns.api.delete(*SOURCES, "hello", ns.name)

    def left() -> object:
        return [*ns.deployments(), *ns.api.list("apps/v1", "replicasets", ns.name), *ns.pods()]

    eventually(left, lambda found: found == [], "the namespace is empty")
