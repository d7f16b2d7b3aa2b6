"""An edit causes one rollout. Ready is not True until the rollout is complete."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from adapter.contract.durations import format_duration
from tests.cluster.api import eventually
from tests.cluster.edits import ready_statuses_after_edit
from tests.cluster.local_cluster import IMAGE
from tests.cluster.namespace import SourceNamespace, env_of

TRIES = 50 if os.environ.get("LONG") else 5


def test_each_edit_causes_one_rollout_and_ready_is_unknown_until_it_ends(ns: SourceNamespace) -> None:
    ns.service()
    ns.service("other")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": ns.name}}
    ns.api.create(account)
    ns.source()
    ns.wait_until_ready()
    edits: dict[str, dict[str, Any]] = {
        "interval": {"interval": "20s"},
        "sink": {"sink": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "other"}}},
        "overrides": {"ceOverrides": {"extensions": {"region": "eu"}}},
        "account": {"serviceAccountName": "robot"},
    }
    for n, (what, edit) in enumerate(edits.items(), start=2):
        assert ready_statuses_after_edit(ns, **edit) == ["Unknown", "True"], what
        assert ns.revision() == n, what
    ns.record("edited")


def test_new_image_causes_one_rollout_of_each_source(ns: SourceNamespace) -> None:
    ns.add_cleanup(ns.cluster.install)
    ns.service()
    for name in ("one", "two"):
        ns.source(name)
    for name in ("one", "two"):
        ns.wait_until_ready(name)
    ns.cluster.install(image="registry.local/adapter:2")

    def images() -> list[str]:
        return [deployment["spec"]["template"]["spec"]["containers"][0]["image"] for deployment in ns.deployments()]

    assert set(images()) <= {IMAGE, "registry.local/adapter:2"}
    eventually(images, lambda value: value == ["registry.local/adapter:2"] * 2, "the new image", details=ns.describe)
    for name in ("one", "two"):
        ns.wait_until_ready(name)
    revisions = [
        deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for deployment in ns.deployments()
    ]
    assert revisions == ["2", "2"]


def test_kubectl_wait_after_an_edit_returns_only_after_the_rollout(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    chance = random.Random(4)
    for n in range(TRIES):
        interval = format_duration((n + 11) * 1_000_000_000)
        ns.edit(interval=interval, ceOverrides={"extensions": {"n": str(chance.random())}})
        code, out, err = ns.cluster.plane.kubectl(
            "-n", ns.name, "wait", "--for=condition=Ready", "samplesource/hello", "--timeout=120s"
        )
        assert code == 0, out + err + ns.describe()
        deployment = ns.deployment()
        status = deployment["status"]
        assert env_of(deployment)["INTERVAL"] == interval
        assert status["observedGeneration"] == deployment["metadata"]["generation"]
        assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (1, 1, 1)
        [pod] = [pod for pod in ns.pods() if not pod["metadata"].get("deletionTimestamp")]
        assert {"name": "INTERVAL", "value": interval} in pod["spec"]["containers"][0]["env"]


@pytest.mark.parametrize("times", [3])
def test_last_of_several_fast_edits_wins(ns: SourceNamespace, times: int) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    for n in range(times):
        ns.edit(interval=f"{n + 30}s")
    ns.wait_until_ready()
    assert env_of(ns.deployment())["INTERVAL"] == f"{times + 29}s"
