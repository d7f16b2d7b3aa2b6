"""What one look at the cluster found: the objects, what is wrong with them, and the place for commands. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from adapter.contract.formats import Json, format_time, parse_time
from hooks.diagnosis.observed import find
from hooks.names import child_name, get_in, list_in
from sources_cli.cluster.kinds import ServedKind
from sources_cli.cluster.reasons.entry import Entry, Step
from sources_cli.cluster.reasons.table import TABLE

Object = dict[str, Any]
_LINK = re.compile(r"\[([^]]+)\]\([^)]*\)")
_UNLISTED = Entry(Step.DEPLOYMENT, "", "Remove the cause that the message names.")


@dataclass(frozen=True)
class Read:
    """The answer to one read. ``problem``: why the value is unknown. Without both, the object does not exist."""

    value: Json = None
    problem: str = ""

    @property
    def is_absent(self) -> bool:
        return self.value is None and not self.problem

    @property
    def items(self) -> list[Json]:
        """The objects of a list; empty if it is unknown or does not exist."""
        return self.value if isinstance(self.value, list) else []


UNREAD = Read(problem="not read")
ABSENT = Read()


@dataclass(frozen=True)
class Snapshot:
    """Everything that was read about one source. ``now``: when."""

    now: datetime
    kind: ServedKind
    source: Object
    served: tuple[ServedKind, ...] = ()
    controller: Read = UNREAD  # the CompositeController of the kind
    forbidden: Read = UNREAD  # list of resources that Metacontroller may not watch
    metacontroller: str = "metacontroller/metacontroller"  # <namespace>/<ServiceAccount>
    metacontroller_pods: Read = UNREAD
    hook_slices: Read = UNREAD  # EndpointSlices of the hook's Service
    deployments: Read = UNREAD  # with the labels of the source
    named_deployment: Read = UNREAD  # with the name that the adapter's Deployment needs
    replica_sets: Read = UNREAD
    pods: Read = UNREAD
    events: Read = UNREAD  # of the source and its objects
    sink: Read = UNREAD
    sink_slices: Read = UNREAD
    dead_letter_sink: Read = UNREAD
    dead_letter_slices: Read = UNREAD
    references: Mapping[str, Read] = field(default_factory=dict)  # "Secret/queue" -> its metadata
    logs: Mapping[str, Read] = field(default_factory=dict)  # name of a pod -> the last lines
    readiness: Mapping[str, Read] = field(default_factory=dict)  # name of a pod -> (status, text)
    metrics: Mapping[str, Read] = field(default_factory=dict)  # name of a pod -> text

    @property
    def deployment(self) -> Object | None:
        """The Deployment that the source controls."""
        uid = get_in(self.source, "metadata", "uid")
        owned = (one for one in self.deployments.items if owner_uid(one) == uid)
        return next(owned, None)

    @property
    def status(self) -> Json:
        return self.source.get("status") or {}

    @property
    def is_current(self) -> bool:
        """Whether the status describes the present ``spec``."""
        conditions = get_in(self.status, "conditions")
        return bool(conditions) and get_in(self.status, "observedGeneration") in (None, self._generation)

    @property
    def _generation(self) -> Json:
        return get_in(self.source, "metadata", "generation")


@dataclass(frozen=True)
class Finding:
    """One fault. ``since`` is an RFC 3339 time, or empty if it is unknown. ``command`` may be empty."""

    reason: str
    step: Step
    message: str
    since: str
    todo: str
    command: str
    docs: str


def finding(
    snapshot: Snapshot, reason: Json, message: str = "", since: Json = None, step: Step | None = None, **place: str
) -> Finding:
    """A finding with the texts of the table. ``place``: fields of the command that differ from those of the source."""
    entry = TABLE.get(str(reason), _UNLISTED)
    return Finding(
        str(reason),
        step or entry.step,
        message or plain(entry.when),
        since if isinstance(since, str) else format_time(since) if isinstance(since, datetime) else "",
        plain(entry.todo),
        entry.command.format_map(_Place(place_of(snapshot) | place)),
        entry.docs,
    )


class _Place(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name.upper()


def place_of(snapshot: Snapshot) -> dict[str, str]:
    """What the commands of the table name: the source and its objects."""
    meta, kind = snapshot.source["metadata"], snapshot.kind
    ref = object_in(snapshot.source, "spec", "sink", "ref")
    served = served_sink(snapshot, ref)
    hook = text_in(snapshot.controller.value, "spec", "hooks", "sync", "webhook", "service", "namespace")
    pod = next(iter(snapshot.pods.items), None)
    return {
        "namespace": meta["namespace"],
        "name": meta["name"],
        "resource": kind.resource,
        "deployment": deployment_name(snapshot.source),
        "pod": text_in(pod, "metadata", "name") or f"deployment/{deployment_name(snapshot.source)}",
        "selector": f"knative-eventing-source-name={child_name(meta['name'], '')}",
        "controller": text_in(snapshot.controller.value, "metadata", "name") or f"{kind.plural}.{kind.group}",
        "hook_namespace": hook or "sample-source",
        "metacontroller": snapshot.metacontroller.replace("/", ":"),
        "metacontroller_namespace": snapshot.metacontroller.partition("/")[0],
        "sink_kind": str(ref.get("kind") or "service"),
        "sink_resource": served.resource if served else str(ref.get("kind") or "service").lower(),
        "sink_namespace": str(ref.get("namespace") or meta["namespace"]),
        "sink_name": str(ref.get("name") or ""),
    }


def served_sink(snapshot: Snapshot, ref: Json) -> ServedKind | None:
    """The kind of ``ref``, if the cluster serves it."""
    group, kind = str(get_in(ref, "apiVersion") or "").rpartition("/")[0], get_in(ref, "kind")
    return next((one for one in snapshot.served if one.group == group and one.kind == kind), None)


def deployment_name(source: Object) -> str:
    """As ``hooks.children.names``; a test compares both."""
    meta = source["metadata"]
    return child_name(f"{str(source['kind']).lower()}-{meta['name']}-", str(meta.get("uid")))


def owner_uid(document: Json) -> Json:
    owners = get_in(document, "metadata", "ownerReferences") or []
    return next((owner.get("uid") for owner in owners if owner.get("controller")), None)


def condition(status: Json, type: str) -> Object:
    return find(status, type) or {}


def object_in(value: Json, *path: str) -> Object:
    """As ``get_in``; empty if the value is not an object."""
    found = get_in(value, *path)
    return found if isinstance(found, dict) else {}


def text_in(value: Json, *path: str) -> str:
    """As ``get_in``; empty if the value is not a text."""
    found = get_in(value, *path)
    return found if isinstance(found, str) else ""


def objects_in(value: Json, *path: str) -> list[Object]:
    """As ``list_in``, without what is not an object."""
    return [one for one in list_in(value, *path) if isinstance(one, dict)]


def seconds_since(text: Json, now: datetime) -> float | None:
    try:
        return (now - parse_time(str(text))).total_seconds()
    except ValueError:
        return None


def plain(text: str) -> str:
    """A text of the table without the marks of Markdown."""
    return _LINK.sub(r"\1", text).replace("`", "")
