"""A WebhookSource with 100 requests per second during edits and pod deletions: every request is accepted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import Cluster
from tests.e2e.installation import installed
from tests.e2e.measures import cost
from tests.e2e.place import Place, place_in

KIND = "metacontroller/sources/webhook_source"
PER_S = 100


@dataclass(frozen=True)
class Call:
    id: str
    answer: str
    began: float
    took_s: float


@dataclass
class Rolled:
    """``steps``: the time and the description of each completed step."""

    place: Place
    steps: list[tuple[float, str]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.steps.append((time.time(), what))

    @property
    def accepted(self) -> set[str]:
        return {it.id for it in self.calls if it.answer.startswith("2")}

    def others(self) -> list[str]:
        """The requests that were not accepted, each with the last step before it."""
        done = [(when, f"after {what!r}") for when, what in self.steps]
        return [
            f"{it.id} {it.answer} {it.took_s:.2f} s; {it.began - when:.2f} s {what}"
            for it in self.calls
            if it.id not in self.accepted
            for when, what in [max((step for step in done if step[0] <= it.began), default=(it.began, "at the start"))]
        ]


@pytest.fixture(scope="module")
def rolled(cluster: Cluster) -> Iterator[Rolled]:
    with installed(cluster, KIND, "webhooksources.samples.knative.dev"), place_in(cluster, "WebhookSource") as place:
        place.display("--delay", "50ms")  # so that requests are in flight when a pod gets SIGTERM
        place.source()
        url = place.ready(deadline_s=60)["status"]["address"]["url"]
        place.program("caller", url, str(PER_S))
        yield _roll(place)


def _roll(place: Place) -> Rolled:
    rolled = Rolled(place)
    for replicas in (1, 2):
        for answer_within in ("6s", "7s"):
            _edit(place, rolled, replicas=replicas, answerWithin=answer_within)
        _delete_a_pod(place, rolled)
    _edit(place, rolled, replicas=1)
    place.adapter()  # the other pods have drained and ended
    place.kubectl("exec", "caller", "--", "sh", "-c", "kill 1")
    place.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/caller", "--timeout=30s")
    rolled.calls = [_read(it) for it in place.kubectl("logs", "caller").splitlines()]
    rolled.events = place.events_shown()
    return rolled


def _edit(place: Place, rolled: Rolled, **spec: object) -> None:
    place.edit(**spec)
    rolled.note(f"edited {spec}")
    place.ready()
    rolled.note(f"ready {spec}")


def _delete_a_pod(place: Place, rolled: Rolled) -> None:
    """Wait until older pods are gone, then delete one: without a ready pod a Service routes to terminating pods."""
    wanted = place.read()["spec"]["replicas"]
    eventually(
        place.adapters,
        lambda it: len(it) == wanted,
        f"there are exactly {wanted} pods",
        deadline_s=60,
        more=place.story,
    )
    name = _serving(place)[-1]
    place.api.delete("v1", "pods", name, place.namespace)
    rolled.note(f"deleted {name}")
    what = f"{wanted} pods and not {name}"
    eventually(lambda: _serving(place), lambda it: len(it) == wanted and name not in it, what, more=place.story)
    rolled.note("replaced")


def _serving(place: Place) -> list[str]:
    """The pods that are ready and not terminating, oldest first."""
    pods = [it for it in place.adapters() if not it["metadata"].get("deletionTimestamp")]
    ready = [it for it in pods if [one["ready"] for one in it["status"].get("containerStatuses", [])] == [True]]
    return [it["metadata"]["name"] for it in sorted(ready, key=lambda it: it["metadata"]["creationTimestamp"])]


def _read(line: str) -> Call:
    id, answer, began, took_s = line.split()
    return Call(id, answer, float(began), float(took_s))


def test_every_request_is_accepted_during_rollouts(rolled: Rolled, figure: Callable[[str], None]) -> None:
    spent_s = max(it.began for it in rolled.calls) - min(it.began for it in rolled.calls)
    slowest = max(it.took_s for it in rolled.calls)
    answers = dict(Counter(it.answer for it in rolled.calls))
    figure(f"webhook, {len(rolled.steps)} steps in {spent_s:.0f} s: answers {answers}, the slowest in {slowest:.2f} s")
    assert rolled.others() == []


def test_every_accepted_event_arrives(rolled: Rolled) -> None:
    arrived = {it["id"] for it in rolled.events}
    assert len(rolled.accepted) > PER_S
    assert rolled.accepted - arrived == set()


def test_webhook_adapter_uses_less_than_half_of_its_memory_limit(rolled: Rolled, figure: Callable[[str], None]) -> None:
    figure(f"webhook: {cost(rolled.place)}")
