"""Everything that the author of a kind imports."""

from typing import TYPE_CHECKING, Any

from pydantic import Field

from adapter.contract.auth.texts import HttpUrl, SecretText
from adapter.contract.durations import Interval
from adapter.listening.listener import Listener
from adapter.model.event import Event, EventType, Outcome
from adapter.model.fields import Certificates
from adapter.model.source import Context, Source
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.poller import Poller
from adapter.serving.messages import Refusal, Reply, Request
from adapter.timing.timer import Timer

if TYPE_CHECKING:
    from httpx2 import AsyncClient as Client

    from adapter.polling.incremental import Incremental

__all__ = [
    "Certificates",
    "Client",
    "Context",
    "Event",
    "EventType",
    "Field",
    "HttpUrl",
    "Incremental",
    "Interval",
    "Listener",
    "Outcome",
    "PollFailed",
    "Poller",
    "Refusal",
    "Reply",
    "Request",
    "SecretText",
    "Source",
    "Timer",
    "Unchanged",
]


def __getattr__(name: str) -> Any:
    """Import what only some kinds that poll need at its first use."""
    if name == "Client":
        from httpx2 import AsyncClient

        return AsyncClient
    if name == "Incremental":
        from adapter.polling.incremental import Incremental

        return Incremental
    raise AttributeError(f"module {__name__} has no attribute {name}")
