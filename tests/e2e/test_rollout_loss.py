"""Edits of a PollSource and of a timer while events appear: each arrives, although every edit starts a new adapter."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

from tests.cluster.api import eventually
from tests.cluster.local_cluster import SOURCES
from tests.e2e.cluster import Cluster
from tests.e2e.installation import installed
from tests.e2e.namespace import restricted_namespace

KIND = "metacontroller/sources/poll_source"
EDITS = 20 if os.environ.get("LONG") else 3
PER_S = 20
SPEC = {
    "url": "http://upstream:8080/orders",
    "interval": "1h",  # so each adapter polls only at its start and at its shutdown
    "secretHeaders": {"X-Key": {"secretKeyRef": {"name": "shop", "key": "key"}}},
    "items": "data.orders",
    "id": "number",
}


def test_no_item_and_no_tick_is_lost_while_edits_roll_out(cluster: Cluster, figure: Callable[[str], None]) -> None:
    with installed(cluster, KIND, "pollsources.samples.knative.dev"), restricted_namespace(cluster, "PollSource") as ns:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop", "namespace": ns.name}}
        ns.api.create({**secret, "stringData": {"key": "k"}})
        ns.start_display()
        ns.start_program("upstream", "k", str(PER_S))
        both = (ns, ns.for_named_kind("SampleSource", SOURCES[0]))
        for each, spec in zip(both, (SPEC, {"interval": "100ms"}), strict=True):
            each.source(**spec)
            each.wait_until_ready()
        for number in range(EDITS):
            for each in both:
                each.edit(ceOverrides={"extensions": {"round": str(number)}})
            ns.kubectl("wait", "--for=condition=Ready", "pollsource/hello", "samplesource/hello", "--timeout=120s")
        eventually(ns.adapters, lambda found: len(found) == 2, "the old pods have ended", details=ns.describe)
        for each in both:
            each.api.delete(*each.sources, "hello", each.name)
        eventually(ns.adapters, lambda found: found == [], "there is no adapter", details=ns.describe)
        events = ns.displayed_events()
    ticks = [event for event in events if event["type"] == "dev.knative.sample"]
    assert len({event["id"] for event in ticks}) == len({event["data"]["sequence"] for event in ticks})
    items = Counter(int(event["id"]) for event in events if event["type"] != "dev.knative.sample")
    for what, times in {
        f"{PER_S} items per second": items,
        "timer of 100 ms": Counter(int(event["data"]["sequence"]) for event in ticks),
    }.items():
        twice = sum(1 for count in times.values() if count > 1)
        figure(f"{what}, {EDITS} edits: {len(times)} events arrived, {twice} of them more than once")
        assert sorted(times) == list(range(min(times), max(times) + 1)), what
    assert len(items) > EDITS * PER_S
