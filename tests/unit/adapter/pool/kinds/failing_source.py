from typing import ClassVar

from adapter.sdk import Event, Timer


class FailingSource(Timer):
    """Its ticks fail while ``error`` is set."""

    error: ClassVar[BaseException | None] = None
    data: ClassVar[object] = None
    calls: ClassVar[list[int]] = []

    def tick(self, n: int) -> Event:
        self.calls.append(n)
        if self.error:
            raise self.error
        return Event(type="t", data=self.data or n)
