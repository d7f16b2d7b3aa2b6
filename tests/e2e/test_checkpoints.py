"""Checkpoints on real pods: items that appear while no adapter polls arrive later, each once or with an equal id."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import Cluster
from tests.e2e.installation import installed
from tests.e2e.namespace import RestrictedNamespace, restricted_namespace

KIND = "metacontroller/sources/poll_source"
PER_S = 20
SPEC = {
    "url": "http://upstream:8080/orders",
    "interval": "200ms",
    "secretHeaders": {"X-Key": {"secretKeyRef": {"name": "shop", "key": "key"}}},
    "items": "data.orders",
    "id": "number",
}
PASSWORD = "s3cret"
REDIS = ["redis-server", "--save", "", "--dir", "/tmp", "--requirepass", PASSWORD]


@pytest.fixture(scope="module")
def poll_kind(cluster: Cluster) -> Iterator[None]:
    with installed(cluster, KIND, "pollsources.samples.knative.dev"):
        yield


@pytest.fixture
def polled(cluster: Cluster, poll_kind: None) -> Iterator[RestrictedNamespace]:
    """A namespace with a display and an upstream that has 20 new orders per second."""
    with restricted_namespace(cluster, "PollSource") as ns:
        ns.api.create(secret(ns, "shop", key="k"))
        ns.start_display()
        ns.start_program("upstream", "k", str(PER_S))
        yield ns


def secret(ns: RestrictedNamespace, name: str, **values: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": ns.name},
        "stringData": values,
    }


def arrived(ns: RestrictedNamespace) -> Counter[int]:
    return Counter(int(event["id"]) for event in ns.displayed_events())


def wait_for_more(ns: RestrictedNamespace) -> None:
    before = max(arrived(ns), default=0)
    eventually(
        lambda: max(arrived(ns), default=0), lambda newest: newest > before + PER_S, "new items", details=ns.describe
    )


def no_item_is_missing(ns: RestrictedNamespace, figure: Callable[[str], None], what: str) -> None:
    times = arrived(ns)
    twice = sum(1 for count in times.values() if count > 1)
    figure(f"checkpoint, {what}: {len(times)} items arrived, {twice} of them more than once")
    assert sorted(times) == list(range(min(times), max(times) + 1))


def test_no_item_is_missing_after_the_container_was_killed(
    polled: RestrictedNamespace, figure: Callable[[str], None]
) -> None:
    polled.source(**SPEC)
    polled.wait_until_ready()
    wait_for_more(polled)

    def restarts() -> int:
        return int(polled.adapter()["status"]["containerStatuses"][0]["restartCount"])

    with polled.exhausted_memory():
        eventually(restarts, lambda count: count > 0, "the container restarted", details=polled.describe)
    polled.wait_until_ready()
    wait_for_more(polled)
    no_item_is_missing(polled, figure, "in the pod, container killed")


def replace_pods(ns: RestrictedNamespace) -> None:
    """Stop the source for a while, then delete its pod: twice, items appear while no adapter runs or is ready."""
    ns.edit(suspend=True)
    eventually(ns.adapters, lambda pods: pods == [], "no adapter is left", details=ns.describe)
    ns.edit(suspend=None)
    ns.wait_until_ready()
    wait_for_more(ns)
    ns.kubectl("delete", "pod", ns.adapter()["metadata"]["name"], "--now", "--wait=false")
    ns.wait_until_ready()
    wait_for_more(ns)


@pytest.mark.skipif(not os.environ.get("REDIS_IMAGE"), reason="needs $REDIS_IMAGE (an image with redis-server)")
def test_no_item_is_missing_after_pods_are_replaced_with_a_checkpoint_in_redis(
    polled: RestrictedNamespace, figure: Callable[[str], None]
) -> None:
    start_redis(polled)
    polled.api.create(secret(polled, "checkpoints", url=f"redis://:{PASSWORD}@redis:6379/0"))
    polled.source(**SPEC, checkpoint={"url": {"secretKeyRef": {"name": "checkpoints", "key": "url"}}})
    polled.wait_until_ready()
    wait_for_more(polled)
    replace_pods(polled)
    no_item_is_missing(polled, figure, "in Redis, suspended and pod deleted")


def start_redis(ns: RestrictedNamespace) -> None:
    container = {
        "name": "redis",
        "image": os.environ["REDIS_IMAGE"],
        "command": REDIS,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    spec = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    metadata = {"name": "redis", "namespace": ns.name, "labels": {"app": "redis"}}
    ns.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ports = {"selector": {"app": "redis"}, "ports": [{"name": "redis", "port": 6379}]}
    ns.api.create({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": ports})
    ns.kubectl("wait", "--for=condition=Ready", "pod/redis", "--timeout=120s")


def test_no_item_is_missing_after_pods_are_replaced_with_a_checkpoint_on_a_volume(
    polled: RestrictedNamespace, figure: Callable[[str], None]
) -> None:
    with volume(polled) as claim:
        polled.source(**SPEC, checkpoint={"volume": {"claimName": claim}})
        polled.wait_until_ready()
        wait_for_more(polled)
        replace_pods(polled)
        no_item_is_missing(polled, figure, "on a volume, suspended and pod deleted")
        polled.api.delete(*polled.sources, "hello", polled.name)
        eventually(polled.adapters, lambda pods: pods == [], "no adapter is left")


@contextmanager
def volume(ns: RestrictedNamespace) -> Iterator[str]:
    """A PersistentVolumeClaim that is bound to a directory of a node. A privileged pod makes the directory."""
    [node, *_] = ns.api.list("v1", "nodes")
    path, host = f"/tmp/{ns.name}", node["metadata"]["labels"]["kubernetes.io/hostname"]
    maker = f"{ns.name}-maker"
    ns.api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": maker}})
    ns.add_cleanup(lambda: ns.api.delete("v1", "namespaces", maker))
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "16Mi"}},
        "volumeName": ns.name,
    }
    required = [{"key": "kubernetes.io/hostname", "operator": "In", "values": [host]}]
    made = {
        "capacity": {"storage": "16Mi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "local": {"path": path},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": required}]}},
    }
    on_node(ns, maker, host, f"mkdir /host/{ns.name}")
    ns.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": ns.name}, "spec": made})
    ns.add_cleanup(lambda: ns.api.delete("v1", "persistentvolumes", ns.name))
    claim = {"name": "checkpoints", "namespace": ns.name}
    ns.api.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claim, "spec": spec})
    try:
        yield "checkpoints"
    finally:
        on_node(ns, maker, host, f"rm -r /host/{ns.name}")


def on_node(ns: RestrictedNamespace, namespace: str, host: str, command: str) -> None:
    """Run a shell command as root in ``/tmp`` of a node, which is ``/host``."""
    container = {
        "name": "shell",
        "image": ns.cluster.image,
        "command": ["sh", "-c", command],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "tmp", "mountPath": "/host"}],
    }
    spec = {
        "nodeName": host,
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [{"name": "tmp", "hostPath": {"path": "/tmp"}}],
    }
    metadata = {"name": command.split()[0], "namespace": namespace}
    ns.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    ns.cluster.kubectl(
        "-n", namespace, "wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{metadata['name']}", "--timeout=120s"
    )
