"""What the author of a source imports, and nothing else."""

from pydantic import Field

from adapter.durations import Interval
from adapter.source import Context, Event, Outcome, Source
from adapter.timer import Timer

__all__ = ["Context", "Event", "Field", "Interval", "Outcome", "Source", "Timer"]
