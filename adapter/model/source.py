"""What a source is: a pydantic class whose fields are the kind's ``spec`` and whose generator yields events.

An author subclasses :class:`~adapter.timer.Timer` (or Poller, Listener), or :class:`Source` itself for anything else.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from annotated_types import Ge
from pydantic import BaseModel, ConfigDict
from pydantic.fields import FieldInfo

from adapter.contract.durations import Interval
from adapter.contract.environment import SHARED_FIELDS
from adapter.model.clock import Clock
from adapter.model.event import Event, Outcome


@dataclass(frozen=True)
class Context:
    """Who this source is, and the clock and log it lives by."""

    source: str
    uid: str
    created: datetime
    clock: Clock
    log: logging.Logger
    missed: Callable[[int], None] = lambda count: None  # counts what should have happened and did not
    polled: Callable[[str, int], None] = lambda outcome, count: None  # counts polls by what they brought
    trouble: Callable[[str | None], None] = lambda reason: None  # why this source is not ready; None: it is
    lane: int = 0  # which of ``lanes`` generators of this source, side by side, is asked
    lanes: int = 1
    port: int = 8888  # for kinds that listen
    trust_bundles: Path | None = None  # directory of PEM files to trust, which may change
    stopping: Callable[[], bool] = lambda: False


class Source(BaseModel):
    """Base of every kind: fields are ``spec``, the class docstring is the CRD's description."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    api_version: ClassVar[str] = "samples.knative.dev/v1alpha1"
    short_name: ClassVar[str] = ""  # for kubectl; "": initials and "src", like ssrc
    event_types: ClassVar[tuple[str, ...]] = ()  # each a str or an EventType
    event_type_field: ClassVar[str] = ""  # the field of spec that says the type of all its events, if one does
    listens: ClassVar[bool] = False  # gets a Service

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        for name, info in cls.model_fields.items():
            if problem := _clash(cls, name, info.alias or name):
                raise TypeError(f"{cls.__name__}.{name}: {problem}; choose another name")
            if problem := _changed(cls, name, info):
                raise TypeError(f"{cls.__name__}.{name} {problem}, or choose another name")

    @asynccontextmanager
    async def running(self, context: Context) -> AsyncIterator[None]:
        """Around the whole life of the source: for what is opened once and closed after the last event is settled."""
        yield

    async def on_shutdown(self) -> None:
        """Told to stop, and events are still pulled: what is best done before they no longer are. Two seconds."""

    def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        """Yield events for ever, or until there are no more; each ``yield`` returns that event's outcome."""
        raise TypeError(f"{type(self).__name__} has no events(); subclass Timer, Poller or Listener, or define it")


_TYPES = {"interval": Interval, "max_in_flight": int}  # of fields that the runtime reads, whoever has them


def _changed(cls: type[Source], name: str, info: FieldInfo) -> str | None:
    """What is wrong with a field that a parent class, or the runtime, has a meaning for."""
    parents = (it for it in cls.__mro__[1:] if issubclass(it, BaseModel) and name in it.model_fields)
    inherited = next((it.model_fields[name] for it in parents), None)
    wanted = inherited.annotation if inherited else _TYPES.get(name)
    if wanted is not None and info.annotation is not wanted:
        shown = getattr(wanted, "__name__", str(wanted))
        return f"is of type {_shown(info.annotation)}: write `{name}: {shown}`"
    if inherited and (info.alias or name) != (inherited.alias or name):
        return f'is "{info.alias or name}" in spec: write alias="{inherited.alias or name}"'
    if name == "max_in_flight" and not any(isinstance(it, Ge) and it.ge >= 1 for it in info.metadata):
        return "may be 0, and then nothing is sent: write Field(…, ge=1)"
    return None


def _shown(annotation: Any) -> str:
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)


def _clash(cls: type[Source], name: str, written: str) -> str | None:
    """What else a field's name would mean; ``written``: as it stands in ``spec``."""
    for reserved in (name, written):
        if reserved in SHARED_FIELDS:
            return f'every source has "{reserved}" in its spec already'
    others = (it.alias or other for other, it in cls.model_fields.items() if other != name)
    if written in others:
        return f'"{written}" is another field\'s name in spec'
    parents = (parent for parent in cls.__mro__[1:] if issubclass(parent, BaseModel))
    if any(name not in parent.model_fields and hasattr(parent, name) for parent in parents):
        return f'"{name}" is a name of the class {cls.__mro__[1].__name__}'
    return None
