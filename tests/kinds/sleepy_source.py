"""A mistake that many make: a blocking call in an asynchronous program."""

import time

from adapter.sdk import Event, Timer


class SleepySource(Timer):
    """Blocks the event loop in every tick."""

    def tick(self, n: int) -> Event:
        time.sleep(1.6)
        return Event(type="com.example.sleepy")
