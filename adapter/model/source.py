"""The base class of every kind. Its fields are the kind's ``spec``; its ``events()`` yields the events.

Authors subclass :class:`~adapter.timing.timer.Timer`, :class:`~adapter.polling.poller.Poller` or
:class:`~adapter.listening.listener.Listener`; anything else subclasses :class:`Source`.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from adapter.contract.durations import Interval
from adapter.contract.egress import Egress
from adapter.contract.environment import SHARED_FIELDS
from adapter.contract.formats import quoted
from adapter.contract.kind_names import api_version_problem, kind_problem, short_name_problem
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome, with_defaults

Callback = Callable[[], Awaitable[None]]


class Send(Protocol):
    async def __call__(self, event: Event, *, timeout_s: float) -> Outcome: ...


async def _no_delivery(event: Event, *, timeout_s: float) -> Outcome:
    raise RuntimeError("context.send() works only in a running adapter")


@dataclass(frozen=True)
class Context:
    """The identity of a source, and functions of its adapter. ``events()`` and ``running()`` get it as an argument.

    Use ``clock.sleep_until()`` instead of ``asyncio.sleep()``, so that tests take no time.

    ``send(event, timeout_s=…)`` delivers an event while a caller waits, and returns its :class:`Outcome`. It is for
    sources that receive events instead of generating them. ``timeout_s``: seconds for all attempts, including those
    at the dead letter sink. Outside an adapter it raises ``RuntimeError``.

    ``set_unready(reason)`` makes ``/readiness`` answer 503 with the reason, until ``set_unready(None)``. A source that
    must connect first calls it before its first ``await``; otherwise it counts as ready once it has started.

    ``checkpoint.load()`` returns the value that was saved last, by this process or an earlier one of the source. It is
    None at the first start. ``checkpoint.save(value)`` keeps a JSON value of at most 64 KiB: ``TypeError`` if it is not
    JSON, ``ValueError`` if it is longer. Save after the ``yield`` that returned the outcome, because what is saved
    counts as delivered. ``spec.checkpoint`` says where the value is stored. Without a store, it is lost when the
    process ends. Timers and pollers save their own position there.

    ``on_shutdown(callback)`` registers a coroutine function that runs on SIGTERM for at most 2 seconds, or 10 seconds
    if the class has ``is_poller = True``. Events are pulled and sent until it ends. A Poller polls once more at the
    same time, so close what ``poll()`` uses in :meth:`~adapter.model.source.Source.running` instead.
    """

    source: str  # CloudEvents source of the events
    uid: str  # metadata.uid of the resource
    created: datetime  # metadata.creationTimestamp of the resource
    clock: Clock  # now() returns a datetime, sleep_until(datetime) waits
    log: logging.Logger  # writes JSON lines to stderr
    send: Send = _no_delivery  # await send(event, timeout_s=8) returns the outcome
    set_unready: Callable[[str | None], None] = lambda reason: None  # with None, the source is ready again
    count_missed: Callable[[int], None] = lambda count: None  # adds to source_events_total, outcome "skipped"
    count_poll: Callable[[str, int], None] = lambda outcome, count: None  # adds to source_polls_total
    on_shutdown: Callable[[Callback], None] = lambda callback: None  # registers a coroutine function
    worker: int = 0  # number of this call of Source.events(), from 0
    workers: int = 1  # number of calls of Source.events(), from Source.workers()
    port: int = 8888  # port for the requests to kinds with listens = True
    trust_bundles: Path | None = None  # directory of PEM files to trust; the files may change
    tls_secrets: Path | None = None  # directory with the files of the Secrets in fields `tls.secretName`
    checkpoint: Checkpoint = field(default_factory=Checkpoint)  # load() and save() a small value
    egress: Egress = field(default_factory=Egress)  # which servers may be connected to, and by which proxy


def with_id_and_time(event: Event, context: Context) -> Event:
    """Set the id and the time if the source did not, so that all attempts to deliver the event have the same.

    An event of another system has its own ``source``. It gets no time: the adapter does not know it.
    """
    if not isinstance(event, Event):
        raise TypeError(f"the source yielded {type(event).__name__}; yield an Event")
    if event.id is not None and event.time is not None:
        return event
    now = context.clock.now() if event.source is None else None
    return with_defaults(event, event.id or f"{context.uid}-{uuid.uuid4()}", now)


_BASE_CLASSES = ("adapter.timing.", "adapter.polling.", "adapter.listening.")


class ClassAttribute:
    """An attribute of the class of a kind that is no field of its ``spec``. It is written without a type."""

    def problem(self, cls: type[Source]) -> str | None:
        """Why ``cls`` cannot have this attribute, or None."""
        return None

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        raise TypeError(f"an {cls.__name__} is no field; write it without a type, like `since = {cls.__name__}(…)`")


class Source(BaseModel):
    """Base class of every kind. Its fields are the fields of ``spec``; its docstring is the description in the CRD.

    An invalid definition of a field, or a name that Kubernetes would refuse, is a ``TypeError``. An exception of
    ``events()`` or ``running()`` ends the adapter with exit code 1.
    """

    # Defaults are validated, so that ``Field("1s")`` gives an Interval in tests, too: an adapter gets it from the CRD.
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        validate_default=True,
        ignored_types=(ClassAttribute,),
        cache_strings="none",  # the cache takes 256 KiB, and a source is validated once
        defer_build=True,  # the base classes have no objects of their own, and a validator takes memory
    )

    api_version: ClassVar[str] = "samples.knative.dev/v1alpha1"  # group and version of the CRD
    short_name: ClassVar[str] = ""  # short name for kubectl; default: initials and "src", like "ssrc"
    event_types: ClassVar[tuple[str, ...]] = ()  # CloudEvents types of the events: each a str or an EventType
    event_type_field: ClassVar[str] = ""  # name of the spec field that sets the type of all events; may be empty
    listens: ClassVar[bool] = False  # True: the hook creates a Service for Context.port
    adapter: ClassVar[Mapping[str, Any]] = {}  # defaults for the fields of spec.adapter, like {"resources": {…}}
    keeps_checkpoint: ClassVar[tuple[str, ...]] = ()  # fields that may change without starting a new checkpoint
    is_poller: ClassVar[bool] = False  # True: on_shutdown callbacks get 10 s, and the default of spec.checkpoint is pod

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if problem := kind_problem(cls.__name__):
            raise TypeError(problem)
        if problem := api_version_problem(cls.api_version, cls.__name__):
            raise TypeError(f"{cls.__name__}.api_version {problem}")
        if problem := short_name_problem(cls.short_name):
            raise TypeError(f"{cls.__name__}.short_name {problem}")
        if problem := _adapter_problem(cls.adapter):
            raise TypeError(f"{cls.__name__}.adapter {problem}")
        if problem := _keeps_problem(cls):
            raise TypeError(f"{cls.__name__}.keeps_checkpoint {problem}")
        for name, value in vars(cls).items():
            if isinstance(value, ClassAttribute) and (problem := value.problem(cls)):
                raise TypeError(f"{cls.__name__}.{name} {problem}")
        for name, info in cls.model_fields.items():
            if problem := _name_conflict(cls, name, info.alias or name):
                raise TypeError(f"{cls.__name__}.{name}: {problem}; choose another name")
            if problem := _redefinition(cls, name, info):
                raise TypeError(f"{cls.__name__}.{name} {problem}, or choose another name")
        if not cls.__module__.startswith(_BASE_CLASSES):
            cls.model_rebuild()

    def workers(self) -> int:
        """How many generators of :meth:`events` run concurrently, at least 1. Events keep their order only with one."""
        return 1

    @asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        """Wraps the whole life of the source: open resources before the ``yield``, close them after it."""
        yield

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        """Whether the source yields an event with this outcome again, because its upstream still holds it.

        The adapter asks after ``REJECTED`` and ``GAVE_UP``. If the answer is True, the event is not lost: it is counted
        as ``returned`` and logged as a warning. ``stopping``: the adapter is stopping, so only a later process can
        yield the event.
        """
        return False

    @classmethod
    def fields_that_keep_checkpoint(cls) -> set[str]:
        """``keeps_checkpoint`` of this class and of its base classes. A change of another field starts a new one."""
        return {name for each in cls.__mro__ for name in vars(each).get("keeps_checkpoint", ())}

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yield events. Each ``yield`` returns the :class:`Outcome` of its event.

        The next event is pulled after the delivery of the last one has ended. When the generator ends, the adapter
        keeps running without further events.
        """
        raise TypeError(
            f"{type(self).__name__} has no events(); subclass Timer, Poller or Listener, or define events()"
        )


def _keeps_problem(cls: type[Source]) -> str | None:
    own = vars(cls).get("keeps_checkpoint", ())
    if isinstance(own, str):
        return f"is a text; write a tuple, like ({quoted(own)},)"
    unknown = sorted({*own, *cls.fields_that_keep_checkpoint()} - cls.model_fields.keys())
    return f"names {quoted(unknown[0])}, which is no field; remove it" if unknown else None


def _adapter_problem(value: Any) -> str | None:
    """Why this is not a map of JSON values, or None. The ``sources`` commands check its fields."""
    try:
        if isinstance(value, dict) and json.loads(json.dumps(value, allow_nan=False)) == value:
            return None
    except (TypeError, ValueError, RecursionError):
        pass
    return (
        f"is {quoted(value)}: write a dict of str, int, float, bool, None, list and dict with the fields of "
        'spec.adapter, like {"resources": {"limits": {"memory": "256Mi"}}}'
    )


def _redefinition(cls: type[Source], name: str, info: FieldInfo) -> str | None:
    """What is wrong with a field that a parent class also has, or None. ``interval`` has one type in all kinds."""
    parents = (parent for parent in cls.__mro__[1:] if issubclass(parent, BaseModel) and name in parent.model_fields)
    inherited = next((parent.model_fields[name] for parent in parents), None)
    wanted = inherited.annotation if inherited else (Interval if name == "interval" else None)
    if wanted is not None and info.annotation is not wanted:
        return f"is of type {_type_name(info.annotation)}: write `{name}: {_type_name(wanted)}`"
    if inherited and (info.alias or name) != (inherited.alias or name):
        return f'is "{info.alias or name}" in spec: write alias="{inherited.alias or name}"'
    return None


def _type_name(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _name_conflict(cls: type[Source], name: str, spec_name: str) -> str | None:
    """Why a field cannot have this name, or None. ``spec_name`` is its name in ``spec``."""
    for reserved in (name, spec_name):
        if reserved in SHARED_FIELDS:
            return f'every source has "{reserved}" in its spec already'
    if spec_name in (info.alias or other for other, info in cls.model_fields.items() if other != name):
        return f'another field is already called "{spec_name}" in spec'
    parents = (parent for parent in cls.__mro__[1:] if issubclass(parent, BaseModel))
    if any(name not in parent.model_fields and hasattr(parent, name) for parent in parents):
        return f'"{name}" is an attribute of the class {cls.__mro__[1].__name__}'
    return None
