"""What users change in the adapter's objects stays, under both apply strategies: a restart, an IP family policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sources_cli.kind import kind_named
from tests.cluster.api import Object, eventually
from tests.cluster.apply_strategies import STRATEGIES, apply_with, sync, writes
from tests.cluster.edits import statuses_of_ready
from tests.cluster.local_cluster import SOURCES, LocalCluster
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import installed

RESTART = ("rollout", "restart", "deployment", "-l", "knative-eventing-source-name=hello")  # as in docs/operate.md
RESTARTED = "kubectl.kubernetes.io/restartedAt"
WEBHOOK = kind_named("WebhookSource", "adapter.sources")


def pod_uids(ns: SourceNamespace) -> list[str]:
    return [pod["metadata"]["uid"] for pod in ns.pods() if "deletionTimestamp" not in pod["metadata"]]


def template(ns: SourceNamespace) -> Any:
    return ns.deployment()["spec"]["template"]["metadata"]["annotations"]


@pytest.mark.usefixtures("default_strategy")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_rollout_restart_makes_one_new_pod_and_is_not_reverted(ns: SourceNamespace, strategy: str) -> None:
    apply_with(ns.cluster, strategy)
    ns.service()
    ns.source()
    ns.wait_until_ready()
    sync(ns)
    [old], revision, written = pod_uids(ns), ns.revision(), writes(ns, "deployments")
    generation = ns.deployment()["metadata"]["generation"]
    with ns.api.watch(*SOURCES, ns.name) as seen:
        code, _, errors = ns.cluster.plane.kubectl(*RESTART, "-n", ns.name)
        assert (code, errors) == (0, "")
        [new] = eventually(
            lambda: pod_uids(ns), lambda uids: len(uids) == 1 and uids != [old], "a new pod", details=ns.describe
        )
        eventually(lambda: statuses_of_ready(seen), lambda found: found[-1:] == ["True"], "Ready", details=ns.describe)
        assert statuses_of_ready(seen)[-2:] == ["Unknown", "True"]
    restarted = template(ns)[RESTARTED]
    sync(ns)
    assert (template(ns)[RESTARTED], pod_uids(ns), ns.revision()) == (restarted, [new], revision + 1)
    assert ns.deployment()["metadata"]["generation"] == generation + 1
    again = writes(
        ns, "deployments"
    )  # server-side-apply applies once more after a change of others, which changes nothing
    assert again <= written + (strategy == "server-side-apply")
    sync(ns)
    assert writes(ns, "deployments") == again
    ns.edit(interval="20s")
    ns.wait_until_ready()
    assert (template(ns)[RESTARTED], ns.revision()) == (restarted, revision + 2)


@pytest.fixture
def webhooks(cluster: LocalCluster) -> Iterator[None]:
    with installed(cluster, WEBHOOK):
        yield


@pytest.mark.usefixtures("default_strategy", "webhooks")
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_ip_family_policy_of_a_listening_source_is_not_reverted(ns: SourceNamespace, strategy: str) -> None:
    """As in docs/install.md: a dual-stack cluster then gives the Service an address of each family."""
    apply_with(ns.cluster, strategy)
    ns.service()
    inboxes = ns.for_kind(WEBHOOK)
    inboxes.source("inbox")
    inboxes.wait_until_ready("inbox")

    def service() -> Object:
        [found] = [one for one in ns.api.list("v1", "services", ns.name) if one["metadata"]["name"] != "display"]
        return found

    assert service()["spec"]["ipFamilyPolicy"] == "SingleStack"
    ns.api.patch(
        "v1", "services", service()["metadata"]["name"], {"spec": {"ipFamilyPolicy": "PreferDualStack"}}, ns.name
    )
    inboxes.edit("inbox", replicas=2)
    inboxes.wait_until_ready("inbox")
    assert service()["spec"]["ipFamilyPolicy"] == "PreferDualStack"
