"""Edits of a source that sends 10 events per second: Ready is correct at any time, and no event is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from hooks.children.deployment import TEMPLATE_HASH
from tests.cluster.api import Object, eventually
from tests.cluster.local_cluster import SOURCES
from tests.cluster.namespace import env_of
from tests.e2e.cluster import Cluster
from tests.e2e.namespace import RestrictedNamespace, restricted_namespace

ROUNDS = [str(n) for n in range(1, 6)]


@dataclass
class Edited:
    """The Deployment and the pods right after each `kubectl wait`, and all events that arrived."""

    deployments: list[Object] = field(default_factory=list)
    adapters: list[list[Object]] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)

    @property
    def sequences(self) -> list[int]:
        return [event["data"]["sequence"] for event in self.events]


@pytest.fixture(scope="module")
def edited(cluster: Cluster) -> Iterator[Edited]:
    with restricted_namespace(cluster) as ns:
        ns.start_display()
        ns.source(interval="100ms")
        ns.wait_until_ready()
        yield _edit(ns)


def _edit(ns: RestrictedNamespace) -> Edited:
    edited = Edited()
    for number in ROUNDS:
        ns.edit(ceOverrides={"extensions": {"round": number}})
        ns.kubectl("wait", "--for=condition=Ready", "samplesource/hello", "--timeout=120s")
        edited.deployments.append(ns.deployment())
        edited.adapters.append(ns.adapters())
    ns.adapter()  # the old pod has drained and ended
    ns.api.delete(*SOURCES, "hello", ns.name)  # the last pod drains too
    eventually(ns.adapters, lambda found: found == [], "there is no adapter", details=ns.describe)
    edited.events = ns.displayed_events()
    return edited


@pytest.mark.parametrize("n", range(len(ROUNDS)), ids=lambda n: f"edit {n + 1}")
def test_kubectl_wait_after_an_edit_returns_only_after_the_rollout(edited: Edited, n: int) -> None:
    deployment, adapters = edited.deployments[n], edited.adapters[n]
    assert f'"round":"{ROUNDS[n]}"' in env_of(deployment)["K_CE_OVERRIDES"]
    status = deployment["status"]
    assert status["observedGeneration"] == deployment["metadata"]["generation"]
    assert [status[count] for count in ("replicas", "updatedReplicas", "availableReplicas")] == [1, 1, 1]
    wanted = deployment["metadata"]["annotations"][TEMPLATE_HASH]
    serving = [pod for pod in adapters if not pod["metadata"].get("deletionTimestamp")]
    assert [pod["metadata"]["annotations"][TEMPLATE_HASH] for pod in serving] == [wanted]
    assert [container["ready"] for container in serving[0]["status"]["containerStatuses"]] == [True]


def test_no_event_is_lost_during_rollouts(edited: Edited, figure: Callable[[str], None]) -> None:
    numbers = sorted(set(edited.sequences))
    doubled = len(edited.events) - len(numbers)
    figure(f"{len(ROUNDS)} rollouts at 10 events/s: {len(numbers)} events arrived, {doubled} of them twice")
    rounds = [event["extensions"].get("round", "0") for event in edited.events]
    assert set(rounds) == {"0", *ROUNDS}
    assert set(range(numbers[0], numbers[-1] + 1)) - set(numbers) == set()


def test_duplicate_events_have_the_same_source_and_id(edited: Edited) -> None:
    identities = {(event["source"], event["id"]) for event in edited.events}
    assert len(identities) == len(set(edited.sequences))
