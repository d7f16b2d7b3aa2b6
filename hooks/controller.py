"""sync() and customize(): the whole story on one page. Pure; the clock and the mounted configuration are parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hooks import conditions, deployments, pods, sinks
from hooks.addresses import Resolved, Unresolved
from hooks.conditions import Verdict
from hooks.deployments import Observability
from hooks.protocol import CustomizeRequest, CustomizeResponse, Object, SyncRequest, SyncResponse
from hooks.resources import InvalidSpec, Source, read_source
from hooks.settings import Settings

Config = Callable[[str], Observability]  # kind -> what the mounted ConfigMaps say for it


@dataclass(frozen=True)
class KindOptions:
    """What the webhook's query string tells of a kind (design decision 1)."""

    types: Sequence[str] = ()
    image: str | None = None
    sink_kinds: tuple[str, ...] | None = None  # None: the hook's setting
    diagnose_pods: bool | None = None  # None: the hook's setting


class Refused(Exception):
    """No honest answer keeps the running adapter: Metacontroller must keep its children and retry (HTTP 422)."""


def customize(
    request: CustomizeRequest, settings: Settings, *, options: KindOptions = KindOptions()
) -> CustomizeResponse:
    parent = request.parent
    kinds = options.sink_kinds or settings.sink_kinds
    sink = (parent.spec or {}).get("sink")
    rules = sinks.related_rules(sink, namespace=parent.metadata.namespace, sink_kinds=kinds)
    if _diagnoses(options, settings):
        rules.append(pods.related_rule(parent))
    return {"relatedResources": rules}


def sync(
    request: SyncRequest, settings: Settings, *, now: datetime, config: Config, options: KindOptions
) -> SyncResponse:
    """What should exist and the status to show; ``Refused`` where an answer would delete a running adapter."""
    parent = request.parent
    deployed = request.children.get("Deployment.apps/v1", {})
    try:
        source = read_source(parent)
    except InvalidSpec as error:
        if deployed:
            raise Refused(str(error)) from None
        invalid = Verdict("Ready", "False", "InvalidSpec", str(error))
        return {"status": {"conditions": conditions.update(parent.status, [invalid], now=now)}, "children": []}

    observed = _observed(deployed, source)
    sink = sinks.resolve(
        (parent.spec or {}).get("sink"),
        namespace=parent.metadata.namespace,
        related=request.related or {},
        sink_kinds=options.sink_kinds or settings.sink_kinds,
        cluster_domain=settings.cluster_domain,
    )
    wanted = _wanted(source, sink, observed, options.image or settings.adapter_image, config)
    verdict = deployments.judge(wanted, observed, old_status=parent.status, now=now)
    if _diagnoses(options, settings):
        verdict = pods.explained(verdict, wanted, request.related or {})
    provided = _sink_provided(sink)
    verdicts = [provided, verdict, conditions.ready(provided, verdict)]
    response: SyncResponse = {
        "status": _status(source, sink, options.types, conditions.update(parent.status, verdicts, now=now)),
        "children": [wanted] if wanted else [],
    }
    if again := deployments.looks_again_after(verdict, observed):
        response["resyncAfterSeconds"] = again.total_seconds()
    return response


def _diagnoses(options: KindOptions, settings: Settings) -> bool:
    return settings.diagnose_pods if options.diagnose_pods is None else options.diagnose_pods


def _observed(deployed: dict[str, Object], source: Source) -> Object | None:
    name = deployments.deployment_name(source)
    return deployed.get(f"{source.parent.metadata.namespace}/{name}") or deployed.get(name)


def _wanted(
    source: Source, sink: Resolved | Unresolved, observed: Object | None, image: str, config: Config
) -> Object | None:
    """A lost sink keeps the running adapter on the URL it has (design decision 8)."""
    if isinstance(sink, Unresolved):
        if observed is None:
            return None
        last = deployments.last_sink(observed)
        if last is None:
            raise Refused(f"{sink.message}; and the running Deployment shows no K_SINK to keep")
        sink = last
    return deployments.desired(source, sink, image=image, config=config(source.parent.kind))


def _sink_provided(sink: Resolved | Unresolved) -> Verdict:
    if isinstance(sink, Unresolved):
        return Verdict("SinkProvided", "False", sink.reason, sink.message)
    return Verdict("SinkProvided", "True")


def _status(source: Source, sink: Resolved | Unresolved, types: Sequence[str], listed: list[Object]) -> Object:
    status: dict[str, Any] = {"conditions": listed}
    if types:
        status["ceAttributes"] = [{"type": type, "source": source.event_source} for type in types]
    if isinstance(sink, Resolved):
        status["sinkUri"] = sink.uri
        if sink.ca_certs:
            status["sinkCACerts"] = sink.ca_certs
        if sink.audience:
            status["sinkAudience"] = sink.audience
    return status
