"""When an attempt at a destination may begin: after its wait, after ``Retry-After``, and once a slot is free."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from adapter.delivery.channel import Channel
from adapter.model.clock import Clock, wait_until

NO_SLOTS: Mapping[Channel, asyncio.Semaphore] = MappingProxyType({})


class Turns:
    """``longest_s``: the longest wait that ``Retry-After`` may ask for.

    ``slots``: limits the attempts at one destination, also those of others that share the semaphore. Destinations
    without one have no limit.
    """

    def __init__(self, clock: Clock, longest_s: float, slots: Mapping[Channel, asyncio.Semaphore] = NO_SLOTS) -> None:
        self._clock = clock
        self._slots = slots
        self._longest_s = longest_s
        self._not_before: dict[Channel, datetime] = {}  # from Retry-After; applies to all events

    def postpone(self, channel: Channel, seconds: float) -> None:
        """The destination has asked for this wait."""
        if seconds > 0:
            self._not_before[channel] = self._clock.now() + timedelta(seconds=min(seconds, self._longest_s))

    async def take(self, channel: Channel, wait_s: float, *, at_once: bool) -> None:
        """Wait ``wait_s`` seconds, or longer if ``Retry-After`` requires it, and then for a slot of the destination.

        ``at_once``: wait for the slot only. While it waits for a slot, the destination may send ``Retry-After`` to
        others. Then it waits once more. Call :meth:`give_back` after the attempt.
        """
        if at_once:
            wait_s = 0.0
        else:
            await self._wait(channel, wait_s)
        slots = self._slots.get(channel)
        if slots is None:
            return
        await slots.acquire()
        while not at_once and channel in self._not_before and self._until(channel, 0.0) > self._clock.now():
            slots.release()
            await self._wait(channel, 0.0)
            await slots.acquire()

    def give_back(self, channel: Channel) -> None:
        if slots := self._slots.get(channel):
            slots.release()

    async def _wait(self, channel: Channel, wait_s: float) -> None:
        if not wait_s and channel not in self._not_before:
            return
        until = self._until(channel, wait_s)
        if until > self._clock.now():
            await wait_until(self._clock, until)

    def _until(self, channel: Channel, wait_s: float) -> datetime:
        now = self._clock.now()
        longest = now + timedelta(seconds=self._longest_s)  # the clock may have been set back
        return max(now + timedelta(seconds=wait_s), min(self._not_before.get(channel, now), longest))
