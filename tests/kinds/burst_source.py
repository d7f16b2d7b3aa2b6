"""Events as fast as the sink accepts them, for benchmarks."""

from collections.abc import AsyncGenerator

from adapter.sdk import Context, Event, Field, Outcome, Source


class BurstSource(Source):
    """Sends a number of events without pause."""

    count: int = Field(1000, ge=1, description="Number of events.")
    max_in_flight: int = Field(1, ge=1, le=256, alias="maxInFlight", description="Number of events in flight.")

    def workers(self) -> int:
        return self.max_in_flight

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        for n in range(context.worker, self.count, context.workers):
            yield Event(type="com.example.burst", id=str(n), data={"n": n})
