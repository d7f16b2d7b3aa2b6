"""The lifecycle of a source under the real Metacontroller: creation, changes around it, deletion."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.api import eventually
from tests.cluster.world import DEPLOYMENTS, SOURCES, Home, env_of

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


def test_source_becomes_ready_and_its_adapter_gets_the_sink_url(home: Home) -> None:
    home.service()
    home.source()
    source = home.ready()
    url = f"http://display.{home.namespace}.svc.cluster.local"
    assert source["status"]["sinkUri"] == url
    assert env_of(home.deployment())["K_SINK"] == url
    assert home.revision() == 1
    home.record("first-sync", which=0)
    home.record("ready")


def test_source_becomes_ready_when_its_sink_is_created_later(home: Home) -> None:
    home.source()
    condition = home.wait_for("SinkProvided", "False", "NotFound")
    assert f"Service {home.namespace}/display does not exist" in condition["message"]
    assert home.deployments() == []
    home.record("sink-not-found")
    home.service()
    home.ready()


def test_deleted_sink_sets_ready_false_and_keeps_the_adapter_running(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    [before], pods = home.deployments(), home.pods()
    home.api.delete("v1", "services", "display", home.namespace)
    home.wait_for("Ready", "False", "NotFound")
    assert "sinkUri" not in home.read()["status"]
    home.record("sink-lost")
    home.service()
    home.ready()
    [after] = home.deployments()
    assert after["metadata"]["generation"] == before["metadata"]["generation"]
    assert [it["metadata"]["uid"] for it in home.pods()] == [it["metadata"]["uid"] for it in pods]


def test_changed_service_port_rolls_out_the_adapter(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    patch = {"spec": {"ports": [{"name": "http", "port": 8081}]}}
    home.api.patch("v1", "services", "display", patch, home.namespace)
    url = f"http://display.{home.namespace}.svc.cluster.local:8081"
    eventually(
        lambda: home.read()["status"].get("sinkUri"),
        lambda it: it == url,
        "the new port is in status.sinkUri",
        more=home.story,
    )
    home.ready()
    assert env_of(home.deployment())["K_SINK"] == url
    assert home.revision() == 2
    home.record("service-port-changed")


def test_newly_allowed_sink_kind_applies_to_existing_sources(home: Home) -> None:
    """No restart is needed: the list of allowed kinds is part of the CompositeController's spec."""
    home.api.serve(THING_CRD)
    home.afterwards(home.world.install)
    address = {"status": {"address": {"url": "http://thing.example.com/in"}}}
    metadata = {"name": "t", "namespace": home.namespace}
    home.api.create({"apiVersion": "life.example.com/v1", "kind": "Thing", "metadata": metadata, **address})
    home.source(sink={"ref": {"apiVersion": "life.example.com/v1", "kind": "Thing", "name": "t"}})
    condition = home.wait_for("Ready", "False", "SinkKindNotAllowed")
    assert "allowed: v1/Service" in condition["message"]
    home.record("sink-kind-not-allowed")
    home.world.install("v1/Service", THING)
    assert home.ready(deadline_s=60)["status"]["sinkUri"] == "http://thing.example.com/in"


def test_changed_logging_configuration_rolls_out_every_adapter(home: Home) -> None:
    directory = home.world.config / "config-logging"
    home.afterwards(home.world.install)
    home.world.install(resync_s=3)
    home.service()
    names = ("one", "two")
    for name in names:
        home.source(name)
    for name in names:
        home.ready(name)
    directory.mkdir()
    home.afterwards(lambda: [(directory / "loglevel.controller").unlink(), directory.rmdir()])
    (directory / "loglevel.controller").write_text("debug")
    (directory / "zap-logger-config").write_text('{"level": "debug"}')
    home.afterwards((directory / "zap-logger-config").unlink)

    def followed() -> list[bool]:
        return ["debug" in env_of(it).get("K_LOGGING_CONFIG", "") for it in home.deployments()]

    eventually(followed, lambda it: it == [True, True], "both adapters have the new configuration", more=home.story)
    for name in names:
        home.ready(name)


@pytest.mark.parametrize(
    "quarrel",
    [
        pytest.param({"spec": {"replicas": 3}}, id="scales it"),
        pytest.param({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}}, id="edits its template"),
        pytest.param({"metadata": {"annotations": {"samples.knative.dev/template-hash": "x"}}}, id="edits its hash"),
    ],
)
def test_foreign_changes_of_the_deployment_are_reverted(home: Home, quarrel: Any) -> None:
    home.service()
    home.source()
    home.ready()
    before = home.deployment()
    home.api.patch(*DEPLOYMENTS, before["metadata"]["name"], quarrel, home.namespace)

    def wanted() -> bool:
        now = home.deployment()
        same = all(now["spec"][key] == before["spec"][key] for key in ("replicas", "template"))
        return bool(same and now["metadata"]["annotations"].items() >= _ours(before).items())

    eventually(wanted, bool, "the Deployment is as before", more=home.story)
    home.ready()


def _ours(deployment: Any) -> dict[str, str]:
    return {key: it for key, it in deployment["metadata"]["annotations"].items() if "template-hash" in key}


def test_deleted_deployment_is_recreated(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    first = home.deployment()
    home.api.delete(*DEPLOYMENTS, first["metadata"]["name"], home.namespace)
    eventually(
        home.deployments,
        lambda it: [one["metadata"]["uid"] for one in it] not in ([], [first["metadata"]["uid"]]),
        "another Deployment",
        more=home.story,
    )
    home.ready()


def test_deleting_a_source_deletes_its_deployment_and_its_pods(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    home.api.delete(*SOURCES, "hello", home.namespace)

    def left() -> object:
        return [*home.deployments(), *home.api.list("apps/v1", "replicasets", home.namespace), *home.pods()]

    eventually(left, lambda it: it == [], "the namespace is empty", deadline_s=90)


def test_sync_without_a_change_does_not_write_the_status(home: Home) -> None:
    home.service()
    home.source()
    settled = home.ready()
    again = home.api.patch(*SOURCES, "hello", {"metadata": {"labels": {"touched": "yes"}}}, home.namespace)
    asked = len(home.world.gate.calls(home.namespace, "hello"))
    eventually(
        lambda: len(home.world.gate.calls(home.namespace, "hello")), lambda it: it > asked, "a sync", more=home.story
    )
    assert home.read()["status"] == settled["status"]
    assert home.read()["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
