"""Stands for a collector of OpenTelemetry: an HTTP server that decodes the spans of OTLP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from tests.process.harness import wait_until

ERROR = 2  # Status.StatusCode of a failed span
CLIENT, PRODUCER = 3, 4  # SpanKind


@dataclass(frozen=True)
class ExportedSpan:
    """Ids are hexadecimal; ``parent`` is empty for the first span of a trace."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    status: int
    reason: str
    attributes: dict[str, Any]
    resource: dict[str, Any]

    @property
    def sent_id(self) -> Any:
        return self.attributes.get("cloudevents.event_id")


class Collector:
    """``requests``: path and headers of each request. ``status``: of its answers; None: it never answers."""

    def __init__(self, status: int | None = 200) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.status = status
        self._spans: list[ExportedSpan] = []
        self._ended = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.requests.append((self.path, headers))
                if collector.status is None:
                    collector._ended.wait()
                    return
                if collector.status == 200:
                    collector._read(gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body)
                self.send_response(collector.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def __enter__(self) -> Collector:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def spans(self) -> list[ExportedSpan]:
        return list(self._spans)

    def wait_for(self, enough: Callable[[list[ExportedSpan]], object], errors: list[str]) -> list[ExportedSpan]:
        """The spans so far. Waits until ``enough`` of them is true; ``errors`` is the log of the adapter."""
        wait_until(lambda: enough(self.spans), "the spans", lambda: (self.spans, errors))
        return self.spans

    def _read(self, body: bytes) -> None:
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = values(each.resource.attributes)
            for span in (span for scope in each.scope_spans for span in scope.spans):
                ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                status = (span.status.code, span.status.message)
                exported = ExportedSpan(span.name, span.kind, *ids, *status, values(span.attributes), resource)
                self._spans.append(exported)


def values(attributes: Any) -> dict[str, Any]:
    def value(attribute: KeyValue) -> Any:
        return getattr(attribute.value, attribute.value.WhichOneof("value") or "string_value")

    return {attribute.key: value(attribute) for attribute in attributes}
