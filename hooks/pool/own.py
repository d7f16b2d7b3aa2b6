"""A SourcePool itself: the objects that it needs, its children and its status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapter.contract.formats import Json, quoted
from adapter.contract.kind_names import plural
from hooks import conditions, rollouts
from hooks.children.deployment import TEMPLATE_HASH
from hooks.conditions import ConditionState, ConditionType
from hooks.diagnosis.observed import find, transition_time
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in
from hooks.observability import Observability
from hooks.pod_settings.settings import InvalidSettings, PodSettings
from hooks.pool import children
from hooks.pool.spec import SourcePoolSpec, read_pool_name, read_pool_spec, split_kind
from hooks.pool.verdict import AGAIN_AFTER_SILENCE, API_VERSION, BRIEF, TROUBLED_KIND
from hooks.protocol import CustomizeResponse, Object, Objects, Parent, PoolResponse
from hooks.settings import Settings

DEPLOYMENTS, TROUBLED = "Deployment.apps/v1", f"{TROUBLED_KIND}.{API_VERSION}"
AGAIN_AFTER_KEEP = timedelta(seconds=2)
LEAST_WAIT = timedelta(seconds=1)


@dataclass(frozen=True)
class Pool:
    """A SourcePool whose spec can be used."""

    parent: Parent
    spec: SourcePoolSpec
    pod: PodSettings


@dataclass(frozen=True)
class Answer:
    """What the process of a pool said to its list. ``silent_for``: how long it has not answered; None if it has.

    ``troubled``: uid of a source -> its problem. ``again``: it wants the list once more.
    """

    filled: bool = False
    again: bool = False
    troubled: Mapping[str, str] | None = None
    silent_for: timedelta | None = None


def read_pool(parent: Parent, namespace: str) -> Pool:
    """``InvalidSettings`` for values that the CRD rejects, and outside ``namespace``, which is that of the hook.

    The URL of a process has only the name of its SourcePool. So the list of a SourcePool in another namespace would go
    to the process of another one.
    """
    if parent.metadata.namespace != namespace:
        found = quoted(parent.metadata.namespace)
        raise InvalidSettings(f"metadata.namespace is {found}: create the SourcePool in {namespace}, as the hook is")
    try:
        read_pool_name(parent.metadata.name)
    except ValueError as error:
        raise InvalidSettings(f"metadata.name is {quoted(parent.metadata.name)}: {error}") from None
    spec = read_pool_spec(parent.spec)
    return Pool(parent, spec, children.pod_settings(get_in(parent.spec, "adapter")))


def customize(parent: Parent) -> CustomizeResponse:
    """All sources of the kinds of the pool, in all namespaces. None while its spec cannot be used."""
    try:
        kinds = read_pool_spec(parent.spec).kinds
    except InvalidSettings:
        return {"relatedResources": []}
    split = [split_kind(kind) for kind in dict.fromkeys(kinds)]
    return {"relatedResources": [{"apiVersion": version, "resource": plural(kind)} for version, kind in split]}


def invalid(parent: Parent, message: str, now: datetime) -> PoolResponse:
    state = ConditionState(ConditionType.READY, "False", Reason.INVALID_SPEC, message)
    return {"status": {"conditions": conditions.update(parent.status, [state], now=now)}, "children": []}


def sync(
    pool: Pool, observed: Objects, answer: Answer, settings: Settings, *, now: datetime, observability: Observability
) -> PoolResponse:
    """``observed``: the present children."""
    parent = pool.parent
    wanted = children.deployment(parent, pool.spec.image, pool.pod, settings, observability)
    found = _named(observed.get(DEPLOYMENTS, {}), parent)
    deployed, wait = _deployed(wanted, found, parent.status, now)
    ready = conditions.ready(deployed, _answering(answer, parent))
    status = conditions.update(parent.status, [deployed, ready], now=now)
    problems = answer.troubled if answer.troubled is not None else _problems(observed)
    wanted_children = [wanted, children.service(parent), *children.troubled(parent, problems)]
    response: PoolResponse = {"status": {"conditions": status}, "children": wanted_children}
    waits = [wait, AGAIN_AFTER_KEEP if answer.again else None]
    if answer.silent_for is not None and deployed.status == "True":
        # Soon at first: a process that has just started waits for its list.
        waits.append(min(max(answer.silent_for, LEAST_WAIT), AGAIN_AFTER_SILENCE))
    if shortest := min((each for each in waits if each), default=None):
        response["resyncAfterSeconds"] = shortest.total_seconds()
    return response


def _named(objects: Mapping[str, Object], parent: Parent) -> Object | None:
    name = parent.metadata.name
    return objects.get(f"{parent.metadata.namespace}/{name}") or objects.get(name)


def _problems(observed: Objects) -> dict[str, str]:
    """Those that the children have now: without an answer, nothing is known about them."""
    found = ((get_in(each, "metadata", "name"), get_in(each, "spec", "problem")) for each in _troubled(observed))
    return {name: problem for name, problem in found if isinstance(name, str) and isinstance(problem, str)}


def _troubled(observed: Objects) -> list[Object]:
    return [*observed.get(TROUBLED, {}).values()]


def _deployed(
    wanted: Object, observed: Object | None, old_status: Json, now: datetime
) -> tuple[ConditionState, timedelta | None]:
    """The condition, and when to sync again. A pod that is away only briefly changes nothing.

    Each change of this status is a sync of every source of the pool.
    """
    deployed = rollouts.deployed_condition(
        wanted, observed, old_status=old_status, now=now, listens=True, suspended=False
    )
    wait = rollouts.resync_after(deployed, observed, old_status=old_status, now=now)
    old = find(old_status, ConditionType.DEPLOYED) or {}
    if observed is None or deployed.status == "True" or old.get("status") != "True":
        return deployed, wait
    if get_in(observed, "metadata", "annotations", TEMPLATE_HASH) != wanted["metadata"]["annotations"][TEMPLATE_HASH]:
        return deployed, wait
    since = transition_time(get_in(observed, "status"), "Available", "False")
    if since is None or now - since >= BRIEF:
        return deployed, wait
    return ConditionState(ConditionType.DEPLOYED, "True"), since + BRIEF - now


def _answering(answer: Answer, parent: Parent) -> ConditionState:
    """What the process says of itself."""
    name = parent.metadata.name
    if answer.silent_for is None:
        if answer.filled:
            return ConditionState(ConditionType.READY, "True")
        text = f"SourcePool {name} has not got the list of its sources yet"
        return ConditionState(ConditionType.READY, "Unknown", Reason.ADAPTER_STARTING, text)
    old = find(parent.status, ConditionType.READY) or {}
    if old.get("status") == "True" and answer.silent_for < BRIEF:
        return ConditionState(ConditionType.READY, "True")
    where = f"kubectl logs -n {parent.metadata.namespace} deployment/{name}"
    text = f"Deployment {name} does not answer the hook on port {children.POOL_PORT}; see the hook's log, and `{where}`"
    return ConditionState(ConditionType.READY, "Unknown", Reason.POOL_NOT_ANSWERING, text)
