"""A PollSource whose upstream stops and starts again: Ready reports it, and each item arrives exactly once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from tests.cluster.api import Object, eventually
from tests.e2e.cluster import Cluster
from tests.e2e.installation import installed
from tests.e2e.measurements import describe_cost
from tests.e2e.namespace import RestrictedNamespace, restricted_namespace

KIND = "metacontroller/sources/poll_source"
KEY = "hush-hush"
SPEC = {
    "interval": "1s",
    "timeout": "2s",  # the Service may still route to the deleted pod, which does not answer
    "secretHeaders": {"X-Key": {"secretKeyRef": {"name": "shop", "key": "key"}}},
    "items": "data.orders",
    "id": "number",
    "subject": "by",
    "eventType": "com.example.order",
}


@dataclass
class Outage:
    ns: RestrictedNamespace
    ready: Object = field(default_factory=dict)  # the condition during the outage
    unready_after_s: float = 0.0
    back_after_s: float = 0.0
    adapter: Object = field(default_factory=dict)  # the pod after the outage
    log: str = ""
    events: list[Object] = field(default_factory=list)

    @property
    def numbers(self) -> list[int]:
        return [int(event["id"]) for event in self.events]


@pytest.fixture(scope="module")
def outage(cluster: Cluster) -> Iterator[Outage]:
    with installed(cluster, KIND, "pollsources.samples.knative.dev"), restricted_namespace(cluster, "PollSource") as ns:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop", "namespace": ns.name}}
        ns.api.create({**secret, "stringData": {"key": KEY}})
        ns.start_display()
        ns.start_program("upstream", KEY)
        ns.source(url="http://upstream:8080/orders", **SPEC)
        ns.wait_until_ready()
        yield _run_outage(ns)


def _run_outage(ns: RestrictedNamespace) -> Outage:
    outage = Outage(ns)
    eventually(ns.displayed_events, bool, "an event at the display", details=ns.describe)
    ns.kubectl("delete", "pod", "upstream", "--now")
    gone = time.monotonic()
    outage.ready = ns.wait_for_condition("Ready", "False")
    outage.unready_after_s = time.monotonic() - gone
    ns.start_program("upstream", KEY)
    back = time.monotonic()
    ns.wait_until_ready()
    outage.back_after_s = time.monotonic() - back
    outage.adapter = ns.adapter()
    outage.log = ns.kubectl("logs", outage.adapter["metadata"]["name"])
    seen = len(ns.displayed_events())
    eventually(ns.displayed_events, lambda found: len(found) > seen, "more events", details=ns.describe)
    outage.events = ns.displayed_events()
    return outage


def test_unreachable_upstream_sets_ready_false(outage: Outage, figure: Callable[[str], None]) -> None:
    figure(f"poll: Ready False {outage.unready_after_s:.0f} s after its upstream stopped: {outage.ready['message']}")
    figure(f"poll: Ready True {outage.back_after_s:.0f} s after its upstream was started again")
    assert outage.ready["reason"] == "DeploymentUnavailable"
    assert "poll failed" in outage.log
    assert "polls succeed again" in outage.log


def test_each_item_arrives_exactly_once(outage: Outage) -> None:
    numbers = outage.numbers
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert {event["type"] for event in outage.events} == {"com.example.order"}
    assert outage.events[0]["subject"] == f"customer {numbers[0] % 7}"


def test_adapter_is_not_restarted(outage: Outage) -> None:
    assert [container["restartCount"] for container in outage.adapter["status"]["containerStatuses"]] == [0]


def test_poll_adapter_uses_less_than_half_of_its_memory_limit(outage: Outage, figure: Callable[[str], None]) -> None:
    figure(f"poll: {describe_cost(outage.ns)}")


def test_secret_reaches_the_upstream_and_appears_nowhere_else(outage: Outage) -> None:
    """Without the secret the upstream answers 401, so there would be no event."""
    assert outage.events
    assert KEY not in f"{outage.adapter}{outage.log}{outage.ready}"


def test_feed_parser_process_works_within_the_limits_of_the_pod(outage: Outage) -> None:
    """This test runs last, because it adds a second source."""
    ns = outage.ns
    ns.source("feed", url="http://upstream:8080/feed", eventType="com.example.entry", **_of_any_item())
    entries = eventually(
        lambda: [event for event in ns.displayed_events() if event["type"] == "com.example.entry"],
        lambda found: len(found) > 3,
        "entries of the feed",
        details=lambda: ns.describe("feed"),
    )
    numbers = [int(entry["id"]) for entry in entries]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert entries[0]["data"]["title"] == f"customer {numbers[0] % 7}"


def _of_any_item() -> Object:
    return {name: SPEC[name] for name in ("interval", "secretHeaders")}
