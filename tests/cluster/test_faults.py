"""Each fault of a spec or its environment becomes a reason within 30 s, and Ready recovers once it is fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.api import Object, eventually
from tests.cluster.explained import reasons
from tests.cluster.faults import wait_for_fault
from tests.cluster.namespace import SourceNamespace


@dataclass(frozen=True)
class Fault:
    inject: Callable[[SourceNamespace], object]  # also creates the source
    origin: str  # the condition from which Ready is copied
    reason: str
    words: tuple[str, ...]  # parts of the message: the object and the remedy; {} is the namespace
    fix: Callable[[SourceNamespace], object]  # removes the cause


def ref(kind: str = "Service", api_version: str = "v1", **more: Any) -> Object:
    return {"ref": {"apiVersion": api_version, "kind": kind, "name": "display", **more}}


def port_9_missing(ns: SourceNamespace) -> None:
    ns.service()
    ns.source(sink=ref(port=9))


def open_port_9(ns: SourceNamespace) -> None:
    ports = [{"port": 80, "name": "http"}, {"port": 9, "name": "discard"}]
    ns.api.patch("v1", "services", "display", {"spec": {"ports": ports}}, ns.name)


def kind_not_listed(ns: SourceNamespace) -> None:
    ns.service()
    ns.source(sink=ref("Deployment", "apps/v1"))


def quota_without_pods(ns: SourceNamespace) -> None:
    ns.service()
    metadata = {"name": "tight", "namespace": ns.name}
    ns.api.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "0"}}})

    def counted() -> object:
        return ns.api.get("v1", "resourcequotas", "tight", ns.name).get("status", {})

    eventually(counted, lambda status: "used" in status, "the quota has a status")
    ns.source()


def label(ns: SourceNamespace, level: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    ns.api.patch("v1", "namespaces", ns.name, {"metadata": {"labels": labels}})


def pods_violate_pod_security(ns: SourceNamespace) -> None:
    def without_security_context(answer: Any) -> Any:
        for child in answer["children"]:
            del child["spec"]["template"]["spec"]["containers"][0]["securityContext"]
        return answer

    label(ns, "restricted")
    ns.service()
    ns.cluster.hook_proxy.rewrite = without_security_context
    ns.source()


def account_missing(ns: SourceNamespace) -> None:
    ns.service()
    ns.source(serviceAccountName="nobody")


def create_account(ns: SourceNamespace) -> None:
    metadata = {"name": "nobody", "namespace": ns.name}
    ns.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


FAULTS = {
    "no sink": Fault(
        lambda ns: ns.source(),
        "SinkProvided", "NotFound", ("Service {}/display does not exist", "create it or correct spec.sink.ref"),
        lambda ns: ns.service(),
    ),
    "sink of a kind not listed": Fault(
        kind_not_listed,
        "SinkProvided", "SinkKindNotAllowed",
        ("Deployment {}/display", "allowed: v1/Service", "`sources manifests --sink-kinds`, or use spec.sink.uri"),
        lambda ns: ns.edit(sink=ref()),
    ),
    "no such port": Fault(
        port_9_missing,
        "SinkProvided", "AddressNotFound",
        ("Service {}/display has no port 9", "set spec.sink.ref.port to one of: 80 (http)"),
        open_port_9,
    ),
    "quota": Fault(
        quota_without_pods,
        "Deployed", "FailedCreate", ('pods "samplesource-hello-', "exceeded quota: tight", "raise the quota"),
        lambda ns: ns.api.delete("v1", "resourcequotas", "tight", ns.name),
    ),
    "PodSecurity": Fault(
        pods_violate_pod_security,
        "Deployed", "FailedCreate",
        ('pods "samplesource-hello-', 'violates PodSecurity "restricted:latest": allowP', "the pod-security label of"),
        lambda ns: label(ns, "privileged"),
    ),
    "no ServiceAccount": Fault(
        account_missing,
        "Deployed", "FailedCreate",
        ("service account {}/nobody", "create it, or correct spec.serviceAccountName"),
        create_account,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", [pytest.param(fault, id=name) for name, fault in FAULTS.items()])
def test_fault_sets_ready_false_with_a_remedy_until_it_is_fixed(ns: SourceNamespace, fault: Fault) -> None:
    fault.inject(ns)
    wait_for_fault(ns, fault.origin, fault.reason, *(words.format(ns.name) for words in fault.words))
    assert reasons(ns)[0] == fault.reason
    if not ns.cluster.hook_proxy.rewrite:
        ns.record(f"fault-{fault.reason.lower()}-{fault.origin.lower()}")
    fault.fix(ns)
    ns.wait_until_ready()
