"""Names and shapes of Kubernetes objects, and what a source's ``spec`` shares with all kinds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.durations import Interval
from adapter.contract.environment import SHARED_FIELDS
from adapter.contract.formats import extension_problem
from hooks.names import get_in, plural, quoted
from hooks.protocol import Parent

EVENT_SOURCE_ANNOTATION = "samples.knative.dev/event-source"
_PART = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_NAME = re.compile(rf"(?=.{{1,253}}\Z){_PART}(\.{_PART})*", re.ASCII)


_DEFAULT_POLICY = Policy()


class InvalidSpec(ValueError):
    """The source's spec cannot be honoured; the text names field, value and what to write."""


@dataclass(frozen=True)
class Source:
    """The part of a source every kind shares, checked."""

    parent: Parent
    service_account: str
    interval: str | None
    extensions: Mapping[str, str] | None
    delivery: Mapping[str, Any] | None  # spec.delivery without its deadLetterSink
    dead_letter_sink: Any  # None where spec.delivery names none
    config: Mapping[str, Any]  # the kind's own fields
    listens: bool = False  # its kind has a Service among its children

    @property
    def replicas(self) -> int:
        """Only a kind that listens shares its work; of a timer's replicas each would send the same events."""
        wanted = self.config.get("replicas") if self.listens else None
        return wanted if isinstance(wanted, int) and not isinstance(wanted, bool) and 1 <= wanted <= 32 else 1

    @property
    def policy(self) -> Policy:
        return read_policy(self.delivery) if self.delivery else _DEFAULT_POLICY

    @property
    def event_source(self) -> str:
        meta = self.parent.metadata
        chosen = (meta.annotations or {}).get(EVENT_SOURCE_ANNOTATION)
        path = f"/apis/{self.parent.apiVersion}/namespaces/{meta.namespace}/{plural(self.parent.kind)}/{meta.name}"
        return chosen or path


def read_source(parent: Parent, *, listens: bool = False) -> Source:
    """Check the shared fields; ``InvalidSpec`` where the CRD would have refused them."""
    spec = parent.spec or {}
    _check_event_source((parent.metadata.annotations or {}).get(EVENT_SOURCE_ANNOTATION))
    delivery, dead_letter_sink = _delivery(spec.get("delivery"))
    return Source(
        parent=parent,
        service_account=_service_account(spec.get("serviceAccountName")),
        interval=_interval(spec.get("interval")),
        extensions=_extensions(spec.get("ceOverrides")),
        delivery=delivery,
        dead_letter_sink=dead_letter_sink,
        listens=listens,
        config={key: value for key, value in spec.items() if key not in SHARED_FIELDS and key != "interval"},
    )


def _service_account(value: Any) -> str:
    if value is None or value == "":
        return "default"
    if not isinstance(value, str) or not _DNS_NAME.fullmatch(value):
        raise InvalidSpec(f"spec.serviceAccountName is {quoted(value)}: write the name of a ServiceAccount")
    return value


def _interval(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidSpec(f'spec.interval is {quoted(value)}: write a duration in quotes, like "10s"')
    try:
        Interval(value)
    except ValueError as error:
        raise InvalidSpec(f"spec.interval: {error}") from None
    return value


def _extensions(overrides: Any) -> Mapping[str, str] | None:
    if overrides is None:
        return None
    extensions = get_in(overrides, "extensions")
    if not isinstance(overrides, dict) or not isinstance(extensions, dict | None):
        raise InvalidSpec(f'spec.ceOverrides is {quoted(overrides)}: write {{"extensions": {{"name": "value"}}}}')
    for name, value in (extensions or {}).items():
        if problem := extension_problem(name):
            raise InvalidSpec(f"spec.ceOverrides.extensions: {problem}")
        if not isinstance(value, str):
            raise InvalidSpec(f"spec.ceOverrides.extensions.{name} is {quoted(value)}: write a string")
    return extensions or {}


def _check_event_source(text: str | None) -> None:
    if text and not (text.isprintable() and not any(char.isspace() for char in text)):
        raise InvalidSpec(
            f"annotation {EVENT_SOURCE_ANNOTATION} is {quoted(text)}: write a URI reference, without spaces or control "
            "characters"
        )


def _delivery(value: Any) -> tuple[Mapping[str, Any] | None, Any]:
    if value is None:
        return None, None
    if not isinstance(value, dict):
        raise InvalidSpec(f"spec.delivery is {quoted(value)}: write an object with retry, timeout, deadLetterSink, …")
    plain = {name: it for name, it in value.items() if name != "deadLetterSink" and it is not None}
    try:
        read_policy(plain)
    except ValueError as error:
        raise InvalidSpec(f"spec.delivery.{error}") from None
    return plain or None, value.get("deadLetterSink")
