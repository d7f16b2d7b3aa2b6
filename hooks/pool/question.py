"""Which sources may run in a pool, and what the hook asks the pool about each. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from adapter.contract.formats import Json, is_http_url, public_url
from hooks.addresses import Resolved
from hooks.children.environment import variables_of
from hooks.children.inputs import Pod, Sinks
from hooks.names import get_in
from hooks.protocol import Malformed, Parent
from hooks.settings import Settings
from hooks.sinks import Scope, confirmed
from hooks.source import InvalidSpec, SourceSpec, read_source

DEFAULT_ACCOUNT = "default"


@dataclass(frozen=True)
class Question:
    """One source in ``POST /run`` of a pool.

    ``environ``: the environment of its adapter; None if it must not run. ``absent_only``: a source that runs already
    stays as it is.
    """

    environ: Mapping[str, str] | None
    absent_only: bool = False


STOP = Question(None)
WAIT = Question(None, absent_only=True)  # the sink is not resolved: a source that runs keeps its last address


def may_join(source: SourceSpec) -> bool:
    """Whether a pool may run the source, whatever its sinks are. Otherwise it has a Deployment of its own.

    The pool has one pod and no credentials. So a source with settings of its pod, an identity, a store or secrets
    cannot join, and neither can a kind that listens or polls.
    """
    return not (
        source.listens
        or source.polls
        or get_in(source.parent.spec, "adapter") is not None
        or source.service_account != DEFAULT_ACCOUNT
        or source.checkpoint.has_store
        or source.sink_auth is not None
        or source.dead_letter_sink_auth is not None
    )


def environ(source: SourceSpec, sinks: Sinks, pod: Pod) -> dict[str, str] | None:
    """What the Deployment of the source would set, or None if it needs a Deployment.

    That is if it refers to a Secret or ConfigMap, or if a sink has an audience, or a URL that the status does not show
    as a whole: a query may be a password.
    """
    used = [sink for sink in (sinks.sink, sinks.dead_letter_sink) if sink]
    if any(sink.audience or sink.auth or public_url(sink.uri) != sink.uri for sink in used):
        return None
    variables, references = variables_of(source, sinks, pod)
    return None if references else variables


def question(source: SourceSpec, sink: Resolved | None, dead_letter_sink: Resolved | None, pod: Pod) -> Question | None:
    """What to ask the pool; None if the source has a Deployment. ``sink``: None while it is not resolved.

    A dead letter sink that is not resolved is left out, as in a new Deployment: ``Ready`` does not depend on it.
    """
    if not may_join(source):
        return None
    if source.parent.metadata.deletionTimestamp or source.suspended:
        return STOP
    if sink is None:
        return WAIT
    variables = environ(source, Sinks(sink, dead_letter_sink), pod)
    return None if variables is None else Question(variables)


def refill(source: Json, pod: Pod, settings: Settings) -> Question | None:
    """What a new process of a pool must run, made from a source with its present status. None: nothing.

    The related objects of the source are not at hand, so its sinks are those of the status, as far as the spec confirms
    them. If the source has changed since, its own sync asks the pool.
    """
    try:
        spec = read_source(Parent.model_validate(source))
    except (ValidationError, Malformed, InvalidSpec):
        return None
    status = spec.parent.status or {}
    if not may_join(spec) or status.get("observedGeneration") != spec.parent.metadata.generation:
        return None
    if spec.suspended:
        return STOP
    namespace, kinds = spec.parent.metadata.namespace, settings.sink_kinds
    scope = Scope(namespace, {}, kinds, settings.cluster_domain, settings.sink_namespaces)
    found = _of_status(status, "sinkUri", "sinkCACerts", "sinkAudience")
    sink = confirmed(spec.sink, found, "spec.sink", scope)
    if found and sink is None:
        return None
    found = _of_status(status, "deadLetterSinkUri", "deadLetterSinkCACerts", "deadLetterSinkAudience")
    return question(spec, sink, confirmed(spec.dead_letter_sink, found, "spec.delivery.deadLetterSink", scope), pod)


def _of_status(status: Mapping[str, Json], uri: str, ca_certs: str, audience: str) -> Resolved | None:
    found = {name: text for name in (uri, ca_certs, audience) if isinstance(text := status.get(name), str)}
    if not is_http_url(found.get(uri, "")):
        return None
    return Resolved(found[uri], found.get(ca_certs), found.get(audience))
