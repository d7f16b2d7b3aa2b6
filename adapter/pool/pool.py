"""Which sources run, and what is told about them: the answers to ``/run`` and ``/keep``."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from adapter.contract.declarations import EnvError
from adapter.model.checkpoint import Checkpoint
from adapter.model.clock import Clock
from adapter.pool.alarms import SLACK_NS, Alarms
from adapter.pool.groups import Groups
from adapter.pool.kinds import Kinds
from adapter.pool.settings import SourceEnvs
from adapter.pool.source import PooledSource
from adapter.serving.logs import error_location

NAMED_S = 2.0  # a list may be older than a question of this age
TOMBSTONE_S = 30.0  # a question may be older than the list that the source has left
CONFIRM_S = 10.0  # a list that starts a source may be older than an answer of the last process; a later one is not
LIST_S = 180.0  # the hook sends a list every 30 s
MOST_TROUBLED = 500  # at once; each is an object in the cluster
AT_ONCE = 10  # sources to start before the loop handles other work
OTHER = "with absentOnly it stays as it is: another environment runs, or none"
LEFT = "the source has left the list of the pool; ask again in 30 s"


@dataclass(slots=True)
class Entry:
    """A source that the hook has named. ``source``: None if it does not run.

    ``digest``: of the environment that runs. ``refused``: of another one that cannot run (empty: try again), and why.
    ``told``: the last answer to ``/run`` about it; None if nobody has asked, or not since it was listed as troubled.
    """

    named_s: float  # the loop's time of the last question
    asked: bool = False  # by /run about this source alone, not from a list
    filled_s: float | None = None  # when a list started it, until a later list has confirmed the environment
    source: PooledSource | None = None
    digest: bytes = b""
    refused: tuple[bytes, str] | None = None
    told: str | None = None

    @property
    def problem(self) -> str:
        if self.refused:
            return self.refused[1]
        return self.source.problem if self.source else ""


@dataclass(frozen=True)
class Kept:
    """The answer to ``/keep``. ``again``: another list is wanted soon.

    That is so if sources that are not listed were left alone because they are new, or if more sources are in trouble.
    """

    missing: list[str]
    again: bool
    filled: bool
    troubled: dict[str, str]


class Pool:
    """Created in a running event loop. ``filled``: it has got all sources since its start.

    ``settle`` is called when it is filled, and again each time the number of sources has doubled. ``slack_ns``: how
    late a tick may be made, see :class:`adapter.pool.alarms.Alarms`.
    """

    def __init__(
        self,
        envs: SourceEnvs,
        groups: Groups,
        clock: Clock,
        log: logging.Logger,
        settle: Callable[[], object] = lambda: None,
        slack_ns: int = SLACK_NS,
    ) -> None:
        self._settle, self._settled = settle, 0  # how many sources there were then
        self.filled = self.stopping = False
        self.groups = groups
        self._envs = envs
        self._clock = clock
        self._log = log
        self._kinds = Kinds()
        self._alarms = Alarms(clock, slack_ns)
        self._loop = asyncio.get_running_loop()
        self._entries: dict[str, Entry] = {}
        self._left: dict[str, float] = {}  # uid -> until when it is refused, by the loop's time; the oldest first
        self._listed: set[str] = set()  # as troubled in the last answer
        self._list_s = self._loop.time()  # of the last list

    @property
    def unready_reason(self) -> str | None:
        if self.stopping:
            return "stopping"
        if not self.filled:
            return "not filled: the hook has not sent all sources yet"
        if self._loop.time() - self._list_s < LIST_S:
            return None
        return f"no list of sources for {LIST_S:.0f} s: deleted sources go on; see the events of the SourcePool"

    def running(self) -> Iterable[PooledSource]:
        return [entry.source for entry in self._entries.values() if entry.source]

    def source(self, uid: str) -> PooledSource | None:
        entry = self._entries.get(uid)
        return entry.source if entry else None

    async def run(self, sources: Mapping[str, Mapping[str, str] | None], *, absent_only: bool) -> dict[str, str]:
        """Start, change or end sources. The result: uid -> empty, or why it does not run exactly this environment.

        With ``absent_only``, a source that runs stays as it is, and so does one that ``run`` has stopped: the list that
        the sources are from may be older. Only a source that a list started, too, gets another environment of a later
        list.
        """
        self._forget_tombstones()
        texts: dict[str, str] = {}
        for n, (uid, environ) in enumerate(sources.items(), 1):
            texts[uid] = self._run_one(uid, environ, absent_only)
            if n % AT_ONCE == 0:
                await asyncio.sleep(0)
        return texts

    def keep(self, uids: list[str], *, filled: bool) -> Kept:
        """End all sources that are not listed, except those that were named in the last seconds.

        Missing are those that do not run, and once more those that a list has started: that list may be older than the
        last answer of the process before this one.
        """
        self._forget_tombstones()
        listed, now_s = set(uids), self._loop.time()
        self._list_s = now_s
        unlisted = self._entries.keys() - listed
        new = {uid for uid in unlisted if now_s - self._entries[uid].named_s < NAMED_S}
        for uid in unlisted - new:
            self._end(self._entries.pop(uid))
            self._left[uid] = now_s + TOMBSTONE_S
        for uid in listed & self._left.keys():
            del self._left[uid]
        self.filled = self.filled or filled
        if self.filled and len(self._entries) >= 2 * self._settled:
            self._settled = max(1, len(self._entries))
            self._settle()
        missing = [uid for uid in uids if uid not in self._entries or self._needs_list(self._entries[uid])]
        troubled, more = self._troubled()
        return Kept(missing, bool(new) or more, self.filled, troubled)

    def stop(self) -> None:
        """Make no more ticks."""
        self.stopping = True
        for entry in self._entries.values():
            self._end(entry)

    async def drain(self) -> None:
        """Deliver the events in flight, within the limits of a shutdown. Call :meth:`stop` first."""
        await self.groups.close()

    def _run_one(self, uid: str, environ: Mapping[str, str] | None, absent_only: bool) -> str:
        entry = self._entries.get(uid)
        if entry is None and uid in self._left:
            return LEFT if environ is not None else ""
        if entry is None:
            entry = self._entries[uid] = Entry(self._loop.time())
        entry.named_s = self._loop.time()
        stays = absent_only and (entry.asked or (entry.source is not None and not self._needs_list(entry)))
        self._note_question(entry, absent_only)
        if environ is None:
            if not absent_only or entry.source is None:
                self._end(entry)
            return self._tell(entry, "", absent_only)
        digest = _digest(environ)
        if stays and digest != entry.digest:
            return OTHER
        self._apply(uid, entry, environ, digest)
        return self._tell(entry, entry.problem, absent_only)

    def _needs_list(self, entry: Entry) -> bool:
        """Whether a list started the source, nobody has asked since, and a list of now is newer."""
        if entry.asked or entry.filled_s is None:
            return False
        return self._loop.time() - entry.filled_s >= CONFIRM_S

    def _note_question(self, entry: Entry, absent_only: bool) -> None:
        if not absent_only:
            entry.asked = True
        elif self._needs_list(entry):
            entry.filled_s = None
        elif entry.source is None:
            entry.filled_s = entry.named_s

    def _tell(self, entry: Entry, text: str, absent_only: bool) -> str:
        if not absent_only:  # otherwise the hook does not show the answer to anybody
            entry.told = text
        return text

    def _apply(self, uid: str, entry: Entry, environ: Mapping[str, str], digest: bytes) -> None:
        """Run this environment, unless it runs already or was refused before."""
        if entry.source and digest == entry.digest:
            entry.refused = None
            return
        if entry.refused and digest == entry.refused[0]:
            return
        try:
            made = self._make(uid, entry, environ)
        except EnvError as error:
            entry.refused = digest, " ".join(str(error).splitlines())
            return
        except Exception as error:  # one source must not stop the answer about the others
            # tried again with the next question: the error may be one of the process, such as too many open files
            refused = b"", f"the pool cannot run it: {type(error).__name__}; see its log"
            if entry.refused != refused:
                fields = {"source_uid": uid, "error": type(error).__name__, "at": error_location(error)}
                self._log.error("a source cannot be run", extra={"fields": fields})
            entry.refused = refused
            return
        old, entry.source, entry.digest, entry.refused = entry.source, made, digest, None
        if old:
            old.replace_by(made)
            self.groups.leave(old.group)
        else:
            made.start()

    def _make(self, uid: str, entry: Entry, environ: Mapping[str, str]) -> PooledSource:
        env = self._envs.read(environ)
        if env.uid != uid:
            raise EnvError("SOURCE_UID", env.uid, f"write the uid of the source, {uid}")
        timer = self._kinds.load(env)
        group = self.groups.join(env)
        checkpoint = entry.source.context.checkpoint if entry.source else Checkpoint()
        try:
            return PooledSource(env, timer, group, checkpoint, self._clock, self._alarms)
        except BaseException:
            self.groups.leave(group)
            raise

    def _end(self, entry: Entry) -> None:
        source, entry.source, entry.digest, entry.refused = entry.source, None, b"", None
        if source:
            source.end()
            self.groups.leave(source.group)

    def _troubled(self) -> tuple[dict[str, str], bool]:
        """The problems to list by uid, and whether more sources wait for a place in the list.

        A source stays in the list until the hook has asked about it. Then it stays while there is room: the hook asks
        about a source with a problem every 30 s. One that has been told to be healthy since it was listed is left out
        once: the hook asks about a source when its object appears or disappears, not while it stays.
        """
        problems = {uid: text for uid, entry in self._entries.items() if (text := entry.problem)}
        told = {uid: self._entries[uid].told for uid in problems}
        waiting = sorted(uid for uid in problems.keys() - self._listed if not told[uid])
        listed = sorted(uid for uid in self._listed & problems.keys() if told[uid] != "")
        unasked = [uid for uid in listed if told[uid] is None]
        new = waiting[: max(0, MOST_TROUBLED - len(unasked))]
        asked = [uid for uid in listed if told[uid]][: max(0, MOST_TROUBLED - len(unasked) - len(new))]
        for uid in new:
            self._entries[uid].told = None
        self._listed = {*unasked, *new, *asked}
        # without a new one, no list would help: those that are listed wait for the hook
        return {uid: problems[uid] for uid in sorted(self._listed)}, bool(new) and len(new) < len(waiting)

    def _forget_tombstones(self) -> None:
        now_s = self._loop.time()
        while self._left and (oldest := next(iter(self._left.items())))[1] <= now_s:
            del self._left[oldest[0]]


def _digest(environ: Mapping[str, str]) -> bytes:
    return hashlib.sha256(json.dumps(environ, sort_keys=True).encode()).digest()
