"""Receives webhooks: authenticates the caller, and responds after the delivery of the event."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated

from pydantic import Field

from adapter.cloudevents.attributes import ReceivedEvent, canonical, media_type
from adapter.cloudevents.decode import CLOUDEVENTS_TYPES, Unsupported, is_structured, read_event
from adapter.contract.formats import VerbatimTimestamp, header_text, is_header_text, json_cost
from adapter.listening.authentication import Auth, auth_error
from adapter.sdk import Event, EventType, Listener, Refusal, Reply, Request

DEFAULT_TYPE = "dev.knative.webhook.request"
STRUCTURED_COST = 16 * 1024 * 1024  # bytes of the objects of one event in structured mode, while it is parsed
SIGNED_ID = "webhook-id"  # the only id header that Standard Webhooks sign
# GitLab: deliveries of one event to several webhooks share the UUID, and only Idempotency-Key survives a resend.
ID_HEADERS = ("x-github-delivery", SIGNED_ID, "idempotency-key", "x-gitlab-event-uuid")
_INVALID_IN_TYPE = re.compile(r"[^A-Za-z0-9._-]")
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]*$", max_length=64)]
Origin = Annotated[str, Field(pattern=r"^([*]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)$", max_length=253)]
HANDSHAKE_METHODS = ("POST", "OPTIONS")


class WebhookSource(Listener):
    """Receives HTTP requests and sends one event for each. CloudEvents are forwarded with their own attributes."""

    event_types = (EventType(DEFAULT_TYPE, "The body of a request, unchanged and with its content type."),)
    event_type_field = "eventType"

    auth: Auth | None = Field(None, description="How callers authenticate. Default: no authentication.")
    event_type: str = Field(
        DEFAULT_TYPE, alias="eventType", min_length=1, max_length=256, description="CloudEvents type of the events."
    )
    event_type_header: HeaderName = Field(
        "", alias="eventTypeHeader", description="Header whose value is appended to the type, such as X-GitHub-Event."
    )
    id_header: HeaderName = Field(
        "",
        alias="idHeader",
        description="Header with the caller's delivery id, which becomes the event id. Default: the first "
        "of X-GitHub-Delivery, webhook-id, Idempotency-Key and X-Gitlab-Event-UUID. With auth type standardWebhooks it "
        "is always webhook-id, which is signed. Without such a header, the event id is a digest of the body, the "
        "content type, the event type and the query.",
    )
    allowed_origins: list[Origin] = Field(
        default_factory=list,
        alias="allowedOrigins",
        description="Senders that may send events, by DNS name, such as eventemitter.example.com; * allows all. The "
        "source grants them permission in the OPTIONS handshake of CloudEvents. Without an origin, OPTIONS gets 405.",
    )

    @property
    def allowed_methods(self) -> tuple[str, ...]:
        return HANDSHAKE_METHODS if self.allowed_origins else self.methods

    async def receive(self, request: Request) -> Event | Reply:
        if request.method == "OPTIONS":
            return self._permission(request)
        if problem := auth_error(self.auth, request, request.received.timestamp()):
            raise Refusal(401, problem)
        if (encoding := request.headers.get("content-encoding", "identity").strip().lower()) not in ("", "identity"):
            raise Refusal(415, f"content encoding {encoding} is not supported", Accept_Encoding="identity")
        content_type = request.headers.get("content-type", "")
        if content_type and not is_header_text(content_type):
            raise Refusal(400, "Content-Type is not a media type: it must be printable ASCII")
        # Signatures do not cover ce- headers, so they are used only if the caller does not sign.
        binary = "ce-specversion" in request.headers and not (self.auth and self.auth.signs)
        if binary or is_structured(request):
            return forwarded_event(request)
        type = self._type(request)
        return Event(type=type, id=self._id(request, type), data=request.body, content_type=content_type or None)

    def _permission(self, request: Request) -> Reply:
        """Grants permission to send if the origin is allowed. It needs no credentials, and replaces none.

        https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md#4-abuse-protection
        """
        allow = ", ".join(self.allowed_methods)
        origin = request.headers.get("webhook-request-origin", "")
        if not origin:
            raise Refusal(400, "WebHook-Request-Origin is missing", Allow=allow)
        if origin.lower() not in (allowed.lower() for allowed in self.allowed_origins):
            if "*" not in self.allowed_origins:
                raise Refusal(403, "WebHook-Request-Origin is not in spec.allowedOrigins", Allow=allow)
            origin = "*"
        granted = {"Allow": allow, "WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"}
        return Reply(200, headers=granted)

    def _type(self, request: Request) -> str:
        value = header_text(request.headers.get(self.event_type_header.lower(), "")) if self.event_type_header else ""
        return f"{self.event_type}.{_INVALID_IN_TYPE.sub('_', value)[:128]}" if value else self.event_type

    def _id(self, request: Request, type: str) -> str:
        names = (self.id_header.lower(),) if self.id_header else ID_HEADERS
        if self.auth and self.auth.type == "standardWebhooks":
            names = (SIGNED_ID,)
        found = next((request.headers[name] for name in names if request.headers.get(name)), None)
        return header_text(found) if found else _digest(request, type)


def _digest(request: Request, type: str) -> str:
    """Differs if the body, the content type, the event type or the query differs. Equal for a resent request."""
    parts = json.dumps([type, request.headers.get("content-type", ""), request.query])
    return f"sha256-{hashlib.sha256(parts.encode() + request.body).hexdigest()}"


def forwarded_event(request: Request) -> Event:
    """The received CloudEvent with unchanged attributes and data. :class:`Refusal` if it is invalid."""
    if is_structured(request) and json_cost(request.body) > STRUCTURED_COST:
        raise Refusal(413, "the event has too many JSON values; send it in binary mode, with the data as the body")
    try:
        event = read_event(request)
    except Unsupported as error:
        raise Refusal(415, str(error)) from None
    except ValueError as error:
        raise Refusal(400, str(error)) from None
    if media_type(event.content_type).startswith(CLOUDEVENTS_TYPES):
        raise Refusal(
            400, "the data of the CloudEvent is a CloudEvent, which the sink would read as the event; wrap it in JSON"
        )
    return _event(event)


def _event(event: ReceivedEvent) -> Event:
    attributes = event.attributes
    return Event(
        type=attributes["type"],
        id=attributes["id"],
        source=attributes["source"],
        subject=attributes.get("subject"),
        time=VerbatimTimestamp.read(attributes["time"]) if "time" in attributes else None,
        dataschema=attributes.get("dataschema"),
        extensions={name: canonical(value) for name, value in event.extensions.items()},
        data=event.data or b"",
        content_type=event.content_type,
    )
