"""An author's kind with a checkpoint, for tests. Its upstream is a file: number n exists once the file has n bytes."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

from adapter.sdk import Context, Event, EventType, Field, Outcome, Source


class NumberSource(Source):
    """Sends the numbers after the one in its checkpoint."""

    api_version = "numbers.example.com/v1"
    event_types = (EventType("com.example.number", "A number of the upstream."),)

    path: str = Field(min_length=1, max_length=4096, description="Path of the file.", examples=["/var/spool/numbers"])

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        last = context.checkpoint.load() or 0
        assert isinstance(last, int)
        while True:
            while last < self.newest():
                if (yield Event(type="com.example.number", id=str(last + 1))) is Outcome.DELIVERED:
                    last += 1
                    context.checkpoint.save(last)
            await asyncio.sleep(0.005)

    def newest(self) -> int:
        return Path(self.path).stat().st_size
