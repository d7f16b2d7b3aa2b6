"""A kind as an author writes one; not shipped. Everything it needs comes from ``adapter.sdk``."""

from adapter.sdk import Event, EventType, Field, SecretText, Timer


class QueueDepthSource(Timer):
    """Tells how deep a queue is, every interval."""

    api_version = "queues.example.com/v1"
    event_types = (EventType("com.example.queue.depth", "How many messages wait in a queue."),)

    queue: str = Field(min_length=1, max_length=63, description="The queue to look at.", examples=["orders"])
    warn_at: int = Field(100, ge=1, le=1_000_000, alias="warnAt", description="The depth from which it warns.")
    token: SecretText = Field(description="What the queue's server is asked with.")

    def tick(self, n: int) -> Event:
        depth = n + len(self.token.get_secret_value())
        data = {"queue": self.queue, "depth": depth, "warns": depth >= self.warn_at}
        return Event(type="com.example.queue.depth", subject=self.queue, data=data)
