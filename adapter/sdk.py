"""What the author of a source imports, and nothing else. README.md, "What a class may say", is the page to it."""

from pydantic import Field

from adapter.asgi import Refusal
from adapter.durations import Interval
from adapter.fields import Certificates, HttpUrl, SecretText
from adapter.listener import Listener
from adapter.poller import Poller
from adapter.polling import PollFailed, Unchanged
from adapter.server import Request
from adapter.source import Context, Event, EventType, Outcome, Source
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
    "Request",
    "SecretText",
    "Source",
    "Timer",
    "Unchanged",
]
