"""What every kind's ``spec`` has beside the kind's own fields: models the CRD's schema and its descriptions come from.

The running hook does not use them: it reads leniently and answers with conditions, whatever a CRD let through.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from adapter.contract import delivery_policy as policy
from sources_cli.schema import rules
from sources_cli.schema.rules import Rule


def _checked(*listed: Rule) -> dict[str, Any]:
    return {"x-kubernetes-validations": [rule.as_schema() for rule in listed]}


def _text(max_length: int, description: str, *listed: Rule) -> Any:
    extra = _checked(*listed) if listed else None
    return Field(None, max_length=max_length, description=description, json_schema_extra=extra)


def _duration(default: str, description: str, *listed: Rule) -> Any:
    text = f"{description}; an ISO 8601 duration, like PT10S."
    return Field(default, max_length=32, description=text, json_schema_extra=_checked(*listed))


class Reference(BaseModel):
    """An object events are sent to: a Service, or anything with an address in its status, like a Broker."""

    model_config = {"json_schema_extra": _checked(*rules.REFERENCE)}

    apiVersion: str | None = _text(300, "The object's apiVersion, like v1.", rules.API_VERSION)
    kind: str | None = _text(63, "The object's kind, like Service.", rules.KIND)
    name: str | None = _text(253, "The object's name.", rules.OBJECT_NAME)
    namespace: str | None = _text(63, "The object's namespace; by default the source's own.", rules.NAMESPACE)
    address: str | None = _text(253, "Which of the object's status.addresses, by its name; by default the first.")
    port: int | str | None = Field(
        None,
        description="Which port of a Service, by number or name; by default the only one, the one named http, or 80.",
        json_schema_extra=_checked(rules.PORT),
    )


class Destination(BaseModel):
    """Where events go: an object (ref), a URL (uri), or a path below an object's address (both)."""

    model_config = {"json_schema_extra": _checked(*rules.SINK)}

    ref: Reference | None = None
    uri: str | None = _text(
        2048,
        "An absolute http(s) URL; beside ref, a path relative to the object's address.",
        rules.PRINTABLE,
        rules.PORT_OF_URL,
    )
    CACerts: str | None = _text(
        65536,
        "PEM certificates of the authorities that vouch for the sink, instead of the system's.",
        rules.CERTIFICATES,
    )
    audience: str | None = _text(
        1024, "OIDC audience of the sink; its requests carry a token of the adapter for it.", rules.PRINTABLE
    )


ExtensionValue = Annotated[str, Field(max_length=1024)]


class Overrides(BaseModel):
    """What is set on every event the source sends."""

    extensions: dict[str, ExtensionValue] | None = Field(
        None,
        max_length=16,
        description="CloudEvents extensions: name and value. They win over the event's own.",
        json_schema_extra=_checked(*rules.EXTENSIONS),
    )


class Delivery(BaseModel):
    """How often and how long a delivery is tried, and where events go that the sink does not take."""

    model_config = {"json_schema_extra": _checked(rules.HAS_DEAD_LETTER_SINK)}

    retry: int = Field(
        policy.RETRIES, ge=0, le=policy.MOST_RETRIES, description="How many attempts follow the first, at most."
    )
    backoffPolicy: Literal["exponential", "linear"] = Field(
        "exponential",
        description="How waits grow: exponential, backoffDelay*2^n before retry n, or linear, backoffDelay*n; at most "
        "30 seconds. Each wait is drawn from zero to that.",
    )
    backoffDelay: str = _duration(policy.BACKOFF_DELAY, "What waits grow from", rules.DELAY)
    timeout: str = _duration(policy.TIMEOUT, "How long one attempt may take", rules.TIMEOUT)
    retryAfterMax: str = _duration(
        policy.RETRY_AFTER_MAX, "The longest Retry-After of a sink that is honoured; PT0S ignores it", rules.DELAY
    )
    deadLetterSink: Destination | None = None


class SharedSpec(BaseModel):
    """What the source does, and where its events go."""

    model_config = {"json_schema_extra": _checked(rules.HAS_SINK)}

    sink: Destination | None = None
    ceOverrides: Overrides | None = None
    delivery: Delivery | None = None
    serviceAccountName: str = Field(
        "default",
        max_length=253,
        description="The ServiceAccount the adapter's pod runs as; it gets no token of it.",
        json_schema_extra=_checked(rules.OBJECT_NAME),
    )
