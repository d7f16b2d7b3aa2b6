"""The fields of a source's ``spec`` that all kinds share, checked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import reduce
from typing import NamedTuple

from adapter.contract.auth.problems import problems as auth_problems
from adapter.contract.delivery_policy import Policy, read_policy
from adapter.contract.durations import Interval
from adapter.contract.environment import SHARED_FIELDS
from adapter.contract.formats import Json, is_printable, override_problem, quoted
from adapter.contract.kind_names import kind_problem, plural
from adapter.contract.timeouts import TIMEOUTS
from hooks.checkpoint import NONE, ONE_REPLICA, POD, Checkpoint, read_checkpoint
from hooks.names import get_in, is_dns_subdomain
from hooks.pod_settings.merge import copied, merge
from hooks.pod_settings.read import DEFAULT, grace_period_problem, read
from hooks.pod_settings.settings import InvalidSettings, PodSettings
from hooks.protocol import Parent

EVENT_SOURCE_ANNOTATION = "samples.knative.dev/event-source"


class InvalidSpec(ValueError):
    """The hook cannot use the spec. The text names the field, its value and what to write."""


class SourceSpec(NamedTuple):
    """A source with the checked fields that all kinds share. The fields of the kind are in ``config``, unchecked."""

    parent: Parent
    service_account: str
    interval: str | None
    extensions: Mapping[str, str] | None
    sink: Json
    sink_auth: Mapping[str, Json] | None
    dead_letter_sink: Json  # None: spec.delivery has none
    dead_letter_sink_auth: Mapping[str, Json] | None
    delivery: Mapping[str, Json] | None  # spec.delivery without its deadLetterSink and deadLetterSinkAuth
    policy: Policy  # parsed from ``delivery``
    config: Mapping[str, Json]
    listens: bool = False  # the CompositeController of the kind has Services as children
    polls: bool = False  # the adapter polls once more at its shutdown
    replicas: int = 1
    suspended: bool = False
    adapter: PodSettings = DEFAULT
    checkpoint: Checkpoint = NONE

    @property
    def event_source(self) -> str:
        """The CloudEvents ``source``: the annotation, or the path of the object in the Kubernetes API."""
        meta = self.parent.metadata
        chosen = (meta.annotations or {}).get(EVENT_SOURCE_ANNOTATION)
        path = f"/apis/{self.parent.apiVersion}/namespaces/{meta.namespace}/{plural(self.parent.kind)}/{meta.name}"
        return chosen or path


def read_source(
    parent: Parent,
    *,
    listens: bool = False,
    polls: bool = False,
    adapter: Json = None,
    copied_labels: tuple[str, ...] = (),
    checkpoint: Checkpoint | None = None,
) -> SourceSpec:
    """Check the shared fields. ``InvalidSpec`` for values that the CRD of this version rejects.

    ``adapter``: defaults for ``spec.adapter``. ``copied_labels``: names of labels that the pod gets, too.
    ``checkpoint``: the default of the cluster for ``spec.checkpoint``.
    """
    spec = parent.spec or {}
    if problem := kind_problem(parent.kind):  # no class refuses it for an adapter in another language
        raise InvalidSpec(problem)
    _check_event_source((parent.metadata.annotations or {}).get(EVENT_SOURCE_ANNOTATION))
    delivery, policy, dead_letter_sink = _delivery(spec.get("delivery"))
    # ``replicas`` of a kind that listens is for the Deployment only: in the pod's environment it would change the
    # template, and scaling would restart all pods.
    known = {*SHARED_FIELDS, "interval", *(("replicas",) if listens else ())}
    replicas = _replicas(spec.get("replicas")) if listens else 1  # each replica of a timer would send all events
    store = _checkpoint(spec.get("checkpoint"), checkpoint or (POD if polls else NONE), replicas)
    return SourceSpec(
        parent=parent,
        service_account=_service_account(spec.get("serviceAccountName")),
        interval=_interval(spec.get("interval")),
        extensions=_extensions(spec.get("ceOverrides")),
        sink=spec.get("sink"),
        sink_auth=_sink_auth(spec, "spec", "sinkAuth"),
        dead_letter_sink=dead_letter_sink,
        dead_letter_sink_auth=_sink_auth(spec.get("delivery"), "spec.delivery", "deadLetterSinkAuth"),
        delivery=delivery,
        policy=policy,
        config={key: value for key, value in spec.items() if key not in known},
        listens=listens,
        polls=polls,
        replicas=replicas,
        checkpoint=store,
        suspended=_suspended(spec.get("suspend")),
        adapter=_adapter(
            spec.get("adapter"),
            adapter,
            copied(parent.metadata.labels, copied_labels),
            TIMEOUTS.grace_period_s(
                policy.timeout_s,
                dead_letter=dead_letter_sink is not None,
                listens=listens,
                polls=polls,
                saves=store.has_store,
            ),
        ),
    )


def _adapter(value: Json, defaults: Json, labels: Mapping[str, str], derived_s: int) -> PodSettings:
    """The levels merged. A copied label is closer to the source than a default label, and ``value`` is the source's.

    ``derived_s``: the least ``terminationGracePeriodSeconds``. A smaller default has no effect; a smaller value in the
    source is an error.
    """
    levels = [level for level in (defaults, {"labels": labels} if labels else None, value) if level is not None]
    if not levels:
        return DEFAULT
    try:
        settings = read(reduce(merge, levels), "spec.adapter")
    except InvalidSettings as error:
        others = ["the defaults of the kind and of the cluster"] if defaults is not None else []
        others += ["copied labels"] if labels else []
        note = f" (merged with {' and '.join(others)})" if others else ""
        raise InvalidSpec(f"{error}{note}") from None
    if problem := grace_period_problem(settings, derived_s):
        if get_in(value, "terminationGracePeriodSeconds") is None:
            return replace(settings, grace_period_s=None)
        raise InvalidSpec(f"spec.adapter.terminationGracePeriodSeconds is {settings.grace_period_s}: {problem}")
    return settings


def _checkpoint(value: Json, default: Checkpoint, replicas: int) -> Checkpoint:
    try:
        checkpoint = default if value is None else read_checkpoint(value, "spec.checkpoint")
    except InvalidSettings as error:
        raise InvalidSpec(str(error)) from None
    if checkpoint.volume and replicas > 1:
        note = "" if value is not None else " (the volume is the default of the cluster)"
        raise InvalidSpec(f"spec.replicas is {replicas}: {ONE_REPLICA}{note}")
    return checkpoint


def _replicas(value: Json) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 32 else 1


def _suspended(value: Json) -> bool:
    if not isinstance(value, bool | None):
        raise InvalidSpec(f"spec.suspend is {quoted(value)}: write true or false")
    return value is True


def _service_account(value: Json) -> str:
    if value is None or value == "":
        return "default"
    if not isinstance(value, str) or not is_dns_subdomain(value):
        raise InvalidSpec(f"spec.serviceAccountName is {quoted(value)}: write the name of a ServiceAccount")
    return value


def _interval(value: Json) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidSpec(f'spec.interval is {quoted(value)}: write a duration in quotes, like "10s"')
    try:
        Interval(value)
    except ValueError as error:
        raise InvalidSpec(f"spec.interval: {error}") from None
    return value


def _extensions(overrides: Json) -> Mapping[str, str] | None:
    if overrides is None:
        return None
    extensions = get_in(overrides, "extensions")
    if not isinstance(overrides, dict) or not isinstance(extensions, dict | None):
        raise InvalidSpec(f'spec.ceOverrides is {quoted(overrides)}: write {{"extensions": {{"name": "value"}}}}')
    for name, value in (extensions or {}).items():
        if problem := override_problem(name):
            raise InvalidSpec(f"spec.ceOverrides.extensions: {problem}")
        if not isinstance(value, str):
            raise InvalidSpec(f"spec.ceOverrides.extensions.{name} is {quoted(value)}: write a string")
    return extensions or {}


def _sink_auth(parent: Json, path: str, name: str) -> Mapping[str, Json] | None:
    auth: Mapping[str, Json] | None = get_in(parent, name)
    if auth is None:
        return None
    for field, problem in auth_problems(auth):
        raise InvalidSpec(f"{'.'.join(map(str, (path, name, *field)))}: {problem}")
    if path == "spec.delivery" and get_in(parent, "deadLetterSink") is None:
        raise InvalidSpec(f"{path}.{name} is set without {path}.deadLetterSink: set it, or remove {name}")
    return auth


def _check_event_source(text: str | None) -> None:
    if text and not is_printable(text):
        raise InvalidSpec(
            f"annotation {EVENT_SOURCE_ANNOTATION} is {quoted(text)}: write a URI reference without spaces and control "
            "characters"
        )


def _delivery(value: Json) -> tuple[Mapping[str, Json] | None, Policy, Json]:
    """Three values: ``spec.delivery`` without its dead letter sink, the policy parsed from it, the dead letter sink."""
    if value is None:
        return None, Policy(), None
    if not isinstance(value, dict):
        raise InvalidSpec(f"spec.delivery is {quoted(value)}: write an object with retry, timeout, deadLetterSink, …")
    sinks = ("deadLetterSink", "deadLetterSinkAuth")
    delivery = {name: field for name, field in value.items() if name not in sinks and field is not None}
    try:
        policy = read_policy(delivery)
    except ValueError as error:
        raise InvalidSpec(f"spec.delivery.{error}") from None
    return delivery or None, policy, value.get("deadLetterSink")
