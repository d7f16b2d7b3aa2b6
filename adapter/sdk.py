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
from adapter.polling.incremental import Incremental
from adapter.polling.poller import Poller
from adapter.serving.messages import Refusal, Reply, Request
from adapter.timing.timer import Timer

if TYPE_CHECKING:
    from httpx2 import AsyncClient as Client

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
    """Import ``Client`` at its first use: only kinds that poll need httpx2."""
    if name != "Client":
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from httpx2 import AsyncClient

    return AsyncClient
