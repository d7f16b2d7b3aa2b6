from adapter.sdk import Event, Timer


class OddSource(Timer):
    """Not a plain Timer."""

    def workers(self) -> int:
        return 2

    def tick(self, n: int) -> Event:
        return Event(type="t")
