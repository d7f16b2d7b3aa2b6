"""How often Metacontroller calls the hook: a change of the source or of its Deployment is one call, at most."""

from __future__ import annotations

from tests.cluster.api import Object, eventually
from tests.cluster.local_cluster import DEPLOYMENTS, SOURCES
from tests.cluster.namespace import SourceNamespace

N = 20
NAMES = [f"s{number}" for number in range(N)]


def syncs(ns: SourceNamespace) -> int:
    return sum(len(ns.cluster.hook_proxy.calls(ns.name, name)) for name in NAMES)


def ready(ns: SourceNamespace, port: str) -> int:
    def is_ready(source: Object) -> bool:
        status = source.get("status", {})
        states = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
        return port in status.get("sinkUri", "") and states.get("Ready") == "True"

    return sum(map(is_ready, ns.api.list(*SOURCES, ns.name)))


def test_20_sources_cause_one_sync_for_each_change_of_a_deployment_at_most(ns: SourceNamespace) -> None:
    """Also when the port of their sink changes. Metacontroller may join several changes in one sync."""
    ns.service()
    with ns.api.watch(*DEPLOYMENTS, ns.name) as versions:
        for name in NAMES:
            ns.source(name)
        eventually(lambda: ready(ns, ""), lambda found: found == N, "all are ready", details=ns.describe)
        created = syncs(ns)
        seen = eventually(lambda: len(versions), lambda seen: created <= N + seen, f"causes of {created} syncs")
        ports = {"spec": {"ports": [{"port": 8080, "name": "http"}]}}
        ns.api.patch("v1", "services", "display", ports, ns.name)
        eventually(lambda: ready(ns, ":8080"), lambda found: found == N, "all have the port", details=ns.describe)
        moved = syncs(ns) - created
        eventually(lambda: len(versions) - seen, lambda new: moved <= N + new, f"causes of {moved} syncs")


def test_changed_status_causes_no_sync_and_the_next_sync_restores_it(ns: SourceNamespace) -> None:
    """The hook writes most statuses itself. The resync every 10 minutes restores what others wrote."""
    ns.service()
    ns.source("s0")
    before = ns.wait_until_ready("s0")["status"]
    ns.api.patch(*SOURCES, "s0", {"status": {"sinkUri": "http://other"}}, ns.name, "/status")
    ns.api.patch(*SOURCES, "s0", {"metadata": {"labels": {"look": "now"}}}, ns.name)
    eventually(lambda: ns.read("s0")["status"], lambda status: status == before, "its status", details=ns.describe)
    requests = [call.request["parent"] for call in ns.cluster.hook_proxy.calls(ns.name, "s0")]
    other = [parent for parent in requests if parent.get("status", {}).get("sinkUri") == "http://other"]
    assert [parent["metadata"].get("labels", {}).get("look") for parent in other] == ["now"] * len(other)
