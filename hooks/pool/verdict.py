"""What the answer of a pool means for a source: its condition ``Deployed``, its children and the next sync. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from adapter.contract.formats import Json
from hooks.conditions import ConditionState, ConditionType
from hooks.diagnosis.observed import find
from hooks.diagnosis.reasons import Reason
from hooks.names import get_in
from hooks.protocol import Object, Objects, RelatedRule

API_VERSION, KIND, PLURAL = "samples.knative.dev/v1alpha1", "SourcePool", "sourcepools"
TROUBLED_KIND, TROUBLED_PLURAL = "TroubledSource", "troubledsources"
BRIEF = timedelta(seconds=10)  # an outage below this changes no status
AGAIN_AFTER_REFUSAL, AGAIN_AFTER_SILENCE = timedelta(seconds=30), timedelta(seconds=5)
AGAIN_AFTER_SWITCH = timedelta(seconds=1)
_LONGEST = 600  # characters of a text of the pool


@dataclass(frozen=True)
class Told:
    """The answer of a pool about one source. ``text``: empty if it runs exactly what was asked; else why not.

    ``silent_for``: how long the pool has not answered; None if it has.
    """

    text: str = ""
    silent_for: timedelta | None = None

    @property
    def is_yes(self) -> bool:
        return self.silent_for is None and not self.text


def related_rules(pool: str, namespace: str, uid: str) -> list[RelatedRule]:
    """The pool itself, and the object that exists while the pool has a problem with this source."""
    return [
        {"apiVersion": API_VERSION, "resource": PLURAL, "namespace": namespace, "names": [pool]},
        {"apiVersion": API_VERSION, "resource": TROUBLED_PLURAL, "namespace": namespace, "names": [uid]},
    ]


@dataclass(frozen=True)
class Member:
    """A source of a pool: the name and namespace of the pool, the source's present status, and the related objects.

    Without its SourcePool, the process is about to end, whatever it says.
    """

    pool: str
    namespace: str
    old_status: Json
    related: Objects = field(default_factory=dict)

    @property
    def _object(self) -> Object | None:
        """The SourcePool, unless it is missing or being deleted."""
        found = self.related.get(f"{KIND}.{API_VERSION}", {}).get(f"{self.namespace}/{self.pool}")
        return None if get_in(found, "metadata", "deletionTimestamp") else found

    @property
    def _is_ready(self) -> bool:
        return (find(get_in(self._object, "status"), ConditionType.READY) or {}).get("status") == "True"

    @property
    def marker(self) -> str | None:
        """The pool in the present status of the source."""
        found = get_in(self.old_status, "pool")
        return found if isinstance(found, str) else None

    def new_marker(self, told: Told) -> str:
        """A source that moves from one pool to another stays in the list of the old one until the new one runs it."""
        return self.pool if told.is_yes or self.marker is None else self.marker

    def replaces_deployment(self, told: Told, *, waits_for_sink: bool) -> bool:
        """Whether the source needs its old Deployment no longer.

        The status must show the pool already: the list of the pool's sources is made from it.
        """
        return told.is_yes and self._object is not None and self.marker == self.pool and not waits_for_sink

    def deployed(self, told: Told, *, suspended: bool, waits_for_sink: bool, unchanged: bool) -> ConditionState:
        """``Deployed`` is True only if the pool has said that it runs the source.

        ``unchanged``: neither the source nor its sinks differ from what the present status describes. Then the last
        answer counts while the pool has been silent only briefly, and its SourcePool does not say that it is lost:
        then nobody asks again.
        """
        name = f"SourcePool {self.namespace}/{self.pool}"
        if suspended:
            return _state("False", Reason.SUSPENDED, f"spec.suspend is true. {_suspended(name, told)}")
        if waits_for_sink:
            text = f"{name} starts the source when the sink is resolved; see SinkProvided. A source that runs goes on"
            return _state("Unknown", Reason.SINK_NOT_RESOLVED, text)
        if self._object is None:
            text = f"{name} does not exist; create it, or write the manifests of the kind without --pool"
            return _state("Unknown", Reason.POOL_NOT_ANSWERING, text)
        if told.silent_for is not None:
            counts = unchanged and self.marker == self.pool and self._is_ready
            last = find(self.old_status, ConditionType.DEPLOYED) if counts else None
            return (last and told.silent_for < BRIEF and _of(last)) or _state(
                "Unknown",
                Reason.POOL_NOT_ANSWERING,
                f"{name} does not answer, so it is unknown whether the source runs; see `kubectl describe sourcepool "
                f"{self.pool} -n {self.namespace}`",
            )
        if told.text:
            return _state("False", Reason.ADAPTER_REFUSED, f"{name} does not run the source: {_line(told.text)}")
        return ConditionState(ConditionType.DEPLOYED, "True")

    def resync_after(self, told: Told, *, waits_for_sink: bool, has_old: bool) -> timedelta | None:
        """When to ask again. A pool that is known to be lost is not asked: its next status causes a sync."""
        if self._object is None:
            return None
        if told.silent_for is not None:
            return AGAIN_AFTER_SILENCE if self._is_ready else None
        if told.text:
            return AGAIN_AFTER_REFUSAL
        return AGAIN_AFTER_SWITCH if has_old and not waits_for_sink and self.marker != self.pool else None


def _suspended(name: str, told: Told) -> str:
    resume = "To resume, set spec.suspend to false"
    if told.is_yes:
        return f"{name} does not run the source. {resume}"
    return f"{name} has not confirmed yet that it stopped the source. {resume}"


def _state(status: Literal["True", "False", "Unknown"], reason: str, message: str) -> ConditionState:
    return ConditionState(ConditionType.DEPLOYED, status, reason, message)


def _of(condition: Object) -> ConditionState | None:
    """The condition as it is; None if somebody has written other values."""
    status, reason, message = (condition.get(key, "") for key in ("status", "reason", "message"))
    if status not in ("True", "False", "Unknown") or not isinstance(reason, str) or not isinstance(message, str):
        return None
    if bool(reason) == (status == "True"):
        return None
    return _state(status, reason, message) if reason else ConditionState(ConditionType.DEPLOYED, "True")


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
