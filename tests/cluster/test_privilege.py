"""Least privilege, checked in the audit log: Metacontroller uses every granted verb and no other.

The hook and the adapters send no request to the API server.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from sources_cli.generate.rbac import rbac
from tests.cluster.api import eventually
from tests.cluster.strategies import STRATEGIES, USER, apply_with, live_with_edits
from tests.cluster.world import KIND, ROOT, Home, documents

Grant = tuple[str, str, str]  # group, resource, verb
# Granted verbs that the audit log does not show. `list`: informers use list and watch with API servers before 1.35, and
# only watch with newer ones. `finalizers`: the API server checks it internally for clients that set blockOwnerDeletion
# (control_plane.py enables that admission plugin).
UNSEEN = {("samples.knative.dev", "samplesources/finalizers", "update")}


def test_metacontroller_uses_every_granted_permission_and_no_other(home: Home, restored: None) -> None:
    before = sum(
        1 for _ in home.world.plane.audit()
    )  # earlier entries come from other tests, some of which remove permissions
    home.service()
    home.source()
    home.ready()
    for strategy in STRATEGIES:
        apply_with(home.world, strategy)
        live_with_edits(home, "hello")
    home.source("lost", sink={"ref": {"apiVersion": "v1", "kind": "Service", "name": "nowhere"}})
    home.wait_for("Ready", "False", "NotFound", name="lost")
    home.world.gate.down = True
    home.edit(interval="33s")
    eventually(lambda: sync_errors(home), lambda it: it > 1, "a SyncError event with a count above 1", more=home.story)
    home.world.gate.heal()
    home.ready(deadline_s=60)

    asked = [it for it in islice(home.world.plane.audit(), before, None) if it["user"]["username"] == USER]
    refused = [it for it in asked if it["annotations"].get("authorization.k8s.io/decision") == "forbid"]
    assert refused == []
    used = {_grant(it) for it in asked if "objectRef" in it and "resource" in it["objectRef"]}
    listed = {(group, resource, "list") for group, resource, verb in used if verb == "watch"}
    assert granted() - used - UNSEEN - listed == set()
    assert used - granted() == set()


def test_hook_and_adapters_do_not_call_the_api_server(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    for pod in home.pods():
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert "volumes" not in pod["spec"]
    accounts = {it["user"]["username"] for it in home.world.plane.audit() if "serviceaccount" in it["user"]["username"]}
    assert {it for it in accounts if not it.startswith("system:serviceaccount:kube-system:")} == {USER}


def sync_errors(home: Home) -> int:
    """The highest count of a SyncError event: Kubernetes counts repeated events in one object."""
    events = home.api.list("v1", "events", home.namespace)
    return max((it.get("count", 1) for it in events if it["reason"] == "SyncError"), default=0)


def granted() -> set[Grant]:
    roles = [*documents(ROOT / "metacontroller/base/metacontroller-rbac.yaml"), *rbac(KIND, ["v1/Service"], "a/b")]
    ours = [it for it in roles if it["kind"] == "ClusterRole" and it["metadata"]["name"].endswith("metacontroller")]
    assert len(ours) == 2
    return {grant for role in ours for rule in role["rules"] for grant in _grants(rule)}


def _grants(rule: dict[str, list[str]]) -> Iterator[Grant]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield group, resource, verb


def _grant(entry: dict[str, dict[str, str]]) -> Grant:
    target = entry["objectRef"]
    resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
    return target.get("apiGroup", ""), resource, str(entry["verb"])
