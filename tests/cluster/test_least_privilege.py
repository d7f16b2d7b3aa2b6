"""Least privilege, checked in the audit log: Metacontroller uses every granted verb and no other.

The hook and the adapters send no request to the API server.
"""

from __future__ import annotations

from collections.abc import Iterator

from sources_cli.generate.rbac import rbac
from tests.cluster.api import eventually
from tests.cluster.apply_strategies import STRATEGIES, USER, apply_with, edit_and_check
from tests.cluster.local_cluster import KIND, ROOT, read_yaml
from tests.cluster.namespace import SourceNamespace

Grant = tuple[str, str, str]  # group, resource, verb
# Granted verbs that the audit log does not show. `list`: informers use list and watch with API servers before 1.35, and
# only watch with newer ones. `finalizers`: the API server checks it internally for clients that set blockOwnerDeletion
# (control_plane.py enables that admission plugin).
UNSEEN = {("samples.knative.dev", "samplesources/finalizers", "update")}


def test_metacontroller_uses_every_granted_permission_and_no_other(ns: SourceNamespace, default_strategy: None) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    for strategy in STRATEGIES:
        apply_with(ns.cluster, strategy)
        edit_and_check(ns, "hello")
    ns.source("lost", sink={"ref": {"apiVersion": "v1", "kind": "Service", "name": "nowhere"}})
    ns.wait_for_condition("Ready", "False", "NotFound", name="lost")
    ns.cluster.hook_proxy.down = True
    ns.edit(interval="33s")
    eventually(
        lambda: sync_errors(ns), lambda count: count > 1, "a SyncError event with a count above 1", details=ns.describe
    )
    ns.cluster.hook_proxy.reset()
    ns.wait_until_ready()

    requests = [entry for entry in ns.audit() if entry["user"]["username"] == USER]
    refused = [entry for entry in requests if entry["annotations"].get("authorization.k8s.io/decision") == "forbid"]
    assert refused == []
    used = {_grant(entry) for entry in requests if "objectRef" in entry and "resource" in entry["objectRef"]}
    listed = {(group, resource, "list") for group, resource, verb in used if verb == "watch"}
    assert granted() - used - UNSEEN - listed == set()
    assert used - granted() == set()


def test_hook_and_adapters_do_not_call_the_api_server(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    for pod in ns.pods():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert "volumes" not in pod["spec"]
    accounts = {entry["user"]["username"] for entry in ns.cluster.plane.audit()}
    others = "system:serviceaccount:kube-system:", "system:serviceaccount:t-"  # accounts of controllers, of other tests
    own = f"system:serviceaccount:{ns.name}:"
    found = {each for each in accounts if each.startswith("system:serviceaccount:")}
    assert {each for each in found if each.startswith(own) or not each.startswith(others)} == {USER}


def sync_errors(ns: SourceNamespace) -> int:
    """The highest count of a SyncError event: Kubernetes counts repeated events in one object."""
    events = ns.api.list("v1", "events", ns.name)
    return max((event.get("count", 1) for event in events if event["reason"] == "SyncError"), default=0)


def granted() -> set[Grant]:
    roles = [*read_yaml(ROOT / "metacontroller/base/metacontroller-rbac.yaml"), *rbac(KIND, ["v1/Service"], "a/b")]
    expected_roles = [
        role for role in roles if role["kind"] == "ClusterRole" and role["metadata"]["name"].endswith("metacontroller")
    ]
    assert len(expected_roles) == 2
    return {grant for role in expected_roles for rule in role["rules"] for grant in _grants(rule)}


def _grants(rule: dict[str, list[str]]) -> Iterator[Grant]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield group, resource, verb


def _grant(entry: dict[str, dict[str, str]]) -> Grant:
    target = entry["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    return target.get("apiGroup", ""), resource, str(entry["verb"])
