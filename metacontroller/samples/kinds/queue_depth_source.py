"""How deep a RabbitMQ queue is, from the management interface."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from adapter.sdk import Event, EventType, Field, HttpUrl, Poller, SecretText


class QueueDepthSource(Poller):
    """Tells how many messages wait in a RabbitMQ queue, every interval."""

    api_version = "samples.example.com/v1"
    event_types = (EventType("com.example.queue.depth", "How many messages waited in a queue."),)

    url: HttpUrl = Field(description="The management interface.", examples=["http://rabbitmq:15672"])
    vhost: str = Field("/", description="The queue's virtual host.")
    queue: str = Field(min_length=1, description="The queue's name.", examples=["orders"])
    user: str = Field("guest", description="Who asks.")
    password: SecretText = Field(description="The user's password.")

    async def poll(self, client: Any) -> Iterable[Event]:
        path = f"/api/queues/{quote(self.vhost, safe='')}/{quote(self.queue, safe='')}"
        answer = await client.get(self.url + path, auth=(self.user, self.password.get_secret_value()))
        answer.raise_for_status()
        data = {"queue": self.queue, "messages": answer.json()["messages"]}
        return [Event("com.example.queue.depth", data, id=f"{self.queue} {answer.headers['date']}", subject=self.queue)]
