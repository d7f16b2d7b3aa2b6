"""``spec.suspend`` with real pods: the adapter drains, nothing runs, and resuming continues the numbering."""

from __future__ import annotations

import shlex

from tests.cluster.api import Object, eventually
from tests.e2e.namespace import RestrictedNamespace
from tests.pages import commands


def test_commands_suspend_and_resume_a_source(ns: RestrictedNamespace) -> None:
    suspend, resume = (shlex.split(line)[1:] for line in commands("docs/operate.md", "## Suspend a source"))
    ns.start_display()
    ns.source(interval="200ms")
    ns.wait_until_ready()
    ns.kubectl(*suspend)
    ns.wait_for_condition("Ready", "False", "Suspended")
    eventually(ns.adapters, lambda pods: pods == [], "no adapter is left", details=ns.describe)
    eventually(
        lambda: ns.condition("Ready").get("message", ""),
        lambda message: "has 0 replicas" in message,
        "the message says that no replica is left",
        details=ns.describe,
    )
    before = ns.displayed_events()
    assert "Suspended" in ns.kubectl("get", "samplesource", "hello")
    ns.kubectl(*resume)
    ns.wait_until_ready()

    def resumed() -> list[Object]:
        return ns.displayed_events()[len(before) :]

    after = eventually(resumed, lambda events: len(events) > 2, "events after resuming", details=ns.describe)
    numbers = [[event["data"]["sequence"] for event in events] for events in (before, after)]
    for listed in numbers:
        assert listed == list(range(listed[0], listed[0] + len(listed)))  # none is lost, none is sent twice
    assert numbers[1][0] > numbers[0][-1] + 1  # ticks of the time between are not sent
    assert ns.revision() == 1  # no rollout
