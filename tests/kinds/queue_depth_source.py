"""An example of an author's kind, for tests. It imports only ``adapter.sdk``."""

from adapter.sdk import Event, EventType, Field, SecretText, Timer


class QueueDepthSource(Timer):
    """Reports the depth of a queue every interval."""

    api_version = "queues.example.com/v1"
    event_types = (EventType("com.example.queue.depth", "The number of messages in a queue."),)

    queue: str = Field(min_length=1, max_length=63, description="Name of the queue.", examples=["orders"])
    warn_at: int = Field(100, ge=1, le=1_000_000, alias="warnAt", description="Depth from which warns is true.")
    token: SecretText = Field(description="Token for the queue server.")

    def tick(self, n: int) -> Event:
        depth = n + len(self.token.get_secret_value())
        data = {"queue": self.queue, "depth": depth, "warns": depth >= self.warn_at}
        return Event(type="com.example.queue.depth", subject=self.queue, data=data)
