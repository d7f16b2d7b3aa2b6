"""One source of a pool: an object with an alarm. A task exists only while a tick is made and delivered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from adapter.assemble import encoder
from adapter.contract.environment import AdapterEnv
from adapter.contract.formats import format_time
from adapter.contract.timeouts import TIMEOUTS
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock
from adapter.model.event import Outcome
from adapter.model.source import Context, with_id_and_time
from adapter.observe.metrics import LOST
from adapter.pool.alarms import Alarm, Alarms
from adapter.pool.groups import Group
from adapter.serving.failures import as_source, cancels_this_task, failure_fields
from adapter.serving.logs import BURST
from adapter.timing.ticks import Ticker
from adapter.timing.timer import Timer, plan_of
from adapter.timing.times import to_ns

LONGEST_PAUSE_S = 30.0  # after a tick that raises: 1 s, 2 s, 4 s, … up to this
_SILENT = logging.Logger("adapter", logging.CRITICAL)  # the pool itself logs that sources were started


class PooledSource:
    """A source from one environment. Another environment is another object with the same ``checkpoint``.

    ``blocked``: why its last tick stopped the whole process; empty if it did not.
    """

    __slots__ = (
        "_alarm",
        "_alarms",
        "_clock",
        "_encode",
        "_failed",
        "_failures",
        "_limit",
        "_name",
        "_package",
        "_plan",
        "_refused_since",
        "_secrets",
        "_sends_again",
        "_sent_at",
        "_task",
        "_ticker",
        "blocked",
        "context",
        "ended",
        "group",
    )

    def __init__(
        self, env: AdapterEnv, timer: Timer, group: Group, checkpoint: Checkpoint, clock: Clock, alarms: Alarms
    ) -> None:
        self.context = Context(
            env.source,
            env.identity,
            env.created,
            clock,
            _SILENT,
            count_missed=group.count_missed,
            checkpoint=checkpoint,
            egress=group.key.egress,
        )
        self.group, self._clock, self._alarms = group, clock, alarms
        self._plan = plan_of(timer, self.context)
        self._ticker = Ticker(self.context, self._plan, group.throttle)
        self._encode = encoder(env)
        self._package, self._secrets = env.sources_package, tuple(env.secret_texts())
        self._sends_again: Callable[[Outcome, bool], bool] = timer.sends_again
        self._task: asyncio.Task[None] | None = None
        self._limit: asyncio.Timeout | None = None  # of the delivery in flight
        self._alarm: Alarm | None = None
        self._failures = 0  # ticks in a row that raised
        self._failed = ""  # why the last tick was not made
        self._sent_at: datetime | None = None  # of the event in flight
        self._refused_since: datetime | None = None  # since when the sink has accepted none of its events
        self.blocked = ""
        self.ended = False

    def start(self) -> None:
        self._ticker.start()
        self._await_next()

    def end(self, *, replaced: bool = False) -> None:
        """Make no more ticks. The event in flight is delivered within the limit of a shutdown.

        ``replaced``: another object goes on with the checkpoint, so no tick is skipped.
        """
        if self.ended:
            return
        self.ended = True
        self._alarms.cancel(self._alarm)
        if self._task and self._limit is None:
            self._task.cancel()  # its event is not made yet
        elif self._limit:
            self._limit.reschedule(asyncio.get_running_loop().time() + self.group.drain_s)
        if not replaced:
            self._ticker.stop()

    def replace_by(self, other: PooledSource) -> None:
        """The other one has a new environment, and goes on with the next tick.

        An event in flight is sent again if it now has another sink. Otherwise it is delivered as it is.
        """
        if self._limit is not None and other.group is not self.group and other.ticks_like(self):
            if self._task:
                self._task.cancel()
        elif self._limit is not None:
            self._ticker.hand_over()
        self.end(replaced=True)
        other.start()

    def ticks_like(self, other: PooledSource) -> bool:
        return self._plan.times == other._plan.times

    @property
    def problem(self) -> str:
        """Why it sends no events, or empty. The text stays the same while the problem does."""
        if self.blocked or self._failed:
            return self.blocked or self._failed
        if problem := self.group.problem():
            return problem
        since = self._refused_since or self._sent_at
        if since is None or self._clock.now() - since < timedelta(seconds=TIMEOUTS.unaccepted_s):
            return ""
        return f"the sink has accepted no event of this source since {format_time(since)}; see the log of the pool"

    def _await_next(self) -> None:
        due = self._ticker.next()
        if due is not None:
            self._alarm = self._alarms.set(due, self._ring)

    def _ring(self) -> None:
        due = self._ticker.next()
        if due is None:
            return
        if due // 1000 * 1000 > to_ns(self._clock.now()) or not self._ticker.reached(due):
            return self._await_next()  # the clock was set back, or the tick is skipped
        self._task = asyncio.get_running_loop().create_task(self._act(due), name=self.context.uid)
        self.group.tasks.add(self._task)
        self._task.add_done_callback(self.group.tasks.discard)

    async def _act(self, due: int) -> None:
        """Make a tick, deliver it, and wait for the next one."""
        self.blocked = ""
        try:
            event = await as_source(self._plan.event(due))
            event = with_id_and_time(event, self.context)
        except BaseException as error:
            if cancels_this_task(error):
                raise
            return self._fails(error)
        self._failures, self._failed = 0, ""
        self._ticker.sends(due)
        self._sent_at, self._limit = self._clock.now(), asyncio.timeout(None)
        try:
            outcome = await self.group.deliveries.handle(
                event, self.context.source, self._encode, self._is_sent_again, limit=self._limit
            )
        except Exception as error:  # such as one that the data of the event raises when it is encoded
            self.group.metrics.count_events(LOST)
            return self._fails(error)
        self._answered(due, outcome)

    def _answered(self, due: int, outcome: Outcome) -> None:
        self._task = self._limit = None
        if self.ended:
            return  # another object may have the checkpoint
        sent_at, self._sent_at = self._sent_at, None
        self._refused_since = None if outcome is Outcome.DELIVERED else self._refused_since or sent_at
        pause = self._ticker.answered(due, outcome)
        if pause:
            self._alarm = self._alarms.set(to_ns(pause), self._await_next)
        else:
            self._await_next()

    def _is_sent_again(self, outcome: Outcome) -> bool:
        return self._sends_again(outcome, self.ended)

    def _fails(self, error: BaseException) -> None:
        """The tick is made again after a pause, unless it was made already or is skipped then."""
        self._task = self._limit = self._sent_at = None
        if self.ended:
            return
        fields = failure_fields(error, self._package, self._secrets)
        at = f" at {fields['at']}" if fields["at"] else ""
        self._failed = f"its tick fails{at}: {fields['error']}"
        self._failures += 1
        self.group.count_failure()
        pause_s = min(2.0 ** min(self._failures - 1, 10), LONGEST_PAUSE_S)
        line = {"source": self.context.source, "at": fields["at"], "error": fields["error"], "again_in_s": pause_s}
        self.group.throttle.error("the tick of a source failed", burst=BURST, **line)
        self._alarm = self._alarms.set(to_ns(self._clock.now() + timedelta(seconds=pause_s)), self._await_next)
