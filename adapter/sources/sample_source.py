"""The kind to start from."""

from adapter.sdk import Event, EventType, Timer


class SampleSource(Timer):
    """Emits a numbered heartbeat event every interval."""

    event_types = (
        EventType(
            "dev.knative.sample",
            "A heartbeat: its number since the source was created, and the interval.",
            {"type": "object", "properties": {"sequence": {"type": "integer"}, "heartbeat": {"type": "string"}}},
        ),
    )

    def tick(self, n: int) -> Event:
        return Event(type="dev.knative.sample", data={"sequence": n, "heartbeat": self.interval})
