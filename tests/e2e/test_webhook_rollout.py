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
from tests.e2e.measurements import describe_cost
from tests.e2e.namespace import RestrictedNamespace, restricted_namespace

KIND = "metacontroller/sources/webhook_source"
PER_S = 100


@dataclass(frozen=True)
class Call:
    id: str
    answer: str
    began: float
    took_s: float


@dataclass
class Rollouts:
    """``steps``: the time and the description of each completed step."""

    ns: RestrictedNamespace
    steps: list[tuple[float, str]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    events: list[Object] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.steps.append((time.time(), what))

    @property
    def accepted(self) -> set[str]:
        return {call.id for call in self.calls if call.answer.startswith("2")}

    def not_accepted(self) -> list[str]:
        """The requests that were not accepted, each with the last step before it."""
        done = [(when, f"after {what!r}") for when, what in self.steps]
        return [
            f"{call.id} {call.answer} {call.took_s:.2f} s; {call.began - when:.2f} s {what}"
            for call in self.calls
            if call.id not in self.accepted
            for when, what in [
                max((step for step in done if step[0] <= call.began), default=(call.began, "at the start"))
            ]
        ]


@pytest.fixture(scope="module")
def rollouts(cluster: Cluster) -> Iterator[Rollouts]:
    with (
        installed(cluster, KIND, "webhooksources.samples.knative.dev"),
        restricted_namespace(cluster, "WebhookSource") as ns,
    ):
        ns.start_display("--delay", "50ms")  # so that requests are in flight when a pod gets SIGTERM
        ns.source()
        url = ns.wait_until_ready()["status"]["address"]["url"]
        ns.start_program("caller", url, str(PER_S))
        yield _run_rollouts(ns)


def _run_rollouts(ns: RestrictedNamespace) -> Rollouts:
    rollouts = Rollouts(ns)
    for replicas in (1, 2):
        for answer_within in ("6s", "7s"):
            _edit(ns, rollouts, replicas=replicas, answerWithin=answer_within)
        _delete_a_pod(ns, rollouts)
    _edit(ns, rollouts, replicas=1)
    ns.adapter()  # the other pods have drained and ended
    ns.kubectl("exec", "caller", "--", "sh", "-c", "kill 1")
    ns.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/caller", "--timeout=120s")
    rollouts.calls = [_parse_call(line) for line in ns.kubectl("logs", "caller").splitlines()]
    rollouts.events = ns.displayed_events()
    return rollouts


def _edit(ns: RestrictedNamespace, rollouts: Rollouts, **spec: object) -> None:
    ns.edit(**spec)
    rollouts.note(f"edited {spec}")
    ns.wait_until_ready()
    rollouts.note(f"ready {spec}")


def _delete_a_pod(ns: RestrictedNamespace, rollouts: Rollouts) -> None:
    """Wait until older pods are gone, then delete one: without a ready pod a Service routes to terminating pods."""
    wanted = ns.read()["spec"]["replicas"]
    eventually(
        ns.adapters,
        lambda found: len(found) == wanted,
        f"there are exactly {wanted} pods",
        details=ns.describe,
    )
    name = _serving(ns)[-1]
    ns.api.delete("v1", "pods", name, ns.name)
    rollouts.note(f"deleted {name}")
    what = f"{wanted} pods and not {name}"
    eventually(
        lambda: _serving(ns), lambda found: len(found) == wanted and name not in found, what, details=ns.describe
    )
    rollouts.note("replaced")


def _serving(ns: RestrictedNamespace) -> list[str]:
    """The pods that are ready and not terminating, oldest first."""
    pods = [pod for pod in ns.adapters() if not pod["metadata"].get("deletionTimestamp")]
    ready = [pod for pod in pods if [one["ready"] for one in pod["status"].get("containerStatuses", [])] == [True]]
    return [pod["metadata"]["name"] for pod in sorted(ready, key=lambda pod: pod["metadata"]["creationTimestamp"])]


def _parse_call(line: str) -> Call:
    id, answer, began, took_s = line.split()
    return Call(id, answer, float(began), float(took_s))


def test_every_request_is_accepted_during_rollouts(rollouts: Rollouts, figure: Callable[[str], None]) -> None:
    spent_s = max(call.began for call in rollouts.calls) - min(call.began for call in rollouts.calls)
    slowest = max(call.took_s for call in rollouts.calls)
    answers = dict(Counter(call.answer for call in rollouts.calls))
    figure(
        f"webhook, {len(rollouts.steps)} steps in {spent_s:.0f} s: answers {answers}, the slowest in {slowest:.2f} s"
    )
    assert rollouts.not_accepted() == []


def test_every_accepted_event_arrives(rollouts: Rollouts) -> None:
    arrived = {event["id"] for event in rollouts.events}
    assert len(rollouts.accepted) > PER_S
    assert rollouts.accepted - arrived == set()


def test_webhook_adapter_uses_less_than_half_of_its_memory_limit(
    rollouts: Rollouts, figure: Callable[[str], None]
) -> None:
    figure(f"webhook: {describe_cost(rollouts.ns)}")
