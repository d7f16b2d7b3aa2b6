"""A namespace in which Pod Security refuses whatever is not ``restricted``, and what pods refer to there."""

from __future__ import annotations

from tests.cluster.api import Api

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def create_priority_classes(api: Api) -> None:
    for name, value in (("high", 1000), ("low", 10)):
        document = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}}
        api.apply({**document, "value": value, "preemptionPolicy": "Never"})
