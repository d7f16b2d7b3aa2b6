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
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from adapter.policy import Policy, read_policy

Json = Any  # what json.loads returns
T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECRET_VARIABLE = "SOURCE_SECRET_{}"
# Every kind has these in ``spec``; the hook acts on them, so no kind may use their names for its own fields.
SHARED_FIELDS = frozenset(("sink", "ceOverrides", "delivery", "serviceAccountName"))
_REFERENCE_KEYS = ("secretKeyRef", "configMapKeyRef")
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_USER = re.compile(r"(?<=//)[^/?#]*@")
_EXTENSION_NAME = re.compile(r"[a-z0-9]{1,20}", re.ASCII)
_GO_ESCAPES = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
# What YAML has no place for: server-side apply, which sends it, refuses the whole object. In JSON it can be escaped.
_YAML_ESCAPES = {code: f"\\u{code:04x}" for code in (*range(0x7F, 0xA0), 0xFFFE, 0xFFFF)}
_GO_JSON_ESCAPES = _GO_ESCAPES | _YAML_ESCAPES
RESERVED_EXTENSIONS = frozenset(
    ("id", "source", "specversion", "type", "datacontenttype", "dataschema", "subject", "time", "data", "data_base64")
)


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
        config = _read(environ, "SOURCE_CONFIG", {}, _config_object)
        secrets = {
            name: environ[name] for name in (SECRET_VARIABLE.format(n) for n in range(len(environ))) if name in environ
        }
        _check_secrets(config, secrets)
        return cls(
            event_source=environ.get("EVENT_SOURCE") or None,
            interval=environ.get("INTERVAL") or None,
            namespace=environ.get("NAMESPACE") or "default",
            name=environ.get("NAME") or "source",
            metrics_domain=environ.get("METRICS_DOMAIN", ""),
            logging_config=environ.get("K_LOGGING_CONFIG", ""),
            klog_verbosity=environ.get("K_KLOG_VERBOSITY", ""),
            observability_config=environ.get("K_OBSERVABILITY_CONFIG", ""),
            kind=_read(environ, "SOURCE_KIND", "SampleSource", _kind),
            sources_package=_read(environ, "SOURCES_PACKAGE", "adapter.sources", _package),
            uid=environ.get("SOURCE_UID") or None,
            created=_read(environ, "SOURCE_CREATED", EPOCH, parse_time),
            config=config,
            secrets=secrets,
            delivery=_read(environ, "SOURCE_DELIVERY", None, _delivery),
            sink=_sink(environ, "K_SINK") or _missing("K_SINK"),
            ca_certs=environ.get("K_CA_CERTS") or None,
            audience=environ.get("K_AUDIENCE") or None,
            ce_overrides=_read(environ, "K_CE_OVERRIDES", None, _overrides),
            dead_letter_sink=_sink(environ, "DEAD_LETTER_SINK"),
            dead_letter_ca_certs=environ.get("DEAD_LETTER_CA_CERTS") or None,
            dead_letter_audience=environ.get("DEAD_LETTER_AUDIENCE") or None,
            health_port=_read(environ, "HEALTH_PORT", 8080, _port),
            port=_read(environ, "PORT", 8888, _port),
            sink_timeout_s=_read(environ, "K_SINK_TIMEOUT", 10, _positive_seconds),
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
        fields = _fill(self.config, self.secrets)
        return fields if self.interval is None else {**fields, "interval": self.interval}


def split_references(config: Mapping[str, Json]) -> tuple[dict[str, Json], dict[str, Json]]:
    """Take every ``{secretKeyRef|configMapKeyRef: …}`` out: (config with ``{"$env": NAME}``, NAME -> reference)."""
    references: dict[str, Json] = {}

    def walk(value: Json) -> Json:
        if is_reference(value):
            name = SECRET_VARIABLE.format(len(references))
            references[name] = _sorted(value)
            return {"$env": name}
        if isinstance(value, Mapping):
            return {key: walk(value[key]) for key in sorted(value)}
        if isinstance(value, list):
            return [walk(item) for item in value]
        return value

    return {key: walk(config[key]) for key in sorted(config)}, references


def _sorted(value: Json) -> Json:
    return {key: _sorted(value[key]) for key in sorted(value)} if isinstance(value, Mapping) else value


def is_reference(value: Json) -> bool:
    return isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _REFERENCE_KEYS


def extension_problem(name: str) -> str | None:
    """Why ``name`` cannot be a CloudEvents extension, or None. CloudEvents 1.0 §"Extension Context Attributes"."""
    if name in RESERVED_EXTENSIONS:
        return f'extension name "{name}" is reserved by CloudEvents; choose another name'
    if not _EXTENSION_NAME.fullmatch(name):
        return f'extension name "{name}" is not valid; write 1 to 20 lower-case letters and digits'
    return None


def go_json(value: Json) -> str:
    """Compact JSON as Go's ``json.Marshal`` writes it: sorted keys, ``<>&`` and U+2028/9 escaped."""
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.translate(_GO_JSON_ESCAPES)


def format_time(time: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as Kubernetes writes ``metav1.Time``."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse_time(text: str) -> datetime:
    """An RFC 3339 time, as Kubernetes writes ``creationTimestamp``; ISO 8601 allows more."""
    try:
        if _RFC3339.fullmatch(text):
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("write an RFC 3339 time like 2026-01-31T12:00:00Z")


def _read(environ: Mapping[str, str], variable: str, default: Any, read: Callable[[str], Any]) -> Any:
    text = environ.get(variable)
    if not text:
        return default
    try:
        return read(text)
    except ValueError as error:
        raise EnvError(variable, text, str(error)) from None


_SINK_EXPECTATION = "write the absolute http(s) URL that events are sent to"


def _missing(variable: str) -> str:
    raise EnvError(variable, None, _SINK_EXPECTATION)


def _sink(environ: Mapping[str, str], variable: str) -> str | None:
    text = environ.get(variable)
    if not text:
        return None
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(char.isspace() or not char.isprintable() for char in text):
        raise EnvError(variable, _USER.sub("", text), _SINK_EXPECTATION)  # a password is not for the log
    return text


def _json_object(text: str, expectation: str) -> dict[str, Json]:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ValueError(expectation)
    return value


def _no_constant(name: str) -> Json:
    raise ValueError(name)


def _config_object(text: str) -> dict[str, Json]:
    return _json_object(text, "write one JSON object holding the kind's spec fields")


def _delivery(text: str) -> dict[str, Json]:
    delivery = _json_object(text, "write one JSON object holding the fields of spec.delivery")
    read_policy(delivery)
    return delivery


def _compact(value: Mapping[str, Json]) -> str:
    text = json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text.translate(_YAML_ESCAPES)


def _overrides(text: str) -> dict[str, str]:
    expectation = 'write a JSON object like {"extensions":{"name":"value"}}'
    extensions = _json_object(text, expectation).get("extensions", {})
    if not isinstance(extensions, dict) or not all(isinstance(value, str) for value in extensions.values()):
        raise ValueError(expectation)
    for name in extensions:
        if problem := extension_problem(name):
            raise ValueError(problem)
    return extensions


def _overrides_json(extensions: Mapping[str, str]) -> Json:
    return {"extensions": dict(extensions)} if extensions else {}


def _kind(text: str) -> str:
    if not re.fullmatch(r"[A-Z][A-Za-z0-9]*", text, re.ASCII):
        raise ValueError("write a kind in CamelCase like SampleSource")
    return text


def _package(text: str) -> str:
    if not all(part.isidentifier() for part in text.split(".")):
        raise ValueError("write a dotted Python package like adapter.sources")
    return text


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) or not 1 <= int(text) <= 65535:
        raise ValueError("write a port number from 1 to 65535")
    return int(text)


def _positive_seconds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", text, re.ASCII) or int(text) < 1:
        raise ValueError("write whole seconds, at least 1")
    return int(text)


def _unless(text: str, default: str) -> str | None:
    return None if text == default else text


def _check_secrets(value: Json, secrets: Mapping[str, str]) -> None:
    if isinstance(value, dict):
        name = value.get("$env")
        if len(value) == 1 and isinstance(name, str) and name not in secrets:
            raise EnvError(name, None, "SOURCE_CONFIG refers to it; set it, or take the reference out")
        for item in value.values():
            _check_secrets(item, secrets)
    elif isinstance(value, list):
        for item in value:
            _check_secrets(item, secrets)


def _fill(value: Json, secrets: Mapping[str, str]) -> Json:
    if isinstance(value, Mapping):
        name = value.get("$env")
        if len(value) == 1 and isinstance(name, str):
            return secrets[name]
        return {key: _fill(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, secrets) for item in value]
    return value


def _shorten(value: str, limit: int = 80) -> str:
    return json.dumps(value if len(value) <= limit else value[:limit] + "…", ensure_ascii=False)
