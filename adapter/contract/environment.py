"""The environment of an adapter: the hook writes it, the adapter reads it.

Names and order are Knative's (eventing ``pkg/adapter/v2/config.go`` and ``SinkBinding.Do``). So adapter images of other
projects run under this hook, and this adapter runs under Knative's controller. Pure: the environment is a parameter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field
from datetime import datetime
from typing import Any

from adapter.contract import variables
from adapter.contract.declarations import (
    USER,
    EnvError,
    ReferenceRow,
    Variable,
    declare,
    read_variable,
    reference_of,
    variables_of,
)
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.egress import Egress, Network, declare_allowed_hosts, declare_denied_networks
from adapter.contract.formats import EPOCH, Json, parse_time
from adapter.contract.proxies import (
    CLUSTER_DOMAIN,
    Proxies,
    check_no_proxy,
    cluster_domain_text,
    read_cluster_domain,
    read_proxy_url,
)
from adapter.contract.secret_refs import SECRET_VARIABLE, authorizations, fill, texts_of_headers, texts_of_secrets

# Every kind has these fields in ``spec``. The hook uses them, so no kind may have its own field of that name.
SHARED_FIELDS = frozenset(
    ("sink", "sinkAuth", "ceOverrides", "delivery", "serviceAccountName", "adapter", "suspend", "checkpoint")
)
HEALTH_PORT, TRAFFIC_PORT = 8080, 8888
TOKEN_DIRECTORY, TRUST_BUNDLES, TLS_SECRETS = "/oidc", "/knative-custom-certs", "/tls-secrets"

_KNATIVE_ONLY = "For adapters of Knative; this adapter ignores it."
_CREATED = "When the source was created. Timers count their ticks from it."
_CONFIG = (
    'The other `spec` fields of the kind, one JSON object. `{"$env": "SOURCE_SECRET_0"}` replaces each `secretKeyRef` '
    'and `configMapKeyRef`, with `"optional": true` where the key may be missing.'
)
_SECRET = (
    "The value of reference *n* in `SOURCE_CONFIG`, `SINK_AUTH` and `DEAD_LETTER_SINK_AUTH`, counted from 0 in this "
    "order. The kubelet reads it from the Secret or ConfigMap; the hook never sees it."
)
_EVENT_SOURCE = "The CloudEvents `source`. Required unless `NAMESPACE` and `NAME` are set."
_SYSTEM = "those of the image"
_DELIVERY = "`spec.delivery` without `deadLetterSink` and `deadLetterSinkAuth`, one JSON object."
_OVERRIDES = 'CloudEvents extensions for every event: `{"extensions": {"name": "value"}}`.'
_SINK = Variable("K_SINK", "The URL that events are sent to.", "required", read=variables.url, has_secrets=True)
_SINK_AUTH = "`spec.sinkAuth`, one JSON object: headers, user and password, OAuth 2.0, client certificate."
_DEAD_LETTER_SINK_AUTH = "`spec.delivery.deadLetterSinkAuth`, one JSON object like `SINK_AUTH`."
_DEAD_LETTER_SINK = "The URL that receives events which the sink does not accept."
_CHECKPOINT_URL = (
    "Where the checkpoint is kept: `postgresql://…`, `redis://…`, `rediss://…`, or `file:///DIRECTORY`. With "
    "`?shared=true`, other pods have the same directory."
)
_HEALTH_PORT = "Port of `/health` (also `/healthz`), `/readiness` (also `/readyz`) and `/metrics`."
_TRAFFIC_PORT = "Port for the requests to a kind that listens."
_SINK_TIMEOUT = "Timeout of one delivery attempt in seconds, unless `SOURCE_DELIVERY` has a `timeout`."
_TOKEN_DIRECTORY = "Directory of the files `token` and `dead-letter-token`."
_TRUST_BUNDLES = "Directory with more PEM files to trust."
_TLS_SECRETS = "Directory with the Secrets of `tls.secretName`: the files `NAME/tls.crt` and `NAME/tls.key` of each."
_CLUSTER_DOMAIN = "The DNS domain of the cluster: requests to names below `svc.` and this domain use no proxy."
_HTTP_PROXY = "The proxy for http URLs: `http://HOST:PORT` or `http://USER:PASSWORD@HOST:PORT`. Also `http_proxy`."
_NO_PROXY = (
    "Hosts that are reached without a proxy: names, addresses and networks, comma-separated; `*`: all. Also `no_proxy`."
)
_OTEL = (
    "The variables of OpenTelemetry, such as `OTEL_EXPORTER_OTLP_ENDPOINT`. [Export spans](../tracing.md#export-spans) "
    "lists them."
)


def _declare_auth(name: str, description: str) -> Any:
    return declare(None, name, description, read=variables.auth, write=variables.object_text, has_secrets=True)


@dataclass(kw_only=True)  # not frozen: that takes three times as long, and the hook makes one in each sync
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
    sink_auth: Mapping[str, Json] | None = _declare_auth("SINK_AUTH", _SINK_AUTH)
    dead_letter_sink: str | None = declare(
        None, "DEAD_LETTER_SINK", _DEAD_LETTER_SINK, read=variables.url, has_secrets=True
    )
    dead_letter_ca_certs: str | None = declare(
        None, "DEAD_LETTER_CA_CERTS", "PEM certificates that verify the dead letter sink.", _SYSTEM, has_secrets=True
    )
    dead_letter_audience: str | None = declare(
        None, "DEAD_LETTER_AUDIENCE", "OIDC audience of the dead letter sink; `dead-letter-token` is sent to it."
    )
    dead_letter_sink_auth: Mapping[str, Json] | None = _declare_auth("DEAD_LETTER_SINK_AUTH", _DEAD_LETTER_SINK_AUTH)
    checkpoint_url: str | None = declare(
        None, "CHECKPOINT_URL", _CHECKPOINT_URL, read=variables.checkpoint_url, has_secrets=True
    )
    health_port: int = declare(HEALTH_PORT, "HEALTH_PORT", _HEALTH_PORT, set_by="image", read=variables.port)
    port: int = declare(TRAFFIC_PORT, "PORT", _TRAFFIC_PORT, set_by="image", read=variables.port)
    sink_timeout_s: int = declare(
        10, "K_SINK_TIMEOUT", _SINK_TIMEOUT, set_by="Knative", read=variables.positive_seconds
    )
    token_directory: str = declare(TOKEN_DIRECTORY, "TOKEN_DIRECTORY", _TOKEN_DIRECTORY, set_by="image")
    trust_bundles: str = declare(TRUST_BUNDLES, "TRUST_BUNDLES", _TRUST_BUNDLES, set_by="image")
    tls_secrets: str = declare(TLS_SECRETS, "TLS_SECRETS", _TLS_SECRETS, set_by="image")
    allowed_hosts: tuple[str, ...] = declare_allowed_hosts()
    denied_networks: tuple[Network, ...] = declare_denied_networks()
    cluster_domain: str = declare(
        CLUSTER_DOMAIN,
        "CLUSTER_DOMAIN",
        _CLUSTER_DOMAIN,
        f"`{CLUSTER_DOMAIN}`",
        read=read_cluster_domain,
        write=cluster_domain_text,
    )
    http_proxy: str | None = declare(
        None, "HTTP_PROXY", _HTTP_PROXY, set_by=USER, read=read_proxy_url, has_secrets=True
    )
    https_proxy: str | None = declare(
        None,
        "HTTPS_PROXY",
        "The proxy for https URLs, written like `HTTP_PROXY`. Also `https_proxy`.",
        set_by=USER,
        read=read_proxy_url,
        has_secrets=True,
    )
    no_proxy: str = declare("", "NO_PROXY", _NO_PROXY, set_by=USER, read=check_no_proxy)
    otel: Mapping[str, str] = declare({}, "OTEL_<name>", _OTEL, set_by=USER, has_secrets=True)

    def to_environ(self) -> dict[str, str]:
        """Variable -> text, in Knative's order. A variable without a value is an empty text.

        A variable that the hook does not set is omitted if its value is the default.
        """
        environ: dict[str, str] = {}
        values = vars(self)
        for attribute, variable, default, text in _WRITTEN:
            value = values[attribute]
            if value != default:
                if attribute in _FAMILIES:
                    environ |= value
                    continue
                text = variable.write(value)
            if text is not None:
                environ[variable.name] = text
        return environ

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> AdapterEnv:
        """Read what ``to_environ`` wrote. ``EnvError`` names the first variable that is invalid."""
        values: dict[str, Any] = {}
        for attribute, variable, default in _VARIABLES:
            if attribute in _FAMILIES:
                continue
            named = variable.named_in(environ)
            values[attribute] = read_variable(environ.get(named.name), named, default)
        values["secrets"] = _secrets(environ, {name: values[attribute] for name, attribute in _REFERRING.items()})
        values["otel"] = {name: text for name, text in environ.items() if name.startswith("OTEL_") and text}
        if not values["event_source"]:
            _check_identity(environ)
        return cls(**values)

    @property
    def policy(self) -> Policy:
        return read_policy(self.delivery or {}, timeout_s=self.sink_timeout_s)

    @property
    def egress(self) -> Egress:
        proxies = Proxies.of(self.http_proxy, self.https_proxy, self.no_proxy, self.cluster_domain)
        return Egress(self.allowed_hosts, self.denied_networks, proxies)

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
        values = [getattr(self, name) for name, each, _ in _VARIABLES if each.has_secrets]
        yield from texts_of_secrets(self.secrets, values)
        yield from texts_of_headers(self.otel)
        for name in _REFERRING.values():
            yield from authorizations(self.filled(getattr(self, name)))

    def filled(self, fields: Mapping[str, Json] | None) -> dict[str, Json]:
        """The fields with the values of their secrets."""
        return fill(fields or {}, self.secrets)

    def source_fields(self) -> dict[str, Json]:
        """The ``spec`` fields of the kind with their secrets; the class of the kind has not validated them yet."""
        config = self.filled(self.config)
        return config if self.interval is None else {**config, "interval": self.interval}


def _default_text(variable: Variable, default: Any) -> str | None:
    """The text of a default; None if the variable is then omitted."""
    return None if variable.set_by != "hook" or default is MISSING else variable.write(default)


_VARIABLES = variables_of(AdapterEnv)
_WRITTEN = [(*row, _default_text(*row[1:])) for row in _VARIABLES]
_FAMILIES = ("secrets", "otel")  # a field stands for all variables with such a name
# The variables that refer to secrets, in the order in which their references are counted, and their attributes.
_REFERRING = {
    "SOURCE_CONFIG": "config",
    "SINK_AUTH": "sink_auth",
    "DEAD_LETTER_SINK_AUTH": "dead_letter_sink_auth",
}


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


def _secrets(environ: Mapping[str, str], referring: Mapping[str, Mapping[str, Json] | None]) -> dict[str, str]:
    """The secrets that are set. ``EnvError`` if a variable refers to one that is not set and not optional."""
    names = (SECRET_VARIABLE.format(n) for n in range(len(environ)))
    secrets = {name: environ[name] for name in names if name in environ}
    for name, value in referring.items():
        try:
            fill(value or {}, secrets)
        except KeyError as error:
            raise EnvError(error.args[0], None, f"{name} refers to it; set it, or remove the reference") from None
    return secrets
