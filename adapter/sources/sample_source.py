"""The kind to start from."""

from adapter.sdk import Event, Timer


class SampleSource(Timer):
    """Emits a numbered heartbeat event every interval."""

    event_types = ("dev.knative.sample",)

    def tick(self, n: int) -> Event:
        return Event(type="dev.knative.sample", data={"sequence": n, "heartbeat": self.interval})
