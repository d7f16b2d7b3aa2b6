"""``spec.checkpoint`` under a real API server and the real Metacontroller: idle, switched, and without its objects."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from hooks.diagnosis.observed import find
from tests.cluster import fake_kubelet
from tests.cluster.api import Object, eventually
from tests.cluster.apply_strategies import STRATEGIES, apply_with, deployment_of_source, hook_calls, writes
from tests.cluster.control_plane import BY_HAND
from tests.cluster.faults import wait_for_fault
from tests.cluster.local_cluster import LocalCluster
from tests.cluster.namespace import SourceNamespace

CLAIM = "positions"
FORMS: dict[str, Object] = {
    "none": {"none": {}},
    "pod": {"pod": {}},
    "url": {"url": {"secretKeyRef": {"name": "db", "key": "url"}}},
    "volume": {"volume": {"claimName": CLAIM}},
}
SWITCHES = ("volume", "pod", "url", "volume", "none", "pod")
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture
def restricted(cluster: LocalCluster) -> Iterator[SourceNamespace]:
    """A namespace that enforces ``restricted``, with a claim. Sources are synced every two seconds."""
    ns = SourceNamespace(cluster, f"t-{uuid.uuid4().hex[:8]}", labels=RESTRICTED)
    ns.add_cleanup(cluster.install)
    cluster.install(resync_s=2)
    try:
        ns.service()
        create_claim(ns)
        yield ns
    finally:
        ns.close()


def create_claim(ns: SourceNamespace) -> None:
    """A claim, and a volume for it."""
    name = f"{ns.name}-{CLAIM}"
    size = {"storage": "1Mi"}
    spec = {"accessModes": ["ReadWriteOnce"], "storageClassName": ""}
    volume = {**spec, "capacity": size, "hostPath": {"path": "/"}, "claimRef": {"namespace": ns.name, "name": CLAIM}}
    metadata = {"name": CLAIM, "namespace": ns.name}
    ns.api.create({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume})
    ns.add_cleanup(lambda: ns.api.delete("v1", "persistentvolumes", name))
    claim = {**spec, "volumeName": name, "resources": {"requests": size}}
    ns.api.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim})


def wait_until_idle(ns: SourceNamespace) -> None:
    """Wait until no sync of a source writes anything."""

    def writes_of_resyncs() -> int:
        before, calls, count = writes(ns), hook_calls(ns), 2 * len(ns.deployments())
        eventually(lambda: hook_calls(ns), lambda now: now >= calls + count, "two syncs", details=ns.describe)
        return writes(ns) - before

    eventually(writes_of_resyncs, lambda count: count == 0, "syncs without a write")


def replace_checkpoint(ns: SourceNamespace, checkpoint: Object) -> None:
    """With a merge patch, which must delete the other forms."""
    ns.edit("hello", checkpoint={**dict.fromkeys(FORMS), **checkpoint})


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_form_is_admitted_by_restricted_and_stays_as_it_was_written(
    restricted: SourceNamespace, strategy: str, default_strategy: None
) -> None:
    ns = restricted
    apply_with(ns.cluster, strategy)
    for form, checkpoint in FORMS.items():
        ns.source(form, checkpoint=checkpoint)
    for form in FORMS:
        ns.wait_until_ready(form)
    wait_until_idle(ns)
    assert {deployment["metadata"]["generation"] for deployment in ns.deployments()} == {1}
    template = deployment_of_source(ns, "pod")["spec"]["template"]["spec"]
    assert template["volumes"] == [{"name": "checkpoint", "emptyDir": {"sizeLimit": "16Mi"}}]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_each_switch_of_the_form_causes_one_rollout_and_never_a_false_status(
    restricted: SourceNamespace, strategy: str, default_strategy: None
) -> None:
    ns = restricted
    apply_with(ns.cluster, strategy)
    ns.source()
    ns.wait_until_ready()
    for n, form in enumerate(SWITCHES, start=2):
        with ns.api.watch(*ns.sources, ns.name) as seen:
            replace_checkpoint(ns, FORMS[form])
            eventually(ns.revision, lambda found, n=n: found == n, f"rollout {n}", details=ns.describe)
            ns.wait_until_ready()
        is_volume = form == "volume"
        strategy_of = ns.deployment()["spec"]["strategy"]
        assert strategy_of["type"] == ("Recreate" if is_volume else "RollingUpdate")
        assert ("rollingUpdate" in strategy_of) is not is_volume
        states = [find(each.get("status"), "Ready") or {} for each in seen]
        assert not [state for state in states if state.get("status") == "False"], states
    wait_until_idle(ns)


def test_new_pod_waits_for_the_old_one_and_the_status_says_so(restricted: SourceNamespace) -> None:
    ns = restricted
    ns.source(checkpoint=FORMS["volume"])
    ns.wait_until_ready()
    [old] = ns.pods()
    finalizers(ns, old, ["example.com/stops-slowly"])
    ns.add_cleanup(lambda: finalizers(ns, old, []))
    ns.edit(interval="20s")
    eventually(
        lambda: ns.condition("Ready").get("message", ""),
        lambda text: "starts its new pod when the old one has ended, because of its checkpoint volume" in text,
        "the status waits for the old pod",
        details=ns.describe,
    )
    assert ns.condition("Ready")["status"] == "Unknown"
    assert [pod["metadata"]["name"] for pod in ns.pods()] == [old["metadata"]["name"]]
    finalizers(ns, old, [])
    ns.wait_until_ready()
    assert ns.revision() == 2


def finalizers(ns: SourceNamespace, pod: Object, names: list[str]) -> None:
    name = pod["metadata"]["name"]
    if ns.api.find("v1", "pods", name, ns.name):
        ns.api.patch("v1", "pods", name, {"metadata": {"finalizers": names}}, ns.name)


@pytest.fixture(scope="module")
def diagnose_pods(cluster: LocalCluster) -> Iterator[None]:
    cluster.install(diagnose_pods=True)
    yield
    cluster.install()


def test_missing_claim_is_the_reason_until_it_exists(ns: SourceNamespace, diagnose_pods: None) -> None:
    ns.service()
    ns.source(checkpoint=FORMS["volume"])
    wait_for_fault(
        ns, "Deployed", "Unschedulable",
        f'persistentvolumeclaim "{CLAIM}" not found', "; create the PersistentVolumeClaim in the namespace, or see ",
    )  # fmt: skip
    create_claim(ns)
    ns.wait_until_ready()


def test_missing_secret_of_the_url_is_the_reason_until_it_exists(cluster: LocalCluster, diagnose_pods: None) -> None:
    by_hand = SourceNamespace(cluster, BY_HAND)
    try:
        by_hand.service()
        by_hand.source(checkpoint=FORMS["url"])
        pod = fake_kubelet.newest_pod(by_hand, "hello")
        fake_kubelet.set_waiting(by_hand, pod, "CreateContainerConfigError", 'secret "db" not found')
        words = 'secret "db" not found; create the missing object in namespace by-hand'
        wait_for_fault(by_hand, "Deployed", "CreateContainerConfigError", words)
        fake_kubelet.set_running(by_hand, pod)
        by_hand.wait_until_ready()
    finally:
        by_hand.close()


def test_default_of_the_cluster_applies_at_once_to_sources_without_a_checkpoint(restricted: SourceNamespace) -> None:
    ns = restricted
    ns.source("own", checkpoint=FORMS["none"])
    ns.source("other")
    for name in ("own", "other"):
        ns.wait_until_ready(name)
    ns.cluster.install(resync_s=2, checkpoint='{"volume":{"claimName":"positions"}}')

    def strategies() -> dict[str, Any]:
        return {name: deployment_of_source(ns, name)["spec"]["strategy"]["type"] for name in ("own", "other")}

    eventually(strategies, lambda found: found["other"] == "Recreate", "the default applies", details=ns.describe)
    ns.wait_until_ready("other")
    assert strategies() == {"own": "RollingUpdate", "other": "Recreate"}
    wait_until_idle(ns)
