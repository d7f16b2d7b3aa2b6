"""Edits of a source that sends 10 events per second: Ready is correct at any time, and no event is lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from hooks.deployments import TEMPLATE_HASH
from tests.cluster.api import Object, eventually
from tests.cluster.world import SOURCES, env_of
from tests.e2e.cluster import Cluster
from tests.e2e.place import Place, place_in

ROUNDS = [str(n) for n in range(1, 6)]


@dataclass
class Edited:
    """The Deployment and the pods right after each `kubectl wait`, and all events that arrived."""

    deployments: list[Object] = field(default_factory=list)
    adapters: list[list[Object]] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)

    @property
    def sequences(self) -> list[int]:
        return [it["data"]["sequence"] for it in self.events]


@pytest.fixture(scope="module")
def edited(cluster: Cluster) -> Iterator[Edited]:
    with place_in(cluster) as place:
        place.display()
        place.source(interval="100ms")
        place.ready()
        yield _edit(place)


def _edit(place: Place) -> Edited:
    edited = Edited()
    for number in ROUNDS:
        place.edit(ceOverrides={"extensions": {"round": number}})
        place.kubectl("wait", "--for=condition=Ready", "samplesource/hello", "--timeout=60s")
        edited.deployments.append(place.deployment())
        edited.adapters.append(place.adapters())
    place.adapter()  # the old pod has drained and ended
    place.api.delete(*SOURCES, "hello", place.namespace)  # the last pod drains too
    eventually(place.adapters, lambda it: it == [], "there is no adapter", deadline_s=60, more=place.story)
    edited.events = place.events_shown()
    return edited


@pytest.mark.parametrize("n", range(len(ROUNDS)), ids=lambda n: f"edit {n + 1}")
def test_kubectl_wait_after_an_edit_returns_only_after_the_rollout(edited: Edited, n: int) -> None:
    deployment, adapters = edited.deployments[n], edited.adapters[n]
    assert f'"round":"{ROUNDS[n]}"' in env_of(deployment)["K_CE_OVERRIDES"]
    status = deployment["status"]
    assert status["observedGeneration"] == deployment["metadata"]["generation"]
    assert [status[it] for it in ("replicas", "updatedReplicas", "availableReplicas")] == [1, 1, 1]
    wanted = deployment["metadata"]["annotations"][TEMPLATE_HASH]
    serving = [it for it in adapters if not it["metadata"].get("deletionTimestamp")]
    assert [it["metadata"]["annotations"][TEMPLATE_HASH] for it in serving] == [wanted]
    assert [it["ready"] for it in serving[0]["status"]["containerStatuses"]] == [True]


def test_no_event_is_lost_during_rollouts(edited: Edited, figure: Callable[[str], None]) -> None:
    numbers = sorted(set(edited.sequences))
    doubled = len(edited.events) - len(numbers)
    figure(f"{len(ROUNDS)} rollouts at 10 events/s: {len(numbers)} events arrived, {doubled} of them twice")
    rounds = [it["extensions"].get("round", "0") for it in edited.events]
    assert set(rounds) == {"0", *ROUNDS}
    assert set(range(numbers[0], numbers[-1] + 1)) - set(numbers) == set()


def test_duplicate_events_have_the_same_source_and_id(edited: Edited) -> None:
    identities = {(it["source"], it["id"]) for it in edited.events}
    assert len(identities) == len(set(edited.sequences))
