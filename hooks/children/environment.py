"""The environment of an adapter in its Deployment: written for the desired one, read from the observed one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import EPOCH, Json, parse_time
from adapter.contract.secret_refs import split_references
from hooks.addresses import Resolved
from hooks.children.inputs import Pod, Sinks
from hooks.names import get_in, list_in
from hooks.protocol import Object
from hooks.source import SourceSpec

CONTAINER = "receive-adapter"
_EXPANDED = re.compile(r"\$(?=[$(])")


def environment(source: SourceSpec, sinks: Sinks, pod: Pod) -> list[Object]:
    sink, dead_letter_sink, config = sinks.sink, sinks.dead_letter_sink, pod.config
    plain, references = split_references(source.config)
    environ = AdapterEnv(
        event_source=source.event_source,
        interval=source.interval,
        namespace=source.parent.metadata.namespace,
        name=source.parent.metadata.name,
        metrics_domain="knative.dev/eventing",
        logging_config=config.logging,
        klog_verbosity=config.klog_verbosity,
        observability_config=config.observability,
        kind=source.parent.kind,
        uid=source.parent.metadata.uid,
        created=_created(source.parent.metadata.creationTimestamp),
        config=plain,
        secrets=dict.fromkeys(references, ""),
        delivery=source.delivery,
        sink=sink.uri,
        ca_certs=sink.ca_certs,
        audience=sink.audience,
        ce_overrides=source.extensions,
        dead_letter_sink=dead_letter_sink.uri if dead_letter_sink else None,
        dead_letter_ca_certs=dead_letter_sink.ca_certs if dead_letter_sink else None,
        dead_letter_audience=dead_letter_sink.audience if dead_letter_sink else None,
        allowed_hosts=pod.egress.allowed_hosts,
        denied_networks=pod.egress.denied_networks,
        cluster_domain=pod.egress.proxies.cluster_domain,
    ).to_environ()
    return [_variable(name, value, references) for name, value in environ.items()]


def _variable(name: str, value: str, references: Mapping[str, Json]) -> Object:
    if name == "NAMESPACE":
        return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}}
    if name in references:
        return {"name": name, "valueFrom": references[name]}
    # The API server removes an empty value, and Metacontroller would add it again with every sync.
    return {"name": name, "value": escape(value)} if value else {"name": name}


def escape(value: str) -> str:
    """Escape ``$(VAR)``, which the kubelet would replace with the value of a variable."""
    return _EXPANDED.sub("$$", value) if "$" in value else value


def unescape(value: str) -> str:
    return value.replace("$$", "$")


def _created(text: str | None) -> datetime:
    try:
        return parse_time(text or "").replace(microsecond=0)
    except ValueError:
        return EPOCH


def last_sinks(observed: Object) -> tuple[Resolved | None, Resolved | None]:
    """The sink and the dead letter sink of a running adapter, from the environment in its Deployment."""
    for container in list_in(observed, "spec", "template", "spec", "containers"):
        entries = list_in(container, "env") if get_in(container, "name") == CONTAINER else []
        values = {str(get_in(entry, "name")): get_in(entry, "value") for entry in entries}
        found = {name: unescape(value) for name, value in values.items() if isinstance(value, str)}
        if found.get("K_SINK"):
            return (
                _resolved(found, "K_SINK", "K_CA_CERTS", "K_AUDIENCE"),
                _resolved(found, "DEAD_LETTER_SINK", "DEAD_LETTER_CA_CERTS", "DEAD_LETTER_AUDIENCE"),
            )
    return None, None


def _resolved(environ: Mapping[str, str], url: str, ca_certs: str, audience: str) -> Resolved | None:
    return Resolved(environ[url], environ.get(ca_certs), environ.get(audience)) if environ.get(url) else None
