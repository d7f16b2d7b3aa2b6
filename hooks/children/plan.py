"""The sinks of a source and the Deployment that they need. Pure."""

from __future__ import annotations

from typing import NamedTuple

from hooks import sinks
from hooks.addresses import Resolved, Unresolved
from hooks.children.deployment import desired
from hooks.children.environment import last_sinks
from hooks.children.inputs import Pod, Sinks
from hooks.protocol import Object
from hooks.source import SourceSpec


class Unprocessable(Exception):
    """Any response would delete a running adapter. HTTP 422 makes Metacontroller keep the children and retry."""


class Plan(NamedTuple):
    """The decisions of one sync. ``deployment``: None while no sink is known."""

    source: SourceSpec
    sink: Resolved | Unresolved
    dead_letter_sink: Resolved | Unresolved | None
    deployment: Object | None


def resolve(source: SourceSpec, scope: sinks.Scope) -> tuple[Resolved | Unresolved, Resolved | Unresolved | None]:
    """The sink and the dead letter sink, which is None if the source has none."""
    sink = sinks.with_auth(sinks.resolve(source.sink, "spec.sink", scope), source.sink_auth, "spec.sinkAuth")
    if source.dead_letter_sink is None:
        return sink, None
    field = "spec.delivery.deadLetterSink"
    resolved = sinks.resolve(source.dead_letter_sink, field, scope)
    return sink, sinks.with_auth(resolved, source.dead_letter_sink_auth, f"{field}Auth")


def make_plan(source: SourceSpec, observed: Object | None, pod: Pod, scope: sinks.Scope) -> Plan:
    """Resolve the sinks. If one can no longer be resolved, the running adapter keeps its URL and its credentials."""
    sink, dead_letter_sink = resolve(source, scope)
    unresolved = isinstance(sink, Unresolved) or isinstance(dead_letter_sink, Unresolved)
    used_sink, used_dead_letter_sink = last_sinks(observed) if observed and unresolved else (None, None)
    if isinstance(sink, Resolved):
        used_sink = sink
    elif observed and used_sink is None:
        raise Unprocessable(f"{sink.message}. The running Deployment sets no K_SINK, so its present sink is unknown")
    if not isinstance(dead_letter_sink, Unresolved):
        used_dead_letter_sink = dead_letter_sink
    wanted = desired(source, Sinks(used_sink, used_dead_letter_sink), pod) if used_sink else None
    return Plan(source, sink, dead_letter_sink, wanted)
