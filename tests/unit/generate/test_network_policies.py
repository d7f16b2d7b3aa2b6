"""Who may connect to whom by the NetworkPolicies, judged by an evaluator of their semantics.

It follows https://kubernetes.io/docs/concepts/services-networking/network-policies/. A pod that no policy selects is
open. Else a connection needs one rule that matches the peer and the port.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from hooks.children.names import pod_labels
from hooks.protocol import Parent
from metacontroller.generate.objects import hook, network
from metacontroller.generate.tree import documents
from metacontroller.generate.values import with_values
from sources_cli.admission import yaml

SAMPLE = Path(__file__).resolve().parents[3] / "metacontroller/samples/network-policy.yaml"
VALUES = with_values({"networkPolicy.enabled": True})
HOOK_POLICIES = documents(network.trees(hook.SELECTOR, hook.metadata()), VALUES)
ADAPTER_POLICIES = [each.value for each in yaml.load(SAMPLE.read_text())]
for policy in ADAPTER_POLICIES:
    policy["metadata"]["namespace"] = "shop"  # kubectl apply -n shop


@dataclass(frozen=True)
class Pod:
    namespace: str
    labels: dict[str, str] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)  # name -> number


METACONTROLLER = Pod("metacontroller", {"app.kubernetes.io/name": "metacontroller"})
HOOK = Pod("sample-source", hook.SELECTOR, {"hook": 8080, "health": 8081})
ADAPTER_LABELS = pod_labels(
    Parent.model_validate(
        {
            "apiVersion": "samples.knative.dev/v1alpha1",
            "kind": "WebhookSource",
            "metadata": {"name": "a", "namespace": "shop", "uid": "u"},
        }
    )
)
ADAPTER = Pod("shop", ADAPTER_LABELS, {"http": 8888, "health": 8080})
PROMETHEUS = Pod("monitoring", {"app": "prometheus"})
SHOP = Pod("shop", {"app": "shop"}, {"http": 8888})
STRANGERS = {
    "same-namespace": Pod("sample-source", {"app": "x"}),
    "other-namespace": Pod("shop", {"app": "x"}),
    "labels-of-metacontroller-elsewhere": Pod("shop", METACONTROLLER.labels),
    "other-pod-of-its-namespace": Pod("metacontroller", {"app": "x"}),
    "another-hook": HOOK,
}


def selects(selector: dict[str, Any] | None, labels: dict[str, str]) -> bool:
    """Of the label selector; None selects nothing, an empty one everything."""
    if selector is None:
        return False
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    for each in selector.get("matchExpressions", []):
        assert each["operator"] == "Exists"  # the only one that these policies use
        exact = exact and each["key"] in labels
    return exact


def is_peer(peer: dict[str, Any], pod: Pod, namespace: str) -> bool:
    """``namespace``: of the policy. A peer without namespaceSelector is in the same namespace."""
    assert set(peer) <= {"namespaceSelector", "podSelector"}
    names = {"kubernetes.io/metadata.name": pod.namespace}
    inside = selects(peer["namespaceSelector"], names) if "namespaceSelector" in peer else pod.namespace == namespace
    return inside and selects(peer.get("podSelector", {}), pod.labels)


def is_port(port: dict[str, Any], target: Pod, number: int) -> bool:
    assert port.get("protocol", "TCP") == "TCP"
    return bool((target.ports.get(port["port"]) if isinstance(port["port"], str) else port["port"]) == number)


def allows(rules: list[dict[str, Any]], peer: Pod, target: Pod, number: int, namespace: str, key: str) -> bool:
    return any(
        (key not in rule or any(is_peer(each, peer, namespace) for each in rule[key]))
        and ("ports" not in rule or any(is_port(each, target, number) for each in rule["ports"]))
        for rule in rules
    )


def accepted(source: Pod, target: Pod, number: int) -> bool:
    """A connection from one pod to a port of another one."""
    policies = [*HOOK_POLICIES, *ADAPTER_POLICIES]

    def direction(own: Pod, peer: Pod, type_: str, rules: str, key: str) -> bool:
        chosen = [
            policy
            for policy in policies
            if policy["metadata"]["namespace"] == own.namespace
            and selects(policy["spec"]["podSelector"], own.labels)
            and type_ in policy["spec"]["policyTypes"]
        ]
        return not chosen or any(
            allows(policy["spec"].get(rules, []), peer, target, number, own.namespace, key) for policy in chosen
        )

    return direction(source, target, "Egress", "egress", "to") and direction(
        target, source, "Ingress", "ingress", "from"
    )


def test_only_metacontroller_reaches_the_port_of_the_hook() -> None:
    assert accepted(METACONTROLLER, HOOK, 8080)
    assert {name for name, pod in STRANGERS.items() if accepted(pod, HOOK, 8080)} == set()
    assert not accepted(PROMETHEUS, HOOK, 8080)


def test_only_the_monitoring_namespace_reaches_the_health_port_of_the_hook() -> None:
    assert accepted(PROMETHEUS, HOOK, 8081)
    assert {name for name, pod in STRANGERS.items() if accepted(pod, HOOK, 8081)} == set()
    assert not accepted(METACONTROLLER, HOOK, 8081)


@pytest.mark.parametrize("target", [ADAPTER, SHOP, PROMETHEUS, METACONTROLLER])
def test_hook_connects_to_nobody(target: Pod) -> None:
    assert not accepted(HOOK, target, 8888)
    assert not accepted(HOOK, target, 53)


@pytest.mark.parametrize("caller", [SHOP, PROMETHEUS, METACONTROLLER, Pod("elsewhere")])
def test_anybody_reaches_the_port_of_a_listening_adapter(caller: Pod) -> None:
    assert accepted(caller, ADAPTER, 8888)


@pytest.mark.parametrize(
    ("caller", "reaches"), [(PROMETHEUS, True), (SHOP, False), (METACONTROLLER, False), (Pod("elsewhere"), False)]
)
def test_only_the_monitoring_namespace_reaches_the_health_port_of_an_adapter(caller: Pod, reaches: bool) -> None:
    assert accepted(caller, ADAPTER, 8080) is reaches


def test_adapter_accepts_no_other_port_and_sends_to_anybody() -> None:
    assert not accepted(PROMETHEUS, ADAPTER, 9999)
    assert accepted(ADAPTER, SHOP, 8888)


def test_pods_that_are_not_adapters_stay_open() -> None:
    assert accepted(Pod("elsewhere"), SHOP, 8888)


def test_policy_of_the_hook_follows_the_values() -> None:
    changed = with_values(
        {
            "networkPolicy.enabled": True,
            "networkPolicy.monitoringNamespace": "observe",
            "networkPolicy.metacontrollerLabels": {"app": "mc"},
            "metacontroller.namespace": "mc",
        }
    )
    [policy] = documents(network.trees(hook.SELECTOR, hook.metadata()), changed)
    [controller, monitoring] = [rule["from"] for rule in policy["spec"]["ingress"]]
    name = "kubernetes.io/metadata.name"
    assert controller == [
        {"namespaceSelector": {"matchLabels": {name: "mc"}}, "podSelector": {"matchLabels": {"app": "mc"}}}
    ]
    assert monitoring == [{"namespaceSelector": {"matchLabels": {name: "observe"}}}]
    assert documents(network.trees(hook.SELECTOR, hook.metadata()), with_values({})) == []
