"""Laws of sources in a pool, for every order of edits, answers, outages, restarts, switches and lists.

The machine plays Metacontroller: it syncs a source, applies the answer, and gives the pool its lists.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from hooks.children.inputs import Pod
from hooks.controller import KindOptions, question, sync
from hooks.diagnosis.observed import find
from hooks.observability import Observability
from hooks.pool.listing import owner
from hooks.pool.question import refill
from hooks.pool.verdict import Told
from hooks.protocol import SyncRequest
from hooks.settings import Settings
from tests.unit.hooks.hook import UID, observed, parent
from tests.unit.hooks.pool.sources import pool_object

SETTINGS = Settings(adapter_image="adapter:1", namespace="hooks")
START = datetime(2026, 1, 1, tzinfo=UTC)
POOLED = KindOptions(types=("t",), pool="many")
ALONE = replace(POOLED, pool="")
SINKS = {
    "a": {"uri": "http://a"},
    "b": {"uri": "http://b"},
    "lost": {"ref": {"apiVersion": "v1", "kind": "Service", "name": "x"}},
}
STEPS = [
    *("sync", "list", "edit", "sink a", "sink b", "sink lost", "own", "suspend", "resume", "into pool", "out of pool"),
    *("pool down", "pool up", "pool restarts", "pool refuses", "pool accepts", "available", "unavailable"),
    "time passes",
]


@dataclass
class Machine:
    spec: dict[str, Any] = field(default_factory=lambda: {"interval": "10s", "sink": SINKS["a"]})
    options: KindOptions = POOLED
    status: Any = None
    generation: int = 1
    deployment: Any = None
    available: bool = True
    down: bool = False
    refuses: bool = False
    running: dict[str, str] | None = None  # the environment in the process
    silent: timedelta = timedelta(0)
    now: datetime = START

    def source(self) -> dict[str, Any]:
        whole = parent(self.spec, status=self.status)
        whole["metadata"]["generation"] = self.generation
        return whole

    def step(self, name: str) -> None:
        match name.split():
            case ["sync"]:
                self.sync()
            case ["list"]:
                self.list()
            case ["edit"]:
                self.edit(interval=f"{self.generation}s")
            case ["sink", which]:
                self.edit(sink=SINKS[which])
            case ["own"]:
                self.edit(serviceAccountName="" if self.spec.get("serviceAccountName") else "robot")
            case ["suspend"]:
                self.edit(suspend=True)
            case ["resume"]:
                self.edit(suspend=False)
            case ["into", _]:
                self.options = POOLED
            case ["out", *_]:
                self.options = ALONE
            case ["pool", "restarts"]:
                self.running = None
            case ["pool", what]:
                self.down, self.refuses = (
                    {"down": True, "up": False}.get(what, self.down),
                    {"refuses": True, "accepts": False}.get(what, self.refuses),
                )
                self.silent = self.silent if self.down else timedelta(0)
            case ["time", _]:
                self.now += timedelta(seconds=12)
                self.silent += timedelta(seconds=12) if self.down else timedelta(0)
            case [what]:
                self.available = what == "available"

    def edit(self, **fields: Any) -> None:
        if self.spec != (changed := {**self.spec, **fields}):
            self.spec, self.generation = changed, self.generation + 1

    def request(self) -> SyncRequest:
        children: dict[str, Any] = {}
        if self.deployment:
            children = (
                observed(self.deployment)
                if self.available
                else observed(self.deployment, availableReplicas=0, conditions=[])
            )
        return SyncRequest.model_validate(
            {"parent": self.source(), "children": children, "related": pool_object("True")}
        )

    def ask(self, request: SyncRequest) -> Told | None:
        asked = question(request, SETTINGS, observability=Observability(), options=self.options)
        if asked is None:
            return None
        if self.down:
            return Told(silent_for=self.silent)
        if not (asked.absent_only and self.running):
            self.running = dict(asked.environ) if asked.environ else None
        return Told("refused") if self.refuses and asked.environ else Told()

    def sync(self) -> None:
        request = self.request()
        told = self.ask(request)
        response = sync(request, SETTINGS, now=self.now, observability=Observability(), options=self.options, told=told)
        self.check(request, told, response)
        self.deployment = next(iter(response["children"]), None)
        self.status = {**response["status"], "observedGeneration": self.generation}

    def list(self) -> None:
        """As `/pool/sync` does. ``None``: the process ends the source."""
        if self.down:
            return
        found = owner(self.source())
        if found is None:
            self.running = None
        elif found and self.running is None and (asked := refill(self.source(), Pod("", Observability()), SETTINGS)):
            self.running = dict(asked.environ) if asked.environ else None

    def check(self, request: SyncRequest, told: Told | None, response: Any) -> None:
        status, old = response["status"], self.status
        ready = find(status, "Ready") or {}
        if told and ready["status"] == "True":
            kept = told.silent_for is not None and told.silent_for < timedelta(seconds=10)
            was = (find(old, "Ready") or {}).get("status") == "True" and old.get("pool") == "many" if old else False
            assert told == Told() or (kept and was and old["observedGeneration"] == self.generation)
            if told == Told():
                environ = question(request, SETTINGS, observability=Observability(), options=self.options)
                assert environ is not None
                assert self.running == environ.environ
        # A Deployment that runs ends only if the pool runs the source, and its lists say so.
        if self.deployment and not response["children"]:
            assert told == Told()
            assert old["pool"] == "many"
            assert self.running or self.spec.get("suspend")
        # The same status again, and later, is the same status.
        again = SyncRequest.model_validate(
            {
                "parent": self.source() | {"status": {**status, "observedGeneration": self.generation}},
                "children": request.children,
                "related": request.related,
            }
        )
        later = self.now if told and told.silent_for else self.now + timedelta(seconds=1)
        second = sync(again, SETTINGS, now=later, observability=Observability(), options=self.options, told=told)
        assert second["status"] == status

    @property
    def runs(self) -> bool:
        return bool(self.running) or (self.deployment is not None and self.deployment["spec"]["replicas"] == 1)


@given(st.lists(st.sampled_from(STEPS), max_size=25))
@settings(max_examples=300, deadline=None)
def test_ready_is_never_wrong_and_a_running_source_is_never_without_a_process(steps: list[str]) -> None:
    machine = Machine()
    for step in ["sync", *steps]:
        before = machine.runs
        machine.step(step)
        if step in ("sync", "list") and not machine.spec.get("suspend"):
            assert machine.runs or not before


@given(st.lists(st.sampled_from(STEPS), max_size=25), st.sampled_from([POOLED, ALONE]))
@settings(max_examples=200, deadline=None)
def test_everything_settles_in_exactly_one_process(steps: list[str], options: KindOptions) -> None:
    machine = Machine()
    for step in ["sync", *steps]:
        machine.step(step)
    for step in ["pool up", "pool accepts", "available", "resume", "sink a"]:
        machine.step(step)
    machine.options = options
    for _ in range(3):
        machine.step("sync")
        machine.step("list")
    assert (find(machine.status, "Ready") or {})["status"] == "True"
    in_pool = options is POOLED and not machine.spec.get("serviceAccountName")
    assert (bool(machine.running), bool(machine.deployment)) == (in_pool, not in_pool)
    assert (machine.status.get("pool") == "many") is in_pool


def test_the_machine_asks_about_its_source() -> None:
    """So the laws above are about environments, and not about None."""
    machine = Machine()
    machine.sync()
    assert machine.running
    assert machine.running["SOURCE_UID"] == UID
