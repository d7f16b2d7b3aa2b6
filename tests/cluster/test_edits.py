"""An edit causes one rollout. Ready is not True until the rollout is complete."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from adapter.contract.durations import format_duration
from tests.cluster.api import eventually
from tests.cluster.edits import told_of
from tests.cluster.world import IMAGE, Home, env_of

TRIES = 50 if os.environ.get("LONG") else 5


def test_each_edit_causes_one_rollout_and_ready_is_unknown_until_it_ends(home: Home) -> None:
    home.service()
    home.service("other")
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": home.namespace}}
    home.api.create(account)
    home.source()
    home.ready()
    edits: dict[str, dict[str, Any]] = {
        "interval": {"interval": "20s"},
        "sink": {"sink": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "other"}}},
        "overrides": {"ceOverrides": {"extensions": {"region": "eu"}}},
        "account": {"serviceAccountName": "robot"},
    }
    for n, (what, edit) in enumerate(edits.items(), start=2):
        assert told_of(home, **edit) == ["Unknown", "True"], what
        assert home.revision() == n, what
    home.record("edited")


def test_new_image_causes_one_rollout_of_each_source(home: Home) -> None:
    home.afterwards(home.world.install)
    home.service()
    for name in ("one", "two"):
        home.source(name)
    for name in ("one", "two"):
        home.ready(name)
    home.world.install(image="registry.local/adapter:2")

    def images() -> list[str]:
        return [it["spec"]["template"]["spec"]["containers"][0]["image"] for it in home.deployments()]

    assert set(images()) <= {IMAGE, "registry.local/adapter:2"}
    eventually(images, lambda it: it == ["registry.local/adapter:2"] * 2, "the new image", more=home.story)
    for name in ("one", "two"):
        home.ready(name)
    revisions = [it["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for it in home.deployments()]
    assert revisions == ["2", "2"]


def test_kubectl_wait_after_an_edit_returns_only_after_the_rollout(home: Home) -> None:
    home.service()
    home.source()
    home.ready()
    chance = random.Random(4)
    for n in range(TRIES):
        interval = format_duration((n + 11) * 1_000_000_000)
        home.edit(interval=interval, ceOverrides={"extensions": {"n": str(chance.random())}})
        code, out, err = home.world.plane.kubectl(
            "-n", home.namespace, "wait", "--for=condition=Ready", "samplesource/hello", "--timeout=60s"
        )
        assert code == 0, out + err + home.story()
        deployment = home.deployment()
        status = deployment["status"]
        assert env_of(deployment)["INTERVAL"] == interval
        assert status["observedGeneration"] == deployment["metadata"]["generation"]
        assert (status["replicas"], status["updatedReplicas"], status["availableReplicas"]) == (1, 1, 1)
        [pod] = [it for it in home.pods() if not it["metadata"].get("deletionTimestamp")]
        assert {"name": "INTERVAL", "value": interval} in pod["spec"]["containers"][0]["env"]


@pytest.mark.parametrize("times", [3])
def test_last_of_several_fast_edits_wins(home: Home, times: int) -> None:
    home.service()
    home.source()
    home.ready()
    for n in range(times):
        home.edit(interval=f"{n + 30}s")
    home.ready()
    assert env_of(home.deployment())["INTERVAL"] == f"{times + 29}s"
