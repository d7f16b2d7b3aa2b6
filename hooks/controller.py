"""``sync`` and ``customize``: from a request to a response. Pure; time and mounted configuration are parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from adapter.contract.formats import Json, public_url
from hooks import conditions, pods, rollouts, sinks
from hooks.addresses import Resolved, Unresolved
from hooks.checkpoint import Checkpoint
from hooks.children.inputs import Pod
from hooks.children.names import deployment_name, service_name
from hooks.children.plan import Plan, Unprocessable, make_plan, resolve
from hooks.children.service import service
from hooks.conditions import ConditionState, ConditionType
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in
from hooks.observability import Observability
from hooks.pool import question as pool_question
from hooks.pool.question import Question
from hooks.pool.verdict import Member, Told, related_rules
from hooks.protocol import CustomizeRequest, CustomizeResponse, Object, Parent, SyncRequest, SyncResponse
from hooks.settings import Settings
from hooks.source import InvalidSpec, SourceSpec, read_source
from hooks.status import Status


@dataclass(frozen=True)
class KindOptions:
    """The query parameters of the webhook URLs of a kind. For None, the setting of the hook applies."""

    types: Sequence[str] = ()
    type_field: str = ""  # the field of spec that, if set, contains the type of all events
    polls: bool = False  # the adapter polls once more at its shutdown
    image: str | None = None
    sink_kinds: tuple[str, ...] | None = None
    diagnose_pods: bool | None = None
    adapter: Json = None  # defaults for the fields of spec.adapter, merged from the class and the cluster
    copied_labels: tuple[str, ...] = ()  # names of labels of the source
    checkpoint: Checkpoint | None = None  # the default for spec.checkpoint
    pool: str = ""  # the name of a SourcePool in the namespace of the hook


def customize(
    request: CustomizeRequest, settings: Settings, *, options: KindOptions = KindOptions()
) -> CustomizeResponse:
    parent = request.parent
    destinations = (get_in(parent.spec, "sink"), get_in(parent.spec, "delivery", "deadLetterSink"))
    kinds = options.sink_kinds or settings.sink_kinds
    scope = sinks.Scope(parent.metadata.namespace, {}, kinds, settings.cluster_domain, settings.sink_namespaces)
    rules = sinks.related_rules(destinations, scope)
    if _diagnoses_pods(settings, options):
        rules.append(pods.related_rule(parent))
    if options.pool:
        rules += related_rules(options.pool, settings.namespace, parent.metadata.uid)
    return {"relatedResources": rules}


def question(
    request: SyncRequest, settings: Settings, *, observability: Observability, options: KindOptions
) -> Question | None:
    """What to ask the pool of the kind about a source before ``sync``. None: the source is not in a pool."""
    if not options.pool:
        return None
    try:
        source = _read(request, options)
    except InvalidSpec:
        return None
    sink, dead_letter_sink = resolve(source, _scope(request, settings, options))
    first, second = (each if isinstance(each, Resolved) else None for each in (sink, dead_letter_sink))
    return pool_question.question(source, first, second, _pod(settings, options, observability))


def sync(
    request: SyncRequest,
    settings: Settings,
    *,
    now: datetime,
    observability: Observability,
    options: KindOptions,
    told: Told | None = None,
) -> SyncResponse:
    """The children that must exist and the status of the source.

    ``told``: the answer of the pool to ``question``. ``Unprocessable`` if the response would delete a running adapter.
    """
    parent = request.parent
    running = request.children.get("Deployment.apps/v1", {})
    try:
        source = _read(request, options)
    except InvalidSpec as error:
        if running:
            raise Unprocessable(str(error)) from None
        return _invalid_spec(parent, str(error), now)
    observed = _observed(running, source)
    plan = make_plan(source, observed, _pod(settings, options, observability), _scope(request, settings, options))
    status: Status = {"conditions": []}
    _describe(status, plan, _types(parent.spec, options), settings.cluster_domain)
    if told:
        member = Member(options.pool, settings.namespace, parent.status, request.related or {})
        outcome = _in_pool(plan, observed, member, told, unchanged=_is_unchanged(status, parent))
    else:
        outcome = _in_deployment(plan, observed, request, now, diagnose=_diagnoses_pods(settings, options))
    status["conditions"] = conditions.update(parent.status, _states(plan, outcome.deployed), now=now)
    if outcome.pool:
        status["pool"] = outcome.pool
    response: SyncResponse = {"status": status, "children": outcome.children}
    if outcome.wait:
        response["resyncAfterSeconds"] = outcome.wait.total_seconds()
    return response


class Outcome(NamedTuple):
    """``pool``: the value of ``status.pool``. ``wait``: when to sync again."""

    deployed: ConditionState
    children: list[Object]
    wait: timedelta | None
    pool: str | None


def _in_deployment(
    plan: Plan, observed: Object | None, request: SyncRequest, now: datetime, *, diagnose: bool
) -> Outcome:
    """A pool that ran the source before keeps it in its list until the Deployment is available."""
    source, old_status = plan.source, request.parent.status
    deployed = rollouts.deployed_condition(
        plan.deployment,
        observed,
        old_status=old_status,
        now=now,
        listens=source.listens,
        suspended=source.suspended,
    )
    if diagnose:
        deployed = pods.with_pod_diagnosis(deployed, plan.deployment, request.related or {})
    wait = rollouts.resync_after(deployed, observed, old_status=old_status, now=now)
    runs = deployed.status == "True" or source.suspended
    return Outcome(deployed, _children(plan), wait, None if runs else Member("", "", old_status).marker)


def _in_pool(plan: Plan, observed: Object | None, member: Member, told: Told, *, unchanged: bool) -> Outcome:
    """An old Deployment stays until the pool runs the source, and the status says so."""
    suspended = plan.source.suspended
    waits = isinstance(plan.sink, Unresolved) and not suspended
    deployed = member.deployed(told, suspended=suspended, waits_for_sink=waits, unchanged=unchanged)
    stays = observed is not None and not member.replaces_deployment(told, waits_for_sink=waits)
    wait = member.resync_after(told, waits_for_sink=waits, has_old=stays)
    return Outcome(deployed, _children(plan) if stays else [], wait, member.new_marker(told))


def _is_unchanged(status: Status, parent: Parent) -> bool:
    """Whether the source and its sinks are those of its present status. ``status``: the new one."""
    ignored = ("conditions", "observedGeneration", "pool")
    old, new = (
        {key: value for key, value in each.items() if key not in ignored} for each in (parent.status or {}, status)
    )
    generation = get_in(parent.status, "observedGeneration")
    return generation is not None and generation == parent.metadata.generation and old == new


def _read(request: SyncRequest, options: KindOptions) -> SourceSpec:
    return read_source(
        request.parent,
        listens="Service.v1" in request.children,
        polls=options.polls,
        adapter=options.adapter,
        copied_labels=options.copied_labels,
        checkpoint=options.checkpoint,
    )


def _pod(settings: Settings, options: KindOptions, observability: Observability) -> Pod:
    image = options.image or settings.adapter_image
    return Pod(image, observability, settings.egress, settings.trust_bundle, own_command=options.image is not None)


def _diagnoses_pods(settings: Settings, options: KindOptions) -> bool:
    return settings.diagnose_pods if options.diagnose_pods is None else options.diagnose_pods


def _scope(request: SyncRequest, settings: Settings, options: KindOptions) -> sinks.Scope:
    namespace, kinds = request.parent.metadata.namespace, options.sink_kinds or settings.sink_kinds
    return sinks.Scope(namespace, request.related or {}, kinds, settings.cluster_domain, settings.sink_namespaces)


def _invalid_spec(parent: Parent, message: str, now: datetime) -> SyncResponse:
    state = ConditionState(ConditionType.READY, "False", Reason.INVALID_SPEC, message)
    status: Status = {"conditions": conditions.update(parent.status, [state], now=now)}
    if pool := Member("", "", parent.status).marker:  # a pool goes on with the last valid spec
        status["pool"] = pool
    return {"status": status, "children": []}


def _observed(running: dict[str, Object], source: SourceSpec) -> Object | None:
    name = deployment_name(source)
    return running.get(f"{source.parent.metadata.namespace}/{name}") or running.get(name)


def _states(plan: Plan, deployed: ConditionState) -> list[ConditionState]:
    provided = _sink_state(ConditionType.SINK_PROVIDED, plan.sink)
    first, second = (deployed, provided) if plan.source.suspended else (provided, deployed)
    states = [provided, deployed, conditions.ready(first, second)]
    if plan.dead_letter_sink:
        states.append(_sink_state(ConditionType.DEAD_LETTER_SINK_RESOLVED, plan.dead_letter_sink))
    return states


def _sink_state(type: ConditionType, sink: Resolved | Unresolved) -> ConditionState:
    if isinstance(sink, Unresolved):
        return ConditionState(type, "False", sink.reason, sink.message)
    return ConditionState(type, "True")


def _types(spec: Json, options: KindOptions) -> Sequence[str]:
    chosen = get_in(spec, options.type_field) if options.type_field else None
    return (chosen,) if isinstance(chosen, str) and chosen else options.types


def _describe(status: Status, plan: Plan, types: Sequence[str], cluster_domain: str) -> None:
    """Add the fields of the status other than ``conditions``."""
    source = plan.source
    status["auth"] = {"serviceAccountName": source.service_account}
    if types:
        status["ceAttributes"] = [{"type": type, "source": source.event_source} for type in types]
    if isinstance(plan.sink, Resolved):
        status["sinkUri"] = public_url(plan.sink.uri)
        if plan.sink.ca_certs:
            status["sinkCACerts"] = plan.sink.ca_certs
        if plan.sink.audience:
            status["sinkAudience"] = plan.sink.audience
    if isinstance(plan.dead_letter_sink, Resolved):
        status["deadLetterSinkUri"] = public_url(plan.dead_letter_sink.uri)
        if plan.dead_letter_sink.ca_certs:
            status["deadLetterSinkCACerts"] = plan.dead_letter_sink.ca_certs
        if plan.dead_letter_sink.audience:
            status["deadLetterSinkAudience"] = plan.dead_letter_sink.audience
    if source.listens and plan.deployment:
        host = f"{service_name(source)}.{source.parent.metadata.namespace}.svc.{cluster_domain}"
        status["address"] = {"url": f"http://{host}"}


def _children(plan: Plan) -> list[Object]:
    if plan.deployment is None:
        return []
    return [plan.deployment, service(plan.source)] if plan.source.listens else [plan.deployment]
