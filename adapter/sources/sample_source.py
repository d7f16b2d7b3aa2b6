"""A minimal timer. Copy it to write a kind."""

from adapter.sdk import Event, EventType, Timer


class SampleSource(Timer):
    """Emits a numbered heartbeat event every interval."""

    event_types = (
        EventType(
            "dev.knative.sample",
            "A heartbeat with its number since the creation of the source, and the interval.",
            {"type": "object", "properties": {"sequence": {"type": "integer"}, "heartbeat": {"type": "string"}}},
        ),
    )

    def tick(self, n: int) -> Event:
        return Event(type="dev.knative.sample", data={"sequence": n, "heartbeat": self.interval})
