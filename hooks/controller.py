"""sync() and customize(): the whole story on one page. Pure; the clock and the mounted configuration are parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hooks import conditions, deployments, pods, rollouts, sinks
from hooks.addresses import Resolved, Unresolved
from hooks.conditions import Verdict
from hooks.deployments import Pod, Sinks
from hooks.names import get_in
from hooks.observability import Observability
from hooks.protocol import CustomizeRequest, CustomizeResponse, Object, SyncRequest, SyncResponse
from hooks.settings import Settings
from hooks.source import InvalidSpec, Source, read_source

Config = Callable[[str], Observability]  # kind -> what the mounted ConfigMaps say for it


@dataclass(frozen=True)
class KindOptions:
    """What the webhook's query string tells of a kind (design decision 1)."""

    types: Sequence[str] = ()
    type_field: str = ""  # of spec, where set: the type of all events
    image: str | None = None
    sink_kinds: tuple[str, ...] | None = None  # None: the hook's setting
    diagnose_pods: bool | None = None  # None: the hook's setting


class Unprocessable(Exception):
    """No honest answer keeps the running adapter: Metacontroller must keep its children and retry (HTTP 422)."""


def customize(
    request: CustomizeRequest, settings: Settings, *, options: KindOptions = KindOptions()
) -> CustomizeResponse:
    parent = request.parent
    kinds = options.sink_kinds or settings.sink_kinds
    wanted = (get_in(parent.spec, "sink"), get_in(parent.spec, "delivery", "deadLetterSink"))
    rules = sinks.related_rules(wanted, namespace=parent.metadata.namespace, sink_kinds=kinds)
    if _diagnoses(options, settings):
        rules.append(pods.related_rule(parent))
    return {"relatedResources": rules}


def sync(
    request: SyncRequest, settings: Settings, *, now: datetime, config: Config, options: KindOptions
) -> SyncResponse:
    """What should exist and the status to show; ``Unprocessable`` where an answer would delete a running adapter."""
    parent = request.parent
    deployed = request.children.get("Deployment.apps/v1", {})
    try:
        source = read_source(parent, listens="Service.v1" in request.children)
    except InvalidSpec as error:
        if deployed:
            raise Unprocessable(str(error)) from None
        invalid = Verdict("Ready", "False", "InvalidSpec", str(error))
        return {"status": {"conditions": conditions.update(parent.status, [invalid], now=now)}, "children": []}

    observed = _observed(deployed, source)

    def resolve(destination: Any, field: str) -> Resolved | Unresolved:
        return sinks.resolve(
            destination,
            namespace=parent.metadata.namespace,
            related=request.related or {},
            sink_kinds=options.sink_kinds or settings.sink_kinds,
            cluster_domain=settings.cluster_domain,
            field=field,
        )

    sink = resolve((parent.spec or {}).get("sink"), "spec.sink")
    dead_letters = None
    if source.dead_letter_sink is not None:
        dead_letters = resolve(source.dead_letter_sink, "spec.delivery.deadLetterSink")
    image = options.image or settings.adapter_image
    pod = Pod(image, config(parent.kind), settings.trust_bundle, own_command=options.image is not None)
    wanted = _wanted(source, sink, dead_letters, observed, pod)
    verdict = rollouts.deployed_condition(wanted, observed, old_status=parent.status, now=now)
    if _diagnoses(options, settings):
        verdict = pods.with_pod_diagnosis(verdict, wanted, request.related or {})
    provided = _found("SinkProvided", sink)
    verdicts = [provided, verdict, conditions.ready(provided, verdict)]
    if dead_letters:
        verdicts.append(_found("DeadLetterSinkResolved", dead_letters))
    listed = conditions.update(parent.status, verdicts, now=now)
    response: SyncResponse = {
        "status": _status(source, sink, dead_letters, _types(parent.spec, options), listed),
        "children": _children(source, wanted),
    }
    if source.listens and wanted:
        host = f"{deployments.service_name(source)}.{parent.metadata.namespace}.svc.{settings.cluster_domain}"
        response["status"]["address"] = {"url": f"http://{host}"}
    if again := rollouts.resync_after(verdict, observed):
        response["resyncAfterSeconds"] = again.total_seconds()
    return response


def _diagnoses(options: KindOptions, settings: Settings) -> bool:
    return settings.diagnose_pods if options.diagnose_pods is None else options.diagnose_pods


def _observed(deployed: dict[str, Object], source: Source) -> Object | None:
    name = deployments.deployment_name(source)
    return deployed.get(f"{source.parent.metadata.namespace}/{name}") or deployed.get(name)


def _wanted(
    source: Source,
    sink: Resolved | Unresolved,
    dead_letters: Resolved | Unresolved | None,
    observed: Object | None,
    pod: Pod,
) -> Object | None:
    """A lost sink keeps the running adapter on the URL it has (design decision 8), a lost dead letter sink likewise."""
    lost = isinstance(sink, Unresolved) or isinstance(dead_letters, Unresolved)
    last_sink, last_dead_letters = deployments.last_sinks(observed) if observed and lost else (None, None)
    if isinstance(dead_letters, Unresolved):
        dead_letters = last_dead_letters
    if isinstance(sink, Unresolved):
        if observed is None:
            return None
        if last_sink is None:
            raise Unprocessable(f"{sink.message}; and the running Deployment shows no K_SINK to keep")
        sink = last_sink
    return deployments.desired(source, Sinks(sink, dead_letters), pod)


def _children(source: Source, wanted: Object | None) -> list[Object]:
    if wanted is None:
        return []
    return [wanted, deployments.service(source)] if source.listens else [wanted]


def _found(type: str, sink: Resolved | Unresolved) -> Verdict:
    if isinstance(sink, Unresolved):
        return Verdict(type, "False", sink.reason, sink.message)
    return Verdict(type, "True")


def _types(spec: Any, options: KindOptions) -> Sequence[str]:
    own = get_in(spec, options.type_field) if options.type_field else None
    return (own,) if isinstance(own, str) and own else options.types


def _status(
    source: Source,
    sink: Resolved | Unresolved,
    dead_letters: Resolved | Unresolved | None,
    types: Sequence[str],
    listed: list[Object],
) -> Object:
    status: dict[str, Any] = {"conditions": listed}
    if types:
        status["ceAttributes"] = [{"type": type, "source": source.event_source} for type in types]
    for prefix, found in (("sink", sink), ("deadLetterSink", dead_letters)):
        if isinstance(found, Resolved):
            fields = {"Uri": found.uri, "CACerts": found.ca_certs, "Audience": found.audience}
            status |= {f"{prefix}{name}": value for name, value in fields.items() if value}
    return status
