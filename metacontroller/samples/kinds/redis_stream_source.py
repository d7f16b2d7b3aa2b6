from collections.abc import AsyncGenerator

from redis.asyncio import from_url  # must be in the image of this kind: 8.0 or newer, which has timeouts

from adapter.sdk import Context, Event, EventType, Field, Outcome, SecretText, Source


class RedisStreamSource(Source):
    """Sends the entries of a Redis stream for a consumer group, and acknowledges each entry that was accepted."""

    api_version = "samples.example.com/v1"
    event_types = (EventType("com.example.redis.entry", "The fields of an entry, as texts."),)
    url: SecretText = Field(description="URL such as redis://:password@redis:6379/0.")
    stream: str = Field(min_length=1, description="Key of the stream.", examples=["orders"])
    group: str = Field(min_length=1, description="Consumer group of the stream; it must exist.", examples=["events"])

    async def events(self, context: Context) -> AsyncGenerator[Event, Outcome]:
        context.set_unready("not connected to Redis")
        redis = from_url(self.url.get_secret_value(), decode_responses=True, encoding_errors="replace")
        while True:
            _, entries, *_ = await redis.xautoclaim(self.stream, self.group, "adapter", min_idle_time=60_000)
            context.set_unready(None)
            new = await redis.xreadgroup(self.group, "adapter", {self.stream: ">"}, 1, block=1 if entries else 1000)
            for key, fields in entries + dict(new).get(self.stream, []):
                outcome = yield Event("com.example.redis.entry", fields, id=key, subject=self.stream)
                if outcome in (Outcome.DELIVERED, Outcome.DEAD_LETTERED):
                    await redis.xack(self.stream, self.group, key)

    def sends_again(self, outcome: Outcome, stopping: bool) -> bool:
        return True
