"""The times of a source with an interval. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from adapter.contract.formats import EPOCH

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When tick n is due, in whole nanoseconds since the epoch."""

    first_ns: int
    interval_ns: int

    @classmethod
    def of(cls, uid: str, created: datetime, interval_ns: int) -> Schedule:
        """The phase, a hash of the uid, spreads sources that were created at the same time."""
        phase_ns = int.from_bytes(hashlib.sha256(uid.encode("utf-8", "replace")).digest()) % interval_ns
        return cls(_unix_ns(created) + phase_ns, interval_ns)

    def due_ns(self, n: int) -> int:
        return self.first_ns + n * self.interval_ns

    def due(self, n: int) -> datetime:
        return EPOCH + timedelta(microseconds=self.due_ns(n) // 1000)

    def next_at(self, now: datetime) -> int:
        """The number of the first tick at ``now`` or later."""
        return max(0, -((self.first_ns - _unix_ns(now)) // self.interval_ns))

    def latest_at(self, now: datetime) -> int:
        """The number of the last tick at ``now`` or before; negative before the first."""
        return (_unix_ns(now) - self.first_ns) // self.interval_ns


def _unix_ns(time: datetime) -> int:
    return (time - EPOCH) // _MICROSECOND * 1000
