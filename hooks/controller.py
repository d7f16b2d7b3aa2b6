"""``sync`` and ``customize``: from a request to a response. Pure; time and mounted configuration are parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from adapter.contract.egress import Egress
from adapter.contract.formats import Json, public_url
from adapter.contract.proxies import Proxies
from hooks import conditions, pods, rollouts, sinks
from hooks.addresses import Resolved, Unresolved
from hooks.checkpoint import Checkpoint
from hooks.children.deployment import desired
from hooks.children.environment import last_sinks
from hooks.children.inputs import Pod, Sinks
from hooks.children.names import deployment_name, service_name
from hooks.children.service import service
from hooks.conditions import ConditionState, ConditionType
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in
from hooks.observability import Observability
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


class Unprocessable(Exception):
    """Any response would delete a running adapter. HTTP 422 makes Metacontroller keep the children and retry."""


@dataclass(frozen=True)
class Plan:
    """The decisions of one sync. ``deployment``: None while no sink is known."""

    source: SourceSpec
    sink: Resolved | Unresolved
    dead_letter_sink: Resolved | Unresolved | None
    deployment: Object | None


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
    return {"relatedResources": rules}


def sync(
    request: SyncRequest, settings: Settings, *, now: datetime, observability: Observability, options: KindOptions
) -> SyncResponse:
    """The children that must exist and the status of the source.

    ``Unprocessable`` if the response would delete a running adapter.
    """
    parent = request.parent
    running = request.children.get("Deployment.apps/v1", {})
    try:
        source = read_source(
            parent,
            listens="Service.v1" in request.children,
            polls=options.polls,
            adapter=options.adapter,
            copied_labels=options.copied_labels,
            checkpoint=options.checkpoint,
        )
    except InvalidSpec as error:
        if running:
            raise Unprocessable(str(error)) from None
        return _invalid_spec(parent, str(error), now)
    observed = _observed(running, source)
    image = options.image or settings.adapter_image
    proxies = Proxies(cluster_domain=settings.cluster_domain)  # the pod has the variables of the proxies
    egress = Egress(settings.allowed_hosts, settings.denied_networks, proxies)
    pod = Pod(image, observability, egress, settings.trust_bundle, own_command=options.image is not None)
    plan = _plan(source, observed, pod, _scope(request, settings, options))

    deployed = rollouts.deployed_condition(
        plan.deployment,
        observed,
        old_status=parent.status,
        now=now,
        listens=source.listens,
        suspended=source.suspended,
    )
    if _diagnoses_pods(settings, options):
        deployed = pods.with_pod_diagnosis(deployed, plan.deployment, request.related or {})
    status: Status = {"conditions": conditions.update(parent.status, _states(plan, deployed), now=now)}
    _describe(status, plan, _types(parent.spec, options), settings.cluster_domain)
    response: SyncResponse = {"status": status, "children": _children(plan)}
    if wait := rollouts.resync_after(deployed, observed, old_status=parent.status, now=now):
        response["resyncAfterSeconds"] = wait.total_seconds()
    return response


def _diagnoses_pods(settings: Settings, options: KindOptions) -> bool:
    return settings.diagnose_pods if options.diagnose_pods is None else options.diagnose_pods


def _scope(request: SyncRequest, settings: Settings, options: KindOptions) -> sinks.Scope:
    namespace, kinds = request.parent.metadata.namespace, options.sink_kinds or settings.sink_kinds
    return sinks.Scope(namespace, request.related or {}, kinds, settings.cluster_domain, settings.sink_namespaces)


def _invalid_spec(parent: Parent, message: str, now: datetime) -> SyncResponse:
    state = ConditionState(ConditionType.READY, "False", Reason.INVALID_SPEC, message)
    return {"status": {"conditions": conditions.update(parent.status, [state], now=now)}, "children": []}


def _observed(running: dict[str, Object], source: SourceSpec) -> Object | None:
    name = deployment_name(source)
    return running.get(f"{source.parent.metadata.namespace}/{name}") or running.get(name)


def _plan(source: SourceSpec, observed: Object | None, pod: Pod, scope: sinks.Scope) -> Plan:
    """Resolve the sinks. If one can no longer be resolved, the running adapter keeps its URL and its credentials."""
    sink = sinks.with_auth(sinks.resolve(source.sink, "spec.sink", scope), source.sink_auth, "spec.sinkAuth")
    dead_letter_sink = None
    if source.dead_letter_sink is not None:
        field = "spec.delivery.deadLetterSink"
        resolved = sinks.resolve(source.dead_letter_sink, field, scope)
        dead_letter_sink = sinks.with_auth(resolved, source.dead_letter_sink_auth, f"{field}Auth")
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
