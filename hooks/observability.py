"""The data of the ConfigMaps config-logging and config-observability as the JSON that an adapter reads. Pure.

Keys, order and defaults are those of knative.dev/pkg ``logging`` and ``observability``, as ``ConfigAccessor.ToEnvVars``
(eventing ``config_watcher.go``) writes them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from adapter.contract.durations import parse_duration
from adapter.contract.formats import Json, go_json

Values = Mapping[str, str]

_ZAP_ORDER = ("level", "development", "disableCaller", "disableStacktrace", "sampling", "encoding", "outputPaths",
              "errorOutputPaths", "initialFields", "encoderConfig")  # fmt: skip
_PROTOCOLS = {
    "tracing": ("none", "grpc", "http/protobuf", "stdout"),
    "metrics": ("none", "grpc", "http/protobuf", "prometheus"),
}
_PROMETHEUS_ENDPOINT = ":9092"
_EXPORT_INTERVAL_NS = 15_000_000_000


class ConfigProblem(ValueError):
    """The value of a key is invalid. The text names the key, shows the value, and says what to write."""


@dataclass(frozen=True)
class Observability:
    """The values of three variables of the adapter. They are empty if no ConfigMap is mounted."""

    logging: str = ""
    klog_verbosity: str = ""
    observability: str = ""


def logging_json(values: Values, component: str) -> str:
    """``K_LOGGING_CONFIG``. ``loglevel.<component>`` replaces the level; levels of other components are left out."""
    zap = values.get("zap-logger-config", "")
    if not zap:
        return ""
    parsed = _json_object("zap-logger-config", zap)
    if level := values.get(f"loglevel.{component}"):
        parsed = {**parsed, "level": level}
        ordered = {name: parsed[name] for name in (*_ZAP_ORDER, *parsed) if name in parsed}
        zap = json.dumps(ordered, separators=(",", ":"), ensure_ascii=False)
    return go_json({"zap-logger-config": zap})


def verbosity(values: Values) -> str:
    """``K_KLOG_VERBOSITY``."""
    text = values.get("klog-verbosity") or "0"
    if not re.fullmatch(r"[0-9]", text, re.ASCII):
        raise ConfigProblem(f'klog-verbosity is "{text}", write a number from 0 to 9')
    return text


def observability_json(values: Values) -> str:
    """``K_OBSERVABILITY_CONFIG``, compact, in the order of Knative's structs."""
    answer = {
        "tracing": _tracing(values),
        "metrics": _metrics(values),
        "runtime": {
            "profiling": _one_of(values, "runtime-profiling", ("disabled", "enabled")),
            "exportInterval": _interval(values, "runtime-export-interval") or _EXPORT_INTERVAL_NS,
        },
        "enableSinkEventErrorReporting": _bool(values, "sink-event-error-reporting.enable"),
    }
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


def _tracing(values: Values) -> dict[str, Json]:
    rate = _rate(values, "tracing-sampling-rate")
    return {**_exporter(values, "tracing"), **({"samplingRate": rate} if rate else {})}


def _metrics(values: Values) -> dict[str, Json]:
    exporter = _exporter(values, "metrics")
    if exporter["protocol"] == "prometheus":
        exporter.setdefault("endpoint", _PROMETHEUS_ENDPOINT)
    interval = _interval(values, "metrics-export-interval")
    return {**exporter, **({"exportInterval": interval} if interval else {})}


def _exporter(values: Values, section: str) -> dict[str, Json]:
    endpoint = values.get(f"{section}-endpoint")
    protocol = _one_of(values, f"{section}-protocol", _PROTOCOLS[section])
    return {"protocol": protocol, **({"endpoint": endpoint} if endpoint else {})}


def _one_of(values: Values, key: str, allowed: tuple[str, ...]) -> str:
    """The value of a key. The first allowed value is the default."""
    text = values.get(key) or allowed[0]
    if text not in allowed:
        raise ConfigProblem(f'{key} is "{text}", write one of {", ".join(allowed)}')
    return text


def _interval(values: Values, key: str) -> int:
    """Nanoseconds; 0 if the key is not set."""
    text = values.get(key)
    if not text:
        return 0
    try:
        return parse_duration(text)
    except ValueError:
        raise ConfigProblem(f'{key} is "{text}", write a duration like 30s') from None


def _rate(values: Values, key: str) -> float | int:
    text = values.get(key) or "0"
    if not re.fullmatch(r"0|1|[01]?\.[0-9]+", text, re.ASCII) or float(text) > 1:
        raise ConfigProblem(f'{key} is "{text}", write a number from 0 to 1')
    rate = float(text)
    return int(rate) if rate.is_integer() else rate


def _bool(values: Values, key: str) -> bool:
    text = (values.get(key) or "false").lower()
    if text not in ("true", "false"):
        raise ConfigProblem(f'{key} is "{text}", write true or false')
    return text == "true"


def _json_object(name: str, text: str) -> dict[str, Json]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ConfigProblem(f"{name} is not a JSON object")
    return value
