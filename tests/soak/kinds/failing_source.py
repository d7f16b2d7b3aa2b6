from adapter.sdk import Event, Timer


class FailingSource(Timer):
    """Each tick raises an exception."""

    def tick(self, n: int) -> Event:
        raise RuntimeError(f"tick {n} fails")
