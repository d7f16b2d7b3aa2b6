"""Which ticks are sent that could not be sent in time, and where a new process begins. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adapter.timing.times import Times

Missed = Literal["skip", "latest", "all"]
_S = 1_000_000_000
IN_TIME = _S  # nanoseconds; a tick that is at most this late is not missed
RECENT = 60 * _S  # nanoseconds; the limit for a late tick if the position is unknown, and for ``skip``
MAX_TICKS = 1000  # of the missed ticks, at most so many are sent


@dataclass(frozen=True, slots=True)
class Policy:
    """``window``: how late a missed tick is sent with ``latest`` and ``all``, in nanoseconds."""

    missed: Missed
    window: int

    def following(self, times: Times, due: int, now: int, all_times: Times | None = None) -> int | None:
        """The tick to send next if ``due`` is missed. All ticks from ``due`` on, before the result, are skipped.

        ``all_times``: the ticks of all workers, of which ``all`` sends the last ``MAX_TICKS``; default ``times``.

        None: there is no tick to send. The result may be ``due`` itself, or a tick after ``now``.
        """
        if self.missed == "all":
            first = (all_times or times).last(MAX_TICKS, max(due, now - self.window) - 1, now)
            return times.next(now if first is None else first - 1)
        limit = RECENT if self.missed == "skip" else self.window
        latest = times.latest(now)
        return times.next(now) if latest is None or latest < now - limit else latest

    def start(self, times: Times, position: int | None, now: int) -> int:
        """The position of a new process: it sends the first tick after it. ``times``: the ticks of all workers.

        ``position``: the last tick that earlier processes have handled, if it is known. If it is not, the last tick
        that is due is sent if it is recent, because a killed process may not have delivered it. A position that is far
        in the future is ignored: the clock was wrong, and the source would send nothing until then.
        """
        if position is not None and position <= now + self.window:
            return position
        latest = times.latest(now)
        return now if latest is None or latest < now - RECENT else latest - 1
