"""Whether spans are exported, and where to: the standard variables of OpenTelemetry.

https://opentelemetry.io/docs/specs/otel/protocol/exporter/. The variables that are not here are read by OpenTelemetry,
which is imported only if an endpoint is set.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from adapter.contract.declarations import HIDDEN, EnvError
from adapter.contract.egress import Egress
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import is_http_url

if TYPE_CHECKING:
    from adapter.delivery.spans import Tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
PROTOCOL = "http/protobuf"
_REMEDY = "build the image with --build-arg LOCK=otlp.lock, or remove the variable"


def open_tracing(env: AdapterEnv, log: logging.Logger) -> Tracing | None:
    """None if no spans are exported. ``EnvError`` for a variable that cannot be used.

    Without the packages of OpenTelemetry there is a warning, because an adapter must not stop for its traces.
    """
    variable = endpoint_variable(env.otel, env.egress)
    if variable is None:
        return None
    try:
        from adapter.delivery.exporter import tracing
    except ImportError as error:
        fields = {"variable": variable, "missing": error.name, "remedy": _REMEDY}
        log.warning("no traces are exported: OpenTelemetry is not installed", extra={"fields": fields})
        return None
    return tracing(env, env.otel[variable])


def endpoint_variable(variables: Mapping[str, str], egress: Egress) -> str | None:
    """The variable with the endpoint; None if no spans are exported."""
    variable = next((name for name in ENDPOINTS if variables.get(name)), None)
    if variable is None or variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    exporter = variables.get("OTEL_TRACES_EXPORTER", "otlp").strip()
    if exporter == "none":
        return None
    if exporter != "otlp":
        raise EnvError("OTEL_TRACES_EXPORTER", exporter, "write otlp or none")
    name = next((name for name in PROTOCOLS if variables.get(name)), None)
    if name and variables[name].strip() != PROTOCOL:
        raise EnvError(name, variables[name], f"write {PROTOCOL}, and the port of the collector for it, often 4318")
    if not is_http_url(variables[variable]):
        raise EnvError(variable, HIDDEN, "write an absolute http(s) URL like http://otel-collector.example.svc:4318")
    if problem := egress.host_problem(urlsplit(variables[variable]).hostname or ""):
        raise EnvError(variable, HIDDEN, problem)
    return variable
