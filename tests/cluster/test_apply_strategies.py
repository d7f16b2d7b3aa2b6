"""Both apply strategies of Metacontroller, and a switch between them: edits, reverted changes, and idle sources."""

from __future__ import annotations

import os
import time

import pytest

from adapter.contract.formats import parse_time
from tests.cluster.api import eventually
from tests.cluster.apply_strategies import (
    STRATEGIES,
    apply_with,
    edit_and_check,
    hook_calls,
    sync,
    wait_until_idle,
    writes,
)
from tests.cluster.namespace import SourceNamespace

IDLE_S = 300 if os.environ.get("LONG") else 8


_KEY = {"secretKeyRef": {"name": "gateway", "key": "key", "optional": True}}
CREDENTIALS = {
    "secretHeaders": {"X-Api-Key": _KEY},
    "oauth2": {"tokenUrl": "https://id.example/token", "clientIdFrom": _KEY, "clientSecret": _KEY, "scopes": ["a"]},
    "tls": {"secretName": "client"},
}


def revisions(ns: SourceNamespace) -> dict[str, str]:
    """The number of pod templates that each Deployment has had. Its generation also counts changed annotations."""
    revision = "deployment.kubernetes.io/revision"
    return {
        deployment["metadata"]["name"]: deployment["metadata"]["annotations"].get(revision, "")
        for deployment in ns.deployments()
    }


@pytest.mark.usefixtures("default_strategy")
def test_sources_work_under_both_strategies_and_after_a_switch(ns: SourceNamespace) -> None:
    ns.service()
    for n, strategy in enumerate((STRATEGIES[1], STRATEGIES[0], STRATEGIES[1])):
        apply_with(ns.cluster, strategy)
        before = revisions(ns)
        ns.source(f"s{n}")
        for name in (f"s{number}" for number in range(n + 1)):
            ns.wait_until_ready(name)
        assert {**revisions(ns), **before} == revisions(ns)  # the switch causes no rollout
        for name in (f"s{number}" for number in range(n + 1)):
            edit_and_check(ns, name)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.timeout(900 + IDLE_S)
def test_idle_sources_cause_no_hook_call_and_no_write(
    ns: SourceNamespace, strategy: str, default_strategy: None
) -> None:
    apply_with(ns.cluster, strategy)
    ns.service()
    ns.source("one")
    ns.source("two", sink={"uri": "https://gateway.example"}, sinkAuth=CREDENTIALS)
    dead_letters = {"deadLetterSink": {"uri": "https://dead.example"}, "deadLetterSinkAuth": CREDENTIALS}
    ns.source("three", sinkAuth={"headers": {"X-Team": "$(NAME)"}}, delivery=dead_letters)
    for name in ("one", "two", "three"):
        ns.wait_until_ready(name)
    due = "the last sync that an answer requested with resyncAfterSeconds"
    eventually(lambda: requested_sync_time(ns) < time.time(), bool, due)
    wait_until_idle(ns)
    idle = Activity(ns)
    time.sleep(IDLE_S)  # measures a period without calls and writes
    assert versions(ns) == idle.versions, ns.describe("one")
    assert hook_calls(ns) == idle.hook_calls, ns.cluster.hook_proxy.describe_last_exchange(ns.name)
    assert writes(ns) == idle.writes
    # A sync without a change sends no write, not even one that the API server would treat as no change.
    sync(ns, "one")
    assert writes(ns) == idle.writes


def requested_sync_time(ns: SourceNamespace) -> float:
    """When the last sync is over that an answer requested with resyncAfterSeconds, in seconds since the epoch."""
    exchanges = [exchange for exchange in list(ns.cluster.hook_proxy.exchanges) if exchange.parent[0] == ns.name]
    due = [
        parse_time(exchange.time).timestamp() + exchange.response.get("resyncAfterSeconds", 0) for exchange in exchanges
    ]
    return max(due) + 2


class Activity:
    def __init__(self, ns: SourceNamespace) -> None:
        self.versions, self.hook_calls, self.writes = versions(ns), hook_calls(ns), writes(ns)


def versions(ns: SourceNamespace) -> dict[str, str]:
    objects = [*ns.deployments(), *(ns.read(name) for name in ("one", "two", "three"))]
    return {f"{document['metadata']['name']}": document["metadata"]["resourceVersion"] for document in objects}
