"""Each fault of a spec or its environment becomes a reason within 30 s, and Ready recovers once it is fixed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.api import Object, eventually
from tests.cluster.faults import says
from tests.cluster.world import Home


@dataclass(frozen=True)
class Fault:
    inject: Callable[[Home], object]  # also creates the source
    origin: str  # the condition from which Ready is copied
    reason: str
    words: tuple[str, ...]  # parts of the message: the object and the remedy; {} is the namespace
    cure: Callable[[Home], object]  # removes the cause


def ref(kind: str = "Service", api_version: str = "v1", **more: Any) -> Object:
    return {"ref": {"apiVersion": api_version, "kind": kind, "name": "display", **more}}


def no_port_9(home: Home) -> None:
    home.service()
    home.source(sink=ref(port=9))


def open_port_9(home: Home) -> None:
    ports = [{"port": 80, "name": "http"}, {"port": 9, "name": "discard"}]
    home.api.patch("v1", "services", "display", {"spec": {"ports": ports}}, home.namespace)


def kind_not_listed(home: Home) -> None:
    home.service()
    home.source(sink=ref("Deployment", "apps/v1"))


def quota_without_pods(home: Home) -> None:
    home.service()
    metadata = {"name": "tight", "namespace": home.namespace}
    home.api.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "0"}}}
    )

    def counted() -> object:
        return home.api.get("v1", "resourcequotas", "tight", home.namespace).get("status", {})

    eventually(counted, lambda status: "used" in status, "the quota has a status")
    home.source()


def label(home: Home, level: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    home.api.patch("v1", "namespaces", home.namespace, {"metadata": {"labels": labels}})


def pod_refused(home: Home) -> None:
    def escalating(answer: Any) -> Any:
        for child in answer["children"]:
            del child["spec"]["template"]["spec"]["containers"][0]["securityContext"]
        return answer

    label(home, "restricted")
    home.service()
    home.world.gate.rewrite = escalating
    home.source()


def no_account(home: Home) -> None:
    home.service()
    home.source(serviceAccountName="nobody")


def account(home: Home) -> None:
    metadata = {"name": "nobody", "namespace": home.namespace}
    home.api.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})


FAULTS = {
    "no sink": Fault(
        lambda home: home.source(),
        "SinkProvided", "NotFound", ("Service {}/display does not exist", "create it or correct spec.sink.ref"),
        lambda home: home.service(),
    ),
    "sink of a kind not listed": Fault(
        kind_not_listed,
        "SinkProvided", "SinkKindNotAllowed",
        ("Deployment {}/display", "allowed: v1/Service", "`sources manifests --sink-kinds`, or use spec.sink.uri"),
        lambda home: home.edit(sink=ref()),
    ),
    "no such port": Fault(
        no_port_9,
        "SinkProvided", "AddressNotFound",
        ("Service {}/display has no port 9", "set spec.sink.ref.port to one of: 80 (http)"),
        open_port_9,
    ),
    "quota": Fault(
        quota_without_pods,
        "Deployed", "FailedCreate", ('pods "samplesource-hello-', "exceeded quota: tight", "raise the quota"),
        lambda home: home.api.delete("v1", "resourcequotas", "tight", home.namespace),
    ),
    "PodSecurity": Fault(
        pod_refused,
        "Deployed", "FailedCreate",
        ('pods "samplesource-hello-', 'violates PodSecurity "restricted:latest": allowP', "relax its pod-security"),
        lambda home: label(home, "privileged"),
    ),
    "no ServiceAccount": Fault(
        no_account,
        "Deployed", "FailedCreate",
        ("service account {}/nobody", "create it, or correct spec.serviceAccountName"),
        account,
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", [pytest.param(it, id=name) for name, it in FAULTS.items()])
def test_fault_sets_ready_false_with_a_remedy_until_it_is_fixed(home: Home, fault: Fault) -> None:
    fault.inject(home)
    says(home, fault.origin, fault.reason, *(it.format(home.namespace) for it in fault.words))
    if not home.world.gate.rewrite:
        home.record(f"fault-{fault.reason.lower()}-{fault.origin.lower()}")
    fault.cure(home)
    home.ready()
