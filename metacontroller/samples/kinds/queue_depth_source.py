"""The depth of a RabbitMQ queue, from its management API."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from adapter.sdk import Event, EventType, Field, HttpUrl, Poller, SecretText


class QueueDepthSource(Poller):
    """Reports the number of messages in a RabbitMQ queue every interval."""

    api_version = "samples.example.com/v1"
    event_types = (EventType("com.example.queue.depth", "The number of messages in a queue."),)

    url: HttpUrl = Field(description="URL of the management API.", examples=["http://rabbitmq:15672"])
    vhost: str = Field("/", description="Virtual host of the queue.")
    queue: str = Field(min_length=1, description="Name of the queue.", examples=["orders"])
    user: str = Field("guest", description="User of the management API.")
    password: SecretText = Field(description="Password of the user.")

    async def poll(self, client: Any) -> Iterable[Event]:
        path = f"/api/queues/{quote(self.vhost, safe='')}/{quote(self.queue, safe='')}"
        response = await client.get(self.url + path, auth=(self.user, self.password.get_secret_value()))
        response.raise_for_status()
        data = {"queue": self.queue, "messages": response.json()["messages"]}
        event_id = f"{self.queue} {response.headers['date']}"
        return [Event("com.example.queue.depth", data, id=event_id, subject=self.queue)]
