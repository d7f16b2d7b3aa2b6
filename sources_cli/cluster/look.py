"""Reads everything about one source, in parallel, into a :class:`Snapshot`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from adapter.contract.environment import HEALTH_PORT
from adapter.contract.formats import Json
from adapter.contract.kind_names import controller_label, plural
from hooks.names import child_name, get_in, list_in
from sources_cli.cluster.finding import ABSENT, Object, Read, Snapshot, deployment_name, served_sink
from sources_cli.cluster.kinds import DISCOVERY, ServedKind, ambiguous, not_found, served_kinds, source_kinds, wanted
from sources_cli.cluster.reader import METADATA, Reader
from sources_cli.cluster.selector import selects
from sources_cli.problem import Problem

CONTAINER = "receive-adapter"
LOG_LINES = "200"
PODS = 3  # of a source, whose logs and pages are read
_REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_CONTROLLERS = "/apis/metacontroller.k8s.io/v1alpha1/compositecontrollers"
_VOLUMES = (("Secret", "secret", "secretName"), ("ConfigMap", "configMap", "name"))


async def discover(reader: Reader) -> list[ServedKind]:
    """All kinds that the cluster serves. Raises ``Problem`` if that is unknown."""
    groups, core = await asyncio.gather(reader.get("/apis", DISCOVERY), reader.get("/api", DISCOVERY))
    if groups.problem:
        raise Problem(f"cannot read the kinds of the cluster: {groups.problem}")
    return [*served_kinds(groups.value), *served_kinds(core.value)]


async def find_source(reader: Reader, text: str, served: Iterable[ServedKind]) -> tuple[ServedKind, Object]:
    """The source that the user means. Raises ``Problem`` if there is none, or more than one."""
    target = wanted(text, source_kinds(served))
    paths = [kind.path(reader.namespace, target.name) for kind in target.kinds]
    reads = await asyncio.gather(*map(reader.get, paths))
    found = [(kind, read.value) for kind, read in zip(target.kinds, reads, strict=True) if read.value]
    if len(found) == 1:
        return found[0]
    if found:
        raise ambiguous(target.name, [kind for kind, _ in found])
    if problem := next((read.problem for read in reads if read.problem), ""):
        raise Problem(f"cannot read {target.kinds[0].kind} {reader.namespace}/{target.name}: {problem}")
    listed = await asyncio.gather(*(reader.list(kind.path(reader.namespace)) for kind in target.kinds))
    present = [
        (kind, one["metadata"]["name"]) for kind, read in zip(target.kinds, listed, strict=True) for one in read.items
    ]
    raise not_found(target, reader.namespace, present)


async def look_at(reader: Reader, kind: ServedKind, source: Object, served: Iterable[ServedKind]) -> Snapshot:
    """Reads in two rounds: what the source names, then what those objects name."""
    first = Snapshot(datetime.now(UTC), kind, source, tuple(served))
    first = _with(first, **await _all(_first_round(reader, first)))
    second = _with(first, **await _all(_second_round(reader, first)))
    return await _with_pages(reader, second)


def _with(snapshot: Snapshot, **reads: Any) -> Snapshot:
    binding = reads.pop("binding", None)
    if binding is not None:
        reads["metacontroller"] = _account(binding.value) or snapshot.metacontroller
    return replace(snapshot, **reads)


async def _all(reads: Mapping[str, Awaitable[Any]]) -> dict[str, Any]:
    return dict(zip(reads, await asyncio.gather(*reads.values()), strict=True))


def _first_round(reader: Reader, snapshot: Snapshot) -> dict[str, Awaitable[Any]]:
    source, kind = snapshot.source, snapshot.kind
    namespace, name = source["metadata"]["namespace"], source["metadata"]["name"]
    apps, selector = f"/apis/apps/v1/namespaces/{namespace}", {"labelSelector": _selector(source)}
    roles = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
    return {
        "controller": _controller(reader, kind, source),
        "binding": reader.get(f"{roles}/{kind.plural}.{kind.group}-metacontroller"),
        "deployments": reader.list(f"{apps}/deployments", **selector),
        "named_deployment": reader.get(f"{apps}/deployments/{deployment_name(source)}"),
        "replica_sets": reader.list(f"{apps}/replicasets", **selector),
        "pods": reader.list(f"/api/v1/namespaces/{namespace}/pods", **selector),
        "events": _events(reader, namespace, [name]),
        **_sink(reader, snapshot, ("sink",), "sink", "sink_slices"),
        **_sink(reader, snapshot, ("delivery", "deadLetterSink"), "dead_letter_sink", "dead_letter_slices"),
    }


def _selector(source: Object) -> str:
    name = child_name(source["metadata"]["name"], "")
    return f"knative-eventing-source={controller_label(source['kind'])},knative-eventing-source-name={name}"


async def _controller(reader: Reader, kind: ServedKind, source: Object) -> Read:
    """The CompositeController of the kind that selects the source by its labels."""
    read = await reader.list(_CONTROLLERS)
    if read.problem:
        return read
    for one in read.items:
        parent = get_in(one, "spec", "parentResource") or {}
        is_of_kind = (parent.get("resource"), _group(parent)) == (kind.plural, kind.group)
        if is_of_kind and selects(parent.get("labelSelector"), source["metadata"].get("labels") or {}):
            return Read(one)
    return ABSENT


def _group(document: Object) -> str:
    return str(document.get("apiVersion")).partition("/")[0]


async def _events(reader: Reader, namespace: str, names: Iterable[str]) -> Read:
    """The events of all objects with these names."""
    path = f"/api/v1/namespaces/{namespace}/events"
    reads = await asyncio.gather(*(reader.list(path, fieldSelector=f"involvedObject.name={name}") for name in names))
    problem = next((read.problem for read in reads if read.problem), "")
    items = [event for read in reads for event in read.items]
    return Read(items) if items or not problem else Read(problem=problem)


def _sink(
    reader: Reader, snapshot: Snapshot, path: tuple[str, ...], name: str, slices: str
) -> dict[str, Awaitable[Read]]:
    """``path``: of the destination in ``spec``. ``name``, ``slices``: of the fields of the snapshot."""
    ref = get_in(snapshot.source, "spec", *path, "ref")
    served = served_sink(snapshot, ref)
    if not served or not get_in(ref, "name"):
        return {}
    namespace, own = str(ref.get("namespace") or snapshot.source["metadata"]["namespace"]), str(ref["name"])
    reads: dict[str, Awaitable[Read]] = {name: reader.get(served.path(namespace, quote(own)))}
    if served.resource == "services":
        reads[slices] = _slices(reader, namespace, own)
    return reads


async def _slices(reader: Reader, namespace: str, service: str) -> Read:
    path = f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
    return await reader.list(path, labelSelector=f"kubernetes.io/service-name={service}")


def _second_round(reader: Reader, snapshot: Snapshot) -> dict[str, Awaitable[Any]]:
    namespace = snapshot.source["metadata"]["namespace"]
    owned = [*snapshot.deployments.items, *snapshot.replica_sets.items, *snapshot.pods.items]
    names = [snapshot.source["metadata"]["name"], *(one["metadata"]["name"] for one in owned)]
    account_namespace = snapshot.metacontroller.partition("/")[0]
    hook = get_in(snapshot.controller.value, "spec", "hooks", "sync", "webhook", "service") or {}
    return {
        "events": _events(reader, namespace, dict.fromkeys(names)),
        "references": _references(reader, namespace, snapshot),
        "metacontroller_pods": _pods_of(reader, account_namespace, snapshot.metacontroller.partition("/")[2]),
        **({"hook_slices": _slices(reader, hook["namespace"], hook["name"])} if hook.get("name") else {}),
        **({} if snapshot.is_current else {"forbidden": _forbidden(reader, snapshot)}),
    }


def _account(binding: Json) -> str:
    subject = next(iter(list_in(binding, "subjects")), None)
    name, namespace = get_in(subject, "name"), get_in(subject, "namespace")
    return f"{namespace}/{name}" if name and namespace else ""


async def _pods_of(reader: Reader, namespace: str, account: str) -> Read:
    read = await reader.list(f"/api/v1/namespaces/{namespace}/pods")
    own = [pod for pod in read.items if get_in(pod, "spec", "serviceAccountName") == account]
    return read if read.problem else Read(own)


async def _forbidden(reader: Reader, snapshot: Snapshot) -> Read:
    """The resources that Metacontroller must watch for this source, but may not watch."""
    namespace, _, name = snapshot.metacontroller.partition("/")
    user = f"system:serviceaccount:{namespace}:{name}"
    resources = list(dict.fromkeys(_watched(snapshot)))
    reads = await asyncio.gather(
        *(
            reader.create(_REVIEWS, _review(user, group, resource, verb))
            for group, resource in resources
            for verb in ("list", "watch")
        )
    )
    if problem := next((read.problem for read in reads if read.problem), ""):
        return Read(problem=problem)
    allowed = [bool(get_in(read.value, "status", "allowed")) for read in reads]
    pairs = zip(resources, allowed[::2], allowed[1::2], strict=True)
    return Read([f"{name}.{group}" if group else name for (group, name), *may in pairs if not all(may)])


def _watched(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    yield snapshot.kind.group, snapshot.kind.plural
    yield "apps", "deployments"
    spec = snapshot.source.get("spec")
    for ref in (get_in(spec, "sink", "ref"), get_in(spec, "delivery", "deadLetterSink", "ref")):
        if isinstance(get_in(ref, "kind"), str):
            yield str(ref.get("apiVersion")).rpartition("/")[0], plural(ref["kind"])


def _review(user: str, group: str, resource: str, verb: str) -> Json:
    attributes = {"group": group, "resource": resource, "verb": verb}
    return {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": user, "groups": ["system:serviceaccounts"], "resourceAttributes": attributes},
    }


async def _references(reader: Reader, namespace: str, snapshot: Snapshot) -> dict[str, Read]:
    """The metadata of each object that the pods need. The content of a Secret is never read."""
    names = sorted(set(needed(get_in(snapshot.deployment, "spec", "template", "spec"))))
    paths = (f"/api/v1/namespaces/{namespace}/{kind.lower()}s/{quote(name)}" for kind, name in names)
    reads = await asyncio.gather(*(reader.get(path, METADATA) for path in paths))
    return {f"{kind}/{name}": read for (kind, name), read in zip(names, reads, strict=True)}


def needed(pod: Json) -> Iterator[tuple[str, str]]:
    """Kind and name of the Secrets, ConfigMaps and claims without which the containers of ``pod`` do not start."""
    for volume in list_in(pod, "volumes"):
        for kind, field, key in _VOLUMES:
            if (of := get_in(volume, field)) and not of.get("optional"):
                yield kind, str(of.get(key))
        if claim := get_in(volume, "persistentVolumeClaim", "claimName"):
            yield "PersistentVolumeClaim", str(claim)
    for container in list_in(pod, "containers"):
        for variable in list_in(container, "env"):
            for kind, field in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
                if (of := get_in(variable, "valueFrom", field)) and not of.get("optional"):
                    yield kind, str(of.get("name"))


async def _with_pages(reader: Reader, snapshot: Snapshot) -> Snapshot:
    """The log, the readiness and the metrics of the newest pods. Without them, a note says why."""
    namespace = snapshot.source["metadata"]["namespace"]
    newest = sorted(snapshot.pods.items, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))[-PODS:]
    reads: dict[tuple[str, str], Awaitable[Read]] = {}
    for pod in newest:
        name = pod["metadata"]["name"]
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        if get_in(pod, "status", "phase") != "Running":
            continue
        reads["logs", name] = _log(reader, path)
        for page, field in (("/readiness", "readiness"), ("/metrics", "metrics")):
            reads[field, name] = reader.page(f"{path}:{_health_port(pod)}/proxy{page}")
    answers = dict(zip(reads, await asyncio.gather(*reads.values()), strict=True))
    pages: dict[str, dict[str, Read]] = {"logs": {}, "readiness": {}, "metrics": {}}
    for (field, name), read in answers.items():
        pages[field][name] = read if field == "readiness" or not read.value else Read(read.value[1])
    return _with(snapshot, **pages)


async def _log(reader: Reader, path: str) -> Read:
    return await reader.page(f"{path}/log", container=CONTAINER, tailLines=LOG_LINES, limitBytes=str(1 << 20))


def _health_port(pod: Object) -> int:
    ports = (port for container in list_in(pod, "spec", "containers") for port in list_in(container, "ports"))
    return next((port["containerPort"] for port in ports if port.get("name") == "health"), HEALTH_PORT)
