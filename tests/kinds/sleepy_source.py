"""A mistake that many make: a blocking call in an asynchronous program."""

import subprocess

from adapter.sdk import Event, Timer


class SleepySource(Timer):
    """Blocks the event loop in every tick."""

    def tick(self, n: int) -> Event:
        subprocess.run(["sleep", "1.6"], check=True)
        return Event(type="com.example.sleepy")
