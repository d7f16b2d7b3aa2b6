"""The fields of ``spec`` that every kind has: models for the CRD's schema and the texts of ``kubectl explain``.

The running hook does not use them. It reads a source leniently and reports mistakes as conditions.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from adapter.contract import delivery_policy as policy
from adapter.contract.auth.fields import SinkAuth
from hooks.checkpoint import Checkpoint
from hooks.pod_settings.fields import AdapterFields
from hooks.pod_settings.shapes import NULLABLE
from sources_cli.schema import rules
from sources_cli.schema.rules import Rule, validations


def _string(max_length: int, description: str, *listed: Rule) -> Any:
    extra = validations(*listed) if listed else None
    return Field(None, max_length=max_length, description=description, json_schema_extra=extra)


def _iso_duration(default: str, description: str, rule: Rule) -> Any:
    extra = validations(rule)
    text = f"{description} An ISO 8601 duration, like PT10S."
    return Field(default, max_length=32, description=text, json_schema_extra=extra)


class SinkRef(BaseModel):
    """The object that receives the events: a Service, or an object with an address in its status, like a Broker."""

    model_config = {"json_schema_extra": validations(*rules.OBJECT_REFERENCE)}

    apiVersion: str | None = _string(300, "The object's apiVersion, like v1.", rules.API_VERSION)
    kind: str | None = _string(63, "The object's kind, like Service.", rules.KIND)
    name: str | None = _string(253, "The object's name.", rules.OBJECT_NAME)
    namespace: str | None = _string(63, "The object's namespace. Default: the source's.", rules.NAMESPACE)
    address: str | None = _string(253, "The name of one of the object's status.addresses. Default: the first.")
    port: int | str | None = Field(
        None,
        description="The TCP port of a Service, by number or name. Default: its only one, else the port named http, "
        "else port 80. With CACerts: its only one, else the port named https, else port 443. A port with appProtocol "
        "https, with the name https, or with the number 443 is addressed by https.",
        json_schema_extra=validations(rules.PORT),
    )


class SinkFields(BaseModel):
    """Where to send the events: to an object (ref), to a URL (uri), or to a path of an object's URL (both)."""

    model_config = {"json_schema_extra": validations(*rules.SINK)}

    ref: SinkRef | None = None
    uri: str | None = _string(
        2048,
        "An absolute http(s) URL. With ref: a path relative to the object's URL.",
        rules.PRINTABLE,
        rules.PORT_OF_URL,
    )
    CACerts: str | None = _string(
        65536, "PEM CA certificates to trust for the sink, in addition to those of the system.", rules.CERTIFICATES
    )
    audience: str | None = _string(
        1024, "The OIDC audience of the sink. Requests to the sink contain a token for it.", rules.PRINTABLE
    )


ExtensionValue = Annotated[str, Field(max_length=1024)]


class CEOverrides(BaseModel):
    """Attributes to set on every event that the source sends."""

    extensions: dict[str, ExtensionValue] | None = Field(
        None,
        max_length=16,
        description="CloudEvents extensions, by name. They replace extensions of the same name in the event.",
        json_schema_extra=validations(*rules.EXTENSIONS),
    )


class DeliveryFields(BaseModel):
    """Retries, timeouts, and the destination of events that the sink does not accept."""

    model_config = {
        "json_schema_extra": validations(
            rules.HAS_DEAD_LETTER_SINK,
            rules.DEAD_LETTER_SINK_OF_AUTH,
            *rules.sink_auth("deadLetterSink", "deadLetterSinkAuth"),
        )
    }

    retry: int = Field(
        policy.RETRIES,
        ge=0,
        le=policy.MOST_RETRIES,
        description="The maximum number of retries after the first attempt.",
    )
    backoffPolicy: Literal["exponential", "linear"] = Field(
        "exponential",
        description="How the upper limit of the wait before retry n grows: exponential (backoffDelay*2^n) or linear "
        "(backoffDelay*n), up to 30 seconds. Each wait is random, from zero to that limit.",
    )
    backoffDelay: str = _iso_duration(policy.BACKOFF_DELAY, "The base of the wait between retries.", rules.DELAY)
    timeout: str = _iso_duration(policy.TIMEOUT, "The timeout of one attempt.", rules.TIMEOUT)
    connectTimeout: str = _iso_duration(
        policy.CONNECT_TIMEOUT,
        "The longest time to look up the name of the sink and to open a connection. When it is over, the attempt opens "
        "a second connection at once. The time of both counts towards timeout.",
        rules.TIMEOUT,
    )
    retryAfterMax: str = _iso_duration(
        policy.RETRY_AFTER_MAX, "The longest wait for a Retry-After of the sink; PT0S ignores Retry-After.", rules.DELAY
    )
    deadLetterSink: SinkFields | None = None
    deadLetterSinkAuth: SinkAuth | None = Field(None, description="How requests to deadLetterSink are authenticated.")


class SharedSpec(BaseModel):
    """The desired state of the source."""

    model_config = {"json_schema_extra": validations(rules.HAS_SINK, *rules.sink_auth("sink", "sinkAuth"))}

    sink: SinkFields | None = None
    sinkAuth: SinkAuth | None = None
    ceOverrides: CEOverrides | None = None
    delivery: DeliveryFields | None = None
    suspend: bool = Field(
        False,
        description="If true, the source has no pod and sends no events. Nothing is deleted. Ticks that are due "
        "meanwhile are missed ticks; see spec.missed of the kinds that have it.",
    )
    serviceAccountName: str = Field(
        "default",
        max_length=253,
        description="The ServiceAccount of the adapter's pod. Its token is not mounted.",
        json_schema_extra=validations(rules.OBJECT_NAME),
    )
    adapter: AdapterFields | None = Field(None, json_schema_extra=NULLABLE)
    checkpoint: Checkpoint | None = None
