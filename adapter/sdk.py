"""Everything that the author of a kind imports."""

from pydantic import Field

from adapter.contract.durations import Interval
from adapter.listening.listener import Listener
from adapter.model.event import Event, EventType, Outcome
from adapter.model.fields import Certificates, HttpUrl, SecretText
from adapter.model.source import Context, Source
from adapter.polling.errors import PollFailed, Unchanged
from adapter.polling.poller import Poller
from adapter.serving.messages import Refusal, Reply, Request
from adapter.timer import Timer

__all__ = [
    "Certificates",
    "Context",
    "Event",
    "EventType",
    "Field",
    "HttpUrl",
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
