"""The environment of an adapter in its Deployment: written for the desired one, read from the observed one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from adapter.contract import variables
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import EPOCH, Json, parse_time
from adapter.contract.secret_refs import join_references, split_references
from hooks.addresses import Resolved
from hooks.children import checkpoint
from hooks.children.inputs import Pod, Sinks
from hooks.names import get_in, list_in
from hooks.protocol import Object
from hooks.source import SourceSpec

CONTAINER = "receive-adapter"
_EXPANDED = re.compile(r"\$(?=[$(])")


def environment(source: SourceSpec, sinks: Sinks, pod: Pod) -> list[Object]:
    """The entries of ``env`` of a container."""
    environ, references = variables_of(source, sinks, pod)
    return [_variable(name, value, references) for name, value in environ.items()]


def variables_of(source: SourceSpec, sinks: Sinks, pod: Pod) -> tuple[dict[str, str], dict[str, Json]]:
    """Two values: variable -> text, and variable -> where a Secret or a ConfigMap has its text."""
    sink, dead_letter_sink, config = sinks.sink, sinks.dead_letter_sink, pod.config
    plain, references = split_references(source.config)
    auths: list[dict[str, Json] | None] = []
    for auth in (sink.auth, dead_letter_sink.auth if dead_letter_sink else None):
        split, more = split_references(auth, len(references)) if auth else (None, {})
        auths.append(split)
        references |= more
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
        sink_auth=auths[0],
        dead_letter_sink=dead_letter_sink.uri if dead_letter_sink else None,
        dead_letter_ca_certs=dead_letter_sink.ca_certs if dead_letter_sink else None,
        dead_letter_audience=dead_letter_sink.audience if dead_letter_sink else None,
        dead_letter_sink_auth=auths[1],
        checkpoint_url=checkpoint.url(source.checkpoint),
        allowed_hosts=pod.egress.allowed_hosts,
        denied_networks=pod.egress.denied_networks,
        cluster_domain=pod.egress.proxies.cluster_domain,
    ).to_environ()
    return environ, references | checkpoint.references(source.checkpoint)


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
    """The sink and the dead letter sink of a running adapter, from the environment in its Deployment.

    Their credentials are read, too: other credentials must not be sent to these URLs.
    """
    for container in list_in(observed, "spec", "template", "spec", "containers"):
        entries = list_in(container, "env") if get_in(container, "name") == CONTAINER else []
        values = {str(get_in(entry, "name")): get_in(entry, "value") for entry in entries}
        found = {name: unescape(value) for name, value in values.items() if isinstance(value, str)}
        if found.get("K_SINK"):
            references = {str(get_in(entry, "name")): get_in(entry, "valueFrom") for entry in entries}
            return (
                _resolved(found, references, "K_SINK", "K_CA_CERTS", "K_AUDIENCE", "SINK_AUTH"),
                _resolved(
                    found,
                    references,
                    "DEAD_LETTER_SINK",
                    "DEAD_LETTER_CA_CERTS",
                    "DEAD_LETTER_AUDIENCE",
                    "DEAD_LETTER_SINK_AUTH",
                ),
            )
    return None, None


def _resolved(
    environ: Mapping[str, str], references: Mapping[str, Json], url: str, ca_certs: str, audience: str, auth: str
) -> Resolved | None:
    if not environ.get(url):
        return None
    return Resolved(environ[url], environ.get(ca_certs), environ.get(audience), _auth(environ.get(auth), references))


def _auth(text: str | None, references: Mapping[str, Json]) -> Mapping[str, Json] | None:
    try:
        return join_references(variables.auth(text), references) if text else None
    except ValueError:  # someone has edited the Deployment
        return None
