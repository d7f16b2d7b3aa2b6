"""``sources explain`` explains any objects: a field that is missing or of another type is no failure."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sources_cli.cluster.diagnosis import explain
from sources_cli.cluster.events import lines as event_lines
from sources_cli.cluster.finding import Read, Snapshot
from sources_cli.cluster.kinds import served_kinds
from sources_cli.cluster.report import as_json, lines
from tests.unit.sources_cli.cluster.objects import (
    POD,
    conditions,
    controller,
    deployment,
    failed,
    log,
    pod,
    service,
    slice,
    snapshot,
    sync_error,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
LINES = [{"msg": "poll failed", "reason": "x", "count": 2}, {"msg": "event lost", "code": "404", "since": "x"}]
SPEC = {
    "sink": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "display"}},
    "delivery": {"deadLetterSink": {"ref": {}}},
}
ENDED = {"exitCode": 1, "message": "x", "reason": "Error"}


@st.composite
def mutated(draw: st.DrawFn, document: Any, kept: tuple[str, ...] = ("apiVersion", "kind", "metadata")) -> Any:
    """The document with one value replaced or removed. The API server guarantees the members ``kept``."""
    document = copy.deepcopy(document)
    paths = [path for path in _paths(document) if path and path[0] not in kept]
    path = draw(st.sampled_from(paths))
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if draw(st.booleans()):
        parent[path[-1]] = draw(json_values)
    else:
        del parent[path[-1]]
    return document


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(one for key, member in members for one in _paths(member, (*path, key)))]


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    source = failed("Deployed", draw(st.sampled_from(["DeploymentUnavailable", "DeploymentNotCreated"])))
    source["spec"] = SPEC
    broker = {
        "kind": "Broker",
        "metadata": {"name": "b", "namespace": "n"},
        "status": {"conditions": conditions(Ready="False")},
    }
    return snapshot(
        draw(mutated(source)),
        controller=draw(mutated(controller())),
        deployments=[draw(mutated(deployment()))],
        pods=[draw(mutated(pod({"waiting": {"reason": "CrashLoopBackOff"}}, last=ENDED))), draw(mutated(pod()))],
        events=[draw(mutated(sync_error("http error: x"), ()))],
        sink=draw(mutated(service()) | mutated(broker)),
        sink_slices=[draw(mutated(slice(True, False), ()))],
        hook_slices=[draw(mutated(slice(True), ()))],
        logs={POD: Read(log(*(draw(mutated(line, ())) for line in LINES)))},
        readiness={POD: Read((503, draw(st.text(max_size=20))))},
        metrics={POD: Read(draw(st.text(max_size=20)) + "\nsource_last_success_timestamp_seconds 1e400\n")},
    )


@given(snapshots())
def test_any_objects_are_explained_and_printed(seen: Snapshot) -> None:
    explanation = explain(seen)
    text = list(lines(seen, explanation, width=60))
    assert len(text) >= len(explanation.chain)
    value = as_json(seen, explanation)
    assert value["healthy"] is (not explanation.findings)
    assert value["ready"] == "True" or not value["healthy"]


@given(st.lists(mutated(sync_error("x"), ()), max_size=3))
def test_any_events_are_listed(events: list[Any]) -> None:
    assert len(event_lines(events)) <= len(events)


@given(json_values)
def test_any_discovery_is_read(value: Any) -> None:
    assert served_kinds(value) == []
