"""Sends spans to a collector by OTLP over HTTP, in a thread of OpenTelemetry. Imported only if spans are exported.

The queue is bounded. If the collector is slow or down, spans are dropped, and events are not delayed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NewConnectionError

from adapter import __version__
from adapter.contract.declarations import HIDDEN, EnvError
from adapter.contract.egress import Egress
from adapter.contract.environment import AdapterEnv
from adapter.delivery.spans import Ids, Tracing


def tracing(env: AdapterEnv, endpoint: str) -> Tracing:
    ids = Ids()
    try:
        provider = TracerProvider(resource=resource(env), id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(session=session(env, endpoint))))
    except ValueError as error:  # most texts do not name the variable
        raise EnvError(_limits(env.otel), HIDDEN, f"OpenTelemetry says: {error}") from None
    return Tracing(provider, ids, env.source, tuple(env.secret_texts()))


def _limits(variables: Mapping[str, str]) -> str:
    """The variables that may have caused an error of OpenTelemetry."""
    names = sorted(name for name in variables if name.startswith(("OTEL_BSP_", "OTEL_SPAN_", "OTEL_ATTRIBUTE_")))
    return ", ".join(names) or "a variable OTEL_<name>"


def resource(env: AdapterEnv) -> Resource:
    """Who sends the spans. ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` replace attributes."""
    attributes = {
        "service.name": env.name,
        "service.namespace": env.namespace,
        "service.version": __version__,
        "k8s.namespace.name": env.namespace,
        "source.kind": env.kind,
        "source.name": env.name,
        "source.uid": env.identity,
    }
    return Resource.create(attributes).merge(OTELResourceDetector().detect())


def session(env: AdapterEnv, endpoint: str) -> Session:
    """Follows the rules of the adapter for proxies and networks, not those of ``requests``."""
    made, parts, egress = Session(), urlsplit(endpoint), env.egress
    made.trust_env = False
    is_https = parts.scheme == "https"
    if egress.proxies.proxy_for(parts.hostname or "", parts.port, is_https=is_https):
        made.proxies = {parts.scheme: str(env.https_proxy if is_https else env.http_proxy)}
        return made
    for scheme in ("http://", "https://"):
        made.mount(scheme, _adapter(egress))
    return made


def _adapter(egress: Egress) -> HTTPAdapter:
    """Connects only to allowed addresses: they are known when a connection is made."""

    class Checked:
        def _new_conn(self) -> Any:
            sock = super()._new_conn()  # type: ignore[misc]  # the classes below add the base
            if problem := egress.address_problem(sock.getpeername()[0]):
                sock.close()
                raise NewConnectionError(self, problem)  # type: ignore[arg-type]  # as above
            return sock

    class Http(Checked, HTTPConnection): ...

    class Https(Checked, HTTPSConnection): ...

    class HttpPool(HTTPConnectionPool):
        ConnectionCls = Http

    class HttpsPool(HTTPSConnectionPool):
        ConnectionCls = Https

    adapter = HTTPAdapter()
    adapter.poolmanager.pool_classes_by_scheme = {"http": HttpPool, "https": HttpsPool}
    return adapter
