"""Edits of a PollSource while items appear: each item arrives, although every edit starts a new adapter."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

from tests.cluster.api import eventually
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


def test_no_item_is_lost_while_edits_roll_out(cluster: Cluster, figure: Callable[[str], None]) -> None:
    with installed(cluster, KIND, "pollsources.samples.knative.dev"), restricted_namespace(cluster, "PollSource") as ns:
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shop", "namespace": ns.name}}
        ns.api.create({**secret, "stringData": {"key": "k"}})
        ns.start_display()
        ns.start_program("upstream", "k", str(PER_S))
        ns.source(**SPEC)
        ns.wait_until_ready(deadline_s=60)
        for number in range(EDITS):
            ns.edit(ceOverrides={"extensions": {"round": str(number)}})
            ns.kubectl("wait", "--for=condition=Ready", "pollsource/hello", "--timeout=60s")
        ns.adapter()  # the old pod has drained and ended
        ns.api.delete(*ns.sources, "hello", ns.name)
        eventually(ns.adapters, lambda found: found == [], "there is no adapter", deadline_s=60, details=ns.describe)
        times = Counter(int(event["id"]) for event in ns.displayed_events())
    twice = sum(1 for count in times.values() if count > 1)
    figure(f"poll, {EDITS} edits, {PER_S} items per second: {len(times)} items arrived, {twice} of them more than once")
    assert sorted(times) == list(range(min(times), max(times) + 1))
    assert len(times) > EDITS * PER_S
