"""The environment of an adapter: the hook writes it, the adapter reads it.

Names and order are Knative's (eventing ``pkg/adapter/v2/config.go`` and ``SinkBinding.Do``). So adapter images of other
projects run under this hook, and this adapter runs under Knative's controller. Pure: the environment is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapter.contract import variables
from adapter.contract.declarations import (
    EnvError,
    ReferenceRow,
    Variable,
    declare,
    read_variable,
    reference_of,
    variables_of,
)
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.egress import (
    DENIED_NETWORKS,
    Egress,
    Network,
    hosts_text,
    networks_text,
    read_hosts,
    read_networks,
)
from adapter.contract.formats import EPOCH, Json, parse_time
from adapter.contract.secret_refs import SECRET_VARIABLE, fill, texts_of_secrets

# Every kind has these fields in ``spec``. The hook uses them, so no kind may have its own field of that name.
SHARED_FIELDS = frozenset(("sink", "ceOverrides", "delivery", "serviceAccountName", "suspend"))
HEALTH_PORT, TRAFFIC_PORT = 8080, 8888
TOKEN_DIRECTORY, TRUST_BUNDLES = "/oidc", "/knative-custom-certs"

_KNATIVE_ONLY = "For adapters of Knative; this adapter ignores it."
_CREATED = "When the source was created. Timers count their ticks from it."
_CONFIG = (
    'The other `spec` fields of the kind, one JSON object. `{"$env": "SOURCE_SECRET_0"}` replaces each `secretKeyRef` '
    'and `configMapKeyRef`, with `"optional": true` where the key may be missing.'
)
_SECRET = (
    "The value of reference *n* in `SOURCE_CONFIG`, counted from 0. The kubelet reads it from the Secret or ConfigMap; "
    "the hook never sees it."
)
_EVENT_SOURCE = "The CloudEvents `source`. Required unless `NAMESPACE` and `NAME` are set."
_SYSTEM = "those of the image"
_DELIVERY = "`spec.delivery` without `deadLetterSink`, one JSON object."
_OVERRIDES = 'CloudEvents extensions for every event: `{"extensions": {"name": "value"}}`.'
_SINK = Variable("K_SINK", "The URL that events are sent to.", "required", read=variables.url, has_secrets=True)
_DEAD_LETTER_SINK = "The URL that receives events which the sink does not accept."
_HEALTH_PORT = "Port of `/health` (also `/healthz`), `/readiness` (also `/readyz`) and `/metrics`."
_TRAFFIC_PORT = "Port for the requests to a kind that listens."
_SINK_TIMEOUT = "Timeout of one delivery attempt in seconds, unless `SOURCE_DELIVERY` has a `timeout`."
_TOKEN_DIRECTORY = "Directory of the files `token` and `dead-letter-token`."
_TRUST_BUNDLES = "Directory with more PEM files to trust."
_ALLOWED_HOSTS = (
    "The hosts that adapters may connect to, comma-separated: names, addresses, or `*.example.com` for all names below."
)
_DENIED_NETWORKS = (
    "The networks that adapters must not connect to, comma-separated, such as `10.0.0.0/8`. `none`: all are allowed."
)


def declare_allowed_hosts() -> Any:
    """The hook and its adapters have the same variable."""
    return declare((), "ALLOWED_HOSTS", _ALLOWED_HOSTS, "all hosts", read=read_hosts, write=hosts_text)


def declare_denied_networks() -> Any:
    """The hook and its adapters have the same variable."""
    default = f"`{','.join(map(str, DENIED_NETWORKS))}`"
    return declare(
        DENIED_NETWORKS, "DENIED_NETWORKS", _DENIED_NETWORKS, default, read=read_networks, write=networks_text
    )


@dataclass(frozen=True, kw_only=True)
class AdapterEnv:
    """The settings of an adapter, in the order of their variables. ``from_environ(env.to_environ()) == env``."""

    event_source: str | None = declare(None, "EVENT_SOURCE", _EVENT_SOURCE, "`NAMESPACE/NAME`")
    interval: str | None = declare(None, "INTERVAL", "`spec.interval`, a Go duration.", "the kind's default")
    namespace: str = declare("default", "NAMESPACE", "The namespace of the source.")
    name: str = declare("source", "NAME", "The name of the source.")
    metrics_domain: str = declare("", "METRICS_DOMAIN", _KNATIVE_ONLY)
    logging_config: str = declare("", "K_LOGGING_CONFIG", "Knative's `config-logging` as JSON: the log level.")
    klog_verbosity: str = declare("", "K_KLOG_VERBOSITY", _KNATIVE_ONLY)
    observability_config: str = declare("", "K_OBSERVABILITY_CONFIG", _KNATIVE_ONLY)
    kind: str = declare("SampleSource", "SOURCE_KIND", "The kind, the name of a class.", read=variables.kind)
    sources_package: str = declare(
        "adapter.sources", "SOURCES_PACKAGE", "The package of the kinds.", set_by="image", read=variables.package
    )
    uid: str | None = declare(None, "SOURCE_UID", "The source's uid. Event ids contain it.", "`EVENT_SOURCE`")
    created: datetime = declare(  # noqa: RUF009 -- a datetime is immutable; whole seconds, UTC
        EPOCH, "SOURCE_CREATED", _CREATED, "`1970-01-01T00:00:00Z`", read=parse_time, write=variables.created_text
    )
    config: Mapping[str, Json] = declare(
        {}, "SOURCE_CONFIG", _CONFIG, "`{}`", read=variables.config, write=variables.object_text, has_secrets=True
    )
    secrets: Mapping[str, str] = declare({}, SECRET_VARIABLE.format("<n>"), _SECRET, set_by="kubelet", has_secrets=True)
    delivery: Mapping[str, Json] | None = declare(
        None, "SOURCE_DELIVERY", _DELIVERY, "its defaults", read=variables.delivery, write=variables.object_text
    )
    sink: str = field(metadata={"variable": _SINK})
    ca_certs: str | None = declare(
        None, "K_CA_CERTS", "PEM certificates that verify the sink.", _SYSTEM, has_secrets=True
    )
    audience: str | None = declare(None, "K_AUDIENCE", "OIDC audience of the sink; `token` is sent to it.")
    ce_overrides: Mapping[str, str] | None = declare(  # extension -> value
        None, "K_CE_OVERRIDES", _OVERRIDES, read=variables.overrides, write=variables.overrides_text
    )
    dead_letter_sink: str | None = declare(
        None, "DEAD_LETTER_SINK", _DEAD_LETTER_SINK, read=variables.url, has_secrets=True
    )
    dead_letter_ca_certs: str | None = declare(
        None, "DEAD_LETTER_CA_CERTS", "PEM certificates that verify the dead letter sink.", _SYSTEM, has_secrets=True
    )
    dead_letter_audience: str | None = declare(
        None, "DEAD_LETTER_AUDIENCE", "OIDC audience of the dead letter sink; `dead-letter-token` is sent to it."
    )
    health_port: int = declare(HEALTH_PORT, "HEALTH_PORT", _HEALTH_PORT, set_by="image", read=variables.port)
    port: int = declare(TRAFFIC_PORT, "PORT", _TRAFFIC_PORT, set_by="image", read=variables.port)
    sink_timeout_s: int = declare(
        10, "K_SINK_TIMEOUT", _SINK_TIMEOUT, set_by="Knative", read=variables.positive_seconds
    )
    token_directory: str = declare(TOKEN_DIRECTORY, "TOKEN_DIRECTORY", _TOKEN_DIRECTORY, set_by="image")
    trust_bundles: str = declare(TRUST_BUNDLES, "TRUST_BUNDLES", _TRUST_BUNDLES, set_by="image")
    allowed_hosts: tuple[str, ...] = declare_allowed_hosts()
    denied_networks: tuple[Network, ...] = declare_denied_networks()

    def to_environ(self) -> dict[str, str]:
        """Variable -> text, in Knative's order. A variable without a value is an empty text.

        A variable that the hook does not set is omitted if its value is the default.
        """
        environ: dict[str, str] = {}
        for attribute, variable, default in _VARIABLES:
            value = getattr(self, attribute)
            if attribute == "secrets":
                environ |= value
            elif (variable.set_by == "hook" or value != default) and (text := variable.write(value)) is not None:
                environ[variable.name] = text
        return environ

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> AdapterEnv:
        """Read what ``to_environ`` wrote. ``EnvError`` names the first variable that is invalid."""
        values: dict[str, Any] = {}
        for attribute, variable, default in _VARIABLES:
            if attribute == "secrets":
                values[attribute] = _secrets(environ, values["config"])
            else:
                values[attribute] = read_variable(environ.get(variable.name), variable, default)
        if not values["event_source"]:
            _check_identity(environ)
        return cls(**values)

    @property
    def policy(self) -> Policy:
        return read_policy(self.delivery or {}, timeout_s=self.sink_timeout_s)

    @property
    def egress(self) -> Egress:
        return Egress(self.allowed_hosts, self.denied_networks)

    @property
    def source(self) -> str:
        """The CloudEvents ``source`` attribute."""
        return self.event_source or f"{self.namespace}/{self.name}"

    @property
    def identity(self) -> str:
        """The part of event ids that is unique per source: the uid, or the source where Knative sets no uid."""
        return self.uid or self.source

    def secret_texts(self) -> Iterator[str]:
        """The texts that no output may show: values from Secrets and ConfigMaps, and the secret parts of URLs."""
        return texts_of_secrets(self.secrets, [getattr(self, name) for name, each, _ in _VARIABLES if each.has_secrets])

    def source_fields(self) -> dict[str, Json]:
        """The ``spec`` fields of the kind with their secrets; the class of the kind has not validated them yet."""
        config = fill(self.config, self.secrets)
        return config if self.interval is None else {**config, "interval": self.interval}


_VARIABLES = variables_of(AdapterEnv)


def reference() -> list[ReferenceRow]:
    """The variables of an adapter in their order, for the documentation."""
    return reference_of(AdapterEnv)


def _check_identity(environ: Mapping[str, str]) -> None:
    """``EnvError`` if the names are defaults: two such sources would send events with equal ``source`` and ``id``.

    Knative's ContainerSource and SinkBinding set none of the names.
    """
    if not all(name in environ and environ[name] for name in ("NAMESPACE", "NAME")):
        expectation = "set it to a value that no other source has, such as NAMESPACE/NAME; or set NAMESPACE and NAME"
        raise EnvError("EVENT_SOURCE", None, expectation)


def _secrets(environ: Mapping[str, str], config: Mapping[str, Json]) -> dict[str, str]:
    """The secrets that are set. ``EnvError`` if the config refers to one that is not set and not optional."""
    names = (SECRET_VARIABLE.format(n) for n in range(len(environ)))
    secrets = {name: environ[name] for name in names if name in environ}
    try:
        fill(config, secrets)
    except KeyError as error:
        raise EnvError(error.args[0], None, "SOURCE_CONFIG refers to it; set it, or remove the reference") from None
    return secrets
