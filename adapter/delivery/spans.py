"""The spans of deliveries: one per event, and below it one per attempt. Imported only if spans are exported.

Names and attributes follow OpenTelemetry's conventions for messaging, HTTP and CloudEvents. The span of an event that
this source made has the ids of its ``traceparent``, so a sink continues it. An event that passes through keeps its
extensions: its span is below the one that they name.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
    use_span,
)

from adapter import __version__
from adapter.cloudevents.encode import Message
from adapter.contract.timeouts import TIMEOUTS
from adapter.delivery.attempt import Attempt, Disposition
from adapter.delivery.channel import Channel, OnAnswer
from adapter.delivery.delivery import Delivery
from adapter.model.event import Event, Outcome
from adapter.model.traces import TRACEPARENT, TRACESTATE, Continued, trace_fields
from adapter.serving.failures import without_secrets

_IDS = re.compile("..-(.{32})-(.{16})-(..).*")
STOPPED = "stopped"  # the code of an attempt that did not end


class Ids(RandomIdGenerator):
    """Random ids, unless ``next_trace`` or ``next_span`` is set: the next span has this one."""

    def __init__(self) -> None:
        self.next_trace = self.next_span = 0

    def generate_trace_id(self) -> int:
        chosen, self.next_trace = self.next_trace, 0
        return chosen or super().generate_trace_id()

    def generate_span_id(self) -> int:
        chosen, self.next_span = self.next_span, 0
        return chosen or super().generate_span_id()

    def is_trace_id_random(self) -> bool:
        return False  # this flag belongs to traceparent, and ours does not set it


class Tracing:
    """Makes spans. ``source``: the CloudEvents source of the adapter. ``secrets``: texts that no span may show."""

    def __init__(self, provider: TracerProvider, ids: Ids, source: str, secrets: Iterable[str]) -> None:
        self._provider = provider
        self._ids = ids
        self.source = source
        self.secrets = tuple(secrets)
        self.tracer = provider.get_tracer("sample-source", __version__)

    def start(self, name: str, event: Event, message: Message, attributes: dict[str, Any]) -> Span:
        """The span of an event."""
        value = event.extensions.get(TRACEPARENT) or message.headers.get("ce-traceparent", "")
        is_own = event.source is None and TRACEPARENT not in event.extensions
        parent = Context()
        if is_own:
            self._ids.next_trace = int(value[3:35], 16)
        elif trace_fields(value):
            above = value.parent if isinstance(value, Continued) else value
            parent = set_span_in_context(NonRecordingSpan(_context(above, event.extensions.get(TRACESTATE, ""))))
        if is_own or isinstance(value, Continued):
            self._ids.next_span = int(value[36:52], 16)
        return self.tracer.start_span(name, parent, SpanKind.PRODUCER, attributes)

    def channel(self, *arguments: Any, **options: Any) -> TracedChannel:
        return TracedChannel(*arguments, tracing=self, **options)

    def delivery(self, sink: Channel, *arguments: Any, **options: Any) -> TracedDelivery:
        return TracedDelivery(sink, *arguments, tracing=self, **options)

    async def aclose(self, limit_s: float = TIMEOUTS.flush_s) -> None:
        """Send the spans that are held, for at most ``limit_s``: a collector that hangs must not delay the end."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=shut_down, daemon=True).start()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), limit_s)


class TracedDelivery(Delivery):
    """A span for each event, from its first attempt to its outcome."""

    def __init__(self, sink: Channel, *arguments: Any, tracing: Tracing, **options: Any) -> None:
        super().__init__(sink, *arguments, **options)
        self._tracing = tracing
        self._destination = sink.destination.public_url

    async def deliver(self, event: Event, message: Message, **options: Any) -> Outcome:
        attributes = {**_of_event(event, self._tracing.source), "messaging.message.body.size": len(message.body)}
        attributes["messaging.destination.name"] = self._destination
        span = self._tracing.start(f"send {self._destination}", event, message, attributes)
        with _current(span):
            outcome = await super().deliver(event, message, **options)
            span.set_attribute("source.outcome", outcome.value)
            if outcome is Outcome.DELIVERED:
                return outcome
            span.set_status(StatusCode.ERROR, "the sink did not accept the event")
            return outcome


class TracedChannel(Channel):
    """A span for each attempt, which the header ``traceparent`` of its request names."""

    def __init__(self, *arguments: Any, tracing: Tracing, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._tracing = tracing
        self._attributes: dict[str, Any] = {
            "http.request.method": "POST",
            "url.full": self.destination.public_url,
            "server.address": self._target.host,
            "server.port": self._target.port,
        }

    async def post(self, message: Message, on_answer: OnAnswer = lambda attempt: None) -> Attempt:
        attempt = Attempt(Disposition.RETRY, STOPPED, "not finished")

        def on_status(answered: Attempt) -> None:
            nonlocal attempt
            attempt = answered
            on_answer(answered)

        span = self._tracing.tracer.start_span("POST", None, SpanKind.CLIENT, self._attributes)
        with _current(span):
            try:
                attempt = await super().post(_in_span(message, span), on_status)
                return attempt
            finally:
                self._show(span, attempt)

    def _show(self, span: Span, attempt: Attempt) -> None:
        if attempt.code.isdecimal():
            span.set_attribute("http.response.status_code", int(attempt.code))
        if attempt.disposition is not Disposition.ACCEPT:
            span.set_attribute("error.type", attempt.code)
            reason = without_secrets(attempt.reason, (*self._tracing.secrets, *self.secrets()))
            span.set_status(StatusCode.ERROR, _text(reason))


@contextlib.contextmanager
def _current(span: Span) -> Iterator[None]:
    """Spans that are started meanwhile in this task are below ``span``."""
    with use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        yield


def _in_span(message: Message, span: Span) -> Message:
    """An event that passes through has no header ``traceparent``, and gets none."""
    if TRACEPARENT not in message.headers:
        return message
    context = span.get_span_context()
    value = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    return Message(message.headers | {TRACEPARENT: value}, message.body)


def _context(traceparent: str, tracestate: str) -> SpanContext:
    # encode() has written or checked the value, so it always matches.
    trace, span, flags = (int(part, 16) for part in _IDS.fullmatch(traceparent).groups())  # type: ignore[union-attr]
    state = TraceState.from_header([tracestate])
    return SpanContext(trace, span, is_remote=True, trace_flags=TraceFlags(flags), trace_state=state)


def _of_event(event: Event, source: str) -> dict[str, Any]:
    attributes = {
        "messaging.system": "cloudevents",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.id": event.id,
        "cloudevents.event_id": event.id,
        "cloudevents.event_source": event.source or source,
        "cloudevents.event_type": event.type,
        "cloudevents.event_spec_version": "1.0",
        "cloudevents.event_subject": event.subject,
    }
    return {name: _text(value) for name, value in attributes.items() if value is not None}


def _text(value: str) -> str:
    """Without unpaired surrogates, which protobuf cannot encode."""
    return value.encode("utf-8", "replace").decode()
