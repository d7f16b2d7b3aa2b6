"""``spec.suspend`` under the real Metacontroller: nothing is deleted, idle sources are not written, no rollout."""

from __future__ import annotations

from typing import Any

import pytest

from hooks.diagnosis.observed import find
from sources_cli.kind import kind_named
from tests.cluster.api import eventually
from tests.cluster.apply_strategies import STRATEGIES, apply_with, sync, wait_until_idle, writes
from tests.cluster.namespace import SourceNamespace
from tests.cluster.samples import installed


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.usefixtures("default_strategy")
def test_suspended_and_resumed_source_keeps_its_objects_and_is_idle(ns: SourceNamespace, strategy: str) -> None:
    apply_with(ns.cluster, strategy)
    ns.service()
    ns.source()
    ns.wait_until_ready()
    before = ns.deployment()
    ns.edit(suspend=True)
    ns.wait_for_condition("Ready", "False", "Suspended")
    eventually(ns.pods, lambda pods: pods == [], "no pod is left", details=ns.describe)
    wait_until_stopped(ns)
    assert ns.condition("SinkProvided")["status"] == "True"
    assert writes_when_touched(ns) == 0
    calls = len(ns.cluster.hook_proxy.calls(ns.name, "hello"))
    ns.edit(suspend=False)
    ns.wait_until_ready()
    shown = [ready_of(exchange.response) for exchange in ns.cluster.hook_proxy.calls(ns.name, "hello")[calls:]]
    assert set(shown) == {("Unknown", "AdapterStarting"), ("True", None)}
    after = ns.deployment()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] == before["spec"]
    assert ns.revision() == 1
    assert writes_when_touched(ns) == 0


def wait_until_stopped(ns: SourceNamespace, name: str = "hello") -> None:
    """Wait until the message says that the adapter has stopped.

    Before that, Metacontroller may still know the Deployment as it was: with all its replicas. A source that is resumed
    then is Ready for a moment.
    """
    eventually(
        lambda: ns.condition("Deployed", name).get("message", ""),
        lambda message: "has 0 replicas" in message,
        "the message says that no replica is left",
        details=ns.describe,
    )


def ready_of(response: Any) -> tuple[str, str | None]:
    ready = find(response["status"], "Ready") or {}
    return ready["status"], ready.get("reason")


def writes_when_touched(ns: SourceNamespace) -> int:
    """Metacontroller's writes in three syncs without a change."""
    wait_until_idle(ns)
    before = writes(ns)
    for _ in range(2):
        sync(ns)
    return writes(ns) - before


def test_source_created_suspended_starts_when_it_is_resumed(ns: SourceNamespace) -> None:
    ns.service()
    ns.source(suspend=True)
    ns.wait_for_condition("Ready", "False", "Suspended")
    assert ns.deployment()["spec"]["replicas"] == 0
    assert ns.pods() == []
    ns.edit(suspend=None)
    ns.wait_until_ready()


def test_suspended_source_reports_its_lost_sink_and_resumes_when_it_is_back(ns: SourceNamespace) -> None:
    ns.source(suspend=True)
    ns.wait_for_condition("SinkProvided", "False", "NotFound")
    ns.wait_for_condition("Ready", "False", "Suspended")
    assert ns.deployments() == []
    ns.service()
    ns.wait_for_condition("SinkProvided", "True")
    assert ns.deployment()["spec"]["replicas"] == 0
    ns.api.delete("v1", "services", "display", ns.name)
    ns.wait_for_condition("SinkProvided", "False", "NotFound")
    ns.edit(suspend=False)
    ns.wait_for_condition("Ready", "False", "NotFound")
    ns.wait_for_condition("Deployed", "True")  # the last address is used
    ns.service()
    ns.wait_until_ready()


def test_edit_of_a_suspended_source_takes_effect_when_it_resumes(ns: SourceNamespace) -> None:
    ns.service()
    ns.source()
    ns.wait_until_ready()
    ns.edit(suspend=True, interval="20s")
    ns.wait_for_condition("Ready", "False", "Suspended")
    eventually(ns.pods, lambda pods: pods == [], "no pod is left", details=ns.describe)
    wait_until_stopped(ns)
    ns.edit(suspend=False)
    ns.wait_until_ready()
    [pod] = ns.pods()
    [container] = pod["spec"]["containers"]
    assert {"name": "INTERVAL", "value": "20s"} in container["env"]


def test_suspended_listener_keeps_its_service(ns: SourceNamespace) -> None:
    kind = kind_named("WebhookSource", "adapter.sources")
    with installed(ns.cluster, kind):
        ns.service()
        inboxes = ns.for_kind(kind)
        inboxes.source("inbox", replicas=2)
        address = inboxes.wait_until_ready("inbox")["status"]["address"]
        inboxes.edit("inbox", suspend=True)
        inboxes.wait_for_condition("Ready", "False", "Suspended", "inbox")
        eventually(ns.pods, lambda pods: pods == [], "no pod is left", details=ns.describe)
        wait_until_stopped(inboxes, "inbox")
        assert inboxes.read("inbox")["status"]["address"] == address
        services = {service["metadata"]["name"] for service in ns.api.list("v1", "services", ns.name)}
        assert address["url"].removeprefix("http://").partition(".")[0] in services
        inboxes.edit("inbox", suspend=False)
        inboxes.wait_until_ready("inbox")
        assert len(ns.pods()) == 2
        inboxes.api.delete(*inboxes.sources, "inbox", ns.name)
