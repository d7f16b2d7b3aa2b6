"""The environment of an adapter: written by the hook, read by the adapter, one class for both.

Names and order are Knative's (eventing ``pkg/adapter/v2/config.go``, ``SinkBinding.Do``), so that foreign adapter
images run under our hook and this adapter runs under Knative's controller. Law: ``from_environ(to_environ(x)) == x``.
Pure: the environment is a parameter.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapter.contract import variables
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.formats import EPOCH, YAML_ESCAPES, format_time, go_json, parse_time, sorted_json
from adapter.contract.secret_refs import SECRET_VARIABLE, fill

Json = Any  # what json.loads returns

# Every kind has these in ``spec``; the hook acts on them, so no kind may use their names for its own fields.
SHARED_FIELDS = frozenset(("sink", "ceOverrides", "delivery", "serviceAccountName"))
_USER = re.compile(r"(?<=//)[^/?#]*@")


class EnvError(ValueError):
    """One environment variable is not usable; the text is one line naming it, its value and what to write."""

    def __init__(self, variable: str, value: str | None, expectation: str) -> None:
        shown = "is not set" if value is None else f"is {_shorten(value)}"
        super().__init__(f"{variable} {shown}: {expectation}")
        self.variable = variable


@dataclass(frozen=True, kw_only=True)
class AdapterEnv:
    """What an adapter is told. Only ``sink`` is required; fields stand in the order of their variables."""

    event_source: str | None = None  # CloudEvents `source`; None: "<namespace>/<name>"
    interval: str | None = None  # spec.interval as written; None: the kind's default
    namespace: str = "default"
    name: str = "source"
    metrics_domain: str = ""
    logging_config: str = ""
    klog_verbosity: str = ""
    observability_config: str = ""
    kind: str = "SampleSource"
    sources_package: str = "adapter.sources"
    uid: str | None = None  # None: event_source
    created: datetime = EPOCH  # whole seconds, UTC
    config: Mapping[str, Json] = field(default_factory=dict)  # spec without shared fields; secrets as {"$env": NAME}
    secrets: Mapping[str, str] = field(default_factory=dict)  # SOURCE_SECRET_<n> -> value
    delivery: Mapping[str, Json] | None = None  # spec.delivery without its deadLetterSink; None: the defaults
    sink: str
    ca_certs: str | None = None  # PEM
    audience: str | None = None
    ce_overrides: Mapping[str, str] | None = None  # extension -> value; None: spec has no ceOverrides
    dead_letter_sink: str | None = None
    dead_letter_ca_certs: str | None = None
    dead_letter_audience: str | None = None
    health_port: int = 8080
    port: int = 8888
    sink_timeout_s: int = 10
    token_directory: str = "/oidc"  # holds `token` and `dead-letter-token`, where audiences are set
    trust_bundles: str = "/knative-custom-certs"  # directory of more PEM files to trust

    def to_environ(self) -> dict[str, str]:
        """Variable -> text, in the order of design §4. An empty text stands for a variable named without a value."""
        overrides = "" if self.ce_overrides is None else go_json(_overrides_json(self.ce_overrides))
        environ: dict[str, str | None] = {
            "EVENT_SOURCE": self.event_source,
            "INTERVAL": self.interval,
            "NAMESPACE": self.namespace,
            "NAME": self.name,
            "METRICS_DOMAIN": self.metrics_domain,
            "K_LOGGING_CONFIG": self.logging_config,
            "K_KLOG_VERBOSITY": self.klog_verbosity,
            "K_OBSERVABILITY_CONFIG": self.observability_config,
            "SOURCE_KIND": self.kind,
            "SOURCES_PACKAGE": _unless(self.sources_package, "adapter.sources"),
            "SOURCE_UID": self.uid,
            "SOURCE_CREATED": None if self.created == EPOCH else format_time(self.created),
            "SOURCE_CONFIG": _compact(self.config),
            **self.secrets,
            "SOURCE_DELIVERY": None if self.delivery is None else _compact(self.delivery),
            "K_SINK": self.sink,
            "K_CA_CERTS": self.ca_certs,
            "K_AUDIENCE": self.audience,
            "K_CE_OVERRIDES": overrides,
            "DEAD_LETTER_SINK": self.dead_letter_sink,
            "DEAD_LETTER_CA_CERTS": self.dead_letter_ca_certs,
            "DEAD_LETTER_AUDIENCE": self.dead_letter_audience,
            "HEALTH_PORT": _unless(str(self.health_port), "8080"),
            "PORT": _unless(str(self.port), "8888"),
            "K_SINK_TIMEOUT": _unless(str(self.sink_timeout_s), "10"),
            "TOKEN_DIRECTORY": _unless(self.token_directory, "/oidc"),
            "TRUST_BUNDLES": _unless(self.trust_bundles, "/knative-custom-certs"),
        }
        return {variable: value for variable, value in environ.items() if value is not None}

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> AdapterEnv:
        """Read what ``to_environ`` wrote; ``EnvError`` names the first variable that cannot be used."""
        config = _read(environ, "SOURCE_CONFIG", {}, variables.config)
        secrets = _secrets(environ, config)
        sink = _sink(environ, "K_SINK")
        if sink is None:
            raise EnvError("K_SINK", None, variables.SINK_EXPECTATION)
        return cls(
            event_source=environ.get("EVENT_SOURCE") or None,
            interval=environ.get("INTERVAL") or None,
            namespace=environ.get("NAMESPACE") or "default",
            name=environ.get("NAME") or "source",
            metrics_domain=environ.get("METRICS_DOMAIN", ""),
            logging_config=environ.get("K_LOGGING_CONFIG", ""),
            klog_verbosity=environ.get("K_KLOG_VERBOSITY", ""),
            observability_config=environ.get("K_OBSERVABILITY_CONFIG", ""),
            kind=_read(environ, "SOURCE_KIND", "SampleSource", variables.kind),
            sources_package=_read(environ, "SOURCES_PACKAGE", "adapter.sources", variables.package),
            uid=environ.get("SOURCE_UID") or None,
            created=_read(environ, "SOURCE_CREATED", EPOCH, parse_time),
            config=config,
            secrets=secrets,
            delivery=_read(environ, "SOURCE_DELIVERY", None, variables.delivery),
            sink=sink,
            ca_certs=environ.get("K_CA_CERTS") or None,
            audience=environ.get("K_AUDIENCE") or None,
            ce_overrides=_read(environ, "K_CE_OVERRIDES", None, variables.overrides),
            dead_letter_sink=_sink(environ, "DEAD_LETTER_SINK"),
            dead_letter_ca_certs=environ.get("DEAD_LETTER_CA_CERTS") or None,
            dead_letter_audience=environ.get("DEAD_LETTER_AUDIENCE") or None,
            health_port=_read(environ, "HEALTH_PORT", 8080, variables.port),
            port=_read(environ, "PORT", 8888, variables.port),
            sink_timeout_s=_read(environ, "K_SINK_TIMEOUT", 10, variables.positive_seconds),
            token_directory=environ.get("TOKEN_DIRECTORY") or "/oidc",
            trust_bundles=environ.get("TRUST_BUNDLES") or "/knative-custom-certs",
        )

    @property
    def policy(self) -> Policy:
        return read_policy(self.delivery or {}, timeout_s=self.sink_timeout_s)

    @property
    def source(self) -> str:
        """The CloudEvents ``source`` attribute."""
        return self.event_source or f"{self.namespace}/{self.name}"

    @property
    def identity(self) -> str:
        """What event ids are built on: the uid, or under Knative's controller (which gives none) the source."""
        return self.uid or self.source

    def source_fields(self) -> dict[str, Json]:
        """The kind's ``spec`` fields, secrets filled in, ready for validation by the kind's class."""
        fields = fill(self.config, self.secrets)
        return fields if self.interval is None else {**fields, "interval": self.interval}


def _read(environ: Mapping[str, str], variable: str, default: Any, read: Callable[[str], Any]) -> Any:
    text = environ.get(variable)
    if not text:
        return default
    try:
        return read(text)
    except ValueError as error:
        raise EnvError(variable, text, str(error)) from None


def _secrets(environ: Mapping[str, str], config: Mapping[str, Json]) -> dict[str, str]:
    """Those that are set; ``EnvError`` where the config refers to one that is not."""
    names = (SECRET_VARIABLE.format(n) for n in range(len(environ)))
    secrets = {name: environ[name] for name in names if name in environ}
    try:
        fill(config, secrets)
    except KeyError as error:
        raise EnvError(error.args[0], None, "SOURCE_CONFIG refers to it; set it, or take the reference out") from None
    return secrets


def _sink(environ: Mapping[str, str], variable: str) -> str | None:
    try:
        url: str | None = _read(environ, variable, None, variables.url)
        return url
    except EnvError:  # a password is not for the log
        raise EnvError(variable, _USER.sub("", environ[variable]), variables.SINK_EXPECTATION) from None


def _compact(value: Mapping[str, Json]) -> str:
    return sorted_json(value).translate(YAML_ESCAPES)


def _overrides_json(extensions: Mapping[str, str]) -> Json:
    return {"extensions": dict(extensions)} if extensions else {}


def _unless(text: str, default: str) -> str | None:
    return None if text == default else text


def _shorten(value: str, limit: int = 80) -> str:
    return json.dumps(value if len(value) <= limit else value[:limit] + "…", ensure_ascii=False)
